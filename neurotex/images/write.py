"""Pictures to look at: of renders and textures, and animations."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..core import storage
from ..errors import ArgumentError
from .colour import linear_to_srgb


def to_image(texture: Tensor) -> Image.Image:
    """An 8-bit image of a texture or rendered picture (3 or 4, H, W) in [0, 1]."""
    pixels = (texture.detach().clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
    return Image.fromarray(pixels)


def to_photograph(image: Float[Tensor, "4 h w"]) -> Image.Image:
    """An 8-bit RGBA image of a render (linear, alpha last): sRGB-encoded with straight alpha, as `Views.load` reads it
    and image viewers expect."""
    alpha = image[3:]
    straight = linear_to_srgb((image[:3] / alpha.clamp_min(1e-6)).clamp(0, 1)) * (alpha > 0)
    return to_image(torch.cat([straight, alpha]))


def save_gif(pictures: list[Image.Image], path: str | Path, seconds: float = 3.0) -> None:
    """Write pictures of one size as an endless animation that takes `seconds`, with one palette of 255 colours.

    ArgumentError where there is no picture.
    """
    if not pictures:
        raise ArgumentError(f"{path} needs at least one picture.")
    width, height = pictures[0].size
    some = pictures[:: max(len(pictures) // 6, 1)]
    strip = Image.new("RGB", (width, height * len(some)))  # a palette of the first frame would miss the others' colours
    for k, picture in enumerate(some):
        strip.paste(picture, (0, k * height))
    palette = strip.quantize(255, dither=Image.Dither.NONE)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for picture in pictures]
    with storage.replacing(path) as file:
        frames[0].save(file, save_all=True, append_images=frames[1:], duration=1000 * seconds / len(frames), loop=0)
