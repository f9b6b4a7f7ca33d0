"""Steps by their short forms, as the command line takes them: "palette:16"."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ArgumentError
from .blocks import BlockCompress
from .dither import Dither
from .jpeg import Jpeg
from .levels import Levels
from .palette import Palette
from .step import Step
from .threshold import Threshold


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
