"""Pictures as PNG files, without a loss."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..errors import ArgumentError


def png(picture: Float[Tensor, "n c h w"], depth: int = 255) -> bytes:
    """A file of one picture (1, C, H, W) in [0, 1]: grey, grey and alpha, RGB or RGBA, by C.

    Values are rounded to whole numbers of 1/`depth`: 255, or 65535 for one channel.
    """
    one_picture(picture)
    channels = picture.shape[1]
    if channels > 4:
        raise ArgumentError(f"a PNG file has 1 to 4 channels, not {channels}: write them to several files.")
    if depth > 255 and channels > 1:
        raise ArgumentError(
            f"a PNG file of more than 8 bits is written for 1 channel, not {channels}: ask for at most 256 levels."
        )
    numbers = (picture[0].detach().cpu().double() * depth).round().movedim(0, -1).numpy()
    numbers = numbers.astype(np.uint8 if depth == 255 else np.uint16)
    return save(Image.fromarray(np.ascontiguousarray(numbers[..., 0] if channels == 1 else numbers)))


def one_picture(picture: Tensor) -> None:
    """ArgumentError unless this is one picture (1, C, H, W)."""
    if picture.ndim != 4 or len(picture) != 1:
        raise ArgumentError(f"a file holds one texture, (1, C, H, W), but this is {tuple(picture.shape)}.")


def save(image: Image.Image, **options: object) -> bytes:
    """The bytes of the PNG file."""
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()
