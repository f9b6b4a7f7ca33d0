"""Texels straight into pixels: the sparse operator's product, for a scene that is seen once and not assembled."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Linear, Op
from ..core.threads import parallel_for
from ..core.typed import added
from ..errors import ArgumentError
from . import resolve_kernels as kernels


@checked.door()
def resolve(
    texels: Float[Tensor, "texels 4"],
    first: Int[Tensor, "rows_plus_1"],
    index: Int[Tensor, "samples taps"],
    weight: Float[Tensor, "samples taps"],
    light: Float[Tensor, "samples channels"],
) -> Float[Tensor, "rows 4"]:
    """Row r is Σ over its samples s in `first[r] : first[r + 1]` of light_s · Σ over taps t of weight_st · texel_st.

    `light` has one channel or three. Differentiable in `texels`; in `weight` and `light`, too, by plain torch, which is
    slower and keeps an array per tap. ArgumentError for another number of channels, and for samples without taps.
    """
    if light.shape[1] not in (1, 3):
        raise ArgumentError(f"light has 1 channel or 3, not {light.shape[1]}.")
    if index.shape[1] == 0:
        raise ArgumentError("index has no taps: a sample reads one texel at least.")
    checked.runs("first", first, len(index), "sample")
    checked.indices("index", index, len(texels), "texel")
    return resolve_unchecked(texels, first.long(), index.int(), weight, light)


def resolve_reference(texels: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> Tensor:
    """`resolve` in plain tensor language."""
    value = added(texels[index[:, t]] * weight[:, t, None] for t in range(index.shape[1]))
    rows = torch.repeat_interleave(torch.arange(len(first) - 1, device=first.device), first.diff())
    return value.new_zeros((len(first) - 1, 4)).index_add(0, rows, value * _four(light))


def _four(light: Tensor) -> Tensor:
    """Light for four channels: one value serves all, three leave the last one dark."""
    return light if light.shape[1] == 1 else torch.nn.functional.pad(light, (0, 1))


def _spread_reference(grad: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor, texels: int) -> Tensor:
    rows = torch.repeat_interleave(torch.arange(len(first) - 1, device=first.device), first.diff())
    lit = grad[rows] * _four(light)
    out = grad.new_zeros((texels, 4))
    for t in range(index.shape[1]):
        out = out.index_add(0, index[:, t].long(), lit * weight[:, t, None])
    return out


def _resolve_cpu(texels: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> Tensor:
    out = texels.new_empty((len(first) - 1, 4))
    arrays = [t.contiguous().numpy() for t in (texels, first, index, weight, light, out)]
    parallel_for(kernels.resolve, len(out), *arrays, grain=1024, pieces=4)
    return out


def _spread_cpu(grad: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor, texels: int) -> Tensor:
    arrays = [t.contiguous().numpy() for t in (grad, first, index, weight, light)]
    # threads meet in the same texels, so each has a sum of its own, if clearing and adding these is the lesser work
    alone = torch.get_num_threads() * texels > index.numel()
    pieces = 1 if alone else torch.get_num_threads()
    sums = grad.new_zeros((pieces, texels, 4))
    rows = len(first) - 1

    def spread(start: int, stop: int) -> None:
        for k in range(start, stop):
            kernels.spread(rows * k // pieces, rows * (k + 1) // pieces, *arrays, sums[k].numpy())

    parallel_for(spread, pieces)
    total = sums[0]
    for k in range(1, pieces):
        total += sums[k]
    return total


# Of samples and texels that exist. Each is the other's transpose, so both can be differentiated any number of times.
resolve_unchecked = Op(
    "resolve(Tensor texels, Tensor first, Tensor index, Tensor weight, Tensor light) -> Tensor",
    reference=resolve_reference,
    cpu=_resolve_cpu,
    cuda=f"{__name__}_warp.resolved",
    fake=lambda texels, first, *rest: texels.new_empty((first.shape[0] - 1, 4)),
    derivative=Linear(lambda grad, shape, *taps: _spread(grad, *taps, shape[0])),
)
_spread = Op(
    "spread(Tensor grad, Tensor first, Tensor index, Tensor weight, Tensor light, int texels) -> Tensor",
    reference=_spread_reference,
    cpu=_spread_cpu,
    cuda=f"{__name__}_warp.scattered",
    fake=lambda grad, first, index, weight, light, texels: grad.new_empty((texels, 4)),
    derivative=Linear(lambda grad, shape, *taps: resolve_unchecked(grad, *taps[:4])),
)
