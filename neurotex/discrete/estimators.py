"""How a gradient crosses a step that has none.

An estimator is called as `estimator(step, x)`. It sees two things of a step: `step.hard(x)`, the exact forward
function, and, where the step has one, `step.soft(x, temperature)`, a smooth function that tends to it as the
temperature falls to 0. A new estimator is a class with these two methods.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ArgumentError


class StraightThrough:
    """Forward exact, backward the identity (Bengio, Léonard and Courville 2013, arXiv:1308.3432)."""

    def check(self, step: torch.nn.Module) -> None:
        """Raise ArgumentError if this estimator makes no sense for `step`."""

    def __call__(self, step: torch.nn.Module, x: Tensor) -> Tensor:
        return _carry(step.hard(x.detach()), x)


class ClippedStraightThrough:
    """Straight-through inside the step's domain, no gradient outside (Hubara et al. 2016, arXiv:1602.02830).

    A value that has left the domain is not pushed any further, nor back.
    """

    def check(self, step: torch.nn.Module) -> None:
        """Every step with a bounded domain will do."""
        if getattr(step, "domain", None) is None:
            raise ArgumentError(f"{type(step).__name__} has no bounded domain to clip to: use 'straight_through'.")

    def __call__(self, step: torch.nn.Module, x: Tensor) -> Tensor:
        return _carry(step.hard(x.detach()), x.clamp(*step.domain))


class Surrogate:
    """The step's smooth relative in its place, forward and backward. Exact in the limit `temperature` → 0.

    The temperature is in units of the step's own decision variable (said by each step) and may be changed at any
    time. The picture in the loop is then not the one that ships; `module.eval()` shows that one.
    """

    def __init__(self, temperature: float = 0.1):
        if not temperature > 0:
            raise ArgumentError(f"a temperature is above 0, but this one is {temperature}.")
        self.temperature = temperature

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that define `soft`."""
        if not hasattr(step, "soft"):
            raise ArgumentError(f"{type(step).__name__} has no smooth surrogate: use 'straight_through'.")

    def __call__(self, step: torch.nn.Module, x: Tensor) -> Tensor:
        return step.soft(x, self.temperature)

    def __repr__(self) -> str:
        return f"Surrogate(temperature={self.temperature:g})"


ESTIMATORS = {"straight_through": StraightThrough, "clipped": ClippedStraightThrough, "surrogate": Surrogate}


def find_estimator(name: str) -> type:
    """The class of an estimator by its short name; ArgumentError for one that does not exist."""
    if name not in ESTIMATORS:
        raise ArgumentError(f"there is no estimator '{name}': choose one of {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]


def make_estimator(estimator: str | object, step: torch.nn.Module) -> object:
    """An estimator from its name (or itself), checked against the step it is for."""
    if isinstance(estimator, str):
        estimator = find_estimator(estimator)()
    estimator.check(step)
    return estimator


def _carry(value: Tensor, carrier: Tensor) -> Tensor:
    """`value`, to the bit, with `carrier`'s gradient added to its own (say, to the colours of a learned palette)."""
    return value + (carrier - carrier.detach())


def clamp(x: Float[Tensor, "*shape"], low: float = 0.0, high: float = 1.0) -> Float[Tensor, "*shape"]:
    """Clamp whose gradient still passes where a descent step would lead back inside.

    torch's own clamp is dead outside: a parameter that oversteps the border once would stay there for good.
    """
    return _Clamp.apply(x, low, high)


class _Clamp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, low: float, high: float) -> Tensor:
        return x.clamp(low, high)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        excess = inputs[0] - output  # above 0 beyond the high end, below 0 beyond the low end, else 0
        ctx.save_for_backward(excess)
        ctx.save_for_forward(excess)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        (excess,) = ctx.saved_tensors
        return torch.where(excess * grad < 0, 0, grad), None, None  # a step goes against the gradient

    @staticmethod
    def jvp(ctx, tangent: Tensor, *_: None) -> Tensor:
        (excess,) = ctx.saved_tensors
        return torch.where(excess * tangent > 0, 0, tangent)
