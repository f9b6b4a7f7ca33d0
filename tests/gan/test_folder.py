"""Images and materials from folders: cut, turned, seeded; and whatever may be wrong with files."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from neurotex.errors import ArgumentError, FileError
from neurotex.gan.folder import ImageFolder

SEEDS = torch.arange(12)


def ramp(h: int, w: int) -> np.ndarray:
    """(h, w, 3): red grows with x, green with y, blue is 100."""
    rows, columns = np.mgrid[:h, :w]
    return np.stack([255 * columns / max(w - 1, 1), 255 * rows / max(h - 1, 1), 0 * rows + 100], 2).astype(np.uint8)


def write(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def only(path, size=8, **options) -> torch.Tensor:
    """The one image of a folder, whole, in [0, 255]."""
    return (
        (ImageFolder(path, size, crops="centre", mirror=False, **options)(torch.tensor([0]))[0] + 1) * 127.5
    ).round()


# ---------------------------------------------------------------- crops


@pytest.mark.parametrize("crops", ["random", "centre", "tile"])
def test_any_shape_becomes_squares_decided_by_their_seeds(tmp_path, crops):
    for i, (h, w) in enumerate([(5, 5), (40, 24), (16, 16), (17, 90)]):
        write(tmp_path / "below" / f"{i}.png", ramp(h, w))
    source = ImageFolder(tmp_path, 16, crops=crops, turn=True)
    items = source(SEEDS)
    assert items.shape == (12, 3, 16, 16)
    assert items.abs().max() <= 1
    assert torch.allclose(items[:, 2], torch.tensor(100 / 127.5 - 1), atol=1e-2)
    uncached = ImageFolder(tmp_path, 16, crops=crops, turn=True, cache=0)
    assert torch.equal(uncached(SEEDS.flip(0)), items.flip(0))
    assert torch.equal(pickle.loads(pickle.dumps(source))(SEEDS), items)
    assert len(source) == 4


def test_random_crops_reach_from_pixels_to_the_whole(tmp_path):
    write(tmp_path / "a.png", ramp(64, 64))
    items = ImageFolder(tmp_path, 8, mirror=False)(torch.arange(300))
    side = (items[:, 0, :, -1] - items[:, 0, :, 0]).mean(1) / 2 * 64 * 8 / 7  # from the middles of 8 pixels
    assert 7 < side.min() < 10
    assert 55 < side.max() < 66
    left = items[:, 0].mean((1, 2))
    assert left.min() < -0.7
    assert left.max() > 0.7


def test_the_centre_of_a_wide_image_is_cut_out(tmp_path):
    write(tmp_path / "a.png", ramp(8, 24))
    assert torch.equal(only(tmp_path), torch.from_numpy(ramp(8, 24)[:, 8:16]).movedim(2, 0))


def test_tiles_are_the_seamless_image_rolled(tmp_path):
    x = np.arange(48)
    wave = np.sin(2 * np.pi * x / 48)[None] + np.cos(2 * np.pi * x / 48)[:, None]
    write(tmp_path / "a.png", np.repeat((127.5 + 60 * wave)[..., None], 3, 2).astype(np.uint8))
    items = ImageFolder(tmp_path, 16, crops="tile")(SEEDS)
    for dim in (2, 3):
        steps = (items.roll(-1, dim) - items).abs().amax((1, 5 - dim))
        assert (steps[:, -1] <= steps.amax(1)).all()
        assert steps[:, -1].max() < 0.25
    assert items[:, :, 0, 0].std() > 0.1  # from anywhere
    flat = items[:, 0].flatten(1).sort(1)[0]
    assert torch.allclose(flat, flat[:1].expand_as(flat))


def test_mirror_and_turn_do_what_they_say(tmp_path):
    write(tmp_path / "a.png", ramp(8, 8))
    options = {"crops": "centre", "size": 8}
    plain = ImageFolder(tmp_path, mirror=False, **options)(SEEDS)
    assert (plain == plain[:1]).all()
    mirrored = ImageFolder(tmp_path, **options)(torch.arange(64))
    same, other = ((mirrored == image).flatten(1).all(1) for image in (plain[0], plain[0].flip(-1)))
    assert (same ^ other).all()
    assert 16 < same.sum() < 48
    turned = ImageFolder(tmp_path, mirror=False, turn=True, **options)(torch.arange(64))
    seen = [(turned == torch.rot90(plain[0], k, (1, 2))).flatten(1).all(1).sum() for k in range(4)]
    assert sum(seen) == 64
    assert min(seen) > 4


# ---------------------------------------------------------------- kinds of images


def test_images_of_any_kind_become_the_same_colours(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    expected = torch.from_numpy(grey).float().expand(3, 8, 8)
    kinds = {
        "grey.png": Image.fromarray(grey),
        "rgb.bmp": Image.fromarray(grey).convert("RGB"),
        "palette.png": Image.fromarray(grey).convert("P"),
        "16.png": Image.fromarray(grey.astype(np.uint16) * 257),
        "32.tif": Image.fromarray(grey.astype(np.int32) * 257),
        "float.tif": Image.fromarray(grey.astype(np.float32) / 255),
        "alpha.png": Image.merge("LA", [Image.fromarray(grey), Image.new("L", (8, 8), 255)]),
        "lossless.webp": Image.fromarray(grey).convert("RGB"),
    }
    for name, image in kinds.items():
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        image.save(folder / name, **({"lossless": True} if name.endswith("webp") else {}))
        assert (only(folder) - expected).abs().max() <= 1, name


def test_a_phones_photograph_stands_upright_and_inks_are_colours(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned").mkdir()
    Image.fromarray(ramp(8, 8)).save(tmp_path / "turned" / "a.png", exif=exif)
    assert torch.equal(only(tmp_path / "turned"), torch.from_numpy(np.rot90(ramp(8, 8), -1).copy()).movedim(2, 0))
    (tmp_path / "ink").mkdir()
    Image.new("CMYK", (8, 8), (255, 0, 0, 51)).save(tmp_path / "ink" / "a.jpg")
    assert (only(tmp_path / "ink") - torch.tensor([0.0, 204, 204])[:, None, None]).abs().max() <= 2


def test_a_remark_upon_many_files_is_made_once(tmp_path):
    for k in range(3):
        Image.fromarray(ramp(8, 8)).save(tmp_path / f"{k}.png", icc_profile=b"broken")
    source = ImageFolder(tmp_path, 8)
    with pytest.warns(UserWarning, match="colour profile") as caught:
        source(SEEDS)
    assert len(caught) == 1


def test_transparency_is_black_unless_there_is_a_channel_for_it(tmp_path):
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[:, 4:, 3] = 0
    pixels[:, :4, 3] = 255
    write(tmp_path / "a.png", pixels)
    assert only(tmp_path)[:, :, :4].eq(200).all()
    assert only(tmp_path)[:, :, 4:].eq(0).all()
    assert torch.equal(only(tmp_path, channels=4), torch.from_numpy(pixels).movedim(2, 0))
    assert only(tmp_path, channels=1).shape == (1, 8, 8)


# ---------------------------------------------------------------- materials


def write_material(folder, name="oak", base="base_color", size=8) -> None:
    normal = np.full((size, size, 3), (204, 128, 230), np.uint8)
    write(folder / f"{name}{base}.png", ramp(size, size))
    write(folder / f"{name}normal.png", normal)
    write(folder / f"{name}roughness.png", np.full((2 * size, 2 * size), 51, np.uint8))


@pytest.mark.parametrize(("name", "base"), [("oak_", "base_color"), ("oak-dark_", "Albedo"), ("", "diffuse")])
def test_files_of_a_material_are_joined(tmp_path, name, base):
    write_material(tmp_path / "oak", name, base)
    write(tmp_path / "oak" / "preview.png", ramp(3, 3))
    item = only(tmp_path, maps=("base_color", "normal", "roughness"))
    assert torch.equal(item[:3], torch.from_numpy(ramp(8, 8)).movedim(2, 0))
    expected = torch.tensor([204.0, 128.0, 51.0])[:, None, None].expand(3, 8, 8)
    assert torch.equal(item[3:], expected)
    assert only(tmp_path, maps=("roughness",)).shape == (1, 8, 8)
    assert torch.equal(only(tmp_path, maps=("base_color",)), item[:3])


def test_normals_are_mirrored_along_and_no_longer_than_one(tmp_path):
    write_material(tmp_path, "oak_")
    write(tmp_path / "oak_normal.png", np.full((8, 8, 3), (255, 200, 128), np.uint8))
    items = ImageFolder(tmp_path, 8, maps=("base_color", "normal", "roughness"))(torch.arange(32))
    assert items[:, 3:5].norm(dim=1).max() <= 1 + 1e-6
    sign = torch.sign(items[:, 0, 0, -1] - items[:, 0, 0, 0])  # red grows with x, unless mirrored
    assert (items[:, 3, 0, 0] * sign > 0.5).all()
    assert (items[:, 4] > 0.3).all()


def test_a_missing_map_is_told_with_its_material(tmp_path):
    write_material(tmp_path, "oak_")
    write_material(tmp_path, "ash_")
    (tmp_path / "ash_normal.png").unlink()
    with pytest.raises(FileError, match=r"'ash'.*has no normal map: add ash_normal.png"):
        ImageFolder(tmp_path, 8, maps=("base_color", "normal", "roughness"))
    assert len(ImageFolder(tmp_path, 8, maps=("base_color", "roughness"))) == 2


def test_a_folder_without_materials_is_refused_unless_colours_are_wanted(tmp_path):
    write(tmp_path / "holiday.png", ramp(8, 8))
    with pytest.raises(FileError, match="no materials"):
        ImageFolder(tmp_path, 8, maps=("base_color", "roughness"))
    assert ImageFolder(tmp_path, 8, maps=("base_color",)).channels == 3


# ---------------------------------------------------------------- broken files and bad requests


def test_a_file_that_is_no_image_is_skipped_with_a_warning(tmp_path):
    write(tmp_path / "good.png", ramp(8, 8))
    for i in range(7):
        (tmp_path / f"bad{i}.jpg").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match=r"7 files cannot be read and are skipped: bad0.jpg,.*bad4.jpg, …"):
        source = ImageFolder(tmp_path, 8)
    assert len(source) == 1


def test_an_image_cut_off_is_found_late_and_the_next_stands_in(tmp_path):
    write(tmp_path / "b.png", ramp(64, 64))
    whole = (tmp_path / "b.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    source = ImageFolder(tmp_path, 8, crops="centre", mirror=False)
    with pytest.warns(UserWarning, match=r"1 files cannot be read and are skipped: a.png"):
        items = source(SEEDS)
    assert (items == items[:1]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        assert torch.equal(source(SEEDS), items)
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    with (
        pytest.warns(UserWarning, match="skipped"),
        pytest.raises(FileError, match="no image whose pixels"),
    ):
        ImageFolder(tmp_path, 8)(SEEDS)


def test_broken_files_of_a_material_skip_all_of_it(tmp_path):
    write_material(tmp_path, "oak_")
    write_material(tmp_path, "ash_")
    (tmp_path / "ash_normal.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="ash_normal"):
        assert len(ImageFolder(tmp_path, 8, maps=("base_color", "normal"))) == 1
    (tmp_path / "oak_normal.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(FileError, match="no material whose files"):
        ImageFolder(tmp_path, 8, maps=("base_color", "normal"))


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(FileError, match="is not a folder"):
        ImageFolder(tmp_path / "nowhere", 8)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(FileError, match="no images in it"):
        ImageFolder(tmp_path, 8)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FileError, match="no image that can be read"):
        ImageFolder(tmp_path, 8)


def test_bad_requests_are_refused(tmp_path):
    write(tmp_path / "a.png", ramp(8, 8))
    for options in ({"size": 0}, {"size": 8, "crops": "diagonal"}, {"size": 8, "channels": 2}):
        with pytest.raises(ArgumentError):
            ImageFolder(tmp_path, **options)
