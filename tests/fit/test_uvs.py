"""What one texture can be fitted to, and what is refused by name."""

import warnings
from pathlib import Path

import pytest

import neurotex as nt
from neurotex.fit.uvs import check_uvs
from tests.conftest import SHARED

SQUARE = ((0, 0), (1, 0), (1, 1), (0, 1))
LEFT = ((0, 0), (0.5, 0), (0.5, 1), (0, 1))
RIGHT = tuple((u + 0.5, v) for u, v in LEFT)


def moved(corners: tuple, by: tuple[float, float], scale: float = 1.0) -> tuple:
    return tuple((scale * u + by[0], scale * v + by[1]) for u, v in corners)


def check(tmp_path: Path, *faces: tuple[str, tuple | None]) -> None:
    """Check an OBJ file of quads in a row, each with the name of its material and the UVs of its corners."""
    lines, uvs = ["mtllib it.mtl"], 0
    for k, (material, corners) in enumerate(faces):
        lines += [f"v {k + x} {y} 0" for x, y in SQUARE] + [f"vt {u} {v}" for u, v in corners or ()]
        first = [4 * k + 1 + i for i in range(4)]
        ends = [f"{v}/{uvs + 1 + i}" if corners else str(v) for i, v in enumerate(first)]
        uvs += len(corners or ())
        lines += [f"usemtl {material}", "f " + " ".join(ends)]
    (tmp_path / "it.obj").write_text("\n".join(lines) + "\n")
    (tmp_path / "it.mtl").write_text("".join(f"newmtl {name}\n" for name in {name for name, _ in faces}))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* no vt")
        check_uvs(nt.Scene.load(tmp_path / "it.obj"), "it.obj")


@pytest.mark.parametrize(
    "faces",
    [
        [("a", SQUARE)],
        [("a", SQUARE[::-1])],
        [("a", LEFT), ("b", RIGHT)],  # an atlas that materials share
        [("a", LEFT), ("a", LEFT)],  # two sides that look alike
        [("a", moved(SQUARE, (3, -2)))],
        [("a", moved(LEFT, (1, 0))), ("a", moved(RIGHT, (2, 0)))],  # tiles that leave each other room
        [("a", moved(LEFT, (-0.2, 0)))],  # around the border
    ],
)
@pytest.mark.filterwarnings("error")
def test_places_of_their_own_are_fitted(tmp_path, faces):
    check(tmp_path, *faces)


@pytest.mark.parametrize(
    ("faces", "match"),
    [
        ([("a", None)], r"^it\.obj has no UVs: unwrap it"),
        ([("a", SQUARE), ("a", None), ("b", None)], r"it\.obj has no UVs for 4 of 6 faces: unwrap it"),
        ([("a", moved(SQUARE, (0.5, 0.5), 0))], "UVs that all lie on a line or a point"),
        ([("a", tuple((u, u) for u, _ in SQUARE))], "UVs that all lie on a line or a point"),
        ([("a", moved(SQUARE, (0, 0), 512))], r"reach from 0 to 512, so that they are counted in pixels"),
        ([("red", SQUARE), ("blue", SQUARE)], r"it\.obj wears 2 materials \(red, blue\) that cover the same texels"),
        ([("red", LEFT), ("red", RIGHT), ("blue", moved(RIGHT, (1, 0)))], r"2 materials \(red, blue\)"),
        ([("a", SQUARE), ("a", moved(SQUARE, (1, 0))), ("a", moved(SQUARE, (1, 1)))], r"3 tiles \(1001, 1002, 1012\)"),
    ],
)
def test_what_would_become_a_mean_is_refused(tmp_path, faces, match):
    with pytest.raises(nt.SceneError, match=match):
        check(tmp_path, *faces)


def test_a_texture_that_repeats_is_said(tmp_path):
    with pytest.warns(UserWarning, match=r"it\.obj has UVs that repeat the texture"):
        check(tmp_path, ("a", moved(SQUARE, (0, 0), 3)))


@pytest.mark.parametrize("file", ["spot/cow.obj", "castle/castle.obj"])
@pytest.mark.filterwarnings("error")
def test_meshes_of_others_are_fitted(file):
    path = SHARED / "data" / file
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    check_uvs(nt.Scene.load(path), file)
