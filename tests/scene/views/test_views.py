"""Views on disk: what is read, and every way in which a folder can be wrong."""

# Over 400 lines: every way in which a folder can be wrong, each in a few lines

import json
import math
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene.views import read_frames
from neurotex.scene.views.frames import unique_names
from tests.conftest import SHARED

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
    assert math.tan(math.radians(camera.fov) / 2) == pytest.approx(math.tan(0.4) * 6 / 8)


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
    "frame 0.*folds the picture over": lambda data: data.update(k1=-1e3),
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
    assert views.cameras[0].fov == pytest.approx(45)


# ---------------------------------------------------------------- as programs write them


def _text(folder) -> str:
    return (folder / "transforms.json").read_text()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_any_encoding_is_read(folder, encoding):
    Image.open(folder / "a.png").save(folder / "ä.png")
    text = _text(folder).replace("a.png", "ä.png")
    (folder / "transforms.json").write_bytes(text.encode(encoding))
    assert nt.Views.load(folder).names == ["ä", "b"]


@pytest.mark.parametrize(
    ("said", "file"),
    [
        ("images/r_0", "images/r_0.jpg"),
        ("images/r_0", "images/r_0.PNG"),
        ("images/r_0.1", "images/r_0.1.png"),
        (".\\images\\x.png", "images/x.png"),
        ("./images/x.png", "images/x.png"),
        (" x.png", " x.png"),
    ],
)
def test_names_are_found_as_windows_and_nerf_write_them(folder, said, file):
    (folder / file).parent.mkdir(exist_ok=True)
    Image.new("RGB", (8, 6), (255, 0, 0)).save(folder / file)
    _edit(folder, lambda data: data["frames"][1].update(file_path=said))
    torch.testing.assert_close(
        nt.Views.load(folder).images[1, :, 0, 0], torch.tensor([1.0, 0, 0, 1]), atol=0.01, rtol=0
    )


def test_whole_numbers_may_be_written_as_floats_and_null_is_nothing(folder):
    _edit(folder, lambda data: data.update(w=8.0, h=6.0, fl_x=None, camera_model=None, k1=None))
    assert nt.Views.load(folder).size == (6, 8)


def test_synthetic_data_of_nerf_is_its_training_views(folder):
    (folder / "transforms.json").rename(folder / "transforms_train.json")
    (folder / "transforms_test.json").write_text("{}")
    assert nt.Views.load(folder).names == ["a", "b"]
    (folder / "transforms_train.json").rename(folder / "transforms_val.json")
    with pytest.raises(nt.FileError, match=r"but transforms_test\.json, transforms_val\.json: give one"):
        nt.Views.load(folder)
    assert nt.Views.load(folder / "transforms_val.json").names == ["a", "b"]


def test_names_are_distinct_and_stay_inside():
    assert unique_names(["./a.png", "b/c.jpg"]) == ["a", "c"]
    assert unique_names(["left/0001.png", "right\\0001.png"]) == ["left/0001", "right/0001"]
    assert unique_names(["a.png", "a.jpg", "A.png"]) == ["a", "a_2", "A_3"]
    assert unique_names(["../../x/a.png", "/y/a.png", "C:\\z\\a.png"]) == ["x/a", "y/a", "z/a"]
    assert unique_names(["r_0.1", "r_0.2"]) == ["r_0.1", "r_0.2"]
    assert unique_names(["..", ".."]) == ["view", "view_2"]


@pytest.mark.parametrize(
    ("keys", "focal", "center"),
    [
        ({"camera_angle_x": 0.8}, 4 / math.tan(0.4), (4, 3)),
        ({"camera_angle_y": 0.8}, 3 / math.tan(0.4), (4, 3)),
        ({"x_fov": math.degrees(0.8)}, 4 / math.tan(0.4), (4, 3)),
        ({"camera_angle_x": 0.8, "camera_angle_y": 0}, 4 / math.tan(0.4), (4, 3)),
        ({"fl_y": 7.0, "camera_angle_x": 0.8}, (4 / math.tan(0.4), 7), (4, 3)),
        ({"camera_angle_x": 0.8, "cx": 3.5, "cy": 2.0}, 4 / math.tan(0.4), (3.5, 2)),
        ({"fl_x": 7.0, "cx": 3.5}, 7, (3.5, 3)),
    ],
)
def test_every_way_to_say_the_lens_is_read(folder, keys, focal, center):
    _edit(folder, lambda data: (data.pop("camera_angle_x"), data.update(keys)))
    matrix = nt.Views.load(folder).cameras[0].intrinsics(6, 8)
    across, down = focal if isinstance(focal, tuple) else (focal, focal)
    found = [float(matrix[0, 0]), -float(matrix[1, 1]), -float(matrix[0, 2]), -float(matrix[1, 2])]
    assert found == pytest.approx([across, down, *center])


