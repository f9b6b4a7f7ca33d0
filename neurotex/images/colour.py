"""The sRGB transfer function (IEC 61966-2-1), safe to differentiate everywhere.

A fit calls it on every texel and pixel of every step, and powers are its dearest arithmetic. So the derivative is
written down: it follows from the value itself, without a second power. In float32 on CPU kernels do both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .. import operators
from ..threads import parallel_for
from . import colour_kernels as kernels


def srgb_to_linear(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light from sRGB-encoded values in [0, 1]; values outside continue smoothly above, linearly below 0."""
    return (_CompiledDecode if torch.compiler.is_compiling() else _Decode).apply(encoded)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sRGB-encoded values from linear light in [0, 1]; the inverse of `srgb_to_linear`."""
    return (_CompiledEncode if torch.compiler.is_compiling() else _Encode).apply(linear)


def encoding_slope(linear: Float[Tensor, "*shape"], encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The derivative of `linear_to_srgb` at `linear`, whose value there is `encoded`: how much a difference shows."""
    return encode_backward_reference(linear, encoded, torch.ones_like(linear))


def decode_reference(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`srgb_to_linear` in plain tensor language."""
    # below −0.055 the power is NaN, in the branch that is not taken; no gradient comes this way
    return torch.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def decode_backward_reference(
    x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"], grad: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """`grad` times the derivative of u^2.4, u = (x + 0.055) / 1.055: 2.4 u^1.4 / 1.055 = 2.4 y / (x + 0.055)."""
    return grad * torch.where(x <= 0.04045, 1 / 12.92, y / (x * (1 / 2.4) + 0.055 / 2.4))


def encode_reference(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`linear_to_srgb` in plain tensor language."""
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x ** (1 / 2.4) - 0.055)


def encode_backward_reference(
    x: Float[Tensor, "*shape"], y: Float[Tensor, "*shape"], grad: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """`grad` times the derivative: d/dx 1.055 x^(1/2.4) = (y + 0.055) / (2.4 x)."""
    return grad * torch.where(x <= 0.0031308, 12.92, (y * (1 / 2.4) + 0.055 / 2.4) / x.clamp_min(0.0031308))


def _register(name: str, reference: Callable, kernel: Callable, inputs: str) -> None:
    """Register an elementwise operator: `reference` anywhere, `kernel` for float32 on CPU."""

    def on_cpu(*tensors: Tensor) -> Tensor:
        if tensors[0].dtype != torch.float32:
            return reference(*tensors)
        out = torch.empty(tensors[0].shape)
        arrays = [t.contiguous().view(-1).numpy() for t in (*tensors, out)]
        parallel_for(kernel, out.numel(), *arrays, grain=1 << 14)
        return out

    def fake(x: Tensor, *rest: Tensor) -> Tensor:
        return x.new_empty(x.shape)

    arguments = ", ".join(f"Tensor {i}" for i in inputs)
    operators.register(f"{name}({arguments}) -> Tensor", reference=reference, cpu=on_cpu, fake=fake)
    if hasattr(torch.library, "register_vmap"):  # since torch 2.5; before, torch loops, and says so
        operator = getattr(torch.ops.neurotex, name)
        torch.library.register_vmap(f"neurotex::{name}", lambda info, dims, *x: _batched(operator, dims, x))


_register("srgb_decode", decode_reference, kernels.decode, "x")
_register("srgb_encode", encode_reference, kernels.encode, "x")
_register("srgb_decode_backward", decode_backward_reference, kernels.decode_backward, "xyg")
_register("srgb_encode_backward", encode_backward_reference, kernels.encode_backward, "xyg")


def _batched(operator: Callable, dims: tuple, tensors: tuple) -> tuple[Tensor, int]:
    """An elementwise operator over batched inputs: the batch is one more dimension, in front."""
    size = next(t.shape[d] for t, d in zip(tensors, dims, strict=True) if d is not None)
    front = [t.expand(size, *t.shape) if d is None else t.movedim(d, 0) for t, d in zip(tensors, dims, strict=True)]
    return operator(*front), 0


class _Curve(torch.autograd.Function):
    """An elementwise y = f(x) whose derivative is given in terms of x and y."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.save_for_forward(inputs[0], output)


class _Decode(_Curve):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.ops.neurotex.srgb_decode(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        # the derivative of the derivative goes through the reference
        differentiate = (
            decode_backward_reference if torch.is_grad_enabled() else torch.ops.neurotex.srgb_decode_backward
        )
        return differentiate(*ctx.saved_tensors, grad)

    @staticmethod
    def jvp(ctx, grad: Tensor) -> Tensor:
        return decode_backward_reference(*ctx.saved_tensors, grad)


class _Encode(_Curve):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.ops.neurotex.srgb_encode(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        differentiate = (
            encode_backward_reference if torch.is_grad_enabled() else torch.ops.neurotex.srgb_encode_backward
        )
        return differentiate(*ctx.saved_tensors, grad)

    @staticmethod
    def jvp(ctx, grad: Tensor) -> Tensor:
        return encode_backward_reference(*ctx.saved_tensors, grad)


_CompiledDecode, _CompiledEncode = map(operators.reverse_only, (_Decode, _Encode))
