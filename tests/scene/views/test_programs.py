"""One set of views as each program writes it: the same cameras, whoever says so."""

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene.views import read_frames
from neurotex.scene.views.read import recognise
from tests.scene.views import programs
from tests.scene.views.programs import CENTER, FOCAL, HEIGHT, NAMES, WIDTH, WRITERS


@pytest.fixture
def poses():
    return programs.poses()


@pytest.fixture
def folder(tmp_path):
    return programs.photographs(tmp_path)


UNALIGNED = pytest.mark.filterwarnings("ignore:.*not aligned")


@UNALIGNED
@pytest.mark.parametrize("program", WRITERS)
def test_every_program_says_the_same_cameras(folder, poses, program):
    WRITERS[program](folder, poses, lens=False)
    assert recognise(folder)[0] == program.split()[0]
    views = nt.Views.load(folder)
    assert views.names == list(NAMES)
    assert views.size == (HEIGHT, WIDTH)
    for camera, pose in zip(views.cameras, poses, strict=True):
        torch.testing.assert_close(camera.transform.double(), torch.tensor(pose), atol=1e-6, rtol=1e-6)
        matrix = camera.intrinsics(HEIGHT, WIDTH)
        down = FOCAL[0] if program == "RealityCapture CSV" else FOCAL[1]
        found = [float(matrix[0, 0]), -float(matrix[1, 1]), -float(matrix[0, 2]), -float(matrix[1, 2])]
        assert found == pytest.approx([FOCAL[0], down, *CENTER], abs=1e-4)


@UNALIGNED
@pytest.mark.parametrize("program", [name for name in WRITERS if not name.startswith("OpenMVS")])
def test_every_program_says_the_same_lens(folder, poses, program, monkeypatch):
    if program == "RealityCapture CSV":
        monkeypatch.setattr(programs, "FOCAL", (FOCAL[0], FOCAL[0]))
    programs._transforms(folder, poses, lens=True)
    expected = read_frames(folder)
    (folder / "transforms.json").unlink()
    WRITERS[program](folder, poses, lens=True)
    for frame, other in zip(read_frames(folder), expected, strict=True):
        assert frame.size == other.size
        assert frame.size != (HEIGHT, WIDTH)
        assert frame.camera.focal == pytest.approx(other.camera.focal, rel=1e-5)
        assert frame.camera.center == pytest.approx(other.camera.center, abs=2e-3)
        pixels, _ = frame.read()
        assert float((pixels - other.read()[0]).abs().max()) < 0.01


COLMAP_MODELS = {
    "SIMPLE_PINHOLE": [],
    "SIMPLE_RADIAL": [0.1],
    "RADIAL": [-0.1, 0.02],
    "OPENCV_FISHEYE": [0.02, 0.01, -0.01, 0.002],
    "FULL_OPENCV": [0.1, 0.02, 1e-3, 1e-3, 0.01, 0.2, 0.01, 0.003],
    "FOV": [0.8],
    "SIMPLE_RADIAL_FISHEYE": [0.05],
    "RADIAL_FISHEYE": [0.05, -0.01],
    "THIN_PRISM_FISHEYE": [0.02, 0.01, 1e-3, 2e-3, -0.01, 0.002, 1e-3, -1e-3],
    "RAD_TAN_THIN_PRISM_FISHEYE": [0.02, 0.01, 1e-3, 1e-3, 0, 0, 1e-3, 2e-3, 1e-3, -1e-3, 1e-3, 1e-3],
    "SIMPLE_DIVISION": [-0.1],
    "DIVISION": [-0.1],
    "SIMPLE_FISHEYE": [],
    "FISHEYE": [],
    "EUCM": [0.6, 1.1],
}


@pytest.mark.parametrize("model", COLMAP_MODELS)
def test_every_camera_model_of_colmap_is_read(folder, poses, model):
    programs._colmap_text(folder, poses, lens=False)
    single = model.startswith("SIMPLE") or model in ("RADIAL", "RADIAL_FISHEYE")
    numbers = [70.0, *CENTER] if single else [70.0, 70.0, *CENTER]
    line = f"3 {model} {WIDTH} {HEIGHT} {' '.join(map(str, numbers + COLMAP_MODELS[model]))}\n"
    (folder / "sparse/0/cameras.txt").write_text(line)
    views = nt.Views.load(folder)
    assert (views.size == (HEIGHT, WIDTH)) == (model == "SIMPLE_PINHOLE")
    (folder / "sparse/0/cameras.txt").write_text(line.strip() + " 0.5\n")
    with pytest.raises(nt.FileError, match=f"cameras.txt, line 1: a camera of model {model} has"):
        nt.Views.load(folder)


