"""ONNX's Resize: along each axis, every new pixel is a weighted sum of one, two or four old ones.

Coordinates as https://onnx.ai/onnx/operators/onnx__Resize.html defines them, over opsets 10 to 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...core.typed import added
from .onnx_step import Refused, Step, Value, checked_size, floats, ints

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "asymmetric",
    "align_corners",
    "tf_half_pixel_for_nn",
)
ROUNDINGS = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


@dataclass(frozen=True)
class Interpolation:
    """How new pixels are made of old ones, in ONNX's words. `slope` is the cubic's at distance 1."""

    mode: str
    coordinates: str
    rounding: str
    slope: float = -0.75
    exclude: bool = False


def resize(step: Step, x: Tensor, *given: Value | None) -> Tensor:
    """Resize; before operator set 11 by scales alone, from the corners."""
    if step.opset < 11:
        return upsample(step, x, *given)
    if step.get("antialias", 0):
        raise Refused("it filters as it shrinks (antialias=1), which is not known")
    _, scales, sizes = [*given, None, None, None][:3]
    axes = step.axes(())
    axes = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes]
    if sizes is not None and len(ints(sizes)):
        targets = ints(sizes)
        ratios = [target / x.shape[axis] for axis, target in zip(axes, targets, strict=True)]
        policy = step.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratios = [min(ratios) if policy == "not_larger" else max(ratios)] * len(axes)
            targets = [math.floor(ratio * x.shape[axis] + 0.5) for axis, ratio in zip(axes, ratios, strict=True)]
    elif scales is not None and len(floats(scales)):
        ratios = floats(scales)
        targets = [math.floor(x.shape[axis] * ratio) for axis, ratio in zip(axes, ratios, strict=True)]
    else:
        raise Refused("it says neither scales nor sizes")
    how = Interpolation(
        step.word("mode", "nearest", MODES),
        step.word("coordinate_transformation_mode", "half_pixel", COORDINATES),
        step.word("nearest_mode", "round_prefer_floor", tuple(ROUNDINGS)),
        step.get("cubic_coeff_a", -0.75),
        bool(step.get("exclude_outside", 0)),
    )
    return _along(x, list(zip(axes, targets, ratios, strict=True)), how)


def upsample(step: Step, x: Tensor, *given: Value | None) -> Tensor:
    """Upsample, which Resize was until operator set 10."""
    scales = floats(given[0]) if given and given[0] is not None else step.get("scales")
    sizes = [math.floor(side * scale) for side, scale in zip(x.shape, scales, strict=True)]
    mode = step.word("mode", "nearest", MODES[:2])
    return _along(x, list(zip(range(x.ndim), sizes, scales, strict=True)), Interpolation(mode, "asymmetric", "floor"))


def _along(x: Tensor, sides: Sequence[tuple[int, int, float]], how: Interpolation) -> Tensor:
    """`sides` are axes, their new sizes, and how many new pixels an old one makes."""
    shape = list(x.shape)
    for axis, size, _ in sides:
        shape[axis] = size
    checked_size(shape)
    for axis, size, scale in sides:
        if size == x.shape[axis] and scale == 1:
            continue
        places, weights = _taps(x.shape[axis], size, scale, how)
        parts = []
        for place, weight in zip(places, weights, strict=True):
            part = x.index_select(axis, torch.as_tensor(place, device=x.device))
            if how.mode != "nearest":
                part = part * torch.as_tensor(weight).to(x).reshape(-1, *[1] * (x.ndim - 1 - axis))
            parts.append(part)
        x = added(parts)
    return x


def _taps(old: int, new: int, scale: float, how: Interpolation) -> tuple[np.ndarray, np.ndarray]:
    """Of every new pixel, the old ones that make it up, (taps, new), and their weights."""
    if how.mode == "nearest":
        # as precise as the scales in the file, and no more: what is meant to be half a pixel must not fall short of it
        at = _sources(old, np.arange(new, dtype=np.float32), scale, how.coordinates)
        return ROUNDINGS[how.rounding](at).clip(0, old - 1).astype(np.int64)[None], np.ones((1, new))
    at = _sources(old, np.arange(new, dtype=np.float64), scale, how.coordinates)
    first = np.floor(at)
    slope = how.slope
    t = at - first
    if how.mode == "linear":
        offsets, weights = np.array([0, 1]), np.stack([1 - t, t])
    else:  # Keys 1981: weights of the four pixels around, with the slope a at distance 1
        offsets = np.array([-1, 0, 1, 2])
        d = np.abs(t - offsets[:, None])
        near = ((slope + 2) * d - (slope + 3)) * d * d + 1
        far = ((slope * d - 5 * slope) * d + 8 * slope) * d - 4 * slope
        weights = np.where(d <= 1, near, far)
    places = first + offsets[:, None]
    if how.exclude:
        weights = weights * ((places >= 0) & (places < old))
        weights = weights / weights.sum(0)
    return places.clip(0, old - 1).astype(np.int64), weights


def _sources(old: int, pixel: np.ndarray, scale: float, coordinates: str) -> np.ndarray:
    """Where new pixels lie among the old ones, whose centres are whole numbers."""
    new = len(pixel)
    if coordinates == "align_corners":
        return pixel * ((old - 1) / (new - 1)) if new > 1 else np.zeros(new)
    if coordinates == "asymmetric":
        return pixel / scale
    if coordinates == "tf_half_pixel_for_nn":
        return (pixel + 0.5) / scale
    if coordinates == "pytorch_half_pixel" and new == 1:
        return np.zeros(new)
    at = (pixel + 0.5) / scale - 0.5
    if coordinates == "half_pixel_symmetric":  # the picture's middle stays in the middle
        at += old / 2 * (1 - new / (scale * old))
    return at