def test_a_frames_angle_goes_before_a_length_for_all(folder):
    _edit(folder, lambda data: (data.update(fl_x=10.0), data["frames"][1].update(camera_angle_x=0.8)))
    first, second = nt.Views.load(folder).cameras
    assert first.focal[0] == 10
    assert second.focal[0] == pytest.approx(4 / math.tan(0.4))


@pytest.mark.parametrize("model", ["OPENCV", "PINHOLE", "SIMPLE_RADIAL", "opencv"])
def test_a_lens_that_hardly_distorts_is_a_pinhole(folder, model):
    lens = {"k1": 1e-9, "k2": 0.0, "p1": -1e-9, "camera_model": model, "is_fisheye": False, "rolling_shutter": [0] * 4}
    _edit(folder, lambda data: data.update(lens))
    assert isinstance(nt.Views.load(folder).cameras[0], nt.PerspectiveCamera)


def test_the_bound_of_distortion_holds(folder):
    """OpenCV's model at random: what moves no pixel by more than is said is left alone, all else is undone."""
    rng = np.random.default_rng(0)
    keys = ("k1", "k2", "k3", "p1", "p2")
    across, down = np.meshgrid(np.linspace(-0.4, 0.4, 65), np.linspace(-0.3, 0.3, 65))  # of focal length 10
    r = across**2 + down**2
    undone = 0
    for _ in range(40):
        k1, k2, k3, p1, p2 = values = rng.normal(size=5) * 10 ** rng.uniform(-3, -0.5)
        radial = k1 * r + k2 * r**2 + k3 * r**3
        moved = np.hypot(
            across * radial + 2 * p1 * across * down + p2 * (r + 2 * across**2),
            down * radial + p1 * (r + 2 * down**2) + 2 * p2 * across * down,
        )
        most = 10 * moved.max()
        _edit(folder, lambda data, v=values: data.update(fl_x=10.0, **dict(zip(keys, v.tolist(), strict=True))))
        if most > 0.1:
            with suppress(nt.FileError):  # folds
                assert read_frames(folder)[0].straightening is not None
                undone += 1
        else:
            assert read_frames(folder)[0].straightening is None
    assert 5 < undone < 35


def test_nerfstudios_notes_are_passed_over_and_poses_taken_as_written(folder):
    notes = {"applied_transform": [[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]], "applied_scale": 0.5}
    notes |= {"ply_file_path": "sparse_pc.ply", "aabb_scale": 16, "sharpness": 3}
    _edit(folder, lambda data: (data.update(notes), data["frames"][0].update(colmap_im_id=1, depth_file_path="d.png")))
    assert torch.equal(nt.Views.load(folder).cameras[0].transform, torch.tensor(EYE))


# ---------------------------------------------------------------- pixels


def test_a_mask_multiplies_alpha(folder):
    plain = nt.Views.load(folder).images
    kept = np.zeros((6, 8), np.uint8)
    kept[2:4, 1:7] = 1
    inside = torch.from_numpy(kept).float()
    grey = Image.fromarray(kept * 255)
    masks = {"grey.png": grey, "bits.png": grey.convert("1"), "numbers.png": Image.fromarray(kept)}
    masks |= {"deep.png": Image.fromarray(kept.astype(np.uint16) * 65535), "rgb.png": grey.convert("RGB")}
    masks["cut.png"] = Image.merge("LA", [Image.new("L", (8, 6), 255), grey])
    for name, mask in masks.items():
        mask.save(folder / name)
        _edit(folder, lambda data, n=name: data["frames"][1].update(mask_path=f".\\{n}"))
        found = nt.Views.load(folder).images
        assert torch.equal(found[0], plain[0]), name
        torch.testing.assert_close(found[1], plain[1] * inside, msg=name)
    Image.fromarray(np.full((6, 8), 51, np.uint8)).save(folder / "soft.png")
    _edit(folder, lambda data: data["frames"][1].update(mask_path="soft"))
    torch.testing.assert_close(nt.Views.load(folder).images[1], plain[1] / 5)


def test_deep_and_light_photographs_are_what_they_are(folder):
    """16 bits of grey are not white, and floats are light."""
    grey = np.linspace(0, 65535, 48).reshape(6, 8).astype(np.uint16)
    Image.fromarray(grey).save(folder / "a.png")
    encoded = grey / 65535
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = linear.astype(np.float32) * 2
    Image.fromarray(light).save(folder / "c.tif")
    _edit(folder, lambda data: data["frames"][1].update(file_path="c.tif"))
    found = nt.Views.load(folder).images
    torch.testing.assert_close(found[0, :3], torch.from_numpy(linear).float().expand(3, -1, -1), atol=1e-6, rtol=1e-5)
    assert torch.equal(found[1, :3], torch.from_numpy(light).expand(3, -1, -1))
    assert bool((found[:, 3] == 1).all())


