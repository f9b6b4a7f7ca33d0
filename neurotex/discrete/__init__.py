"""Discrete steps: what happens (a step) times how the gradient crosses it (an estimator)."""

from collections.abc import Callable

from ..errors import ArgumentError
from .black_box import BlackBox
from .blocks import BlockCompress, LeastSquares
from .clamp import clamp
from .dither import Dither
from .estimators import (
    ESTIMATORS,
    ClippedStraightThrough,
    Estimator,
    Gumbel,
    Perturbation,
    ReinMax,
    Rotation,
    ScoreFunction,
    StraightThrough,
    Surrogate,
    SurrogateGradient,
    expected_loss,
    find_estimator,
    log_probabilities,
    make_estimator,
    score_function_loss,
)
from .jpeg import Jpeg
from .levels import Levels
from .nearest import MipLevel, Nearest
from .palette import Palette
from .select import Select
from .step import Categorical, Step
from .threshold import Threshold
from .visibility import Visibility


def _dither(method: str) -> Callable[..., Step]:
    return lambda levels, estimator: Dither(levels, method, estimator=estimator)


STEPS: dict[str, tuple[Callable[..., Step], Callable, str]] = {
    "levels": (Levels, int, "8"),
    "threshold": (Threshold, float, "0.5"),
    "palette": (Palette, int, "16"),
    "floyd_steinberg": (_dither("floyd_steinberg"), int, "2"),
    "bayer": (_dither("bayer"), int, "2"),
    "blue_noise": (_dither("blue_noise"), int, "2"),
    "jpeg": (Jpeg, int, "75"),
    "blocks": (BlockCompress, str, "bc1"),
}


def parse(text: str, estimator: str = "straight_through") -> Step:
    """A step from its short form: "levels:8", "palette:16", "threshold:0.5", "bayer:2", "jpeg:75", "blocks:bc1".

    `text` is one of `STEPS`, a colon and its number. `estimator` is the name of one of `ESTIMATORS`. ArgumentError for
    what is not written so.
    """
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
    "BlackBox",
    "BlockCompress",
    "Categorical",
    "ClippedStraightThrough",
    "Dither",
    "Estimator",
    "Gumbel",
    "Jpeg",
    "LeastSquares",
    "Levels",
    "MipLevel",
    "Nearest",
    "Palette",
    "Perturbation",
    "ReinMax",
    "Rotation",
    "ScoreFunction",
    "Select",
    "Step",
    "StraightThrough",
    "Surrogate",
    "SurrogateGradient",
    "Threshold",
    "Visibility",
    "clamp",
    "expected_loss",
    "find_estimator",
    "log_probabilities",
    "make_estimator",
    "parse",
    "score_function_loss",
]
