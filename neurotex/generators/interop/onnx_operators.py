"""ONNX's operators that compute each number by itself, reduce, or move numbers, as torch functions.

Semantics: https://onnx.ai/onnx/operators. Each function takes the step and the node's inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .onnx_step import Refused, Step, Value, checked_size, floats, ints, target_shape


def _one(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda step, x: function(step.tensor(x))


def _all(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator of several tensors that broadcast; numbers among them take the type of the first tensor."""

    def run(step: Step, *values: Value) -> Tensor:
        like = next((value for value in values if isinstance(value, Tensor) and value.is_floating_point()), step.like)
        return function(*(step.tensor(value, like) for value in values))

    return run


def _fold(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    return _all(lambda *parts: reduce(function, parts))


def _div(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _clip(step: Step, x: Tensor, *bounds: Value | None) -> Tensor:
    low, high = [*bounds, None, None][:2]
    low = step.get("min") if low is None else floats(low)[0]
    high = step.get("max") if high is None else floats(high)[0]
    return x if low is None and high is None else torch.clamp(x, low, high)


def _cast(step: Step, x: Value) -> Tensor:
    """To another type; to float32 means to the type that the run computes in, so a module may be made double."""
    dtype = step.dtype()
    return step.tensor(x).to(step.like.dtype if dtype == np.float32 else getattr(torch, dtype.name))


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def _softmax(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(step: Step, x: Tensor) -> Tensor:
        if step.opset >= 13:
            return function(x, step.get("axis", -1))
        axis = step.get("axis", 1) % x.ndim  # over all axes from this one on
        return function(x.flatten(axis), -1).reshape(x.shape)

    return run


def _gelu(step: Step, x: Tensor) -> Tensor:
    return F.gelu(x, approximate=step.word("approximate", "none", ("none", "tanh")))


def _reduction(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Over axes, over all where none are named; over none if the node says that this is meant."""

    def run(step: Step, x: Tensor, *axes: Value | None) -> Tensor:
        over = step.axes(axes)
        if not over and step.get("noop_with_empty_axes", 0):
            return x
        return function(x, over or list(range(x.ndim)), bool(step.get("keepdims", 1)))

    return run


def _prod(x: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keepdims)
    return x


def _length(x: Tensor, axes: list[int], keepdims: bool) -> Tensor:
    return x.square().sum(axes, keepdims).sqrt()


def _shape(step: Step, x: Value) -> np.ndarray:
    return np.array(x.shape, np.int64)[slice(step.get("start", 0), step.get("end"))]


def _reshape(step: Step, x: Tensor, *shape: Value) -> Tensor:
    return x.reshape(target_shape(step, x.shape, shape[0] if shape else np.array(step.get("shape"))))


def _flatten(step: Step, x: Tensor) -> Tensor:
    axis = step.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


def _transpose(step: Step, x: Tensor) -> Tensor:
    return x.permute(step.get("perm", tuple(range(x.ndim))[::-1]))


def _squeeze(step: Step, x: Tensor, *axes: Value | None) -> Tensor:
    over = step.axes(axes)
    over = [k for k, side in enumerate(x.shape) if side == 1] if over is None else [axis % x.ndim for axis in over]
    if any(x.shape[axis] != 1 for axis in over):
        raise Refused(f"it drops the axes {over} of a tensor of shape {tuple(x.shape)}")
    return x.reshape([side for k, side in enumerate(x.shape) if k not in over])


def _unsqueeze(step: Step, x: Tensor, *axes: Value | None) -> Tensor:
    over = step.axes(axes) or []
    for axis in sorted(axis % (x.ndim + len(over)) for axis in over):
        x = x.unsqueeze(axis)
    return x


def _concat(step: Step, *parts: Value) -> Tensor:
    return torch.cat([step.tensor(part) for part in parts], step.get("axis"))


def _slice(step: Step, x: Tensor, *given: Value | None) -> Tensor:
    for axis, piece in step.slices(x.ndim, given):
        kept = range(x.shape[axis])[piece]
        if kept.step > 0:
            x = x[(slice(None),) * axis + (piece,)]
        else:  # torch has no negative steps
            x = x.index_select(axis, torch.tensor(list(kept), dtype=torch.int64, device=x.device))
    return x


def _split(step: Step, x: Tensor, *sizes: Value | None) -> tuple[Tensor, ...]:
    axis = step.get("axis", 0)
    parts = step.axes(sizes, "split")
    if parts is None:
        count = step.get("num_outputs") or step.outputs
        parts = -(-x.shape[axis] // count)
    return x.split(parts, axis)


def _gather(step: Step, x: Tensor, index: Value) -> Tensor:
    axis = step.get("axis", 0) % x.ndim
    index = step.tensor(index).long()
    index = torch.where(index < 0, index + x.shape[axis], index)
    return x.index_select(axis, index.flatten()).reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _expand(step: Step, x: Tensor, shape: Value) -> Tensor:
    return x.expand(checked_size(torch.broadcast_shapes(x.shape, ints(shape))))


def _tile(step: Step, x: Tensor, repeats: Value) -> Tensor:
    counts = ints(repeats)
    checked_size([side * count for side, count in zip(x.shape, counts, strict=True)])
    return x.repeat(counts)


def _pad(step: Step, x: Tensor, *given: Value | None) -> Tensor:
    """Every mode but "constant" repeats what is there: the numbers' places are padded, then looked up."""
    number = given[1] if len(given) > 1 else None
    pads = step.axes(given, "pads")
    if pads is None:
        raise Refused("it does not say its pads")
    axes = step.axes(given[2:])
    axes = list(range(x.ndim)) if axes is None else [axis % x.ndim for axis in axes]
    before, after = pads[: len(axes)], pads[len(axes) :]
    sides = {axis: (a, b) for axis, a, b in zip(axes, before, after, strict=True)}
    checked_size([max(0, side + sum(sides.get(axis, (0, 0)))) for axis, side in enumerate(x.shape)])
    mode: Any = step.word("mode", "constant", ("constant", "reflect", "edge", "wrap"))
    if mode == "constant":
        value = step.get("value", 0.0) if number is None else floats(number)[0]
        flat = [side for axis in reversed(range(x.ndim)) for side in sides.get(axis, (0, 0))]
        return F.pad(x, flat, value=value)
    for axis, (a, b) in sides.items():
        if (a, b) != (0, 0):
            places = np.pad(np.arange(x.shape[axis]), (max(a, 0), max(b, 0)), mode)
            places = places[max(-a, 0) : len(places) - max(-b, 0)]
            x = x.index_select(axis, torch.as_tensor(places, device=x.device))
    return x


def _depth_to_space(step: Step, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = step.get("blocksize")
    if step.word("mode", "DCR", ("DCR", "CRD")) == "CRD":
        return F.pixel_shuffle(x, b)
    return x.reshape(n, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // b**2, h * b, w * b)


def _space_to_depth(step: Step, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = step.get("blocksize")
    return x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(n, c * b**2, h // b, w // b)


OPERATORS: dict[str, Callable] = {
    "Abs": _one(torch.abs),
    "Add": _all(torch.add),
    "And": _all(torch.logical_and),
    "Atan": _one(torch.atan),
    "Cast": _cast,
    "Ceil": _one(torch.ceil),
    "Clip": _clip,
    "Concat": _concat,
    "Cos": _one(torch.cos),
    "DepthToSpace": _depth_to_space,
    "Div": _all(_div),
    "Dropout": lambda step, x, *_: x,
    "Elu": lambda step, x: torch.where(x < 0, step.get("alpha", 1.0) * torch.expm1(x.clamp(max=0)), x),
    "Equal": _all(torch.eq),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _one(torch.floor),
    "Gather": _gather,
    "Gelu": _gelu,
    "Greater": _all(torch.gt),
    "GreaterOrEqual": _all(torch.ge),
    "HardSigmoid": lambda step, x: (step.get("alpha", 0.2) * x + step.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": _one(F.hardswish),
    "Identity": lambda step, x: x,
    "LeakyRelu": lambda step, x: F.leaky_relu(x, step.get("alpha", 0.01)),
    "Less": _all(torch.lt),
    "LessOrEqual": _all(torch.le),
    "Log": _one(torch.log),
    "LogSoftmax": _softmax(torch.log_softmax),
    "Max": _fold(torch.maximum),
    "Mean": _all(lambda *parts: reduce(torch.add, parts) / len(parts)),
    "Min": _fold(torch.minimum),
    "Mish": _one(F.mish),
    "Mul": _all(torch.mul),
    "Neg": _one(torch.neg),
    "Not": _one(torch.logical_not),
    "Or": _all(torch.logical_or),
    "PRelu": _all(_prelu),
    "Pad": _pad,
    "Pow": _all(torch.pow),
    "Reciprocal": _one(torch.reciprocal),
    "ReduceL1": _reduction(lambda x, axes, keepdims: x.abs().sum(axes, keepdims)),
    "ReduceL2": _reduction(_length),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceProd": _reduction(_prod),
    "ReduceSum": _reduction(torch.sum),
    "ReduceSumSquare": _reduction(lambda x, axes, keepdims: x.square().sum(axes, keepdims)),
    "Relu": _one(torch.relu),
    "Reshape": _reshape,
    "Round": _one(torch.round),
    "Selu": lambda step, x: (
        step.get("gamma", 1.0507009873554805)
        * torch.where(x < 0, step.get("alpha", 1.6732632423543772) * torch.expm1(x.clamp(max=0)), x)
    ),
    "Shape": _shape,
    "Sigmoid": _one(torch.sigmoid),
    "Sign": _one(torch.sign),
    "Sin": _one(torch.sin),
    "Size": lambda step, x: np.array(math.prod(x.shape)),
    "Slice": _slice,
    "Softmax": _softmax(torch.softmax),
    "Softplus": _one(F.softplus),
    "Softsign": _one(F.softsign),
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _all(torch.sub),
    "Sum": _fold(torch.add),
    "Tan": _one(torch.tan),
    "Tanh": _one(torch.tanh),
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _all(lambda condition, a, b: torch.where(condition.bool(), a, b)),
}
