"""Codes drawn at random, with a relaxed draw for the gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from .common import carry, check_categorical, check_temperature, gumbel_noise, logits
from .protocol import Coded


class Gumbel:
    """Gumbel-softmax (Jang, Gu and Poole 2017, arXiv:1611.01144; Maddison et al. 2017, arXiv:1611.00712).

    Codes are drawn from softmax(scores / temperature), by torch's global generator, so that the draws become the exact
    step as the temperature falls to 0. The relaxed draw is softmax((scores / temperature + g) / relaxation), g standard
    Gumbel noise. With `hard` it only gives the gradient of the draw; else it stands in its place, a mixture of codes. A
    small `relaxation` has less bias and more noise: none in the limit if not `hard`, or for losses quadratic in the
    code. A `hard` draw keeps some bias for other losses.
    """

    def __init__(self, temperature: float = 0.1, relaxation: float = 1.0, hard: bool = True):
        self.temperature = check_temperature(temperature)
        self.relaxation = check_temperature(relaxation)
        self.hard = hard

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that pick one of a few codes."""
        check_categorical(self, step)

    def __call__(self, step: Coded, x: Tensor) -> Tensor:
        scores, mix = step.options(x)
        noisy = logits(scores, self.temperature)
        noisy = noisy + gumbel_noise(noisy)
        relaxed = logits(noisy, self.relaxation).softmax(1)
        if not self.hard:
            return mix(relaxed)
        code = torch.zeros_like(relaxed).scatter(1, noisy.argmax(1, keepdim=True), 1.0)
        return mix(carry(code, relaxed))

    def __repr__(self) -> str:
        kind = "" if self.hard else ", hard=False"
        return f"Gumbel(temperature={self.temperature:g}, relaxation={self.relaxation:g}{kind})"
