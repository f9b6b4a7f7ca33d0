"""How an ONNX operator reads its arguments. What is an input in one operator set was an attribute in another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .onnx_files import TYPES

LARGEST = 2**29  # elements; a file that asks for more means harm

Value = Tensor | np.ndarray  # numbers about shapes are numpy's


class Refused(Exception):
    """Why a node cannot be computed; the caller adds where it is."""


@dataclass(frozen=True)
class Step:
    """One operation in one run. `like` is the latent, whose type and device all share; `outputs` counts results."""

    attributes: dict[str, Any]
    opset: int
    like: Tensor
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def word(self, name: str, default: str, choices: Sequence[str]) -> str:
        """An attribute that is one of several words."""
        word = self.get(name, default)
        if word not in choices:
            raise Refused(f"its {name} is '{word}', but only {', '.join(choices)} are known")
        return word

    def dtype(self) -> np.dtype:
        """The type that Cast names."""
        if self.get("to") not in TYPES:
            raise Refused(f"it casts to the type number {self.get('to')}, which is not known")
        return TYPES[self.get("to")]

    def axes(self, given: Sequence[Value | None], name: str = "axes") -> list[int] | None:
        """Axes from the first of the remaining inputs, or else the attribute; None if neither says any."""
        if given and given[0] is not None:
            return ints(given[0])
        found = self.get(name)
        return None if found is None else list(found)

    def slices(self, ndim: int, given: Sequence[Value | None]) -> list[tuple[int, slice]]:
        """What Slice cuts: pairs of an axis and a slice."""
        given = [*given, None, None, None, None][:4]
        starts, ends = self.axes(given, "starts"), self.axes(given[1:], "ends")
        if starts is None or ends is None:
            raise Refused("it does not say where it starts and ends")
        axes, steps = self.axes(given[2:]), self.axes(given[3:], "steps")
        axes = range(len(starts)) if axes is None else [axis % ndim for axis in axes]
        steps = [1] * len(starts) if steps is None else steps
        return [(axis, slice(*cut)) for axis, *cut in zip(axes, starts, ends, steps, strict=True)]

    def tensor(self, value: Value, like: Tensor | None = None) -> Tensor:
        """A value as a tensor. Numbers with a fraction take the type that this run computes in."""
        if isinstance(value, Tensor):
            return value
        like = self.like if like is None else like
        dtype = like.dtype if value.dtype.kind == "f" and like.is_floating_point() else None
        return torch.as_tensor(np.array(value), dtype=dtype, device=like.device)


def ints(value: Value) -> list[int]:
    """All numbers of an argument, as whole numbers."""
    return [int(number) for number in floats(value)]


def floats(value: Value) -> list:
    """All numbers of an argument."""
    return (value.detach().cpu().numpy() if isinstance(value, Tensor) else value).ravel().tolist()


def checked_size(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that the file asks for, if it is a reasonable one."""
    if min(shape, default=0) < 0 or math.prod(shape) > LARGEST:
        raise Refused(f"it asks for a tensor of shape {tuple(shape)}")
    return tuple(shape)


def target_shape(step: Step, shape: Sequence[int], wanted: Value) -> list[int]:
    """Reshape's: 0 keeps a side (unless `allowzero`), -1 is what is left."""
    keep = not step.get("allowzero", 0)
    return [shape[k] if side == 0 and keep else side for k, side in enumerate(ints(wanted))]
