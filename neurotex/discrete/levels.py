"""Bit depth: evenly spaced levels."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import ArgumentError
from ..images.colour import linear_to_srgb, srgb_to_linear
from ..images.png import png
from .estimators import Estimator
from .step import Categorical

AROUND = 5  # levels that are worth considering: beyond two steps, exp(−distance²) is next to nothing


class Levels(Categorical):
    """Round each channel to the nearest of `levels` values evenly spaced over [0, 1], both ends included.

    Even in the sRGB-encoded values, as files count; with `linear`, in linear light: decoded, rounded, encoded again.
    The output is what a file keeps of a level: the nearest multiple of 1/255, or of 1/65535 for more than 256 levels.
    ArgumentError unless there are from 2 to 65536 levels.
    """

    def __init__(self, levels: int, estimator: str | Estimator = "straight_through", *, linear: bool = False):
        super().__init__(estimator)
        if levels < 2:
            raise ArgumentError(f"levels:{levels} leaves nothing to see: ask for at least 2 levels.")
        if levels > 1 << 16:
            raise ArgumentError(f"levels:{levels} is more than a picture file keeps: ask for at most {1 << 16}.")
        self.levels = levels
        self.linear = linear
        self.depth = 255 if levels <= 256 else 65535

    @property
    def spacing(self) -> float:
        """From one level to the next."""
        return 1 / (self.levels - 1)

    @classmethod
    def bits(cls, bits: int, estimator: str | Estimator = "straight_through") -> Levels:
        """2^bits levels: `Levels.bits(8)` is what an 8-bit image file keeps."""
        return cls(2**bits, estimator)

    def place(self, x: Tensor) -> Tensor:
        """Where x lies among the levels, in steps between them: from 0 to levels − 1."""
        x = x.clamp(0, 1)
        return (srgb_to_linear(x) if self.linear else x) * (self.levels - 1)

    def value(self, number: Tensor) -> Tensor:
        """The level of this number, a float from 0 to levels − 1, as a file keeps it."""
        last = self.levels - 1
        # whole numbers divide exactly where half a step is left, in every precision
        code = linear_to_srgb(number / last) * self.depth if self.linear else number * self.depth / last
        return code.round() / self.depth

    def hard(self, x: Tensor) -> Tensor:
        return self.value(self.place(x).round())

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The levels around, at most `AROUND`, scored by −distance², in squared steps between levels."""
        place = self.place(x)
        count = min(self.levels, AROUND)
        first = (place.detach().round() - count // 2).clamp(0, self.levels - count)
        level = first[:, None] + torch.arange(count, dtype=x.dtype, device=x.device).view(1, -1, *[1] * (x.ndim - 1))
        return -(place[:, None] - level).square(), lambda weights: (weights * self.value(level)).sum(1)

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A smooth staircase that meets the levels; see `smooth_step`. Temperature in steps between levels.

        The identity as temperature → ∞, but for the levels' own rounding.
        """
        place = self.place(x)
        low = place.detach().floor().clamp_max(self.levels - 2)
        rise = smooth_step(place - low, temperature)
        low, high = self.value(low), self.value(low + 1)
        if self.linear:
            low, high = srgb_to_linear(low), srgb_to_linear(high)
        mean = low + (high - low) * rise
        return linear_to_srgb(mean) if self.linear else mean

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """A PNG file of `hard(x)`, 8 bits; of more than 256 levels 16 bits, for one channel."""
        return png(self.hard(x), self.depth), ".png"

    def extra_repr(self) -> str:
        return f"{self.levels}{', linear' if self.linear else ''}, {super().extra_repr()}"


def smooth_step(fraction: Tensor, temperature: float) -> Tensor:
    """From 0 at 0 to 1 at 1, steepest between: tanh((fraction − ½) / 2T) / tanh(1 / 4T), from [−1, 1] to [0, 1].

    One after the other they make a staircase, once continuously differentiable: that of rounding as T → 0, a straight
    line as T → ∞.
    """
    temperature = min(max(temperature, 1e-9), 1e4)  # beyond, rounding leaves 0 / 0
    return (torch.tanh((fraction - 0.5) / (2 * temperature)) / math.tanh(0.25 / temperature) + 1) / 2


def staircase(x: Tensor, temperature: float) -> Tensor:
    """Rounding to whole numbers, smoothly: `smooth_step` from each to the next. The identity as T → ∞."""
    low = x.detach().floor()
    return low + smooth_step(x - low, temperature)
