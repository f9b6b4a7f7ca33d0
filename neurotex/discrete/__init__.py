"""Discrete steps: what happens (a step) times how the gradient crosses it (an estimator)."""

from ..errors import ArgumentError
from .estimators import (
    ESTIMATORS,
    ClippedStraightThrough,
    StraightThrough,
    Surrogate,
    clamp,
    find_estimator,
    make_estimator,
)
from .levels import Levels
from .palette import Palette
from .step import Step
from .threshold import Threshold

STEPS = {"levels": (Levels, int, "8"), "threshold": (Threshold, float, "0.5"), "palette": (Palette, int, "16")}


def parse(text: str, estimator: str = "straight_through") -> Step:
    """A step from its short form, `name:number`: "levels:8", "palette:16", "threshold:0.5"."""
    name, _, number = text.partition(":")
    if name not in STEPS:
        raise ArgumentError(f"there is no step '{name}': choose one of {', '.join(STEPS)}, written as levels:8.")
    make, kind, example = STEPS[name]
    try:
        value = kind(number)
    except ValueError:
        raise ArgumentError(f"'{text}' is not a step: write {name}:NUMBER, as in {name}:{example}.") from None
    return make(value, estimator)


__all__ = [
    "ESTIMATORS",
    "STEPS",
    "ClippedStraightThrough",
    "Levels",
    "Palette",
    "Step",
    "StraightThrough",
    "Surrogate",
    "Threshold",
    "clamp",
    "find_estimator",
    "make_estimator",
    "parse",
]
