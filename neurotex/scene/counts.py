"""Whole numbers that callers give: of pixels, samples, views."""

from __future__ import annotations

from numbers import Integral


def is_count(value: object) -> bool:
    """Whether this is a whole number of at least 1: Python's or numpy's, but neither True nor 1.0."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1
