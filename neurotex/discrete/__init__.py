"""Discrete steps: what happens (a step) times how the gradient crosses it (an estimator)."""

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
from .short_forms import STEPS, parse
from .step import Categorical, Step
from .threshold import Threshold
from .visibility import Visibility

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
