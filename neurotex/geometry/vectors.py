"""Directions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SHORTEST = 1e-15


def dot(a: Float[Tensor, "*n k"], b: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
    """Inner products along the last axis."""
    return (a * b).sum(-1)


def unit(
    vector: Float[Tensor, "*n 3"], fallback: Float[Tensor, "*n 3"] | None = None, shortest: float = SHORTEST
) -> Float[Tensor, "*n 3"]:
    """The direction of a vector; 0, or `fallback`, with the gradient 0 for vectors not longer than `shortest`."""
    squared = dot(vector, vector)
    found = squared > shortest * shortest
    direction = vector * squared.where(found, torch.inf).rsqrt()[..., None]
    return direction if fallback is None else torch.where(found[..., None], direction, fallback)
