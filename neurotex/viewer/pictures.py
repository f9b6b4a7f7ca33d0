"""Tensors as the arrays that a browser is sent."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..images.write import to_image
from ..renderers import on_background

WIDTH = 384  # pixels that a panel shows at most


def of_map(values: Float[Tensor, "c h w"]) -> np.ndarray:
    """A map of 1 to 4 channels in [0, 1] as (h, w, 3) uint8, fine ones averaged down to what a panel shows."""
    if values.shape[0] < 3:
        values = values[:1]
    factor = -(-values.shape[2] // WIDTH)
    if factor > 1:
        values = F.avg_pool2d(values[None], factor)[0]
    return np.asarray(to_image(values[:3].expand(3, -1, -1)))


def of_render(image: Float[Tensor, "4 h w"]) -> np.ndarray:
    """A linear image as (h, w, 3) uint8, over light grey."""
    return np.asarray(on_background(image, 0.8))
