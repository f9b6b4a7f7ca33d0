"""A smooth function in the step's place."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ArgumentError
from .common import check_temperature
from .protocol import Smooth


class Surrogate:
    """The step's smooth relative in its place, forward and backward. Exact in the limit `temperature` → 0.

    The temperature is in units of the step's own decision variable (said by each step) and may be changed at any
    time. The picture in the loop is then not the one that is exported; `module.eval()` shows that one.
    """

    def __init__(self, temperature: float = 0.1):
        self.temperature = check_temperature(temperature)

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that define `soft`. ArgumentError for a `step` of another kind."""
        if not hasattr(step, "soft"):
            raise ArgumentError(f"{type(step).__name__} has no smooth surrogate: use 'straight_through'.")

    def __call__(self, step: Smooth, x: Tensor) -> Tensor:
        return step.soft(x, self.temperature)

    def __repr__(self) -> str:
        return f"Surrogate(temperature={self.temperature:g})"
