"""A function of another framework as a differentiable torch function, by that framework's own vector-Jacobian product.

Tensors cross through DLPack, without a copy where the two can share memory. What is shared is also saved for backward,
so torch notices if someone changes it in place before the gradient has been computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch._subclasses import FakeTensor

from ...errors import ArgumentError

Pullback = Callable[[Tensor], list[Tensor]]


@runtime_checkable  # for the checks of annotations in the test run
class ForeignFunction(Protocol):
    """Tensors → one tensor, computed elsewhere."""

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        """The value alone."""
        ...

    def linearize(self, tensors: Sequence[Tensor], needed: Sequence[bool]) -> tuple[Tensor, Pullback]:
        """The value, and what maps its gradient to those of the `needed` tensors. The pullback may be called again."""
        ...

    def shape(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        """The value's shape, found without the tensors' values."""
        ...


def call(function: ForeignFunction, *tensors: Tensor) -> Tensor:
    """The function's value, differentiable once in every tensor that requires a gradient.

    It may be used several times in a graph. Of tensors that have shapes alone, fake or on "meta", it gives another such
    one, of the last tensor's type. Under torch.func.vmap it runs once per sample, since what is elsewhere knows nothing
    of torch's batches; torch.func.grad takes one evaluation more inside a vmap.
    """
    if any(isinstance(tensor, FakeTensor) or tensor.is_meta for tensor in tensors):
        return tensors[-1].new_empty(function.shape(tensors))
    needed = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)
    return _Call.apply(function, needed, _Kept(), *tensors)


class _Kept:
    """Where a forward pass leaves the pullback for its backward pass; torch.func allows no other way."""

    pullback: Pullback | None = None


class _Call(torch.autograd.Function):
    @staticmethod
    def forward(function: ForeignFunction, needed: tuple[bool, ...], kept: _Kept, *tensors: Tensor) -> Tensor:
        if not any(needed):
            return function(tensors)
        value, kept.pullback = function.linearize(tensors, needed)
        return value

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.function, ctx.needed, ctx.kept, *tensors = inputs
        ctx.save_for_backward(*tensors, output)  # the output, too: the pullback may read it

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        *tensors, _ = ctx.saved_tensors  # raises if one was changed since, or the graph is spent
        pulled = iter(_Pull.apply(ctx.function, ctx.needed, ctx.kept, grad, *tensors))
        return None, None, None, *(next(pulled) if needed else None for needed in ctx.needed)

    @staticmethod
    def vmap(info: Any, dims: tuple, function: ForeignFunction, needed: tuple, kept: _Kept, *tensors: Tensor) -> tuple:
        return torch.stack([call(function, *sample) for sample in _samples(info, dims[3:], tensors)]), 0


class _Pull(torch.autograd.Function):
    """A function of its own, so that transforms of torch.func see the backward pass as one operation."""

    @staticmethod
    def forward(function: ForeignFunction, needed: tuple, kept: _Kept, grad: Tensor, *tensors: Tensor) -> tuple:
        pullback = kept.pullback
        if pullback is None:  # the forward pass ran sample by sample, in other calls
            _, pullback = function.linearize(tensors, needed)
        return tuple(pullback(grad))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple:
        raise ArgumentError(
            "a generator of another framework is differentiated once: a loss on gradients needs one written in torch."
        )

    @staticmethod
    def vmap(info: Any, dims: tuple, function: ForeignFunction, needed: tuple, kept: _Kept, *tensors: Tensor) -> tuple:
        samples = _samples(info, dims[3:], tensors)
        pulled = [_Pull.apply(function, needed, _Kept(), *sample) for sample in samples]
        return tuple(torch.stack(grads) for grads in zip(*pulled, strict=True)), (0,) * sum(needed)


def _samples(info: Any, dims: Sequence[int | None], tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    pairs = list(zip(tensors, dims, strict=True))
    return [[t if d is None else t.select(d, k) for t, d in pairs] for k in range(info.batch_size)]
