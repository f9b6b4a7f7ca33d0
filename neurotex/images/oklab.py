"""OKLab, where equal distances look about equally large (Ottosson 2020, https://bottosson.github.io/posts/oklab/)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .colour import linear_to_srgb, srgb_to_linear

# linear sRGB → cones' responses; their cube roots → OKLab
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
# and their inverses, as Ottosson has rounded them
_FROM_LAB = ((1, 0.3963377774, 0.2158037573), (1, -0.1055613458, -0.0638541728), (1, -0.0894841775, -1.2914855480))
_FROM_LMS = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)


def srgb_to_oklab(images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 3 h w"]:
    """Encoded values in [0, 1] → lightness in [0, 1], and two of chroma within about ±0.3.

    Cones' responses are kept above 10⁻⁶, below what 8 bits tell apart, where the cube root has no derivative.
    """
    linear = srgb_to_linear(images)
    responses = torch.einsum("ij,njhw->nihw", linear.new_tensor(_TO_LMS), linear).clamp_min(1e-6)
    return torch.einsum("ij,njhw->nihw", linear.new_tensor(_TO_LAB), (responses.log() / 3).exp())


def oklab_to_srgb(lab: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Lightness and two of chroma → sRGB-encoded in [0, 1], clipped to what sRGB holds."""
    roots = lab @ lab.new_tensor(_FROM_LAB).T
    return linear_to_srgb((roots**3 @ lab.new_tensor(_FROM_LMS).T).clamp(0, 1)).clamp(0, 1)
