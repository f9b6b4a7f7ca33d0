"""What Pillow makes of a file, without what it would lose: 16 bits, transparency, the way up."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from . import profiles
from .picture import Picture

# kinds that are read whatever the file's name; not those that run programs (EPS) or are recognised by nothing (TGA)
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "DDS", "PPM")
# Pillow's 8-bit modes keep the upper bytes of 16-bit colours. How its decoders say that, and what makes them keep the
# lower ones; in the order of the machine, where libtiff has put them so
LITTLE = sys.byteorder == "little"
LOWER = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if LITTLE else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if LITTLE else "RGBA;16L",
    "LA;16B": "RGBA",  # all four bytes, one after the other
}
DEFLATED = 1032  # bytes that one of zlib's stands for, at most
# where the passes of interlaced PNG files begin, and their steps: x, y
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GAMMA = 1 / 2.2  # sRGB's, as PNG files say it


def decode(data: bytes, name: str = "", upright: bool = True, srgb: bool = True) -> Picture:
    """The first picture of a file. Raises whatever Pillow does for one that is broken, ValueError for some more."""
    with _open(data, name) as image:
        kind = image.format or ""
        if kind == "PNG" and image.height * (1 + image.width // 8) > DEFLATED * len(data):
            raise ValueError("it has fewer pixels than it says")  # Pillow makes those that are missing black
        stored = _orientation(image) if kind == "TIFF" else None
        raw = {_raw(tile[3]) for tile in image.tile}
        image.load()
        if kind == "PNG" and not _is_whole(image, data):
            raise ValueError("it has fewer pixels than it says")
        orientation = _orientation(image) if stored is None else stored
        values = _deep(image, data, name, raw.pop()) if len(raw) == 1 and raw <= set(LOWER) else _values(image)
        profile = profiles.profile_of(image)
        converted = profiles.to_srgb(values, image, profile) if srgb and profile is not None else None
        picture = Picture(
            _turned(values if converted is None else converted, orientation, upright, already=kind == "TIFF"),
            kind + (f"/{image.pixel_format}" if kind == "DDS" else ""),
            orientation,
            profile and profile.name,
        )
        remarks = (*profiles.remarks(image, profile, converted is not None), *_remarks(image, picture))
        return Picture(**{**vars(picture), "remarks": remarks})


def of_image(image: Image.Image, srgb: bool = True) -> Picture:
    """An image of Pillow's: what its own decoder has cut to 8 bits stays so."""
    values, profile = _values(image), profiles.profile_of(image)
    converted = profiles.to_srgb(values, image, profile) if srgb and profile is not None else None
    return Picture(values if converted is None else converted, image.format or "", profile=profile and profile.name)


def size(data: IO[bytes], name: str = "") -> tuple[tuple[int, int], int]:
    """(height, width) as stored and the EXIF orientation, from the beginning of a file: pixels are not decoded."""
    with Image.open(data, formats=_formats(name)) as image:
        late = image.format == "PNG" and not {"exif", "Raw profile type exif"} & set(image.info)  # would decode pixels
        orientation = _late_orientation(data) if late else _orientation(image)
        return (image.height, image.width), orientation


def _open(data: bytes, name: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_formats(name))
    except UnidentifiedImageError:
        if data[:4] in (b"II*\0", b"MM\0*"):
            raise ValueError("of TIFF, 8 and 16 bits and single channels of floats are read") from None
        raise


def _formats(name: str) -> tuple[str, ...]:
    return (*FORMATS, "TGA") if name.lower().endswith(".tga") else FORMATS


