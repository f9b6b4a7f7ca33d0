"""The shape of a discrete step: what it does, apart from how a gradient crosses it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..core.precision import uncast, widened
from ..errors import ArgumentError
from .estimators import Estimator, make_estimator
from .estimators.common import logits


class Step(nn.Module):
    """Base of all steps on textures (N, C, H, W) in [0, 1].

    A subclass says what it does exactly (`hard`) and, where it can, gives estimators more to go by:

    - `soft(x, temperature)`: a smooth function of x that tends to `hard` as the temperature falls to 0.
    - `domain`: the interval outside of which x has no effect; None where there is no such interval.
    - `vectors`: whether a texel's channels are replaced together, as one vector.
    - `unit`: the temperature at which neighbouring codes are hardly told apart; a fit's temperatures count in it.
    - `tile`: the side of the squares, from the top left, in which texels share codes; None where that is not so.
    - `dimensions`: how many x has; None for a step that does not mind.
    - `spacing`: how far neighbouring codes lie apart in x, roughly; a fit's rates count in it.

    In training mode the estimator decides; in `eval()` mode the output is always the exact one, which is exported. It
    has the precision of x, but float32 for half precision, and autocast does not matter.
    """

    domain: tuple[float, float] | None = (0.0, 1.0)
    vectors = False
    unit = 1.0
    spacing = 0.1
    tile: int | None = None
    dimensions: int | None = None

    def __init__(self, estimator: str | Estimator = "straight_through"):
        super().__init__()
        self.estimator = make_estimator(estimator, self)

    def hard(self, x: Tensor) -> Tensor:
        """The exact step."""
        raise NotImplementedError

    def calibrate(self, x: Tensor) -> None:
        """Set whatever the step learns from data to suit the texture `x`. Nothing, for most steps."""

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        x = widened(x)  # codes lie closer than half precision tells apart, and so do they in what comes out
        with uncast(x.device):
            return self.estimator(self, x) if self.training else self.hard(x)

    def _check(self, x: Tensor) -> None:
        name = type(self).__name__
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ArgumentError(f"{name} takes a tensor of floats, not a {kind}.")
        if self.dimensions is not None and (x.ndim != self.dimensions or 0 in x.shape):
            raise ArgumentError(f"{name} takes textures (N, C, H, W) with texels in them, not {tuple(x.shape)}.")

    def extra_repr(self) -> str:
        return repr(self.estimator)


class Categorical(Step):
    """A step that picks one of several codes, independently at every place (a texel, or a channel of one).

    `options` gives scores of the K codes in question, (N, K, *places), so that the one `hard` picks has the largest,
    and what makes a texture of weights of that shape, which sum to 1 over K: it is linear, and a one-hot row gives that
    code. Probabilities at a temperature T are softmax(scores / T): all estimators that draw codes or average them mean
    these. Of many codes only the likeliest need be in question.
    """

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Scores of the codes, in units that the step says, and the function from weights to a texture."""
        raise NotImplementedError

    def hard(self, x: Tensor) -> Tensor:
        scores, mix = self.options(x)
        return mix(torch.zeros_like(scores).scatter(1, scores.argmax(1, keepdim=True), 1.0))

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """The mean of the codes at this temperature, in units of the scores."""
        scores, mix = self.options(x)
        return mix(logits(scores, temperature).softmax(1))
