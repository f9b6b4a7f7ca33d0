"""What happens to features between the convolutions of a style-based network, in two passes over memory.

`modulated` scales channels by a style and wraps a margin around, `finished` scales them back, adds bias and noise, and
activates. In tensor language that is ten passes forward and more back: slicing and joining alone fill and add up whole
tensors. A network that is trained on a CPU spends half of its time so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..core.op import Backward, Linear, Op
from ..core.threads import parallel_for
from . import passes_kernels as kernels
from .filters import wrap


def modulated(x: Float[Tensor, "n c h w"], style: Float[Tensor, "n c"], width: int = 0) -> Float[Tensor, "n c h2 w2"]:
    """x · style, with `width` texels around that repeat the other side: h2 = h + 2 · width."""
    if _elsewhere(x):
        return modulated_reference(x, style, width)
    return _modulated(x, style, width)


def finished(
    y: Float[Tensor, "n c h w"],
    scale: Float[Tensor, "n c"],
    bias: Float[Tensor, "c"],
    offset: Float[Tensor, "m 1 h w"] | None = None,
    slope: float = 1.0,
    bound: float = math.inf,
) -> Float[Tensor, "n c h w"]:
    """v = y · scale + bias + offset, with one offset (1 or N, 1, h, w) for all channels; then v where it is above 0 and
    slope · v elsewhere, slope in [0, 1]; within ±bound."""
    if _elsewhere(y):
        return finished_reference(y, scale, bias, offset, slope, bound)
    return _finished(y, scale, bias, offset, slope, bound)


def wrapped(x: Float[Tensor, "n c h w"], width: int) -> Float[Tensor, "n c h2 w2"]:
    """Circular padding by `width` on all four sides, as `filters.wrap`."""
    return wrap(x, width) if _elsewhere(x) and not (_last(x) and _learned(x)) else _wrapped(x, width)


def folded_reference(padded: Tensor, width: int) -> Tensor:
    """The transpose of wrapping around: margins are added to where they were taken from."""
    for dim in (2, 3):
        size = padded.shape[dim] - 2 * width
        low, inner, high = padded.split([width, size, width], dim)
        before = (0, 0) * (3 - dim)  # of padding, which begins at the last dimension
        padded = inner + F.pad(low, (*before, size - width, 0)) + F.pad(high, (*before, 0, size - width))
    return padded


def modulated_reference(x: Tensor, style: Tensor, width: int) -> Tensor:
    """`modulated` in plain tensor language."""
    x = x * style.to(x.dtype)[:, :, None, None]
    return wrap(x, width) if width else x


def modulated_backward_reference(grad: Tensor, x: Tensor, style: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Gradients of x and style."""
    grad = folded_reference(grad, width) if width else grad
    grad_style = (grad.to(style.dtype) * x.to(style.dtype)).sum((2, 3))
    return grad * style.to(grad.dtype)[:, :, None, None], grad_style


def finished_reference(
    y: Tensor, scale: Tensor, bias: Tensor, offset: Tensor | None, slope: float, bound: float
) -> Tensor:
    """`finished` in plain tensor language."""
    v = torch.addcmul(bias.to(y.dtype)[:, None, None], y, scale.to(y.dtype)[:, :, None, None])
    v = v if offset is None else v + offset.to(y.dtype)
    v = v if slope == 1 else F.leaky_relu(v, slope)
    return v if math.isinf(bound) else v.clamp(-bound, bound)


