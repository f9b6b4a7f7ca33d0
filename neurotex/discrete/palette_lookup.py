"""Which colours of a palette are near, how near, and sums of them: what a palette step is made of.

On CPU kernels do it, so that neither distances to all colours nor a list of colours per texel is ever in memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Backward, Op
from ..core.threads import parallel_for
from ..core.typed import added
from . import palette_kernels as kernels

TEXELS = 1 << 16  # at a time: the reference holds distances of so many to all colours
PACKED = torch.contiguous_format


@checked.door()
def nearest_colors(
    x: Float[Tensor, "n c h w"], colors: Float[Tensor, "k c"], count: int
) -> tuple[Int[Tensor, "n count h w"], Float[Tensor, "n count h w"]]:
    """Numbers (int32) of the `count` nearest colours, nearest first and the first of equals first, and distances².

    The latter are differentiable in `x` and `colors`.
    """
    count = checked.whole("count", count, 1, len(colors))
    return nearest_colors_unchecked(x, colors, count)


@checked.door()
def blend_colors(
    weights: Float[Tensor, "n count h w"], colors: Float[Tensor, "k c"], index: Int[Tensor, "n count h w"]
) -> Float[Tensor, "n c h w"]:
    """Σ_j weights_j colors[index_j] at each texel. Differentiable in `weights` and `colors`."""
    checked.indices("index", index, len(colors), "colour")
    return blend_colors_unchecked(weights, colors, index.int())


def nearest_reference(
    x: Float[Tensor, "n c h w"], colors: Float[Tensor, "k c"], count: int
) -> tuple[Int[Tensor, "n count h w"], Float[Tensor, "n count h w"]]:
    """`nearest_colors` in plain tensor language."""
    found = []
    for texels in x.movedim(1, -1).flatten(0, 2).split(TEXELS):
        distance = added((texels[:, c, None] - colors[:, c]).square() for c in range(x.shape[1]))
        distance, index = distance.sort(dim=1, stable=True)
        found.append((index[:, :count].int(), distance[:, :count]))
    shape = (x.shape[0], *x.shape[2:], count)
    index, distance = (torch.cat(parts).view(shape).movedim(-1, 1).contiguous() for parts in zip(*found, strict=True))
    return index, distance


def nearest_backward_reference(
    grad: Float[Tensor, "n count h w"],
    x: Float[Tensor, "n c h w"],
    colors: Float[Tensor, "k c"],
    index: Int[Tensor, "n count h w"],
) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "k c"]]:
    """The gradient through distances² to `x` and `colors`: 2 (x − color) and its opposite."""
    slope = 2 * grad[:, :, None] * (x[:, None] - _chosen(colors, index))
    return slope.sum(1), -_gathered(slope, colors, index)


def blend_reference(
    weights: Float[Tensor, "n count h w"], colors: Float[Tensor, "k c"], index: Int[Tensor, "n count h w"]
) -> Float[Tensor, "n c h w"]:
    """`blend_colors` in plain tensor language."""
    return (weights[:, :, None] * _chosen(colors, index)).sum(1)


def blend_backward_reference(
    grad: Float[Tensor, "n c h w"],
    weights: Float[Tensor, "n count h w"],
    colors: Float[Tensor, "k c"],
    index: Int[Tensor, "n count h w"],
) -> tuple[Float[Tensor, "n count h w"], Float[Tensor, "k c"]]:
    """The gradient through `blend_colors` to `weights` and `colors`."""
    return (grad[:, None] * _chosen(colors, index)).sum(2), _gathered(
        weights[:, :, None] * grad[:, None], colors, index
    )


def _chosen(colors: Tensor, index: Tensor) -> Tensor:
    """(N, count, C, H, W): the colours at `index`."""
    return colors[index.long()].movedim(-1, 2)


def _gathered(values: Tensor, colors: Tensor, index: Tensor) -> Tensor:
    """(K, C): sums of values (N, count, C, H, W) over the places of each colour."""
    rows = values.movedim(2, -1).flatten(0, -2)
    return torch.zeros_like(colors).index_add(0, index.flatten().long(), rows)


def _flat(*tensors: Tensor) -> list:
    """Arrays (N, channels, texels)."""
    return [t.detach().contiguous().flatten(2).numpy() for t in tensors]


def _nearest_cpu(x: Tensor, colors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    distance = x.new_empty((x.shape[0], count, *x.shape[2:]))
    index = torch.empty(distance.shape, dtype=torch.int32)
    arrays = (*_flat(x), colors.contiguous().numpy(), *_flat(index, distance))
    # each piece makes lists of its own: few pieces
    parallel_for(kernels.nearest, x.shape[0] * arrays[0].shape[2], *arrays, grain=4096)
    return index, distance


def _nearest_backward_cpu(grad: Tensor, x: Tensor, colors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    return _with_total(kernels.nearest_backward, (grad, x), colors, index, torch.empty_like(x, memory_format=PACKED))


def _blend_cpu(weights: Tensor, colors: Tensor, index: Tensor) -> Tensor:
    out = weights.new_empty((weights.shape[0], colors.shape[1], *weights.shape[2:]))
    arrays = (*_flat(weights), colors.contiguous().numpy(), *_flat(index, out))
    parallel_for(kernels.blend, weights.shape[0] * arrays[0].shape[2], *arrays, grain=4096)
    return out


def _blend_backward_cpu(grad: Tensor, weights: Tensor, colors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    out = torch.empty_like(weights, memory_format=PACKED)
    return _with_total(kernels.blend_backward, (grad, weights), colors, index, out)


def _with_total(
    kernel: Callable, inputs: tuple[Tensor, Tensor], colors: Tensor, index: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """What a backward kernel writes, and the sum of what its pieces return: the colours' gradient."""
    arrays = (*_flat(*inputs), colors.contiguous().numpy(), *_flat(index, out))
    parts = parallel_for(kernel, out.shape[0] * arrays[0].shape[2], *arrays, grain=4096)
    return out, torch.from_numpy(sum(parts)).to(colors)


