"""Exact nearest neighbours among features, in chunks that need little memory."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

ROWS = 512


def radii(points: Float[Tensor, "n features"], k: int) -> Float[Tensor, "n"]:
    """Distance of each point to its k-th nearest other point."""
    return torch.cat([_distances(part, points).kthvalue(k + 1).values for part in points.split(ROWS)])


def precision(
    asked: Float[Tensor, "m features"], points: Float[Tensor, "n features"], radius: Float[Tensor, "n"]
) -> Float[Tensor, ""]:
    """The share of `asked` that lies within the ball of at least one of the points."""
    inside = [(_distances(part, points) <= radius).any(1) for part in asked.split(ROWS)]
    return torch.cat(inside).to(points.dtype).mean()


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # from differences: |a|² + |b|² − 2 a·b is faster, and not exactly zero for a point and itself
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
