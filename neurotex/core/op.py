"""One hot function: what it computes, in plain torch; the kernels that do so faster; and what its derivative is.

    _scaled = Op(
        "scaled(Tensor x, float by) -> Tensor",
        reference=lambda x, by: x * by,
        cpu=_scaled_cpu,
        cuda="neurotex.example_warp.scaled",
        fake=lambda x, by: torch.empty_like(x),
        derivative=Linear(lambda grad, shape, by: _scaled(grad, by)),
    )

An op is the torch operator `torch.ops.neurotex.<name>`, and torch's dispatcher chooses by device alone: a kernel where
there is one, else the reference. Nothing else in the package asks what device a tensor is on. Calling the op adds what
an operator by itself has not: derivatives in reverse and forward mode, any number of times, also under transforms of
`torch.func`. Tests hold each kernel to the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..errors import ArgumentError
from . import warp

OPS: dict[str, Op] = {}  # all that were declared, by name
ON_CPU = "cpu"  # in place of a kernel for GPUs: what goes step by step, or through files, is done by the CPU's


@dataclass(frozen=True)
class Linear:
    """The derivative of y = A x, x an op's first argument; where others want a gradient, the reference is what runs.

    `transpose(grad, shape, *rest)` is Aᵀ grad for x of this shape and the op's other arguments. Made of ops, it can be
    differentiated in turn. `along(tangent, *rest)` is A tangent: the op itself, unless that adds a constant to A x.
    """

    transpose: Callable[..., Tensor]
    along: Callable[..., Tensor] | None = None


@dataclass(frozen=True)
class Backward:
    """The derivative of any other op.

    `rule(grads, inputs, outputs)` gives the gradients of all inputs, or None for some. `grads` are those of the
    outputs, None where nobody asks; of `outputs` it is handed those whose numbers are in `reads`. A rule that calls an
    op without a derivative of its own is differentiated in turn through that op's reference.

    `along(tangents, inputs, outputs)` pushes tangents (None where there is none) forward; without it, the reference
    does.
    """

    rule: Callable[[tuple, tuple, tuple], Sequence[Tensor | None]]
    reads: tuple[int, ...] = ()
    along: Callable[[tuple, tuple, tuple], Tensor | tuple] | None = None


class Op:
    """A hot function of tensors and numbers, declared once; call it with the arguments of its schema.

    - `schema`: its name, arguments and results, as `torch.library.define` has them.
    - `reference`: the function in plain torch, for any device. It says what is right.
    - `cpu`: the kernel for tensors on the CPU. `cuda`: that for NVIDIA's GPUs, by its name (see `warp`), or ON_CPU.
    - `fake`: empty results of the right shapes and types, from arguments that have nothing else; for torch's compiler.
      None where shapes depend on values.
    - `derivative`: `Linear` or `Backward`. Without one, what wants a gradient goes through the reference.
    - `vmap`: what `torch.func.vmap` does: call it for each item (`one_by_one`, right for whole textures and images), or
      once for all of them (`side_by_side`, `elementwise`).
    """

    def __init__(
        self,
        schema: str,
        *,
        reference: Callable,
        cpu: Callable | None = None,
        cuda: str | None = None,
        fake: Callable | None = None,
        derivative: Linear | Backward | None = None,
        vmap: Callable | None = None,
    ):
        self.name, _, signature = schema.partition("(")
        self.reference, self.derivative, self.vmap = reference, derivative, vmap or one_by_one
        qualified = f"neurotex::{self.name}"
        # what `torch.library.custom_op` does, without importing torch's compiler (two seconds) at the first call
        torch.library.define(qualified, f"({signature}")
        torch.library.impl(qualified, "CompositeExplicitAutograd")(reference)
        self.cuda = cuda
        on_gpu = None if cuda is None else _hop(cpu or reference) if cuda == ON_CPU else warp.kernel(cuda, reference)
        self.kernels = {"CPU": cpu, "CUDA": on_gpu}
        for key, kernel in self.kernels.items():
            if kernel is not None:
                torch.library.impl(qualified, key)(kernel)
        if fake is not None:
            torch.library.register_fake(qualified)(fake)
        self.operator = getattr(torch.ops.neurotex, self.name)
        if hasattr(torch.library, "register_vmap"):  # since torch 2.5; before, torch loops, and says so
            torch.library.register_vmap(qualified, lambda info, dims, *x: self.vmap(self.operator, info, dims, x))
        if derivative is not None:
            torch.library.register_autograd(qualified, self._back, setup_context=self._keep)
        OPS[self.name] = self

    def __call__(self, *arguments: Any) -> Any:
        if torch.compiler.is_compiling():
            return self.operator(*arguments)
        if not isinstance(self.derivative, Backward):
            followed = arguments if self.derivative is None else arguments[1:]
            if wants_gradient(*followed):
                return self.reference(*arguments)
        if not (transformed() or _pushed_forward()):  # mostly: what the operator itself has is enough, and quickest
            return self.operator(*arguments)
        if self.derivative is None:
            return _Plain.apply(self.operator, self.vmap, *arguments)
        return _Differentiable.apply(self, *arguments)

    def __repr__(self) -> str:
        return f"Op({self.name})"

    # What is kept of a call for its derivative, and the derivative, alike for torch's compiler and for everybody else.

    def _keep(self, ctx: Any, inputs: tuple, output: Any) -> None:
        outputs = output if isinstance(output, tuple) else (output,)
        ctx.mark_non_differentiable(*(value for value in outputs if not value.is_floating_point()))
        ctx.set_materialize_grads(False)
        if isinstance(self.derivative, Backward):
            ctx.shape, kept = None, (*inputs, *(outputs[k] for k in self.derivative.reads))
        else:  # linear: of the first argument, only the shape
            ctx.shape, kept = inputs[0].shape, (None, *inputs[1:])
        ctx.inputs = len(inputs)
        ctx.others = [None if isinstance(value, Tensor) else value for value in kept]
        ctx.tensors = [isinstance(value, Tensor) for value in kept]
        ctx.save_for_backward(*(value for value in kept if isinstance(value, Tensor)))

    @staticmethod
    def _kept(ctx: Any) -> tuple[tuple, tuple]:
        saved = iter(ctx.saved_tensors)
        values = tuple(next(saved) if tensor else other for tensor, other in zip(ctx.tensors, ctx.others, strict=True))
        return values[: ctx.inputs], values[ctx.inputs :]

    def _back(self, ctx: Any, *grads: Tensor | None) -> tuple:
        inputs, outputs = self._kept(ctx)
        if all(grad is None for grad in grads):  # nobody asks
            return (None,) * len(inputs)
        if isinstance(self.derivative, Backward):
            return tuple(self.derivative.rule(grads, inputs, outputs))
        assert self.derivative is not None
        return self.derivative.transpose(grads[0], ctx.shape, *inputs[1:]), *[None] * (len(inputs) - 1)

    def _along(self, ctx: Any, *tangents: Tensor | None) -> Any:
        inputs, outputs = self._kept(ctx)
        if isinstance(self.derivative, Backward):
            if self.derivative.along is not None:
                return self.derivative.along(tangents, inputs, outputs)
            return _push_forward(self.reference, inputs, tangents)
        if any(tangent is not None for tangent in tangents[1:]):
            raise ArgumentError(
                "forward-mode derivatives pass through textures only, not through vertices, cameras or lights: "
                "use reverse mode, torch.func.grad or backward()."
            )
        assert self.derivative is not None
        return (self.derivative.along or self)(tangents[0], *inputs[1:])


def kernels_for_gpus() -> list[str]:
    """The names of all kernels for CUDA that the ops declared so far have."""
    return [op.cuda for op in OPS.values() if op.cuda not in (None, ON_CPU)]


def _hop(kernel: Callable) -> Callable:
    """A CPU's kernel for tensors that are elsewhere: there and back."""

    def call(*arguments: Any) -> Any:
        device = next(x.device for x in arguments if isinstance(x, Tensor))
        found = kernel(*(x.cpu() if isinstance(x, Tensor) else x for x in arguments))
        return found.to(device) if isinstance(found, Tensor) else tuple(x.to(device) for x in found)

    return call


