"""sRGB-encoded colours in OKLab, where equal distances look about equally large (Ottosson 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ...shading import srgb_to_linear

_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def srgb_to_oklab(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Encoded values in [0, 1] → lightness in [0, 1], and two of chroma within about ±0.3.

    Cones' responses are kept above 10⁻⁶, below what 8 bits tell apart, where the cube root has no derivative.
    """
    linear = srgb_to_linear(images)
    responses = torch.einsum("ij,njhw->nihw", linear.new_tensor(_TO_LMS), linear).clamp_min(1e-6)
    return torch.einsum("ij,njhw->nihw", linear.new_tensor(_TO_LAB), (responses.log() / 3).exp())
