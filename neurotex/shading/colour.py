"""The sRGB transfer function (IEC 61966-2-1), safe to differentiate everywhere.

A fit calls it on every texel and pixel of every step, and powers are its dearest arithmetic. So the derivative is
written down: it follows from the value itself, without a second power.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def srgb_to_linear(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light from sRGB-encoded values in [0, 1]; values outside continue smoothly above, linearly below 0."""
    return _Decode.apply(encoded)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sRGB-encoded values from linear light in [0, 1]; the inverse of `srgb_to_linear`."""
    return _Encode.apply(linear)


class _Power(torch.autograd.Function):
    """An elementwise y = f(x) with f'(x) given in terms of x and y by `slope`."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)


class _Decode(_Power):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        # below −0.055 the power is NaN, in the branch that is not taken; no gradient comes this way
        curve = (x * (1 / 1.055)).add_(0.055 / 1.055).pow_(2.4)
        return torch.where(x <= 0.04045, x / 12.92, curve)

    @staticmethod
    def slope(x: Tensor, y: Tensor) -> Tensor:
        # d/dx u^2.4 with u = (x + 0.055) / 1.055 is 2.4 u^1.4 / 1.055 = 2.4 y / (x + 0.055)
        return torch.where(x <= 0.04045, 1 / 12.92, y / (x * (1 / 2.4) + 0.055 / 2.4))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad * _Decode.slope(*ctx.saved_tensors)

    jvp = backward


class _Encode(_Power):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        curve = x.pow(1 / 2.4).mul_(1.055).sub_(0.055)
        return torch.where(x <= 0.0031308, x * 12.92, curve)

    @staticmethod
    def slope(x: Tensor, y: Tensor) -> Tensor:
        # d/dx 1.055 x^(1/2.4) = (y + 0.055) / (2.4 x)
        return torch.where(x <= 0.0031308, 12.92, (y * (1 / 2.4) + 0.055 / 2.4) / x.clamp_min(0.0031308))

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad * _Encode.slope(*ctx.saved_tensors)

    jvp = backward
