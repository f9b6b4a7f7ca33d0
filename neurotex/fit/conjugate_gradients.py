"""Conjugate gradients: large systems of equations, of which nothing is known but products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


@torch.no_grad()
def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    right: Float[Tensor, "n columns"],
    start: Float[Tensor, "n columns"],
    diagonal: Float[Tensor, "n columns2"] | None = None,
    iterations: int = 100,
    accuracy: float = 0.0,
) -> Float[Tensor, "n columns"]:
    """x with A x = `right`, each column by itself (Hestenes and Stiefel 1952), from `start` on.

    `product(x)` is A x, A symmetric and positive. `diagonal`, above 0, is something like A that is quickly inverted
    (the preconditioner). It ends after `iterations`, or once all residuals are `accuracy` times as long as at first.
    """
    tiny = torch.finfo(right.dtype).tiny
    x, residual = start, right - product(start)
    scaled = residual if diagonal is None else residual / diagonal
    direction, energy = scaled, (residual * scaled).sum(0)
    goal = accuracy**2 * energy
    for _ in range(iterations):
        if accuracy and bool((energy <= goal).all()):
            break
        image = product(direction)
        step = energy / (direction * image).sum(0).clamp_min(tiny)
        x, residual = x + step * direction, residual - step * image
        scaled = residual if diagonal is None else residual / diagonal
        before, energy = energy, (residual * scaled).sum(0)
        direction = scaled + energy / before.clamp_min(tiny) * direction
    return x
