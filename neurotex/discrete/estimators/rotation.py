"""A vector is replaced by its code; the gradient turns with it."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ArgumentError
from .common import carry, check_same_shape
from .protocol import Exact

BLACK = 1e-3  # shorter vectors, a quarter of an 8-bit step, have no direction


class Rotation:
    """The rotation trick (Fifty et al. 2024, arXiv:2410.06424).

    A texel e becomes its code q by a rotation and a scaling, q = λ R e, both taken as constants: the gradient of e is
    λ Rᵀ times that of q, which keeps angles between gradient and vector where straight-through keeps the gradient. R
    turns within the plane of e and q: R = I − 2 r rᵀ + 2 q̂ êᵀ, r = (ê + q̂) / |ê + q̂|, and λ = |q| / |e|. Where e or q
    is black, there is nothing to turn: the gradient passes straight through.
    """

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that replace a texel's channels together. ArgumentError for a `step` of another kind."""
        check_same_shape(step)
        if not getattr(step, "vectors", False):
            raise ArgumentError(
                f"{type(step).__name__} changes each channel by itself, and a number cannot be rotated: use "
                "'straight_through'."
            )

    def __call__(self, step: Exact, x: Tensor) -> Tensor:
        value = step.hard(x.detach())
        e, q = x.detach(), value.detach()
        e_length, q_length = (v.norm(dim=1, keepdim=True) for v in (e, q))
        turns = (e_length > BLACK) & (q_length > BLACK) & e_length.isfinite()
        e_unit, q_unit = (torch.where(turns, v / length, 0) for v, length in ((e, e_length), (q, q_length)))
        scale = torch.where(turns, q_length / e_length, 1)
        half = e_unit + q_unit
        half = half / half.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)  # 0 stays 0
        turned = x - 2 * half * _dot(half, x) + 2 * q_unit * _dot(e_unit, x)
        return carry(value, scale * turned)

    def __repr__(self) -> str:
        return "Rotation()"


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)
