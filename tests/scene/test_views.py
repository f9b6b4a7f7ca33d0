"""Views on disk: what is read, and every way in which a folder can be wrong."""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt

EYE = [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3], [0, 0, 0, 1]]


@pytest.fixture
def folder(tmp_path):
    """Two images of 8 × 6 pixels and a transforms.json that names them."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 256, (6, 8, 4), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    frames = [{"file_path": "a.png", "transform_matrix": EYE}, {"file_path": "./b", "transform_matrix": EYE}]
    light = {"type": "flash", "intensity": [1.0, 2.0, 3.0]}
    data = {"camera_angle_x": 0.8, "w": 8, "h": 6, "light": light, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    return tmp_path


def _edit(folder, change) -> None:
    data = json.loads((folder / "transforms.json").read_text())
    change(data)
    (folder / "transforms.json").write_text(json.dumps(data))


def test_a_folder_or_its_file_is_read(folder):
    for views in (nt.Views.load(folder), nt.Views.load(str(folder / "transforms.json"))):
        assert views.images.shape == (2, 4, 6, 8)
        assert views.size == (6, 8)
        assert views.names == ["a", "b"]
        assert views.lights[0].intensity.tolist() == [1, 2, 3]
        assert torch.equal(views.cameras[1].transform, torch.tensor(EYE))


def test_images_are_linear_and_over_black(folder):
    pixels = np.asarray(Image.open(folder / "a.png")).astype(np.float64) / 255
    color, alpha = pixels[..., :3], pixels[..., 3:]
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    expected = torch.from_numpy(np.concatenate([linear * alpha, alpha], -1)).movedim(-1, 0).float()
    torch.testing.assert_close(nt.Views.load(folder).images[0], expected, atol=1e-6, rtol=1e-5)


def test_an_image_without_alpha_is_opaque(folder):
    Image.open(folder / "b.png").convert("L").save(folder / "b.png")
    assert bool((nt.Views.load(folder).images[1, 3] == 1).all())


def test_the_horizontal_angle_becomes_the_vertical_one(folder):
    camera = nt.Views.load(folder).cameras[0]
    assert math.tan(math.radians(camera.yfov) / 2) == pytest.approx(math.tan(0.4) * 6 / 8)


def test_focal_lengths_make_a_calibrated_camera_and_a_frames_keys_go_first(folder):
    _edit(folder, lambda data: data.update(fl_x=10.0, fl_y=11.0, cx=4.5, cy=2.5))
    _edit(folder, lambda data: data["frames"][1].update(fl_x=20.0))
    first, second = nt.Views.load(folder).cameras
    assert (first.focal, first.center, first.size) == ((10, 11), (4.5, 2.5), (6, 8))
    assert second.focal == (20, 11)


def test_a_light_is_optional(folder):
    _edit(folder, lambda data: data.pop("light"))
    assert nt.Views.load(folder).lights == []


def _scaled(data) -> None:
    data["frames"][1]["transform_matrix"] = [[2 * x for x in row] for row in EYE[:3]] + [EYE[3]]


BAD = {
    "frame 0 has no transform_matrix": lambda data: data["frames"][0].pop("transform_matrix"),
    "frame 1.*not rigid": _scaled,
    "frame 0.*4 x 4": lambda data: data["frames"][0].update(transform_matrix=EYE[:3]),
    "frame 1, has no file_path": lambda data: data["frames"][1].pop("file_path"),
    "frame 0 has no camera_angle_x and no fl_x": lambda data: data.pop("camera_angle_x"),
    "frame 0.*field of view": lambda data: data.update(camera_angle_x=-1.0),
    "frame 0.*distorted": lambda data: data.update(k1=0.1),
    "no frames": lambda data: data.update(frames=[]),
    "says 9 x 6": lambda data: data.update(w=9),
    "'sun' is unknown": lambda data: data["light"].update(type="sun"),
    "'light' must be": lambda data: data["light"].pop("intensity"),
    "'light' must be .*number": lambda data: data["light"].update(intensity=[1.0, 2.0]),
    "frame 0 has no numbers.*matrix": lambda data: data["frames"][0].update(transform_matrix="eye"),
    "frame 0 has no numbers.*wide": lambda data: data.update(fl_x="wide"),
}


@pytest.mark.parametrize("message", BAD)
def test_a_contradiction_is_refused_naming_the_file_and_frame(folder, message):
    _edit(folder, BAD[message])
    with pytest.raises(nt.FileError, match=f"(?s)(transforms.json|png).*({message})"):
        nt.Views.load(folder)


@pytest.mark.parametrize("text", ["", "{", "\x00", "[]", "{}", "3", '{"frames": 3}', '{"frames": [3]}'])
def test_a_file_that_is_no_set_of_views_is_refused(folder, text):
    (folder / "transforms.json").write_text(text)
    with pytest.raises(nt.FileError, match=r"transforms\.json"):
        nt.Views.load(folder)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(nt.FileError, match="nowhere"):
        nt.Views.load(tmp_path / "nowhere")


def test_a_missing_image_is_refused(folder):
    (folder / "b.png").unlink()
    with pytest.raises(nt.FileError, match=r"b\.png is missing"):
        nt.Views.load(folder)


@pytest.mark.parametrize("keep", [0, 20, 100])
def test_a_truncated_image_is_refused(folder, keep):
    content = (folder / "b.png").read_bytes()
    (folder / "b.png").write_bytes(content[:keep])
    with pytest.raises(nt.FileError, match=r"b\.png cannot be read"):
        nt.Views.load(folder)


def test_images_of_two_sizes_are_refused(folder):
    _edit(folder, lambda data: (data.pop("w"), data.pop("h")))
    Image.new("RGB", (6, 6)).save(folder / "b.png")
    with pytest.raises(nt.FileError, match="6 x 6 pixels, but the first image is 8 x 6"):
        nt.Views.load(folder)


def test_spots_photographs_are_read(spot):
    views = nt.Views.load(spot / "flash")
    assert views.images.shape == (12, 4, 256, 256)
    assert views.cameras[0].yfov == pytest.approx(45)
