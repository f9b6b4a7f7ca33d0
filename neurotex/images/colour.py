"""The sRGB transfer function (IEC 61966-2-1), safe to differentiate everywhere.

A fit calls it on every texel and pixel of every step, and powers are its dearest arithmetic. So the derivative is
written down: it follows from the value itself, without a second power. In float32 on CPU kernels do both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.op import Backward, Op, elementwise
from ..core.threads import parallel_for
from . import colour_kernels as kernels


def srgb_to_linear(encoded: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Linear light from sRGB-encoded values in [0, 1]; values outside continue smoothly above, linearly below 0."""
    return _decode(encoded)


def linear_to_srgb(linear: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """sRGB-encoded values from linear light in [0, 1]; the inverse of `srgb_to_linear`."""
    return _encode(linear)


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


def _curve(name: str, reference: Callable, kernel: Callable, inputs: str, derivative: Backward | None = None) -> Op:
    """An op on each element by itself: `reference` anywhere, `kernel` for float32 on CPU."""

    def on_cpu(*tensors: Tensor) -> Tensor:
        if tensors[0].dtype != torch.float32:
            return reference(*tensors)
        out = tensors[0].new_empty(tensors[0].shape)
        arrays = [t.contiguous().view(-1).numpy() for t in (*tensors, out)]
        parallel_for(kernel, out.numel(), *arrays, grain=1 << 14)
        return out

    return Op(
        f"{name}({', '.join(f'Tensor {i}' for i in inputs)}) -> Tensor",
        reference=reference,
        cpu=on_cpu,
        fake=lambda x, *rest: x.new_empty(x.shape),
        derivative=derivative,
        vmap=elementwise,
    )


def _slope(backward: Op) -> Backward:
    """The derivative of y = f(x), in terms of x and y. Of one element, back and along are the same."""
    return Backward(
        lambda grads, inputs, outputs: (backward(*inputs, *outputs, grads[0]),),
        reads=(0,),
        along=lambda tangents, inputs, outputs: backward(*inputs, *outputs, tangents[0]),
    )


_decode_backward = _curve("srgb_decode_backward", decode_backward_reference, kernels.decode_backward, "xyg")
_encode_backward = _curve("srgb_encode_backward", encode_backward_reference, kernels.encode_backward, "xyg")
_decode = _curve("srgb_decode", decode_reference, kernels.decode, "x", _slope(_decode_backward))
_encode = _curve("srgb_encode", encode_reference, kernels.encode, "x", _slope(_encode_backward))
