"""What estimators are, and what they ask of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

# checkable, for the checks of annotations in the test run


@runtime_checkable
class Estimator(Protocol):
    """How a gradient crosses a step: `check` raises ArgumentError for steps that it makes no sense for."""

    def check(self, step: torch.nn.Module) -> None: ...

    def __call__(self, step: Any, x: Tensor) -> Tensor: ...


@runtime_checkable
class Tempered(Estimator, Protocol):
    """An estimator that is the smoother the higher its temperature, above 0."""

    temperature: float


@runtime_checkable
class Exact(Protocol):
    """A step, as all are: its exact output."""

    def hard(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class Smooth(Exact, Protocol):
    """A step with a smooth relative, that tends to `hard` as the temperature falls to 0."""

    def soft(self, x: Tensor, temperature: float) -> Tensor: ...


@runtime_checkable
class Bounded(Exact, Protocol):
    """A step with an interval outside of which x has no effect."""

    domain: tuple[float, float]


@runtime_checkable
class Coded(Protocol):
    """A step that picks one of several codes: see `neurotex.discrete.step.Categorical`."""

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]: ...
