"""The one door for pictures: any file that holds one → a `Picture`, or one sentence that says why not."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import ArgumentError, FileError
from . import hdr, pillow
from .picture import Picture

T = TypeVar("T")

# how names of such files end; what a file is, its content decides
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".dds", ".tga", ".hdr", ".npy")


def read(path: str | Path, upright: bool = True, srgb: bool = True) -> Picture:
    """Read PNG, JPEG, WebP, TIFF, BMP, GIF, DDS, TGA and PPM files, Radiance's .hdr and numpy's .npy.

    Numbers of 16 bits and floats stay what they are, palettes are looked up, CMYK becomes RGB, and transparency of any
    kind alpha. Floats (of TIFF, .hdr and .npy) are linear light; an array is (C, H, W). The EXIF orientation is applied
    if `upright`, and colours of 8 bits that a profile describes (Display P3, Adobe RGB, CMYK) become sRGB's if `srgb`:
    for photographs. For textures they are not, as glTF has it.

    What the file says beyond that (a profile that is not applied, more pictures) is warned of, once. Raises
    FileError for a file that is missing, broken, cut off or too large (179 million pixels), or holds no picture.
    """
    picture = decode(contents(path), str(path), upright, srgb)
    warn({str(path): picture.remarks})
    return picture


def decode(data: bytes, name: str, upright: bool = True, srgb: bool = True) -> Picture:
    """`read` of a file's content, `data`; `name` is what messages call it. Does not warn: see `Picture.remarks`.

    For `upright` and `srgb` see `read`. FileError for what is no picture, or holds numbers that are not finite.
    """
    if data.startswith(hdr.HDR):
        picture = _said(name, lambda: Picture(hdr.decode_hdr(data), "HDR"))
    elif data.startswith(hdr.NPY):
        picture = _said(name, lambda: Picture(hdr.decode_npy(data), "NPY"))
    else:
        picture = _said(name, lambda: pillow.decode(data, name, upright, srgb))
    if picture.values.size == 0:
        raise FileError(f"{name} cannot be read as an image (it has no pixels): get it again.")
    if picture.linear and not bool(np.isfinite(picture.values).all()):
        raise FileError(f"{name} holds NaN or infinity: repair it, or render it again.")
    return picture


def of_image(image: Image.Image, srgb: bool = True) -> Picture:
    """An image of Pillow's; what Pillow has cut to 8 bits stays so. FileError where it cannot be decoded."""
    return _said(getattr(image, "filename", "") or "an image of Pillow's", lambda: pillow.of_image(image, srgb))


def sizes(path: str | Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) upright and as stored, from the beginning of a file. FileError as `read`, as far as it shows."""
    if str(path).lower().endswith((".hdr", ".npy")):
        found = read(path).size
        return found, found

    def look() -> tuple[tuple[int, int], int]:
        with Path(path).open("rb") as file:
            return pillow.size(file, str(path))

    _check_file(path)
    stored, orientation = _said(str(path), look)
    if min(stored) < 1:
        raise FileError(f"{shown(path)} cannot be read as an image (it has no pixels): get it again.")
    height, width = stored
    return ((width, height) if orientation >= 5 else stored), stored


def read_radiance(path: str | Path) -> Float[Tensor, "3 h w"]:
    """Linear radiance, finite and not negative, from any file that `read` reads: what is sRGB is decoded, what is
    transparent is dark. ArgumentError for a name with another ending, FileError for what is missing or broken.
    """
    if Path(path).suffix.lower() not in ENDINGS:
        raise ArgumentError(f"{shown(path)} is no image of radiance: give a .hdr, .npy, .tif, .png or .jpg file.")
    picture = read(path).to(4)
    light = picture.light()
    if bool((light < 0).any()):
        raise FileError(f"{shown(path)} holds negative values, which light cannot have: repair it.")
    return light[:3] * light[3:]


def contents(path: str | Path) -> bytes:
    """A file's bytes. FileError where there is no file, or none that can be read."""
    _check_file(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{shown(path)} cannot be read ({error.strerror}): check its permissions.") from None


def is_file(path: str | Path) -> bool:
    """Whether there is a file of that name; for names that cannot be, False."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # too long, no such folder; a NUL in it
        return False


def warn(remarks: Mapping[str, Iterable[str]], said: frozenset[str] = frozenset()) -> frozenset[str]:
    """Say what is not heeded of pictures, by their files' names: each thing once, and not again what is in `said`.

    Returns that with what was said now. `remarks` are what each file, by its name, has to say of what was left out.
    """
    named: dict[str, list[str]] = {}
    for name, found in remarks.items():
        for remark in set(found) - said:
            named.setdefault(remark, []).append(name)
    for remark, names in named.items():
        more = f" (so it is with {len(names) - 1} more)" if len(names) > 1 else ""
        warnings.warn(f"{shown(names[0])} {remark}{more}.", stacklevel=3)
    return said | set(named)


def shown(text: object, most: int = 160) -> str:
    """Text out of a file as a message may hold it: in one line, printable, not too long."""
    line = "".join(letter if letter.isprintable() else "�" for letter in str(text))
    return line if len(line) <= most else f"{line[: most // 2]}…{line[-most // 2 :]}"


def _check_file(path: str | Path) -> None:
    if not is_file(path):
        there = os.path.exists(path)
        raise FileError(f"{shown(path)} {'is not a file' if there else 'does not exist'}: check the path.")


def _said(name: str, work: Callable[[], T]) -> T:
    """The result of decoding; whatever goes wrong is one sentence."""
    name = shown(name)
    try:
        return work()
    except FileError:
        raise
    except (Image.DecompressionBombError, MemoryError):
        raise FileError(
            f"{name} says that it is larger than can be read: it is damaged, or must be made smaller."
        ) from None
    except UnidentifiedImageError:
        reason = "it is of no kind that is known"
    except Exception as error:  # decoders raise whatever they please about broken files
        reason = shown(error) or type(error).__name__
    raise FileError(f"{name} cannot be read as an image ({reason}): it may be cut off, get it again.") from None
