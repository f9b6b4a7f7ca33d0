"""Images of radiance from files: Radiance's .hdr, numpy's .npy, and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..errors import ArgumentError, FileError, NeurotexError
from .colour import srgb_to_linear

PICTURES = (".png", ".jpg", ".jpeg")


def read_radiance(path: str | Path) -> Float[Tensor, "3 h w"]:
    """Linear radiance from a .hdr (RGBE), a .npy with an array (3, H, W), or a picture, whose sRGB is decoded.

    Raises ArgumentError for another kind of file, FileError for one that is missing or broken.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".hdr", ".npy", *PICTURES):
        raise ArgumentError(f"{path} is no image of radiance: give a .hdr, .npy, .png or .jpg file.")
    if not path.is_file():
        raise FileError(f"{path} does not exist: check the path.")
    try:
        if kind == ".hdr":
            return torch.from_numpy(_rgbe(path.read_bytes()))
        if kind == ".npy":
            return torch.from_numpy(np.load(path, allow_pickle=False).astype(np.float32))
        with Image.open(path) as image:
            pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy())
        return srgb_to_linear(pixels.movedim(-1, 0).float() / 255)
    except NeurotexError:
        raise
    except (OSError, SyntaxError, ValueError, IndexError) as error:
        raise FileError(f"{path} cannot be read as an image ({error}): it may be cut off, get it again.") from None


def _rgbe(data: bytes) -> np.ndarray:
    """Radiance's picture format (Ward, Real Pixels, Graphics Gems II, 1991): three mantissas and one exponent.

    Rows from the top, pixels from the left ("-Y height +X width", which all programs write), flat or run-length
    encoded.
    """
    header, gap, rest = data.partition(b"\n\n")
    size = re.match(rb"-Y (\d+) \+X (\d+)\n", rest)
    if not header.startswith(b"#?") or not gap or size is None or b"FORMAT=32-bit_rle_rgbe" not in header:
        raise ValueError("its header is not that of a Radiance picture with rows from top to bottom")
    height, width = int(size[1]), int(size[2])
    body = np.frombuffer(rest, np.uint8, offset=size.end())
    if body[:4].tolist() == [2, 2, width >> 8, width & 255]:
        pixels = np.empty((height, 4, width), np.uint8)
        place = 0
        for row in pixels:
            place = _unpack_row(body, place, row)
        pixels = pixels.transpose(1, 0, 2)
    else:
        pixels = body[: height * width * 4].reshape(height, width, 4).transpose(2, 0, 1)
    exposure = [float(value) for value in re.findall(rb"^EXPOSURE=\s*(\S+)", header, re.MULTILINE)]
    scale = np.ldexp(np.float32(1), pixels[3].astype(np.int32) - 136) * (pixels[3] > 0)
    return (pixels[:3] * scale / np.prod(exposure)).astype(np.float32)


def _unpack_row(body: np.ndarray, place: int, row: np.ndarray) -> int:
    """Fill a row (4, width), whose four planes are packed one after the other; returns where the next row begins."""
    width = row.shape[1]
    if body[place : place + 4].tolist() != [2, 2, width >> 8, width & 255]:
        raise ValueError("a row does not begin where it should")
    place += 4
    for plane in row:
        filled = 0
        while filled < width:
            count = int(body[place])
            if count > 128:  # the same byte, again and again
                count -= 128
                run, taken = body[place + 1], 2
            else:
                run, taken = body[place + 1 : place + 1 + count], 1 + count
            if count == 0 or filled + count > width:
                raise ValueError("a run of pixels is longer than its row")
            plane[filled : filled + count] = run
            filled, place = filled + count, place + taken
    return place
