"""One bit: below or not."""

from __future__ import annotations

import math

from torch import Tensor

from ..errors import ArgumentError
from .step import Step


class Threshold(Step):
    """1 where x ≥ `value`, else 0: alpha cut-outs, two-tone prints."""

    def __init__(self, value: float = 0.5, estimator: str | object = "straight_through"):
        super().__init__(estimator)
        if not math.isfinite(value):
            raise ArgumentError(f"a threshold of {value} divides nothing: give a number, as in threshold:0.5.")
        self.value = value

    def hard(self, x: Tensor) -> Tensor:
        return (x >= self.value).to(x.dtype)

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A logistic curve around the threshold. Temperature in units of x."""
        return ((x - self.value) / temperature).sigmoid()

    def extra_repr(self) -> str:
        return f"{self.value:g}, {super().extra_repr()}"
