"""Image files of any kind as 8-bit channels, and which of them are maps of one material."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import images
from ..errors import FileError
from ..images import Picture

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".tga")
CHANNELS = (1, 3, 4)
# how files of each map end, before the suffix, as in bark_albedo.png or bark/albedo.png
NAMES = {
    "base_color": ("base_color", "basecolor", "albedo", "diffuse", "color"),
    "normal": ("normal", "normal_gl"),
    "roughness": ("roughness", "rough"),
}


def find(folder: str | Path) -> list[Path]:
    """The image files in a folder and those below it, by name; FileError where there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileError(f"{folder} is not a folder: give one with images in it.")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise FileError(f"{folder} has no images in it: they end in {', '.join(SUFFIXES)}.")
    return files


def is_readable(path: Path) -> bool:
    """Whether the file begins as an image does. Pixels are not decoded: this is quick, and no promise."""
    try:
        images.sizes(path)
    except FileError:
        return False
    return True


def decode(path: Path, channels: int) -> tuple[np.ndarray, Picture] | None:
    """(channels, h, w) uint8, and the picture that they are of; None where the file is broken.

    1: grey, 2: red and green, 3: colours, 4: with alpha. Without alpha to hold it, what is transparent turns black. 16
    bits become 8; floats are taken to be in [0, 1].
    """
    try:
        picture = images.decode(images.contents(path), str(path))
    except FileError:
        return None
    if channels != 4 and picture.has_alpha:
        picture = picture.over_black()
    pixels = picture.to(max(channels, 3) if channels > 1 else 1).eight_bits()
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[:channels]), picture


def join(folder: str | Path, files: Sequence[Path], maps: Sequence[str]) -> list[tuple[Path, ...]]:
    """Files of each material, in the order of `maps`; FileError where a material lacks one.

    Files with no map's name are left out, unless base colours alone are wanted and no file has such a name: then all
    are base colours.
    """
    materials: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in files:
        for which, names in NAMES.items():
            match = re.fullmatch(rf"(?:(.*?)[_-])?(?:{'|'.join(names)})", path.stem, re.IGNORECASE)
            if match:
                materials.setdefault((path.parent, match[1] or ""), {})[which] = path
    if not materials and list(maps) == ["base_color"]:
        return [(path,) for path in files]
    if not materials:
        raise FileError(f"{folder} has no materials in it: name their files NAME_{maps[0]}.png and so on.")
    for (parent, name), found in materials.items():
        missing = [which for which in maps if which not in found]
        if missing:
            raise FileError(
                f"material '{name or parent.name}' in {parent} has no {missing[0]} map: "
                f"add {name + '_' if name else ''}{missing[0]}.png, or take its other files away."
            )
    return [tuple(found[which] for which in maps) for found in materials.values()]
