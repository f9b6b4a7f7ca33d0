"""Image files of any kind as 8-bit channels, and which of them are maps of one material."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ..errors import FileError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
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
        with Image.open(path) as image:
            return min(image.size) > 0
    except Exception:  # decoders raise whatever they please about broken files
        return False


def decode(path: Path, channels: int) -> np.ndarray | None:
    """(channels, h, w) uint8, or None where the file is broken. 1: grey, 2: red and green, 3: colours, 4: with alpha.

    Without alpha to hold it, what is transparent turns black. 16 bits become 8; floats are taken to be in [0, 1].
    """
    try:
        with Image.open(path) as file:
            image = _eight_bits(ImageOps.exif_transpose(file))
            if channels != 4 and image.has_transparency_data:
                image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
            pixels = np.asarray(image.convert(MODES[max(channels, 3) if channels > 1 else 1]))
    except Exception:  # decoders raise whatever they please about broken files
        return None
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)[:channels])


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow clips what has more bits instead of scaling it."""
    if image.mode == "F":
        return Image.fromarray((np.nan_to_num(np.asarray(image)).clip(0, 1) * 255).round().astype(np.uint8))
    if image.mode.startswith("I"):  # 16 bits, whatever the type that holds them
        return Image.fromarray((np.asarray(image).astype(np.float64).clip(0, 65535) / 257).round().astype(np.uint8))
    return image


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
