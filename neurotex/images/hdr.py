"""Images of radiance from files: Radiance's .hdr, numpy's .npy, float TIFF, and pictures."""

from __future__ import annotations

import io
import math
import re

import numpy as np
from jaxtyping import Float32
from PIL import Image

HDR, NPY = b"#?", b"\x93NUMPY"  # how the files begin
LARGEST = 2 * (Image.MAX_IMAGE_PIXELS or 89478485)  # pixels: where Pillow stops, too


def decode_hdr(data: bytes) -> Float32[np.ndarray, "h w 3"]:
    """Radiance's picture format (Ward, Real Pixels, Graphics Gems II, 1991): three mantissas and one exponent.

    Rows from the top, pixels from the left ("-Y height +X width", which all programs write), flat or run-length
    encoded. ValueError for anything else.
    """
    header, gap, rest = data.partition(b"\n\n")
    size = re.match(rb"-Y (\d{1,9}) \+X (\d{1,9})\n", rest)
    if not gap or size is None or b"FORMAT=32-bit_rle_rgbe" not in header:
        raise ValueError("its header is not that of a Radiance picture with rows from top to bottom")
    height, width = int(size[1]), int(size[2])
    if height * width > LARGEST:
        raise MemoryError
    body = np.frombuffer(rest, np.uint8, offset=size.end())
    scale = _exposure(header)
    if body[:4].tolist() == [2, 2, width >> 8, width & 255]:
        if len(body) < height * (4 + 8 * -(-width // 127)):  # the longest runs
            raise ValueError("its pixels are cut off")
        pixels = np.empty((height, 4, width), np.uint8)
        place = 0
        for row in pixels:
            place = _unpack_row(body, place, row)
        pixels = pixels.transpose(0, 2, 1)
    else:
        if len(body) < height * width * 4:
            raise ValueError("its pixels are cut off")
        pixels = body[: height * width * 4].reshape(height, width, 4)
    light = np.ldexp(np.float32(1), pixels[..., 3:].astype(np.int32) - 136) * (pixels[..., 3:] > 0)
    return (pixels[..., :3] * light / scale).astype(np.float32)


def _exposure(header: bytes) -> float:
    """What all values were multiplied by."""
    found = re.findall(rb"^EXPOSURE=[ \t]*(.*?)[ \t]*$", header, re.MULTILINE)
    values = [float(value) for value in found if re.fullmatch(rb"[0-9.eE+-]{1,40}", value)]
    total = math.prod(values)
    if len(values) < len(found) or not 0 < total < math.inf:
        raise ValueError("its EXPOSURE is not a number above 0")
    return total


def decode_npy(data: bytes) -> Float32[np.ndarray, "h w c"]:
    """An array (C, H, W) of floats, 1 to 4 channels. ValueError for anything else; nothing in it is executed."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.dtype.kind != "f":
        raise ValueError(f"its array holds {array.dtype}, not floats")
    if array.ndim != 3 or not 1 <= len(array) <= 4:
        raise ValueError(f"its array is {array.shape}, not (channels, height, width)")
    with np.errstate(over="ignore"):  # infinity is refused later
        return array.astype(np.float32).transpose(1, 2, 0)


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
