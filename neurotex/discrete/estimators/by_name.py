"""All estimators by their names."""

from __future__ import annotations

import torch

from ...errors import ArgumentError
from .gumbel import Gumbel
from .perturbation import Perturbation
from .protocol import Estimator
from .reinmax import ReinMax
from .rotation import Rotation
from .score_function import ScoreFunction
from .straight_through import ClippedStraightThrough, StraightThrough
from .surrogate import Surrogate
from .surrogate_gradient import SurrogateGradient

ESTIMATORS: dict[str, type[Estimator]] = {
    "straight_through": StraightThrough,
    "clipped": ClippedStraightThrough,
    "surrogate": Surrogate,
    "surrogate_gradient": SurrogateGradient,
    "gumbel": Gumbel,
    "reinmax": ReinMax,
    "rotation": Rotation,
    "score_function": ScoreFunction,
    "perturbation": Perturbation,
}


def find_estimator(name: str) -> type[Estimator]:
    """The class of an estimator by its short name; ArgumentError for one that does not exist."""
    if name not in ESTIMATORS:
        raise ArgumentError(f"there is no estimator '{name}': choose one of {', '.join(ESTIMATORS)}.")
    return ESTIMATORS[name]


def make_estimator(estimator: str | Estimator, step: torch.nn.Module) -> Estimator:
    """An estimator from its name (or itself), checked against the step it is for."""
    if isinstance(estimator, str):
        estimator = find_estimator(estimator)()
    estimator.check(step)
    return estimator
