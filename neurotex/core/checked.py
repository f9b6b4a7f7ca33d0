"""What public functions of tensors look at before a kernel reads memory by what they were given.

A kernel takes shapes and indices at their word. `door` holds a function's arguments against its own annotations, the
other functions look at values. Each names the function, the argument and what it must be, in one sentence. It is done
once, where a caller comes in: functions named `…_unchecked` are for callers that made the indices themselves.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import UnionType
from typing import Any

import torch
from jaxtyping import AbstractArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from ..errors import ArgumentError
from .op import plain, transformed

FLOATS = (torch.float32, torch.float64)
BITS31 = 1 << 31  # numbers of vertices, faces, texels and pixels are int32 in kernels


def door(*, mixed: Sequence[str] = ()) -> Callable[[Callable], Callable]:
    """Decorator: shapes and kinds of tensors are as annotated, on one device, and their floats of one type.

    Sizes of the same name are equal. Floats are float32 or float64; those of the arguments in `mixed` may be of
    another type than the others. Raises ArgumentError. Nothing is looked at while torch's compiler traces.
    """

    def guard(function: Callable) -> Callable:
        signature = inspect.signature(function)
        hints: dict[str, tuple] = {}

        @functools.wraps(function)
        def call(*args: object, **kwargs: object) -> object:
            if not torch.compiler.is_compiling():
                if not hints:
                    found = typing.get_type_hints(function)
                    hints.update({name: _parts(found[name]) for name in signature.parameters if name in found})
                _look(function.__name__, hints, signature.bind(*args, **kwargs).arguments, mixed)
            return function(*args, **kwargs)

        return call

    return guard


def indices(what: str, index: Tensor, count: int, of: str, least: int = 0) -> None:
    """`index` lies in [least, count): `what` names it, `of` what it counts, as in "face"."""
    if _has_no_values(index):
        return

    def look(values: Tensor) -> None:
        low, high = (int(value) for value in values.aminmax())
        if low < least or high >= count:
            bad = low if low < least else high
            raise ArgumentError(f"{what} names {of} {bad}, but there are {count} {_several(of)}, counted from 0.")

    _values(look, index)


def ascending(what: str, index: Tensor, count: int, of: str) -> None:
    """`index` lies in [0, count), each greater than the one before."""
    indices(what, index, count, of)
    if _has_no_values(index):
        return

    def look(values: Tensor) -> None:
        if not bool((values[1:] > values[:-1]).all()):
            raise ArgumentError(f"{what} must ascend, none twice: pass sorted, unique numbers of {_several(of)}.")

    _values(look, index)


def runs(what: str, first: Tensor, count: int, of: str) -> None:
    """`first` says where runs of `count` things begin: from 0, never down, and last where they end."""
    if len(first) == 0:
        raise ArgumentError(
            f"{what} is empty: it must say where runs of {_several(of)} begin, and last where they end."
        )

    if _has_no_values(first):
        return

    def look(values: Tensor) -> None:
        if int(values[0]) != 0 or int(values[-1]) != count or not bool((values[1:] >= values[:-1]).all()):
            raise ArgumentError(f"{what} must ascend from 0 to the number of {_several(of)}, which is {count}.")

    _values(look, first)


def _several(of: str) -> str:
    return {"vertex": "vertices", "entry": "entries", "row of taps": "rows of taps"}.get(of, f"{of}s")


def whole(what: str, value: Any, least: int = 0, most: int = BITS31) -> int:
    """A whole number in [least, most]; torch's compiler may stand in one of its own for it."""
    if torch.compiler.is_compiling():
        return value
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        raise ArgumentError(f"{what} is {value!r}, but must be a whole number between {least} and {most}.")
    return int(value)


