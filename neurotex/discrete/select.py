"""One of several materials at each texel."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from .step import Categorical


class Select(Categorical):
    """Logits (N, K, H, W) of K materials to weights of that shape: 1 for the largest, the first of equals, else 0.

    Weights w_k mix textures: Σ_k w_k texture_k.
    """

    domain = None

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The materials, scored by their logits."""
        return x, lambda weights: weights
