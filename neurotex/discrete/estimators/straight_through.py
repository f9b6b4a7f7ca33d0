"""The step forward, the identity backward."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ArgumentError
from .common import carry, check_same_shape
from .protocol import Bounded, Exact


class StraightThrough:
    """Forward exact, backward the identity (Bengio, Léonard and Courville 2013, arXiv:1308.3432). Biased, no variance.

    Takes every step that keeps the shape of its input.
    """

    def check(self, step: torch.nn.Module) -> None:
        """Every step will do that gives what it was given, changed."""
        check_same_shape(step)

    def __call__(self, step: Exact, x: Tensor) -> Tensor:
        return carry(step.hard(x.detach()), x)

    def __repr__(self) -> str:
        return "StraightThrough()"


class ClippedStraightThrough(StraightThrough):
    """Straight-through inside the step's domain, no gradient outside (Hubara et al. 2016, arXiv:1602.02830).

    A value that has left the domain is not pushed any further, nor back.
    """

    def check(self, step: torch.nn.Module) -> None:
        """Every step with a bounded domain will do. ArgumentError for a `step` of another kind."""
        super().check(step)
        if getattr(step, "domain", None) is None:
            raise ArgumentError(f"{type(step).__name__} has no bounded domain to clip to: use 'straight_through'.")

    def __call__(self, step: Bounded, x: Tensor) -> Tensor:
        return carry(step.hard(x.detach()), x.clamp(*step.domain))

    def __repr__(self) -> str:
        return "ClippedStraightThrough()"
