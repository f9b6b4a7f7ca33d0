"""The shape of a discrete step: what it does (`hard`, `soft`) apart from how a gradient crosses it."""

from __future__ import annotations

from torch import Tensor, nn

from .estimators import make_estimator


class Step(nn.Module):
    """Base of all steps on textures (N, C, H, W) in [0, 1].

    In training mode the estimator decides; in `eval()` mode the output is always the exact one that ships.
    """

    domain: tuple[float, float] | None = (0.0, 1.0)

    def __init__(self, estimator: str | object = "straight_through"):
        super().__init__()
        self.estimator = make_estimator(estimator, self)

    def hard(self, x: Tensor) -> Tensor:
        """The exact step."""
        raise NotImplementedError

    def calibrate(self, x: Tensor) -> None:
        """Set whatever the step learns from data to suit the texture `x`. Nothing, for most steps."""

    def forward(self, x: Tensor) -> Tensor:
        return self.estimator(self, x) if self.training else self.hard(x)

    def extra_repr(self) -> str:
        return type(self.estimator).__name__