def test_a_panorama_is_refused_by_name(folder, poses):
    programs._colmap_text(folder, poses, lens=False)
    (folder / "sparse/0/cameras.txt").write_text(f"3 EQUIRECTANGULAR {WIDTH} {HEIGHT} 64 48\n")
    with pytest.raises(nt.FileError, match="is of model EQUIRECTANGULAR, which is none of SIMPLE_PINHOLE"):
        nt.Views.load(folder)


@UNALIGNED
@pytest.mark.parametrize("program", [name for name in WRITERS if name != "transforms.json"])
def test_what_is_cut_off_is_one_sentence(folder, poses, program):
    """Every file of a program cut at any place: read as far as it is whole, or refused by name."""
    WRITERS[program](folder, poses, lens=False)
    _, found = recognise(folder)
    files = [file for file in (found.iterdir() if found.is_dir() else [found]) if file.is_file()]
    for file in files:
        content = file.read_bytes()
        for keep in np.linspace(0, len(content) - 1, 23).astype(int):
            file.write_bytes(content[:keep])
            try:
                nt.Views.load(folder)
            except nt.FileError as error:
                assert "\n" not in str(error)  # noqa: PT017, reading less is right where text ends with a line
        file.write_bytes(content)
    assert len(nt.Views.load(folder).cameras) == 3


def test_a_missing_picture_is_named(folder, poses):
    programs._colmap_binary(folder, poses, lens=False)
    (folder / "images/b.png").unlink()
    with pytest.raises(nt.FileError, match=r"b\.png is missing, but .* names it"):
        nt.Views.load(folder)


@pytest.mark.filterwarnings("error")
def test_what_metashape_has_not_aligned_is_said(folder, poses):
    programs._metashape(folder, poses, lens=False)
    with pytest.raises(UserWarning, match="1 cameras are not aligned and left out, lost first"):
        nt.Views.load(folder)


@UNALIGNED
def test_cameras_on_the_globe_are_refused(folder, poses):
    programs._metashape(folder, poses, lens=False)
    text = (folder / "cameras.xml").read_text()
    (folder / "cameras.xml").write_text(text.replace("</chunk>", '<reference>GEOGCS["WGS 84"]</reference></chunk>'))
    with pytest.raises(nt.FileError, match="on the globe"):
        nt.Views.load(folder)


def test_entities_in_xml_are_refused(folder):
    (folder / "cameras.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><document><chunk>&b;</chunk></document>')
    with pytest.raises(nt.FileError, match="declares entities"):
        nt.Views.load(folder)


def test_a_phones_photograph_is_as_colmap_saw_it(folder, poses):
    """COLMAP looks at stored pixels, whatever the EXIF orientation says, also where both have one size."""
    exif = Image.Exif()
    exif[0x0112] = 3
    image = Image.open(folder / "images/a.png")
    image.save(folder / "images/a.png", exif=exif)
    programs._colmap_text(folder, poses, lens=False)
    expected = nt.shading.srgb_to_linear(torch.from_numpy(np.asarray(image) / 255).float().movedim(-1, 0))
    torch.testing.assert_close(nt.Views.load(folder).images[0, :3], expected)


def test_an_empty_folder_says_what_could_be_there(folder):
    with pytest.raises(nt.FileError, match=r"no set of views that is known, such as a transforms\.json: .*COLMAP"):
        nt.Views.load(folder)


def test_a_table_may_have_any_ends_of_lines_and_none_that_are_none(folder, poses):
    programs._reality_csv(folder, poses, lens=False)
    file = folder / "cameras.csv"
    content = file.read_bytes()
    for end in (b"\r\n", b"\r"):
        file.write_bytes(content.replace(b"\n", end))
        assert len(nt.Views.load(file).cameras) == 3
    header, rest = content.split(b"\n", 1)
    file.write_bytes(header + b"\n" + b"a" * 200_000 + b"," + rest)
    with pytest.raises(nt.FileError, match="is no table"):
        nt.Views.load(file)
