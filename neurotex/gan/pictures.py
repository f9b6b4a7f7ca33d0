"""Pictures for people: materials as they look under a lamp, and sheets of many images."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..errors import ArgumentError
from ..generators.protocol import as_texels
from ..shading import linear_to_srgb, metallic_roughness, srgb_to_linear

EYE = (0.0, 0.0, 1.0, 0.0)  # straight above, far away
LIGHTS, INTENSITIES = ((-1.0, 1.0, 1.4, 0.0),), ((3.0, 3.0, 3.0),)  # from the upper left
AMBIENT = (0.35, 0.35, 0.35)  # white that faces the viewer comes to about 1


@torch.no_grad()
def picture(materials: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n 3 h w"]:
    """Materials in [-1, 1], lit: sRGB-encoded, in [0, 1]. Channels are base colour, normal, roughness and, of seven,
    metallic."""
    n, channels, h, w = materials.shape
    texels = materials.float().movedim(1, 3).reshape(-1, channels)
    x, y = texels[:, 3], texels[:, 4]
    normal = torch.stack([x, y, (1 - x * x - y * y).clamp(min=0).sqrt()], 1)
    flat = torch.zeros_like(normal)
    radiance = metallic_roughness(
        srgb_to_linear(as_texels(texels[:, :3]).clamp(0, 1)),
        as_texels(texels[:, 5]).clamp(0, 1),
        as_texels(texels[:, 6]).clamp(0, 1) if channels > 6 else flat[:, 0],
        normal,
        flat,
        *(texels.new_tensor(values) for values in (EYE, LIGHTS, INTENSITIES, AMBIENT)),
    )
    return linear_to_srgb(radiance.clamp(0, 1)).view(n, h, w, 3).movedim(3, 1)


def sheet(images: Float[Tensor, "n 3 h w"], columns: int) -> Image.Image:
    """Images in [0, 1] side by side, row by row; what is left of the last row is black.

    A row has `columns` of them. ArgumentError for none.
    """
    if columns < 1 or len(images) < 1:
        raise ArgumentError(f"a sheet has 1 image and 1 column or more, not {len(images)} and {columns}.")
    n, _, h, w = images.shape
    rows = -(-n // columns)
    pixels = np.zeros((rows, h, columns, w, 3), np.uint8)
    values = (images.detach().float().clamp(0, 1) * 255).round().byte().movedim(1, 3).cpu().numpy()
    for i, value in enumerate(values):
        pixels[i // columns, :, i % columns] = value
    return Image.fromarray(pixels.reshape(rows * h, columns * w, 3))
