"""Whole numbers that callers give: of pixels, samples, views."""

from __future__ import annotations

from numbers import Integral

from ..errors import ArgumentError


def is_count(value: object) -> bool:
    """Whether this is a whole number of at least 1: Python's or numpy's, but neither True nor 1.0."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def resolution(size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) from one number or two; ArgumentError unless they are whole and at least 1.

    `size` is in pixels.
    """
    pair = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(map(is_count, pair)):
        raise ArgumentError(f"an image size is one whole number or (height, width), at least 1, not {size!r}.")
    return int(pair[0]), int(pair[1])