def _is_whole(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG file's compressed pixels reach to its last row. Pillow leaves rows black that they do not reach."""
    depth, kind, interlaced = data[24], data[25], data[28]
    last = image.crop((0, image.height - 1, image.width, image.height))
    if not interlaced and any(last.tobytes()):
        return True
    bits = depth * {2: 3, 4: 2, 6: 4}.get(kind, 1)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((x - image.width) // dx), -((y - image.height) // dy)) for x, y, dx, dy in passes]
    missing = sum(height * (1 + (width * bits + 7) // 8) for width, height in sizes if width)
    inflate = zlib.decompressobj()
    for body in _pixel_chunks(data):
        while body and missing > 0 and not inflate.eof:
            missing -= len(inflate.decompress(body, 1 << 20))
            body = inflate.unconsumed_tail
    return missing - len(inflate.flush()) <= 0


def _pixel_chunks(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        at += length + 12


def _raw(args: object) -> str:
    """How a decoder is told to lay out bytes."""
    raw = args[0] if isinstance(args, tuple) and args else args
    return raw if isinstance(raw, str) else ""


def _deep(image: Image.Image, data: bytes, name: str, raw: str) -> np.ndarray:
    """Colours of 16 bits, whose upper bytes are decoded: decoded once more for the lower."""
    with _open(data, name) as other:
        other.tile = [
            (decoder, extents, offset, (LOWER[raw], *args[1:]) if isinstance(args, tuple) else LOWER[raw])
            for decoder, extents, offset, args in other.tile
        ]
        lower = np.asarray(other).astype(np.uint16)
    upper = np.asarray(image).astype(np.uint16)
    if LOWER[raw] == "RGBA":
        upper, lower = lower[..., ::2], lower[..., 1::2]
    values, key = upper << 8 | lower, image.info.get("transparency")
    return values if key is None else _keyed(values, key)


def _values(image: Image.Image) -> np.ndarray:
    """(h, w, c), with the channels of the file; palettes are looked up, and all else becomes RGB."""
    mode, blocks = image.mode, getattr(image, "pixel_format", "")
    if blocks.startswith("BC6"):
        raise ValueError("BC6H holds radiance, of which 8 bits would be left")
    if mode == "F":
        return np.array(image, np.float32)[..., None]
    if mode.startswith("I"):
        return _deep_grey(image)
    grey = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        values = np.asarray(image.convert("RGBA"))
        values = values[..., [0, 3]] if grey else values
        if blocks in ("DXT1", "BC1") and bool((values[..., 3] == 255).all()):
            values = values[..., :3]  # no holes
    else:
        values = np.asarray(image.convert("L" if grey else "RGB"))
    return values.reshape(*values.shape[:2], -1)


def _deep_grey(image: Image.Image) -> np.ndarray:
    """16 bits, whatever the type that holds them."""
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image).astype(np.int64)
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise ValueError("its whole numbers are of more than 16 bits, and nothing says which of them is white")
    if tags.get(258) == (12,):
        values = values * 65535 // 4095
    if tags.get(262) == 0:  # white is zero
        values = 65535 - values
    values, key = values.astype(np.uint16)[..., None], image.info.get("transparency")
    return values if key is None else _keyed(values, key)


def _keyed(values: np.ndarray, key: object) -> np.ndarray:
    """With alpha: pixels of the colour `key` are holes."""
    alpha = (values != np.asarray(key, np.int64)).any(2, keepdims=True) * np.uint16(65535)
    return np.concatenate([values, alpha], 2)


def _turned(values: np.ndarray, orientation: int, upright: bool, already: bool) -> np.ndarray:
    """Turned from the way that it is stored to the way that it is to be seen, or back where Pillow has turned it."""
    if upright == already:
        return values
    if already and orientation in (6, 8):  # the way back
        orientation = 14 - orientation
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    return values[::rows, ::columns]


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # a picture is none the worse for a broken note
        return _checked(image.getexif().get(0x0112))
    return 1


def _checked(orientation: object) -> int:
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _late_orientation(file: IO[bytes]) -> int:
    """Of a PNG file whose EXIF comes after its pixels."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"eXIf":
            exif = Image.Exif()
            with suppress(Exception):
                exif.load(b"Exif\0\0" + file.read(length))
                return _checked(exif.get(0x0112))
        file.seek(length + 4, 1)
    return 1


def _remarks(image: Image.Image, picture: Picture) -> Iterator[str]:
    gamma = GAMMA if picture.profile is not None or "srgb" in image.info else image.info.get("gamma", GAMMA)
    if isinstance(gamma, float) and abs(gamma - GAMMA) > 0.02:
        yield f"says that its gamma is {gamma:g}, and is taken to be sRGB all the same: convert it"
    with suppress(Exception):
        if picture.format != "MPO" and getattr(image, "is_animated", False):  # phones add small pictures, as MPO
            yield "holds several pictures, of which the first is taken"
