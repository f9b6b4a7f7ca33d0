"""How a kernel becomes a torch operator, and what it is under the transforms of `torch.func`.

An operator has a reference for any device and a compiled kernel for CPU; torch picks by device. `fake` gives output
shapes alone, so that operators pass through `torch.compile`, `torch.export` and fake tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .errors import ArgumentError


def register(schema: str, *, reference: Callable, cpu: Callable, fake: Callable) -> None:
    """Register `torch.ops.neurotex.<name>`; `linear` or `torch.library.register_autograd` add gradients.

    This is what `torch.library.custom_op` does, without importing torch's compiler (two seconds) at the first call.
    """
    name = f"neurotex::{schema.partition('(')[0]}"
    torch.library.define(name, schema[schema.index("(") :])
    torch.library.impl(name, "CompositeExplicitAutograd")(reference)
    torch.library.impl(name, "CPU")(cpu)
    torch.library.register_fake(name)(fake)


def linear(name: str, transpose: Callable, along: Callable | None = None) -> Callable[..., Tensor]:
    """Derivatives for a registered operator y = A x, x its first argument; returns the function to call.

    `transpose(grad, shape, *rest)` is Aᵀ grad for x of this shape and the operator's other arguments, in which nothing
    is differentiated. Made of such functions, it can be differentiated in turn, any number of times.
    `along(tangent, *rest)` is A tangent: the operator itself, unless it adds a constant to A x.

    The function works under `grad`, `vmap` and `jvp` of `torch.func`, to which a gradient that is registered for an
    operator means nothing; to torch's compiler it is the operator and its registered gradient.
    """
    operator = getattr(torch.ops.neurotex, name)

    def call(x: Tensor, *rest: Any) -> Tensor:
        return operator(x, *rest) if torch.compiler.is_compiling() else _Linear.apply(rule, x, *rest)

    rule = _Rule(operator, transpose, call if along is None else along)
    loop_vmap(name)
    torch.library.register_autograd(
        f"neurotex::{name}", lambda ctx, grad: _back(ctx, rule, grad), setup_context=_keep_arguments
    )
    return call


def loop_vmap(name: str) -> None:
    """Let `torch.ops.neurotex.<name>` take batches by calling it for each of their items.

    An item is a whole texture or image, so the loop costs nothing beside the work. Without a rule torch loops too, but
    warns.
    """
    if hasattr(torch.library, "register_vmap"):  # since torch 2.5
        operator = getattr(torch.ops.neurotex, name)
        torch.library.register_vmap(f"neurotex::{name}", lambda info, dims, *x: _loop(operator, info, dims, x))


def plain(function: Callable, *arguments: Any) -> Any:
    """function(*arguments), tensors in and a tensor or a tuple of them out, without a derivative.

    Under `torch.func` a tensor wears the transforms that are at work, and a kernel cannot look into it: here it sees
    what is beneath. Raises where forward mode would need the derivative.
    """
    return _Plain.apply(function, *arguments)


def reverse_only(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The same function without its `jvp`: torch's compiler refuses to differentiate what has one."""
    return type(function.__name__, (function,), {"jvp": staticmethod(torch.autograd.Function.jvp)})


def transformed() -> bool:
    """Whether a transform of `torch.func` is at work: then nothing can be computed a second time for gradients."""
    return torch._C._are_functorch_transforms_active()


@dataclass(frozen=True)
class _Rule:
    operator: Callable
    transpose: Callable
    along: Callable


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(rule: _Rule, x: Tensor, *rest: Any) -> Tensor:
        return rule.operator(x, *rest)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.rule = inputs[0]
        ctx.set_materialize_grads(False)
        _keep_arguments(ctx, inputs[1:], output)
        ctx.save_for_forward(*ctx.to_save)

    @staticmethod
    def backward(ctx, grad: Tensor | None) -> tuple:
        if grad is None:  # nobody asks
            return None, None, *[None] * len(ctx.numbers)
        return None, *_back(ctx, ctx.rule, grad)

    @staticmethod
    def jvp(ctx, _: None, tangent: Tensor | None, *others: Tensor | None) -> Tensor | None:
        if any(other is not None for other in others):
            raise ArgumentError(
                "forward-mode derivatives pass through textures only, not through vertices, cameras or lights: "
                "use reverse mode, torch.func.grad or backward()."
            )
        return ctx.rule.along(tangent, *_arguments(ctx))

    @staticmethod
    def vmap(info: object, dims: tuple, rule: _Rule, *inputs: Any) -> tuple:
        return _loop(lambda *item: _Linear.apply(rule, *item), info, dims[1:], inputs)


class _Plain(torch.autograd.Function):
    @staticmethod
    def forward(function: Callable, *arguments: Any) -> Any:
        return function(*arguments)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Any) -> None:
        ctx.mark_non_differentiable(*(output if isinstance(output, tuple) else (output,)))

    @staticmethod
    def vmap(info: object, dims: tuple, function: Callable, *inputs: Any) -> tuple:
        return _loop(lambda *item: _Plain.apply(function, *item), info, dims[1:], inputs)


def _keep_arguments(ctx, inputs: tuple, output: Tensor) -> None:
    """Numbers as they are, tensors as torch asks for it; nothing of the operator's input but its shape."""
    ctx.shape = inputs[0].shape
    ctx.numbers = [None if isinstance(value, Tensor) else value for value in inputs[1:]]
    ctx.save_for_backward(*(value for value in inputs[1:] if isinstance(value, Tensor)))


def _arguments(ctx) -> list:
    tensors = iter(ctx.saved_tensors)
    return [next(tensors) if number is None else number for number in ctx.numbers]


def _back(ctx, rule: _Rule, grad: Tensor) -> tuple:
    rest = _arguments(ctx)
    return rule.transpose(grad, ctx.shape, *rest), *[None] * len(rest)


def _loop(function: Callable, info: Any, dims: tuple, values: tuple) -> tuple:
    """What a vmap rule returns: the function of each item, stacked in front, and 0 for where the batch is."""
    items = [
        function(*(value if dim is None else value.select(dim, k) for value, dim in zip(values, dims, strict=True)))
        for k in range(info.batch_size)
    ]
    if isinstance(items[0], Tensor):
        return torch.stack(items), 0
    stacks = tuple(torch.stack(parts) for parts in zip(*items, strict=True))
    return stacks, (0,) * len(stacks)
