"""The one door for pictures: each kind of file gives the numbers that were put in, or one sentence."""

# Over 400 lines: every kind of file, each in a few lines

import io
import itertools
import os
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import neurotex as nt
from neurotex import images
from neurotex.images import Picture
from neurotex.images import picture as picture_module
from neurotex.images.colour import srgb_to_linear
from neurotex.images.pillow import ADAM7
from neurotex.images.read import of_image
from tests.conftest import SHARED

RNG = np.random.default_rng(0)


def numbers(channels: int, dtype: type = np.uint8, size: tuple[int, int] = (5, 7)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (*size, channels), dtype, endpoint=True)


def png(values: np.ndarray, *chunks: tuple[bytes, bytes], after: tuple = ()) -> bytes:
    """A PNG file of 8 or 16 bits, its rows filtered in turn in all five ways; `chunks` before its pixels."""
    height, width, channels = values.shape
    rows = [row.astype(values.dtype.newbyteorder(">")).tobytes() for row in values]
    step = channels * values.itemsize
    body = b""
    for k, row in enumerate(rows):
        kind = k % 5
        above = rows[k - 1] if k else bytes(len(row))
        line = bytearray()
        for i, byte in enumerate(row):
            a, b, c = row[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
            near = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line.append((byte - (0, a, b, (a + b) // 2, near)[kind]) & 255)
        body += bytes([kind]) + line
    header = struct.pack(">2I5B", width, height, 8 * values.itemsize, (0, 4, 2, 6)[channels - 1], 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(body)), *after, (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(values: np.ndarray, order: str, tags: tuple = ()) -> bytes:
    """An uncompressed TIFF file, in one strip."""
    height, width, channels = values.shape
    pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
    kind = 3 if values.dtype.kind == "f" else 1
    fields = {256: width, 257: height, 258: 8 * values.itemsize, 259: 1, 262: 1 if channels < 3 else 2, 273: 0}
    fields |= {277: channels, 278: height, 279: len(pixels), 339: kind, **dict(tags)}
    if channels == 4:
        fields[338] = 2
    entries, extra = [], b""
    start = 8 + 2 + 12 * len(fields) + 4
    for tag, value in sorted(fields.items()):
        if tag in (258, 339) and channels > 2:
            entries.append(struct.pack(f"{order}HHII", tag, 3, channels, start + len(extra)))
            extra += struct.pack(f"{order}{channels}H", *[value] * channels)
        elif tag in (273, 279):
            entries.append(struct.pack(f"{order}HHII", tag, 4, 1, value if tag == 279 else 1 << 10))
        else:
            entries.append(struct.pack(f"{order}HHIHxx", tag, 3, 1, value))
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8)
    body = head + struct.pack(f"{order}H", len(fields)) + b"".join(entries) + struct.pack(f"{order}I", 0) + extra
    return body.ljust(1 << 10, b"\0") + pixels


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, name: str = "some.file") -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return images.decode(data, name)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_has_the_numbers_that_were_put_in(channels, dtype):
    values = numbers(channels, dtype)
    picture = decoded(png(values))
    assert (picture.format, picture.bits, picture.channels, picture.linear) == (
        "PNG",
        np.iinfo(dtype).bits,
        channels,
        False,
    )
    assert np.array_equal(picture.values, values)
    expected = torch.from_numpy(values.astype(np.float64) / np.iinfo(dtype).max).movedim(-1, 0).float()
    torch.testing.assert_close(picture.floats(), expected, atol=1e-7, rtol=0)
    light = picture.light()
    colours = channels - (channels in (2, 4))
    torch.testing.assert_close(light[:colours], srgb_to_linear(expected[:colours]), atol=1e-6, rtol=1e-5)
    assert torch.equal(light[colours:], picture.floats()[colours:])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_tiff_of_16_bits_has_too(channels, order):
    values = numbers(channels, np.uint16)
    assert np.array_equal(decoded(tiff(values, order)).values, values)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_compressed_tiffs_are_read(compression):
    values = numbers(1, np.uint16)
    data = saved(Image.fromarray(values[..., 0]), "TIFF", compression=compression)
    assert np.array_equal(decoded(data).values, values)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_float_tiff_is_light(order):
    values = RNG.random((5, 7, 1), np.float32) * 3
    picture = decoded(tiff(values, order))
    assert picture.linear
    assert np.array_equal(picture.values, values)
    assert torch.equal(picture.light()[0], torch.from_numpy(values[..., 0]))


def test_white_may_be_zero_and_12_bits_are_scaled():
    values = numbers(1, np.uint16)
    assert np.array_equal(decoded(tiff(values, "<", ((262, 0),))).values, 65535 - values)


@pytest.mark.parametrize("key", [5, 60000])
def test_a_transparent_colour_becomes_alpha(key):
    values = np.full((2, 3, 3), 7, np.uint16)
    values[0, 1] = key
    picture = decoded(png(values, (b"tRNS", struct.pack(">3H", key, key, key))))
    assert picture.channels == 4
    assert (picture.values[..., 3] == 0).tolist() == [[False, True, False], [False] * 3]
    grey = decoded(png(values[..., :1], (b"tRNS", struct.pack(">H", key))))
    assert grey.channels == 2
    assert (grey.values[..., 1] == 0).tolist() == [[False, True, False], [False] * 3]


def test_palettes_are_looked_up_with_their_transparency():
    colours = Image.fromarray(numbers(3)).quantize(8)
    plain, holes = decoded(saved(colours, "PNG")), decoded(saved(colours, "PNG", transparency=bytes(range(0, 80, 10))))
    expected = np.asarray(colours.convert("RGB"))
    assert np.array_equal(plain.values, expected)
    assert np.array_equal(holes.values[..., :3], expected)
    assert np.array_equal(holes.values[..., 3], np.asarray(colours) * 10)
    assert decoded(saved(Image.new("1", (3, 2), 1), "PNG")).values.tolist() == [[[255]] * 3] * 2


def test_cmyk_is_ink_whether_a_file_counts_it_up_or_down():
    """JPEGs hold it inverted, as Photoshop does; TIFFs do not. Pure cyan absorbs red."""
    ink = Image.new("CMYK", (16, 16), (255, 0, 0, 51))
    for kind in ("JPEG", "TIFF"):
        values = decoded(saved(ink, kind)).values
        assert values.shape == (16, 16, 3)
        assert np.abs(values.astype(int) - (0, 204, 204)).max() <= 2, kind


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_upright_and_textures_as_stored(orientation, bits):
    exif = Image.Exif()
    exif[0x0112] = orientation
    note = exif.tobytes()[6:]
    values = numbers(3, np.dtype(f"u{bits // 8}").type)
    turned = {
        1: lambda v: v,
        2: lambda v: v[:, ::-1],
        3: lambda v: np.rot90(v, 2),
        4: lambda v: v[::-1],
        5: lambda v: v.swapaxes(0, 1),
        6: lambda v: np.rot90(v, -1),
        7: lambda v: np.rot90(v.swapaxes(0, 1), 2),
        8: lambda v: np.rot90(v, 1),
    }[orientation](values)
    files = {
        "before.png": png(values, (b"eXIf", note)),
        "after.png": png(values, after=((b"eXIf", note),)),
        "some.tif": tiff(values, "<", ((274, orientation),)),
    }
    if bits == 8:
        files["some.webp"] = saved(Image.fromarray(values), "WEBP", lossless=True, exif=exif)
    for name, data in files.items():
        assert images.decode(data, name).orientation == orientation, name
        assert np.array_equal(images.decode(data, name).values, turned), name
        assert np.array_equal(images.decode(data, name, upright=False).values, values), name


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_sizes_are_known_without_decoding(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(numbers(3))
    image.save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "a.png").write_bytes(png(numbers(3), after=((b"eXIf", exif.tobytes()[6:]),)))
    for name in ("a.jpg", "a.png"):
        upright, stored = images.sizes(tmp_path / name)
        assert stored == (5, 7)
        assert upright == ((7, 5) if orientation == 6 else (5, 7))
        assert images.read(tmp_path / name).size == upright


def test_numbers_are_floats_of_32_bits_whatever_torchs_default():
    picture_module._decoded.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        picture = decoded(png(numbers(4)))
        assert picture.floats().dtype == picture.light().dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
        picture_module._decoded.cache_clear()


# ---------------------------------------------------------------- other channels


def test_channels_are_added_and_dropped():
    picture = Picture(numbers(4))
    assert np.array_equal(picture.to(3).values, picture.values[..., :3])
    grey = np.asarray(Image.fromarray(picture.values[..., :3]).convert("L"))
    assert np.array_equal(picture.to(1).values[..., 0], grey)
    assert np.array_equal(picture.to(2).values, np.stack([grey, picture.values[..., 3]], -1))
    assert np.array_equal(picture.to(1).to(4).values[..., :3], np.repeat(grey[..., None], 3, 2))
    assert (picture.to(3).to(4).values[..., 3] == 255).all()
    with pytest.raises(nt.ArgumentError, match="1 to 4"):
        picture.to(5)


def test_deep_numbers_become_8_bits_by_rounding():
    deep = Picture(np.array([[[0], [128], [129], [65535]]], np.uint16))
    assert deep.eight_bits().flatten().tolist() == [0, 0, 1, 255]
    light = Picture(np.array([[[-1.0], [0.5], [3.0]]], np.float32))
    assert light.eight_bits().flatten().tolist() == [0, 128, 255]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_over_black_is_the_colour_times_alpha(dtype):
    values = numbers(4, dtype)
    white = np.iinfo(dtype).max
    expected = np.floor(values[..., :3] * (values[..., 3:] / white) + 0.5)
    assert np.abs(Picture(values).over_black().values - expected).max() <= 1
    assert np.array_equal(Picture(values[..., :3]).over_black().values, values[..., :3])


# ---------------------------------------------------------------- what is said


def test_a_profile_that_is_not_srgb_is_said_once(tmp_path):
    image = Image.fromarray(numbers(3))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "lab.png", icc_profile=lab)
    image.save(tmp_path / "srgb.png", icc_profile=srgb)
    image.save(tmp_path / "broken.png", icc_profile=b"no profile")
    with pytest.warns(UserWarning, match=r"lab\.png has the colour profile 'Lab.*not applied"):
        assert "Lab" in images.read(tmp_path / "lab.png").profile
    with pytest.warns(UserWarning, match="'unnamed'"):
        images.read(tmp_path / "broken.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "sRGB" in images.read(tmp_path / "srgb.png").profile
        assert images.read(tmp_path / "srgb.png").remarks == ()


# primaries (x, y) of wide spaces, and sRGB's; all are white as D65
PRIMARIES = {
    "Display P3": ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "Adobe RGB (1998)": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "sRGB": ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06)),
}
D65, D50 = np.array([0.95047, 1, 1.08883]), np.array([0.9642, 1, 0.8249])
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_xyz(space: str) -> np.ndarray:
    """(3, 3): light in a space's primaries → XYZ under D65 (Lindbloom)."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in PRIMARIES[space]]).T
    return columns * np.linalg.solve(columns, D65)


def profile(space: str, gamma: float = 2.2) -> bytes:
    """An ICC profile, version 2, of a space and a gamma; its colorants are adapted to D50, as they must be."""
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ D65)) @ BRADFORD
    name = space.encode() + b"\0"
    xyz = [
        b"XYZ \0\0\0\0" + struct.pack(">3i", *np.round(v * 65536).astype(int))
        for v in (D50, *(adapt @ to_xyz(space)).T)
    ]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + -len(name) % 4)
    tags = dict(zip((b"wtpt", b"rXYZ", b"gXYZ", b"bXYZ"), xyz, strict=True)) | {
        b"desc": desc,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        table += tag + struct.pack(">2I", at + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4x4s12s12s4s28x3i48x",
        at + len(body),
        b"\x02\x20\0\0",
        b"mntrRGB XYZ ",
        bytes(12),
        b"acsp",
        *np.round(D50 * 65536).astype(int),
    )
    return head + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("space", ["Display P3", "Adobe RGB (1998)"])
def test_colours_of_another_space_become_srgbs(tmp_path, space):
    light = 0.2 + 0.4 * RNG.random((6, 6, 3))  # inside of what sRGB can show
    own = np.linalg.solve(to_xyz(space), to_xyz("sRGB")) @ light[..., None]
    encoded = np.round(own[..., 0] ** (1 / 2.2) * 255).astype(np.uint8)
    alpha = numbers(1, size=(6, 6))
    Image.fromarray(np.concatenate([encoded, alpha], 2)).save(tmp_path / "wide.png", icc_profile=profile(space))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = images.read(tmp_path / "wide.png")
    expected = images.linear_to_srgb(torch.from_numpy(light)).numpy() * 255
    assert picture.profile == space
    assert np.abs(picture.values[..., :3] - expected).max() < 2
    assert np.abs(encoded - expected).max() > 5
    assert np.array_equal(picture.values[..., 3:], alpha)
    with Image.open(tmp_path / "wide.png") as image:
        assert np.array_equal(of_image(image).values, picture.values)
    # as a texture it is what its numbers say, as in glTF
    with pytest.warns(UserWarning, match=f"has the colour profile '{re.escape(space)}', which is not applied"):
        texture = nt.scene.load_texture(tmp_path / "wide.png")
    assert torch.equal(texture.image[0, :3], torch.from_numpy(encoded).movedim(-1, 0) / 255)


def test_grey_and_palettes_have_profiles_too(tmp_path):
    # a grey profile's own curve: 1.0 is light itself
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    grey = (
        profile("sRGB", 1.0).replace(b"RGB XYZ ", b"GRAYXYZ ").replace(b"rTRC", b"kTRC").replace(b"sRGB\0", b"grey\0")
    )
    Image.fromarray(values).save(tmp_path / "grey.png", icc_profile=grey)
    expected = images.linear_to_srgb(torch.from_numpy(values / 255)).numpy()[..., None] * 255
    assert np.abs(images.read(tmp_path / "grey.png").values - expected).max() < 1
    image = Image.fromarray(numbers(3)).quantize(8)
    image.save(tmp_path / "palette.png", icc_profile=profile("Display P3"))
    image.convert("RGB").save(tmp_path / "rgb.png", icc_profile=profile("Display P3"))
    assert np.array_equal(images.read(tmp_path / "palette.png").values, images.read(tmp_path / "rgb.png").values)


def test_what_pillow_cannot_convert_is_said(tmp_path):
    Image.fromarray(numbers(1)[..., 0]).save(tmp_path / "grey.png", icc_profile=profile("Display P3"))
    (tmp_path / "deep.png").write_bytes(
        png(numbers(3, np.uint16), (b"iCCP", b"x\0\0" + zlib.compress(profile("Display P3"))))
    )
    for name in ("grey.png", "deep.png"):
        with pytest.warns(
            UserWarning, match=f"{name} has the colour profile 'Display P3', which is not applied: convert"
        ):
            images.read(tmp_path / name)


def test_cameras_say_adobe_rgb_without_a_profile(tmp_path):
    image, exif = Image.fromarray(numbers(3)), Image.Exif()
    exif.get_ifd(0x8769).update({0xA001: 0xFFFF, 0xA005: {1: "R03"}})
    image.save(tmp_path / "_photo.jpg", exif=exif)
    with pytest.warns(
        UserWarning, match=r"_photo\.jpg says that its colours are Adobe RGB's, and is taken to be sRGB: conv"
    ):
        images.read(tmp_path / "_photo.jpg")


def test_an_animation_is_its_first_picture_and_says_so(tmp_path):
    frames = [Image.new("RGB", (4, 3), (k, 0, 0)) for k in (255, 0)]
    for name in ("a.gif", "a.png", "a.webp", "a.tif"):
        frames[0].save(
            tmp_path / name, save_all=True, append_images=frames[1:], **({"lossless": True} if "webp" in name else {})
        )
        with pytest.warns(UserWarning, match=f"{name} holds several pictures"):
            picture = images.read(tmp_path / name)
        assert picture.to(3).values.reshape(-1, 3).tolist() == [[255, 0, 0]] * 12


def test_a_linear_png_is_remarked_upon():
    assert "gamma is 1" in decoded(png(numbers(3), (b"gAMA", struct.pack(">I", 100000)))).remarks[0]
    assert decoded(png(numbers(3), (b"gAMA", struct.pack(">I", 45455)))).remarks == ()


def test_a_remark_upon_many_pictures_is_one_warning():
    with pytest.warns(UserWarning, match=r"a is odd \(so it is with 2 more\)\."):
        said = images.warn(dict.fromkeys("abc", ("is odd",)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.warn({"d": ("is odd",)}, said)


# ---------------------------------------------------------------- what is refused


def _header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


HDR = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n%s\n-Y %d +X %d\n"


def _npy(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def _npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def _edited(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


BROKEN = {
    "nothing": b"",
    "text": b"This is no picture.",
    "a bomb": _header(30000, 30000) + png(numbers(3))[33:],
    "no width": _header(0, 5) + png(numbers(3))[33:],
    "cut": png(numbers(3))[:90],
    "cut deep": png(numbers(3, np.uint16))[:150],
    "cut jpeg": saved(Image.fromarray(numbers(3, size=(64, 64))), "JPEG")[:1000],
    "cut tiff": tiff(numbers(3, np.uint16), "<")[:1100],
    "bad checksum": _edited(png(numbers(3)), 30, b"\0"),
    "floats of colours": tiff(np.zeros((2, 2, 3), np.float32), "<"),
    "float NaN": tiff(np.full((2, 2, 1), np.nan, np.float32), "<"),
    "large whole numbers": saved(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"),
    "hdr without light": HDR % (b"EXPOSURE=0\n", 1, 1) + bytes(4),
    "hdr exposure NaN": HDR % (b"EXPOSURE=nan\n", 1, 1) + bytes(4),
    "hdr exposure é": HDR % ("EXPOSURE=é\n".encode("latin-1"), 1, 1) + bytes(4),
    "hdr exposure below 0": HDR % (b"EXPOSURE=-1\n", 1, 1) + bytes(4),
    "huge hdr": HDR % (b"", 99999999, 99999999) + bytes(4),
    "large hdr": HDR % (b"", 9000, 9000) + bytes([2, 2, 9000 >> 8, 9000 & 255]) + bytes(40),
    "empty hdr": HDR % (b"", 0, 8),
    "npy of objects": _npy(np.array([[[{}]]], object), allow_pickle=True),
    "npy of whole numbers": _npy(np.zeros((3, 2, 2), np.uint8)),
    "npy of complex ones": _npy(np.zeros((3, 2, 2), complex)),
    "npy of four dimensions": _npy(np.zeros((1, 3, 2, 2))),
    "npy upside down": _npy(np.zeros((8, 9, 3))),
    "npy of NaN": _npy(np.full((3, 1, 1), np.nan)),
    "npy of too much": _npy(np.full((3, 1, 1), 1e300)),
    "huge npy": _npy_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1000000, 1000000)}\n"),
    "huger npy": _npy_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (3, {10**30}, 4)}}\n"),
    "nested npy": _npy_header("(" * 5000 + "\n"),
    "npy without a header": b"\x93NUMPY",
    "BC6": b"DDS "
    + struct.pack("<7I44x", 124, 0x1007, 4, 4, 16, 0, 0)
    + struct.pack("<2I4s20x", 32, 4, b"DX10")
    + bytes(20)
    + struct.pack("<5I", 95, 3, 0, 1, 0)
    + bytes(16),
}


def _stream(values: np.ndarray, kept: int, interlaced: bool = False) -> bytes:
    """A whole PNG file of 8-bit colours, of whose pixels only the first `kept` bytes are there, in two chunks."""
    height, width, channels = values.shape
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    parts = [values[y::dy, x::dx] for x, y, dx, dy in passes]
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part)[:kept])
    header = struct.pack(">2I5B", width, height, 8, (0, 4, 2, 6)[channels - 1], 0, 0, interlaced)
    chunks = [(b"IHDR", header), (b"IDAT", body[:20]), (b"IDAT", body[20:]), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("black", [False, True])
def test_a_png_whose_pixels_end_early_is_refused(channels, interlaced, black):
    """Its file is whole, and every checksum right: decoders leave the rows that are missing black."""
    values = numbers(channels, size=(11, 7))
    values[-1] *= not black
    assert np.array_equal(images.decode(_stream(values, 1 << 20, interlaced), "a.png").values, values)
    for kept in (1, 40, 11 * (1 + 7 * channels) - 1):
        with pytest.raises(nt.FileError, match=r"a\.png cannot be read as an image"):
            images.decode(_stream(values, kept, interlaced), "a.png")


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_one_sentence_with_the_files_name(tmp_path, name):
    path = tmp_path / "some.png"
    path.write_bytes(BROKEN[name])
    with pytest.raises(nt.FileError, match=r"some\.png") as error:
        images.read(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_what_a_file_is_its_content_says(tmp_path):
    (tmp_path / "really.jpg").write_bytes(png(numbers(3)))
    assert images.read(tmp_path / "really.jpg").format == "PNG"
    Image.fromarray(numbers(3)).save(tmp_path / "a.tga")
    assert np.array_equal(images.read(tmp_path / "a.tga").values, numbers(3))
    (tmp_path / "a.tga").rename(tmp_path / "a.png")  # which has no mark of its own
    with pytest.raises(nt.FileError, match="no kind that is known"):
        images.read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["gone.png", "a" * 5000, "a\0b.png", "folder", "\ud800.png"])
def test_what_is_no_file_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(nt.FileError, match=r"does not exist|not a file") as error:
        images.read(tmp_path / name)
    str(error.value).encode()
    assert len(str(error.value)) < 400


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for look in (images.read, images.sizes, nt.EnvironmentLight, nt.scene.load_texture):
        with pytest.raises(nt.FileError, match=r"pipe\.png is not a file"):
            look(tmp_path / "pipe.png")


def test_an_image_of_pillows_that_is_broken_is_refused_by_name(tmp_path):
    (tmp_path / "cut.png").write_bytes(png(numbers(3))[:90])
    with Image.open(tmp_path / "cut.png") as image, pytest.raises(nt.FileError, match=r"cut\.png cannot be read"):
        of_image(image)
    assert np.array_equal(of_image(Image.fromarray(numbers(4))).values, numbers(4))


# ---------------------------------------------------------------- radiance


def test_radiance_is_read_from_every_kind(tmp_path):
    light = RNG.random((3, 4, 8), np.float32) * 5
    np.save(tmp_path / "a.npy", light.astype(np.float64))
    torch.testing.assert_close(images.read_radiance(tmp_path / "a.npy"), torch.from_numpy(light))
    (tmp_path / "a.tif").write_bytes(tiff(light[0][..., None], "<"))
    assert torch.equal(images.read_radiance(tmp_path / "a.tif"), torch.from_numpy(light[:1]).expand(3, -1, -1))
    values = numbers(4, np.uint16)
    (tmp_path / "a.png").write_bytes(png(values))
    alpha = torch.from_numpy(values[..., 3] / 65535).float()
    expected = srgb_to_linear(torch.from_numpy(values[..., :3] / 65535).float()).movedim(-1, 0) * alpha
    torch.testing.assert_close(images.read_radiance(tmp_path / "a.png"), expected, atol=1e-6, rtol=1e-5)


def test_light_is_not_negative(tmp_path):
    np.save(tmp_path / "a.npy", -np.ones((3, 2, 4)))
    with pytest.raises(nt.FileError, match=r"a\.npy holds negative values"):
        nt.EnvironmentLight(tmp_path / "a.npy")


def test_textures_keep_their_bits_and_lie_within_0_and_1(tmp_path):
    values = numbers(3, np.uint16)
    (tmp_path / "a.png").write_bytes(
        png(values, (b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)))
    )
    expected = torch.from_numpy(values.astype(np.float32) / 65535).movedim(-1, 0)
    torch.testing.assert_close(nt.scene.load_texture(tmp_path / "a.png")()[0], expected, atol=1e-7, rtol=0)
    np.save(tmp_path / "a.npy", np.full((3, 2, 4), 1.5))
    with pytest.raises(nt.FileError, match=r"a\.npy holds values outside"):
        nt.scene.load_texture(tmp_path / "a.npy")


# ---------------------------------------------------------------- files that were damaged at random


@pytest.mark.parametrize("case", ["img.1.1095", "img.1.1354", "img.1.520", "img.1.728"])
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_or_refused(case):
    folder = SHARED / "cases" / case
    if not folder.is_dir():
        pytest.skip("shared/cases is not beside the repository")
    refused = set()
    looks = (images.read, nt.EnvironmentLight, nt.scene.load_texture)
    for path, look in itertools.product(sorted(folder.iterdir()), looks):
        refused |= _refused(look, path)
    assert len(refused - {"flat.hdr", "rle.hdr"}) == 1  # the one that is damaged; radiance is no texture


def _refused(look: Callable[[Path], object], path: Path) -> set[str]:
    """The file's name if it is refused by name."""
    try:
        look(path)
    except nt.FileError as error:
        return {path.name} if path.name in str(error) else {str(error)}
    return set()


def test_a_png_that_says_more_pixels_than_its_bytes_can_hold_is_refused(tmp_path):
    stream = io.BytesIO()
    Image.new("L", (8, 8)).save(stream, "PNG")
    data = stream.getvalue()
    header = data[12:16] + (8).to_bytes(4, "big") + (2**24).to_bytes(4, "big") + data[24:29]
    data = data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]
    with pytest.raises(nt.FileError, match=r"tall cannot be read as an image \(it has fewer pixels than it says"):
        images.decode(data, "tall")