@pytest.mark.parametrize("said", ["upright", "stored", "nothing"])
def test_a_phones_photograph_stands_as_its_camera_does(folder, said):
    stored = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    size = {"upright": {"w": 6, "h": 8}, "stored": {"w": 8, "h": 6}, "nothing": {}}[said]
    for name in ("a.png", "b.png"):
        Image.fromarray(stored).save(folder / name, exif=exif)
    _edit(folder, lambda data: (data.pop("w"), data.pop("h"), data.update(size)))
    views = nt.Views.load(folder)
    plain = stored if said == "stored" else np.rot90(stored, -1)
    assert views.size == plain.shape[:2]
    expected = nt.shading.srgb_to_linear(torch.from_numpy(plain / 255).float().movedim(-1, 0))
    torch.testing.assert_close(views.images[0, :3], expected)


def test_what_is_not_heeded_of_pictures_is_said_once(folder):
    for name in ("a.png", "b.png"):
        Image.open(folder / name).save(folder / name, icc_profile=b"broken")
    with pytest.warns(UserWarning, match=r"a\.png has the colour profile 'unnamed'.*1 more") as caught:
        nt.Views.load(folder)
    assert len(caught) == 1


def test_one_frame_is_a_set_of_views(folder):
    _edit(folder, lambda data: data["frames"].pop())
    assert len(nt.Views.load(folder).images) == 1


def test_a_light_may_stand_in_each_frame(folder):
    def move(data: dict) -> None:
        light = data.pop("light")
        for frame in data["frames"]:
            frame["light"] = {**light, "offset": [0, 0, 0]}

    _edit(folder, move)
    assert nt.Views.load(folder).lights[0].intensity.tolist() == [1, 2, 3]
    _edit(folder, lambda data: [frame["light"].update(offset=[0.5, 0, -1]) for frame in data["frames"]])
    flash = nt.Views.load(folder).lights[0]
    assert isinstance(flash, nt.Flash)
    assert flash.offset is not None
    assert flash.offset.tolist() == [0.5, 0, -1]
    _edit(folder, lambda data: data["frames"][1]["light"].update(intensity=[1, 1, 1]))
    with pytest.raises(nt.FileError, match="frame 1 has another light"):
        nt.Views.load(folder)


# ---------------------------------------------------------------- what is refused, by name

DEEP = "[" * 50_000 + "]" * 50_000
REFUSED = {
    "ORTHOPHOTO' is no pinhole": {"camera_model": "ORTHOPHOTO"},
    "EQUIRECTANGULAR' is no pinhole": {"camera_model": "EQUIRECTANGULAR"},
    "camera_model 3 is no pinhole": {"camera_model": 3},
    "equirectangular": {"equirectangular": True},
    "ftheta_p0": {"ftheta_p0": 1.0},
    "rolling_shutter": {"rolling_shutter": [0, 0, 1, 0]},
    r"folds the picture over": {"k1": -1e3, "p2": -0.2},
    "k2 is 'a'": {"k2": "a"},
    "its w is 8.5": {"w": 8.5},
    "w is True": {"w": True},
    "h is a list": {"h": [6]},
    "focal lengths": {"fl_x": 0},
    "camera_angle_x is 4": {"camera_angle_x": 4.0},
    "cx is nan": {"cx": math.nan},
    "cx is inf": {"cx": math.inf},
    "cx is 1e\\+300": {"cx": 1e300},
    "fl_y is 10000": {"fl_y": 10**400},
    "'light' must be .*it is 'sun'": {"light": "sun"},
    "'light' must be .* other keys": {"light": {"type": "flash", "intensity": [1, 1, 1], "colour": 3}},
    "'light' must be .* offset from the camera": {"light": {"type": "flash", "intensity": [1, 1, 1], "offset": [0, 1]}},
    "'light' must be .* intensity is 1000": {"light": {"type": "flash", "intensity": [1, 1, 10**400]}},
    "'light' must be .* None": {"light": {"type": "flash", "intensity": [None, 1, 1]}},
}
FRAMES = {
    "one of transform_matrix is a list": {"transform_matrix": [[[]] * 4] * 4},
    "one of transform_matrix is nan": {"transform_matrix": [[math.nan] * 4] * 4},
    "not rigid": {"transform_matrix": [[-1, 0, 0, 0], *EYE[1:]]},
    "a row of transform_matrix is 1.0": {"transform_matrix": [1.0] * 16},
    "transform_matrix is None": {"transform_matrix": None},
    "is missing": {"file_path": "a" * 5000},
    "a.b.png is missing": {"file_path": "a\0b"},
    "has no file_path": {"file_path": ""},
    "passwd": {"file_path": "/etc/passwd"},
    "mask 'gone.png' is missing": {"mask_path": "gone.png"},
    "mask a list is missing": {"mask_path": ["b.png"]},
    "small.png is 2 x 2 pixels": {"mask_path": "small.png"},
}