def finished_backward_reference(
    grad: Tensor, y: Tensor, scale: Tensor, offset: Tensor | None, out: Tensor, slope: float, bound: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of y, scale, bias and offset; of no offset, an empty one."""
    passed = torch.where(out > 0, 1.0, slope).to(grad.dtype)
    grad = grad * (passed if math.isinf(bound) else passed * (out.abs() < bound).to(grad.dtype))
    wide = grad.to(scale.dtype)
    grad_offset = scale.new_zeros(0)
    if offset is not None:
        grad_offset = wide.sum(1, keepdim=True)
        grad_offset = grad_offset.sum(0, keepdim=True) if len(offset) == 1 else grad_offset
    grad_scale = (wide * y.to(scale.dtype)).sum((2, 3))
    return grad * scale.to(grad.dtype)[:, :, None, None], grad_scale, wide.sum((0, 2, 3)), grad_offset


# ---------------------------------------------------------------- kernels


def _elsewhere(x: Tensor) -> bool:
    """Whether plain tensor language does better: where there is no kernel, where channels come last in memory, as they
    do where nothing is learned, and where another compiler fuses, or wants operators that it knows."""
    return not _learned(x) or not x.is_contiguous()


def _learned(x: Tensor) -> bool:
    if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() or x.device.type != "cpu":
        return False
    return _taken(x) and torch.is_grad_enabled()


def _numbers(x: Tensor) -> np.ndarray:
    """A contiguous tensor's memory; bfloat16 as int16, which NumPy knows."""
    x = x.detach().contiguous()
    return (x.view(torch.int16) if x.dtype == torch.bfloat16 else x).numpy()


def _wide(x: Tensor) -> np.ndarray:
    """A few numbers, in float32."""
    return x.detach().float().contiguous().view(-1).numpy()


def _taken(x: Tensor) -> bool:
    return x.dtype in (torch.float32, torch.bfloat16)


def _last(x: Tensor) -> bool:
    """Whether channels come last in memory."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _moved(kernel: Callable, x: Tensor, width: int, change: int) -> Tensor:
    """A kernel that makes tensors `change` texels larger each way, in whichever order x lies in memory."""
    n, c, h, w = x.shape
    last = _last(x)
    form = torch.channels_last if last else torch.contiguous_format
    out = torch.empty(n, c, h + change, w + change, dtype=x.dtype, memory_format=form)
    if last:  # rows of w · c numbers
        a, b = (_numbers(t.movedim(1, 3)).reshape(n, t.shape[2], -1) for t in (x, out))
        parallel_for(kernel, n, a, width, width * c, b)
    else:
        a, b = (_numbers(t).reshape(n * c, *t.shape[2:]) for t in (x, out))
        parallel_for(kernel, n * c, a, width, width, b, grain=8)
    return out


def _wrapped_cpu(x: Tensor, width: int) -> Tensor:
    return _moved(kernels.wrap, x, width, 2 * width) if _taken(x) else wrap(x, width)


def _folded_cpu(padded: Tensor, width: int) -> Tensor:
    return _moved(kernels.fold, padded, width, -2 * width) if _taken(padded) else folded_reference(padded, width)


def _modulated_cpu(x: Tensor, style: Tensor, width: int) -> Tensor:
    if not _taken(x):
        return modulated_reference(x, style, width)
    n, c, h, w = x.shape
    out = x.new_empty(n, c, h + 2 * width, w + 2 * width)
    arrays = _numbers(x).reshape(n * c, h, w), _wide(style), width, _numbers(out).reshape(n * c, *out.shape[2:])
    parallel_for(kernels.modulate, n * c, *arrays, grain=8)
    return out


def _modulated_backward_cpu(grad: Tensor, x: Tensor, style: Tensor, width: int) -> tuple[Tensor, Tensor]:
    if not _taken(x) or grad.dtype != x.dtype:
        return modulated_backward_reference(grad, x, style, width)
    n, c, h, w = x.shape
    own = torch.empty_like(x, memory_format=torch.contiguous_format), torch.empty(n * c, dtype=torch.float32)
    given = _numbers(grad).reshape(n * c, h + 2 * width, w + 2 * width), _numbers(x).reshape(n * c, h, w)
    made = _numbers(own[0]).reshape(n * c, h, w), own[1].numpy()
    parallel_for(kernels.modulate_backward, n * c, *given, _wide(style), width, *made, grain=8)
    return own[0], own[1].view(n, c).to(style)


NONE = np.zeros((1, 1), np.float32)


def _finished_cpu(y: Tensor, scale: Tensor, bias: Tensor, offset: Tensor | None, slope: float, bound: float) -> Tensor:
    if not _taken(y):
        return finished_reference(y, scale, bias, offset, slope, bound)
    n, c = y.shape[:2]
    out = torch.empty_like(y, memory_format=torch.contiguous_format)
    added = NONE if offset is None else _wide(offset).reshape(len(offset), -1)
    numbers = np.float32(slope), np.float32(bound)
    planes = (_numbers(tensor).reshape(n * c, -1) for tensor in (y, out))
    a, b = planes
    parallel_for(kernels.finish, n * c, a, _wide(scale), _wide(bias), added, *numbers, b, grain=8)
    return out


def _finished_backward_cpu(
    grad: Tensor, y: Tensor, scale: Tensor, offset: Tensor | None, out: Tensor, slope: float, bound: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if not _taken(y) or grad.dtype != y.dtype:
        return finished_backward_reference(grad, y, scale, offset, out, slope, bound)
    n, c, h, w = y.shape
    gy = torch.empty_like(y, memory_format=torch.contiguous_format)
    gscale, gbias = torch.empty(2, n * c, dtype=torch.float32)
    goffset = torch.zeros(n, 1 if offset is None else h * w, dtype=torch.float32)
    g, a, r, b = (_numbers(tensor).reshape(n * c, -1) for tensor in (grad, y, out, gy))
    numbers = c, np.float32(slope), np.float32(bound)
    made = b, gscale.numpy(), gbias.numpy(), goffset.numpy()
    parallel_for(kernels.finish_backward, n, g, a, _wide(scale), r, *numbers, *made)
    if offset is None:
        added = scale.new_zeros(0)
    else:
        added = goffset.view(n, 1, h, w).to(scale)
        added = added.sum(0, keepdim=True) if len(offset) == 1 else added
    return gy, gscale.view(n, c).to(scale), gbias.view(n, c).sum(0).to(scale), added


def _modulated_rule(grads: tuple, inputs: tuple, _: tuple) -> tuple:
    x, style, width = inputs
    return *_modulated_backward(grads[0], x, style, width), None


def _finished_rule(grads: tuple, inputs: tuple, outputs: tuple) -> tuple:
    y, scale, bias, offset, slope, bound = inputs
    gy, gscale, gbias, goffset = _finished_backward(grads[0], y, scale, offset, outputs[0], slope, bound)
    return gy, gscale, gbias.to(bias), None if offset is None else goffset.to(offset), None, None


def _padded(x: Tensor, style: Tensor, width: int) -> Tensor:
    return x.new_empty(*x.shape[:2], x.shape[2] + 2 * width, x.shape[3] + 2 * width)


_wrapped = Op(
    "wrapped(Tensor x, int width) -> Tensor",
    reference=wrap,
    cpu=_wrapped_cpu,
    fake=lambda x, width: _padded(x, x, width),
    derivative=Linear(lambda grad, shape, width: _folded(grad, width)),
)
_folded = Op(
    "folded(Tensor padded, int width) -> Tensor",
    reference=folded_reference,
    cpu=_folded_cpu,
    fake=lambda x, width: x.new_empty(*x.shape[:2], x.shape[2] - 2 * width, x.shape[3] - 2 * width),
    derivative=Linear(lambda grad, shape, width: _wrapped(grad, width)),
)
_modulated = Op(
    "modulated(Tensor x, Tensor style, int width) -> Tensor",
    reference=modulated_reference,
    cpu=_modulated_cpu,
    fake=_padded,
    derivative=Backward(_modulated_rule),
)
_modulated_backward = Op(
    "modulated_backward(Tensor grad, Tensor x, Tensor style, int width) -> (Tensor, Tensor)",
    reference=modulated_backward_reference,
    cpu=_modulated_backward_cpu,
    fake=lambda grad, x, style, width: (torch.empty_like(x), torch.empty_like(style)),
)
_finished = Op(
    "finished(Tensor y, Tensor scale, Tensor bias, Tensor? offset, float slope, float bound) -> Tensor",
    reference=finished_reference,
    cpu=_finished_cpu,
    fake=lambda y, *rest: torch.empty_like(y, memory_format=torch.contiguous_format),
    derivative=Backward(_finished_rule, reads=(0,)),
)
_finished_backward = Op(
    "finished_backward(Tensor grad, Tensor y, Tensor scale, Tensor? offset, Tensor out, float slope, float bound)"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    reference=finished_backward_reference,
    cpu=_finished_backward_cpu,
    fake=lambda grad, y, scale, offset, *rest: (
        torch.empty_like(y),
        torch.empty_like(scale),
        scale.new_empty(scale.shape[1]),
        scale.new_empty(0) if offset is None else torch.empty_like(offset),
    ),
)
