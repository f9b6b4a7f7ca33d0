"""The step forward, its smooth relative backward."""

from __future__ import annotations

from torch import Tensor

from .common import carry
from .protocol import Smooth
from .surrogate import Surrogate


class SurrogateGradient(Surrogate):
    """The exact step forward, its smooth relative's gradient backward (Neftci, Mostafa and Zenke 2019,
    arXiv:1901.09948).

    What is optimised is the picture that is exported, and what the gradient says is as biased as `temperature` is high.
    The step's own parameters get the smooth relative's gradient, too. For steps whose identity means nothing, such as
    `Visibility`, this takes the place of "straight_through".
    """

    def __call__(self, step: Smooth, x: Tensor) -> Tensor:
        return carry(step.hard(x).detach(), step.soft(x, self.temperature))

    def __repr__(self) -> str:
        return f"SurrogateGradient(temperature={self.temperature:g})"
