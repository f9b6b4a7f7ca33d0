"""Bit depth: evenly spaced levels."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ArgumentError
from .step import Step


class Levels(Step):
    """Round each channel to the nearest of `levels` values evenly spaced over [0, 1], both ends included."""

    def __init__(self, levels: int, estimator: str | object = "straight_through"):
        super().__init__(estimator)
        if levels < 2:
            raise ArgumentError(f"levels:{levels} leaves nothing to see: ask for at least 2 levels.")
        self.levels = levels

    @classmethod
    def bits(cls, bits: int, estimator: str | object = "straight_through") -> Levels:
        """2^bits levels: `Levels.bits(8)` is what an 8-bit image file keeps."""
        return cls(2**bits, estimator)

    def hard(self, x: Tensor) -> Tensor:
        return (x.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A smooth staircase: between two levels a tanh, scaled to meet them. Temperature in steps between levels.

        Once continuously differentiable; the identity as temperature → ∞.
        """
        place = x.clamp(0, 1) * (self.levels - 1)
        low = place.detach().floor().clamp_max(self.levels - 2)
        scale = torch.tanh(torch.tensor(0.25 / temperature, dtype=x.dtype, device=x.device))
        rise = torch.tanh((place - low - 0.5) / (2 * temperature)) / scale
        return (low + (rise + 1) / 2) / (self.levels - 1)

    def extra_repr(self) -> str:
        return f"{self.levels}, {super().extra_repr()}"
