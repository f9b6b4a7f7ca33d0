"""The sRGB transfer function (IEC 61966-2-1) on [0, 1], for steps that measure in linear light."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def decode(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light from sRGB-encoded values. Differentiable."""
    # the branch that is not taken must have a finite derivative, too
    power = ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(encoded <= 0.04045, encoded / 12.92, power)


def encode(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sRGB-encoded values from linear light; the inverse of `decode`. Differentiable."""
    power = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, power)
