"""What an ONNX graph computes about shapes: small arrays, held by numpy, never part of torch's graph.

Exporters write `x.view(len(x), -1)` as some ten operations on Shape. Their results are arguments of others, and so
must be numbers wherever the tensors are, and whatever torch traces. Each function takes the step and the inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .onnx_step import Step, checked_size, ints, target_shape


def _cast(step: Step, x: np.ndarray) -> np.ndarray:
    return x.astype(step.dtype())


def _div(step: Step, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.trunc(a / b).astype(a.dtype) if a.dtype.kind in "iu" else a / b)


def _mod(step: Step, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.fmod(a, b) if step.get("fmod", 0) else np.mod(a, b))


def _slice(step: Step, x: np.ndarray, *given: np.ndarray) -> np.ndarray:
    for axis, piece in step.slices(x.ndim, given):
        x = x[(slice(None),) * axis + (piece,)]
    return x


def _constant_of_shape(step: Step, shape: np.ndarray) -> np.ndarray:
    return np.broadcast_to(step.get("value", np.zeros(1, np.float32)).reshape(()), checked_size(ints(shape)))


def _expand(step: Step, x: np.ndarray, shape: np.ndarray) -> np.ndarray:
    sides = checked_size(np.broadcast_shapes(x.shape, tuple(ints(shape))))
    return np.broadcast_to(x, sides)


def _range(step: Step, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    checked_size([max(0, math.ceil((limit.item() - start.item()) / delta.item()))])
    return np.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _reduce(function: Callable) -> Callable:
    def reduced(step: Step, x: np.ndarray, *axes: np.ndarray) -> np.ndarray:
        over = step.axes(axes)
        over = None if over is None else tuple(over)
        return np.asarray(function(x, axis=over, keepdims=bool(step.get("keepdims", 1))))

    return reduced


def _squeeze(step: Step, x: np.ndarray, *axes: np.ndarray) -> np.ndarray:
    over = step.axes(axes)
    return np.squeeze(x, None if over is None else tuple(over))


def _plain(function: Callable) -> Callable:
    return lambda step, *arrays: function(*arrays)


NUMBERS: dict[str, Callable[..., np.ndarray]] = {
    "Add": _plain(np.add),
    "And": _plain(np.logical_and),
    "Cast": _cast,
    "Ceil": _plain(np.ceil),
    "Concat": lambda step, *parts: np.concatenate(parts, step.get("axis")),
    "ConstantOfShape": _constant_of_shape,
    "Div": _div,
    "Equal": _plain(np.equal),
    "Expand": _expand,
    "Floor": _plain(np.floor),
    "Gather": lambda step, x, index: np.take(x, index, step.get("axis", 0)),
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Identity": _plain(np.asarray),
    "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal),
    "Max": lambda step, *parts: np.maximum.reduce(np.broadcast_arrays(*parts)),
    "Min": lambda step, *parts: np.minimum.reduce(np.broadcast_arrays(*parts)),
    "Mod": _mod,
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "Not": _plain(np.logical_not),
    "Or": _plain(np.logical_or),
    "Range": _range,
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": lambda step, x, shape: x.reshape(target_shape(step, x.shape, shape)),
    "Slice": _slice,
    "Sqrt": _plain(np.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(np.subtract),
    "Transpose": lambda step, x: np.transpose(x, step.get("perm")),
    "Unsqueeze": lambda step, x, *axes: np.expand_dims(x, tuple(step.axes(axes))),
    "Where": _plain(np.where),
}