@pytest.mark.parametrize(
    ("message", "keys", "all_frames"),
    [
        *((message, keys, True) for message, keys in REFUSED.items()),
        *((message, keys, False) for message, keys in FRAMES.items()),
    ],
)
def test_what_cannot_be_read_is_one_sentence(folder, message, keys, all_frames):
    Image.new("L", (2, 2)).save(folder / "small.png")
    _edit(folder, lambda data: (data if all_frames else data["frames"][1]).update(keys))
    with pytest.raises(nt.FileError, match=message) as error:
        nt.Views.load(folder)
    assert len(str(error.value)) < 500
    str(error.value).encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DEEP, "nested too deeply"),
        ('{"w": 1, "w": 2}', "'w' twice"),
        ('{"w": ' + "9" * 5000 + "}", "transforms.json"),
        ('{"frames": [{"file_path": "\\ud800", "transform_matrix": 3}]}', "transform_matrix is 3"),
    ],
)
def test_hostile_json_is_one_sentence(folder, text, message):
    (folder / "transforms.json").write_text(text)
    with pytest.raises(nt.FileError, match=message) as error:
        nt.Views.load(folder)
    str(error.value).encode()
    assert len(str(error.value)) < 500


def test_all_that_is_missing_is_counted(folder):
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    with pytest.raises(nt.FileError, match=r"a\.png is missing, and so are 1 more of 2"):
        nt.Views.load(folder)


def test_a_folder_that_is_none_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / ("a" * 5000), tmp_path / "a\0b"):
        with pytest.raises(nt.FileError, match=r"transforms\.json"):
            nt.Views.load(path)


DAMAGED = [1, 1105, 183, 272, 275, 327, 395, 414, 577, 710, 777, 790, 918]


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_read_or_refused(case):
    path = SHARED / "cases" / f"views.1.{case}"
    if not path.is_dir():
        pytest.skip("shared/cases is not beside the repository")
    if case in (272, 414, 790):  # a digit is another
        assert nt.Views.load(path).images.shape == (3, 4, 16, 16)
        return
    with pytest.raises(nt.FileError, match=r"transforms\.json|passwd"):
        nt.Views.load(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["img.1.1095", "img.1.1354", "img.1.520", "img.1.728"])
def test_damaged_pictures_are_read_or_refused_as_views(tmp_path, case):
    if not (SHARED / "cases" / case).is_dir():
        pytest.skip("shared/cases is not beside the repository")
    refused = [path.name for path in (SHARED / "cases" / case).iterdir() if _refused(tmp_path, path)]
    assert len(refused) == 1  # the one that is damaged


def _refused(folder, picture) -> bool:
    frame = {"file_path": str(picture), "transform_matrix": EYE}
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.8, "frames": [frame]}))
    try:
        images = nt.Views.load(folder).images
    except nt.FileError as error:
        return picture.name in str(error)
    return not bool(images.isfinite().all())


def test_views_of_photographs_in_memory(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    given = [
        pixels,
        Image.fromarray(pixels),
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        pixels.astype(np.uint16) * 257,
    ]
    views = nt.Views(list(nt.orbit(5, 3.0)), given)
    light = torch.from_numpy(pixels).movedim(-1, 0) / 255
    right = torch.cat([nt.images.srgb_to_linear(light[:3]) * light[3:], light[3:]])
    torch.testing.assert_close(views.images, right.expand(5, -1, -1, -1), rtol=1e-5, atol=1e-6)
    assert views.names == ["0", "1", "2", "3", "4"]
    linear = nt.Views(list(nt.orbit(1, 3.0)), [np.full((2, 3, 3), 0.25)])
    assert linear.images[0, :, 0, 0].tolist() == [0.25, 0.25, 0.25, 1]
    for wrong, said in (
        ([pixels, pixels[:3]], "of one size"),
        ([], "at least one"),
        ([pixels.astype(int)], "uint8, uint16"),
        ([np.full((2, 2, 3), np.nan)], "NaN"),
    ):
        with pytest.raises(nt.ArgumentError, match=said):
            nt.Views(list(nt.orbit(len(wrong), 3.0)), wrong)
    with pytest.raises(nt.ArgumentError, match="2 cameras, but 1 images"):
        nt.Views(list(nt.orbit(2, 3.0)), [pixels])


def test_views_are_shown_in_a_line():
    views = nt.Views(list(nt.orbit(12, 3.0)), torch.zeros(12, 4, 6, 8), [nt.Flash(7.0)])
    assert repr(views).startswith("Views(12 of 8 x 6 pixels, Flash(")
    assert repr(views).endswith(": '0', '1', '2', …)")
    assert len(repr(views)) < 120
