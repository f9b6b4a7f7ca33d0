"""What shows itself as a picture at the end of a notebook's cell: IPython asks for `_repr_png_`."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .write import to_image

SIDE = 256  # pixels, at least and about, of what is shown alone
THUMBNAIL = 128


def texture_png(value: Float[Tensor, "1 c h w"]) -> bytes:
    """A texture's picture; small ones with their texels enlarged, one channel as grey, two with no blue."""
    pixels = value[0].detach().float().cpu()
    channels = len(pixels)
    if channels < 3:
        pixels = pixels.expand(3, -1, -1) if channels == 1 else torch.cat([pixels, torch.zeros_like(pixels[:1])])
    picture = to_image(pixels[:4])
    enlarged = max(SIDE // max(picture.size), 1)
    size = (picture.width * enlarged, picture.height * enlarged)
    return png_bytes(picture.resize(size, Image.Resampling.NEAREST) if enlarged > 1 else picture)


def sheet_png(pictures: Sequence[Image.Image], columns: int = 6) -> bytes:
    """Pictures of any sizes side by side, in rows, each as a thumbnail."""
    small = []
    for picture in pictures:
        small.append(picture.convert("RGB"))
        small[-1].thumbnail((THUMBNAIL, THUMBNAIL))
    columns = min(columns, len(small))
    width, height = max(p.width for p in small), max(p.height for p in small)
    sheet = Image.new("RGB", (columns * width, math.ceil(len(small) / columns) * height), "white")
    for number, picture in enumerate(small):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    return png_bytes(sheet)


def png_bytes(picture: Image.Image) -> bytes:
    """A picture as a PNG."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
