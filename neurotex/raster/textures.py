"""Texture lookup as taps: which texels a point reads and with which weights.

Lookup and baked operator are the same taps, once multiplied at once, once kept as a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..threads import parallel_for
from . import texture_kernels as kernels

WRAPS = ("repeat", "clamp")  # glTF's REPEAT and CLAMP_TO_EDGE


@dataclass(frozen=True)
class TexelLayout:
    """Several textures in one flat list of texels: where each begins, its (height, width), whether it wraps around."""

    first: Int[Tensor, "textures"]
    shape: Int[Tensor, "textures 2"]
    repeat: Bool[Tensor, "textures"]
    total: int

    @classmethod
    def of(
        cls, shapes: Sequence[tuple[int, int]], wraps: Sequence[str], device: torch.device | None = None
    ) -> TexelLayout:
        """Textures of these (height, width), one after the other, each row by row."""
        shape = torch.tensor(shapes, device=device)
        ends = shape.prod(1).cumsum(0)
        repeat = torch.tensor([wrap == "repeat" for wrap in wraps], device=device)
        return cls(ends - shape.prod(1), shape, repeat, int(ends[-1]))


def bilinear_taps(
    uv: Float[Tensor, "n 2"], texture: Int[Tensor, "n"], layout: TexelLayout
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """Texels (index into the flat list) and weights of bilinear lookup at `uv` in texture number `texture`.

    UV (0, 0) is bottom-left and texture row 0 is v = 1; texel centres are at +0.5. Weights are differentiable in `uv`
    and sum to 1. Without gradients on CPU a kernel does it.
    """
    wants_grad = torch.is_grad_enabled() and uv.requires_grad
    if wants_grad or uv.device.type != "cpu":
        return bilinear_taps_reference(uv, texture, layout)
    index = torch.empty((len(uv), 4), dtype=torch.int32)
    weight = uv.new_empty((len(uv), 4))
    points = (uv.detach().numpy(), texture.numpy())
    table = (layout.first.numpy(), layout.shape.numpy(), layout.repeat.numpy())
    parallel_for(kernels.bilinear_taps, len(uv), *points, *table, index.numpy(), weight.numpy(), grain=4096)
    return index, weight


def bilinear_taps_reference(
    uv: Float[Tensor, "n 2"], texture: Int[Tensor, "n"], layout: TexelLayout
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """`bilinear_taps` in plain tensor language."""
    texture = texture.long()
    shape = layout.shape[texture].flip(-1)
    place = torch.stack([uv[:, 0], 1 - uv[:, 1]], -1) * shape - 0.5
    low = place.detach().floor()
    fraction = place - low
    corners = torch.stack([low.long(), low.long() + 1], -1)  # n, (x, y), (low, high)
    limit = shape[:, :, None]
    corners = torch.where(layout.repeat[texture, None, None], corners % limit, corners.clamp_min(0).minimum(limit - 1))
    x, y = corners.unbind(1)
    index = layout.first[texture, None] + (y[:, :, None] * shape[:, :1, None] + x[:, None, :]).flatten(1)
    fx, fy = fraction.unbind(-1)
    wx, wy = torch.stack([1 - fx, fx], -1), torch.stack([1 - fy, fy], -1)
    return index.int(), (wy[:, :, None] * wx[:, None, :]).flatten(1)


def gather_texels(
    texels: Float[Tensor, "texels channels"], index: Int[Tensor, "n taps"], weight: Float[Tensor, "n taps"]
) -> Float[Tensor, "n channels"]:
    """Weighted sum of the texels at `index`. Differentiable in `texels` and `weight`.

    Without gradients on CPU a kernel does it.
    """
    wants_grad = torch.is_grad_enabled() and (texels.requires_grad or weight.requires_grad)
    if wants_grad or texels.device.type != "cpu":
        return gather_texels_reference(texels, index, weight)
    out = texels.new_empty((len(index), texels.shape[1]))
    arrays = [t.detach().numpy() for t in (texels, index, weight, out)]
    parallel_for(kernels.gather_texels, len(index), *arrays, grain=4096)
    return out


def gather_texels_reference(
    texels: Float[Tensor, "texels channels"], index: Int[Tensor, "n taps"], weight: Float[Tensor, "n taps"]
) -> Float[Tensor, "n channels"]:
    """`gather_texels` in plain tensor language."""
    return sum(texels[index[:, t]] * weight[:, t, None] for t in range(index.shape[1]))