def number(what: str, value: object) -> float:
    """A real number; a float of Python's, numpy's or a tensor's."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real):
        raise ArgumentError(f"{what} is {value!r}, but must be a number.")
    return float(value)


def image_size(what: str, size: object) -> tuple[int, int]:
    """(height, width), both at least 1."""
    pair = tuple(size) if isinstance(size, Sequence) else ()
    if len(pair) != 2 or not all(isinstance(side, Integral) and not isinstance(side, bool) for side in pair):
        raise ArgumentError(f"{what} of size {size!r}: give (height, width) in whole pixels.")
    height, width = map(int, pair)
    if height < 1 or width < 1:
        raise ArgumentError(f"{what} of {height} x {width} pixels has nothing to rasterise: ask for at least 1 x 1.")
    if height * width >= BITS31:
        raise ArgumentError(f"{what} of {height} x {width} pixels is beyond 2³¹ of them: render it in parts.")
    return height, width


def gradients(what: str) -> None:
    """Raises ArgumentError where torch records no gradients, and `what` needs them."""
    if not torch.is_grad_enabled():
        raise ArgumentError(f"{what} needs gradients: call it outside of torch.no_grad() and torch.inference_mode().")


def _has_no_values(tensor: Tensor) -> bool:
    """Whether there is nothing to look at: the tensor is empty, or merely traced."""
    return torch.compiler.is_compiling() or tensor.numel() == 0 or tensor.is_meta or isinstance(tensor, FakeTensor)


def _values(look: Callable[[Tensor], None], tensor: Tensor) -> None:
    """Look at a tensor's values, beneath what `torch.func` wraps it in."""
    if transformed():
        plain(lambda values: (look(values), values.new_empty(0))[1], tensor.detach())
    else:
        look(tensor)


def _parts(hint: object) -> tuple:
    """The tensors that a hint allows, None for no tensor; () where it speaks of other things."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, UnionType) else (hint,)
    arrays = tuple(part for part in parts if inspect.isclass(part) and issubclass(part, AbstractArray))
    return (*arrays, *((None,) if arrays and type(None) in parts else ()))


def _look(function: str, hints: dict[str, tuple], arguments: dict[str, object], mixed: Sequence[str]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    first: Tensor | None = None
    floats: dict[str, torch.dtype] = {}
    for name, value in arguments.items():
        parts = hints.get(name, ())
        if not parts or (value is None and None in parts):
            continue
        if not isinstance(value, Tensor):
            raise ArgumentError(f"{function}: {name} is a {type(value).__name__}, but must be a tensor.")
        hint = parts[0]
        _look_at_shape(function, name, value, hint.dim_str, sizes)
        if str(value.dtype).removeprefix("torch.") not in hint.dtypes:
            raise ArgumentError(
                f"{function}: {name} is {value.dtype}, but must be of kind {hint.__name__.partition('[')[0]}."
            )
        if value.is_floating_point():
            if value.dtype not in FLOATS:
                raise ArgumentError(f"{function}: {name} is {value.dtype}, but must be float32 or float64.")
            if name not in mixed:
                floats[name] = value.dtype
        first = value if first is None else first
        if value.device != first.device or value.layout is not torch.strided:
            raise ArgumentError(
                f"{function}: {name} is {value.layout} on {value.device}: give plain tensors on one device."
            )
    if len(set(floats.values())) > 1:
        kinds = ", ".join(f"{name} {str(kind).removeprefix('torch.')}" for name, kind in floats.items())
        raise ArgumentError(f"{function}: its floats are of one type, but here {kinds}: convert them.")


def _look_at_shape(function: str, name: str, value: Tensor, dims: str, sizes: dict[str, tuple[int, str]]) -> None:
    """Hold a shape against "vertices 3", "*pixels 3" and the like; `sizes` is what the names have been so far."""
    names, shape = dims.split(), tuple(value.shape)
    star = next((i for i, one in enumerate(names) if one.startswith("*")), None)
    if star is not None:
        rest = len(names) - star - 1
        names = names[:star] + ["_"] * (len(shape) - star - rest) + names[len(names) - rest :]
    fits = len(names) == len(shape)
    for one, size in zip(names, shape, strict=False):
        if one.isdigit():
            fits &= size == int(one)
        elif one.isidentifier() and not one.startswith("_"):
            known, whose = sizes.setdefault(one, (size, name))
            if known != size and fits:
                raise ArgumentError(
                    f"{function}: {name} of shape {shape} has {size} {one}, but {whose} has {known}: pass as many."
                )
    if not fits:
        wanted = ", ".join("…" if one.startswith("*") else one for one in dims.split())
        raise ArgumentError(f"{function}: {name} is of shape {shape}, but must be ({wanted}).")