_nearest_backward = Op(
    "nearest_colors_backward(Tensor grad, Tensor x, Tensor colors, Tensor index) -> (Tensor, Tensor)",
    reference=nearest_backward_reference,
    cpu=_nearest_backward_cpu,
    cuda=f"{__name__}_warp.nearest_colors_backward",
    fake=lambda grad, x, colors, index: (x.new_empty(x.shape), colors.new_empty(colors.shape)),
)
# `count` of as many colours at most, which have the channels of x
nearest_colors_unchecked = Op(
    "nearest_colors(Tensor x, Tensor colors, int count) -> (Tensor, Tensor)",
    reference=nearest_reference,
    cpu=_nearest_cpu,
    cuda=f"{__name__}_warp.nearest_colors",
    fake=lambda x, colors, count: (
        x.new_empty((x.shape[0], count, *x.shape[2:]), dtype=torch.int32),
        x.new_empty((x.shape[0], count, *x.shape[2:])),
    ),
    derivative=Backward(
        lambda grads, inputs, outputs: (*_nearest_backward(grads[1], *inputs[:2], *outputs), None), reads=(0,)
    ),
)
_blend_backward = Op(
    "blend_colors_backward(Tensor grad, Tensor weights, Tensor colors, Tensor index) -> (Tensor, Tensor)",
    reference=blend_backward_reference,
    cpu=_blend_backward_cpu,
    cuda=f"{__name__}_warp.blend_colors_backward",
    fake=lambda grad, weights, colors, index: (weights.new_empty(weights.shape), colors.new_empty(colors.shape)),
)
# of colours that exist
blend_colors_unchecked = Op(
    "blend_colors(Tensor weights, Tensor colors, Tensor index) -> Tensor",
    reference=blend_reference,
    cpu=_blend_cpu,
    cuda=f"{__name__}_warp.blend_colors",
    fake=lambda weights, colors, index: weights.new_empty((weights.shape[0], colors.shape[1], *weights.shape[2:])),
    derivative=Backward(lambda grads, inputs, _: (*_blend_backward(grads[0], *inputs), None)),
)
