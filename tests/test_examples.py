"""Every example is short, runs as it stands, and writes its file."""

import importlib
import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from neurotex import generators
from neurotex.compat.mitsuba.variant import using
from neurotex.errors import MissingError

EXAMPLES = Path(__file__).parents[1] / "examples"
SMALL = {
    "own_module": ["out.png"],
    "optimise_texture": ["out.glb", "3"],
    "latent_walk": ["out.gif", "3"],
    "one_material_per_texel": ["materials.png", "40"],
    "stylegan_skin": ["skin.png"],
    "train_by_parts": ["sheet.png", "3"],
}
# those that need another renderer, which is not everywhere: what they write when they are given these words
PLUGGED = {"pytorch3d_fit": ["out.png", "2"], "mitsuba_room": ["out.png", "2"]}

# all in one process, which saves starting torch three times; what each prints goes to a file of its name
RUN_ALL = """
import contextlib, json, runpy, sys
for path, *words in json.loads(sys.argv[1]):
    sys.argv = [path, *words]
    with open(path.split("/")[-1] + ".txt", "w") as printed, contextlib.redirect_stdout(printed):
        runpy.run_path(path, run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all examples ran as scripts, with small arguments."""
    folder = tmp_path_factory.mktemp("examples")
    runs = [[(EXAMPLES / f"{name}.py").as_posix(), *words] for name, words in SMALL.items()]
    command = [sys.executable, "-c", RUN_ALL, json.dumps(runs)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_tested_here(path):
    known = {**SMALL, **PLUGGED, "one_generator_three_frameworks": "tests/generators/interop"}
    assert len(path.read_text().splitlines()) <= (50 if path.stem in SMALL else 60)
    assert path.stem in known


def _missing(name: str) -> str:
    """Why an example cannot run here; nothing if it can."""
    if name.startswith("pytorch3d"):
        try:
            importlib.import_module("pytorch3d.renderer")
        except ImportError as error:
            return f"PyTorch3D is not installed ({error})"
        return ""
    try:
        with using("llvm_ad_rgb"):
            return ""
    except MissingError as error:
        return str(error)


@pytest.mark.parametrize("name", PLUGGED)
def test_an_example_inside_another_renderer_runs_and_draws(name, tmp_path):
    if why := _missing(name):
        pytest.skip(why)
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *PLUGGED[name]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "out.png") as image:
        third = image.width // 3
        painted, start, found = (np.asarray(image.convert("RGB"))[:, k * third : (k + 1) * third] for k in range(3))
    assert all(part.std() > 20 for part in (painted, start, found))
    assert np.abs(painted.astype(int) - start).mean() > 2
    assert np.abs(start.astype(int) - found).max() > 0


def test_own_module_prints_gradients_and_draws(folder):
    with Image.open(folder / "out.png") as image:
        assert image.size == (256, 256)
        assert max(high - low for low, high in image.getextrema()) > 100
    printed = (folder / "own_module.py.txt").read_text()
    lines = dict(line.split(" ", 1) for line in printed.splitlines())
    assert any(json.loads(lines["latent.grad"]))
    assert float(lines["weight.grad"]) > 0


def test_optimise_texture_ends_with_twelve_colours(folder):
    (mesh,) = trimesh.load_scene(folder / "out.glb", process=False).geometry.values()
    colours = mesh.visual.material.baseColorTexture.convert("RGB").getcolors()
    assert 2 <= len(colours) <= 12
    assert f"{len(colours)} colours" in (folder / "optimise_texture.py.txt").read_text()


def test_latent_walk_is_a_film_of_different_textures(folder):
    with Image.open(folder / "out.gif") as film:
        assert film.n_frames == 3
        frames = []
        for k in range(3):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    middles = [frame[96:160, 96:160].mean((0, 1)) for frame in frames]
    assert all(np.abs(a - b).max() > 2 for a, b in zip(middles, middles[1:] + middles[:1], strict=True))


def test_one_material_per_texel_finds_nearly_all_and_draws_them(folder):
    found, of = re.match(r"(\d+) of (\d+)", (folder / "one_material_per_texel.py.txt").read_text()).groups()
    assert int(found) > 0.95 * int(of) > 0
    with Image.open(folder / "materials.png") as image:
        photograph, fit = np.split(np.asarray(image.convert("RGB")).astype(int), 2, axis=1)
    assert photograph.std() > 20
    assert np.abs(photograph - fit).mean() < 5


def test_stylegan_skin_draws_four_different_ones(folder):
    with Image.open(folder / "skin.png") as image:
        pots = np.split(np.asarray(image.convert("RGB")).astype(int), 4, axis=1)
    assert all(np.abs(a - b).mean() > 1 for a, b in pairwise(pots))
    assert np.abs(pots[0][:8, :8] - 255).max() == 0  # around the pot


def test_train_by_parts_leaves_a_generator_and_its_samples(folder):
    with Image.open(folder / "sheet.png") as image:
        assert image.size == (8 * 32, 4 * 32)
        assert np.asarray(image).std() > 10
    generator = generators.load(folder / "generator.safetensors")
    assert generator.out_channels == 7
