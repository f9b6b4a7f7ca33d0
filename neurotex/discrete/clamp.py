"""Clamping that an optimiser can come back from."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.op import reverse_only


def clamp(x: Float[Tensor, "*shape"], low: float = 0.0, high: float = 1.0) -> Float[Tensor, "*shape"]:
    """Clamp to [`low`, `high`] whose gradient still passes where a descent step would lead back inside.

    torch's own clamp is dead outside: a parameter that oversteps the border once would stay there for good.
    """
    return (_Compiled if torch.compiler.is_compiling() else _Clamp).apply(x, low, high)


class _Clamp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        excess = inputs[0] - output  # above 0 beyond the high end, below 0 beyond the low end, else 0
        ctx.save_for_backward(excess)
        ctx.save_for_forward(excess)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        (excess,) = ctx.saved_tensors
        return torch.where(excess * grad < 0, 0, grad), None, None  # a step goes against the gradient

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_: None) -> Tensor:
        (excess,) = ctx.saved_tensors
        return torch.where(excess * tangent > 0, 0, tangent)


_Compiled = reverse_only(_Clamp)