def wants_gradient(*arguments: Any) -> bool:
    """Whether autograd is to follow what is done with these arguments."""
    return torch.is_grad_enabled() and any(isinstance(value, Tensor) and value.requires_grad for value in arguments)


def plain(function: Callable, *arguments: Any) -> Any:
    """function(*arguments), tensors in and a tensor or a tuple of them out, without a derivative.

    Under `torch.func` a tensor wears the transforms that are at work, and a kernel cannot look into it: here it sees
    what is beneath. Raises where forward mode would need the derivative.
    """
    return _Plain.apply(function, one_by_one, *arguments)


def transformed() -> bool:
    """Whether a transform of `torch.func` is at work: then nothing can be computed a second time for gradients."""
    return torch._C._are_functorch_transforms_active()


def _pushed_forward() -> bool:
    """Whether forward-mode derivatives are taken."""
    return forward_ad._current_level >= 0


def reverse_only(function: type[torch.autograd.Function]) -> type[torch.autograd.Function]:
    """The same function without its `jvp`: torch's compiler refuses to differentiate what has one."""
    return type(function.__name__, (function,), {"jvp": staticmethod(torch.autograd.Function.jvp)})


class _Differentiable(torch.autograd.Function):
    """An op with a derivative of its own."""

    @staticmethod
    def forward(op: Op, *arguments: Any) -> Any:
        return op.operator(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.op = inputs[0]
        ctx.op._keep(ctx, inputs[1:], output)
        ctx.save_for_forward(*ctx.to_save)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple:
        return None, *ctx.op._back(ctx, *grads)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> Any:
        return ctx.op._along(ctx, *tangents)

    @staticmethod
    def vmap(info: Any, dims: tuple, op: Op, *arguments: Any) -> tuple:
        return op.vmap(lambda *item: _Differentiable.apply(op, *item), info, dims[1:], arguments)


class _Plain(torch.autograd.Function):
    """See `plain`."""

    @staticmethod
    def forward(function: Callable, vmap: Callable, *arguments: Any) -> Any:
        output = function(*arguments)
        return tuple(output) if isinstance(output, list) else output

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        ctx.mark_non_differentiable(*(output if isinstance(output, tuple) else (output,)))

    @staticmethod
    def vmap(info: Any, dims: tuple, function: Callable, vmap: Callable, *arguments: Any) -> tuple:
        return vmap(lambda *item: _Plain.apply(function, vmap, *item), info, dims[2:], arguments)


def _push_forward(function: Callable, inputs: tuple, tangents: tuple) -> Any:
    """J · tangents: the pull-back is linear, and its own pull-back pushes forward. torch's forward mode cannot nest."""
    moving = [k for k, tangent in enumerate(tangents) if tangent is not None]

    def of_moving(*values: Tensor) -> Any:
        given = dict(zip(moving, values, strict=True))
        return function(*(given.get(k, value) for k, value in enumerate(inputs)))

    value, pull_back = torch.func.vjp(of_moving, *(inputs[k] for k in moving))[:2]
    zeros = torch.zeros_like(value) if isinstance(value, Tensor) else tuple(map(torch.zeros_like, value))
    return torch.func.vjp(pull_back, zeros)[1](tuple(tangents[k] for k in moving))[0]


def one_by_one(function: Callable, info: Any, dims: tuple, values: tuple) -> tuple:
    """What a vmap rule returns, the results and where their batch is: each item by itself, stacked in front.

    An item is a whole texture or image, so the loop costs nothing beside the work.
    """
    items = [
        function(*(value if dim is None else value.select(dim, k) for value, dim in zip(values, dims, strict=True)))
        for k in range(info.batch_size)
    ]
    if isinstance(items[0], Tensor):
        return torch.stack(items), 0
    stacks = tuple(torch.stack(parts) for parts in zip(*items, strict=True))
    return stacks, (0,) * len(stacks)


def side_by_side(function: Callable, info: Any, dims: tuple, values: tuple) -> tuple[Tensor, int]:
    """For a function of batches of textures, (N, …) each: one more dimension is a longer batch."""
    flat = (value.flatten(0, 1) if isinstance(value, Tensor) else value for value in _in_front(info, dims, values))
    return function(*flat).unflatten(0, (info.batch_size, -1)), 0


def elementwise(function: Callable, info: Any, dims: tuple, values: tuple) -> tuple[Tensor, int]:
    """For a function of each element by itself: one more dimension, in front."""
    return function(*_in_front(info, dims, values)), 0


def _in_front(info: Any, dims: tuple, values: tuple) -> list:
    """Arguments with their batch in the first dimension."""
    front = []
    for value, dim in zip(values, dims, strict=True):
        if isinstance(value, Tensor):
            value = value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0)
        front.append(value)
    return front
