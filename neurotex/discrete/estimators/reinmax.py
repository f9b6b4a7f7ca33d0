"""Codes drawn at random, with a gradient that is exact to second order."""

from __future__ import annotations

import torch
from torch import Tensor

from .common import carry, check_categorical, check_temperature, draw, logits
from .protocol import Coded


class ReinMax:
    """ReinMax (Liu et al. 2023, arXiv:2304.08612): straight-through by Heun's method instead of Euler's.

    With π = softmax(scores / temperature) and a draw D ~ π, the gradient of D is taken for that of 2 π₁ − π / 2, where
    π₁ is the softmax at the point whose value is (D + π) / 2. Exact in the mean for losses that are quadratic in the
    code at each place, given the others. Draws come from torch's global generator.
    """

    def __init__(self, temperature: float = 0.1):
        self.temperature = check_temperature(temperature)

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that pick one of a few codes. ArgumentError for a `step` of another kind."""
        check_categorical(self, step)

    def __call__(self, step: Coded, x: Tensor) -> Tensor:
        scores, mix = step.options(x)
        scores = logits(scores, self.temperature)
        probability = scores.detach().softmax(1)
        code = draw(scores.detach())
        middle = (code + probability) / 2
        return mix(carry(code, 2 * _tangent(middle, scores) - _tangent(probability, scores) / 2))

    def __repr__(self) -> str:
        return f"ReinMax(temperature={self.temperature:g})"


def _tangent(probability: Tensor, scores: Tensor) -> Tensor:
    """Linear in `scores`, with the derivative that a softmax has where it is `probability`: diag(π) − π πᵀ."""
    return probability * (scores - (probability * scores).sum(1, keepdim=True))
