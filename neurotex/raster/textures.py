"""Texture lookup as taps: which texels a point reads and with which weights.

Lookup and baked operator are the same taps, once multiplied at once, once kept as a matrix. A filter is a choice of
taps: nearest reads 1 texel, bilinear 4, trilinear 4 in each of two mip levels, anisotropic a row of trilinear probes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from ..core.typed import added
from ..errors import ArgumentError
from . import texture_kernels as kernels
from .layout import TexelLayout
from .mipmap import level_of_detail, probes
from .sampler import FILTERS, WRAPS

TAPS = {"nearest": 1, "bilinear": 4, "trilinear": 8, "anisotropic": 8}  # per row


@checked.door()
def _check_rows(first: Int[Tensor, "n_plus_1"], index: Int[Tensor, "rows taps"]) -> None:
    """The door looks."""


@dataclass(frozen=True)
class Taps:
    """Which texels n points read, and with which weights.

    Point p owns the rows `first[p] : first[p + 1]` of `index` and `weight`, one or more: the probes of its filter. The
    weights of a point sum to 1.
    """

    first: Int[Tensor, "n_plus_1"]
    index: Int[Tensor, "rows taps"]
    weight: Float[Tensor, "rows taps"]

    def gather(self, texels: Float[Tensor, "texels channels"]) -> Float[Tensor, "n channels"]:
        """What the points see. Differentiable in `texels` and in the weights."""
        _check_rows(self.first, self.index)
        checked.runs("first", self.first, len(self.index), "row of taps")
        rows = gather_texels(texels, self.index, self.weight)
        if len(rows) == len(self.first) - 1:
            return rows
        points = torch.repeat_interleave(self.first.diff())
        return rows.new_zeros((len(self.first) - 1, rows.shape[1])).index_add(0, points, rows)

    def per_row(self, values: Float[Tensor, "n channels"]) -> Float[Tensor, "rows channels"]:
        """Values of points, handed to each of their rows. ArgumentError unless there is one for each point."""
        if len(values) != len(self.first) - 1:
            raise ArgumentError(f"there are {len(values)} values for taps of {len(self.first) - 1} points.")
        return values if len(self.index) == len(values) else values.repeat_interleave(self.first.diff(), dim=0)


@checked.door()
def taps(
    uv: Float[Tensor, "n 2"],
    duv: Float[Tensor, "n columns 2"],
    texture: Int[Tensor, "n"],
    layout: TexelLayout,
    anisotropy: int = 8,
) -> Taps:
    """Texels and weights of lookup at `uv` in texture number `texture`, each texture with its own filter.

    `duv` is ∂(u, v)/∂(x, y) per sample step, (n, 2, 2); it is not read, and may have no columns, if no texture is
    mip-mapped. Infinite derivatives, or none at all (NaN), see the coarsest level. `anisotropy` in [1, 16] is the
    largest number of probes of an anisotropic lookup. Weights are differentiable in `uv` and `duv`, but for the steps
    from one number of probes to the next. Without gradients on CPU a kernel does it. `layout` is that of all textures.
    """
    checked.whole("anisotropy", anisotropy, 1, 16)
    checked.indices("texture", texture, len(layout.first), "texture")
    return taps_unchecked(uv, duv, texture, layout, anisotropy)


def taps_unchecked(
    uv: Float[Tensor, "n 2"],
    duv: Float[Tensor, "n columns 2"],
    texture: Int[Tensor, "n"],
    layout: TexelLayout,
    anisotropy: int = 8,
) -> Taps:
    """`taps` of textures that exist."""
    if layout.mipmapped and duv.shape[1] != 2:
        raise ArgumentError("mip-mapped lookup needs the derivatives of UV: call sample_surface with derivatives=2.")
    if set(layout.filters) == {"bilinear"}:
        return Taps(torch.arange(len(uv) + 1, device=uv.device), *_bilinear_taps(uv, texture, layout))
    return Taps(*_filtered_taps(uv, duv, texture, *_table(layout), ",".join(layout.filters), layout.total, anisotropy))


def _table(layout: TexelLayout) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The tensors of a layout."""
    return layout.first, layout.shape, layout.wraps, layout.last, layout.levels, layout.filter


def _taps_anywhere(uv: Tensor, duv: Tensor, texture: Tensor, *table: Any) -> tuple[Tensor, Tensor, Tensor]:
    first, shape, wraps, last, levels, filter, filters, total, anisotropy = table
    layout = TexelLayout(first, shape, wraps, last, levels, filter, tuple(filters.split(",")), total)
    found = taps_reference(uv, duv, texture, layout, anisotropy)
    return found.first, found.index, found.weight


# 12 parameters: the op's schema, which torch wants flat
def _taps_cpu(
    uv: Tensor,
    duv: Tensor,
    texture: Tensor,
    _: Tensor,
    shape: Tensor,
    wraps: Tensor,
    last: Tensor,
    levels: Tensor,
    filter: Tensor,
    filters: str,
    total: int,
    anisotropy: int,
) -> tuple[Tensor, Tensor, Tensor]:
    points = [t.contiguous().numpy() for t in (uv, duv, texture.int())]
    table = [t.numpy() for t in (filter, shape, last)]
    names = filters.split(",")
    first = torch.arange(len(uv) + 1)
    if "anisotropic" in names:
        # in place: how many probes of each point, then where the next one's begin
        parallel_for(kernels.count_probes, len(uv), *points[1:], *table, anisotropy, first[1:].numpy(), grain=4096)
        first = first.cumsum(0)
    rows, width = int(first[-1]), max(TAPS[name] for name in names)
    index = torch.empty((rows, width), dtype=torch.int32)
    weight = uv.new_empty((rows, width))
    images, results = (levels.numpy(), wraps.numpy()), (first.numpy(), index.numpy(), weight.numpy())
    parallel_for(kernels.filtered_taps, len(uv), *points, *table, anisotropy, *images, *results, grain=4096)
    return first, index, weight


def taps_reference(
    uv: Float[Tensor, "n 2"],
    duv: Float[Tensor, "n columns 2"],
    texture: Int[Tensor, "n"],
    layout: TexelLayout,
    anisotropy: int = 8,
) -> Taps:
    """`taps` in plain tensor language: every point as probes at two levels, less of both where the filter says so."""
    texture = texture.long()
    shape, last, kind = layout.shape[texture], layout.last[texture], layout.filter[texture]
    count, level, axis = torch.ones_like(texture), uv.new_zeros(len(uv)), torch.zeros_like(uv)
    if layout.mipmapped:
        level = level_of_detail(duv, shape, last)
        several = kind == FILTERS.index("anisotropic")
        many, finer, vector = probes(duv, shape, last, anisotropy)
        count, level = torch.where(several, many, count), torch.where(several, finer, level)
        axis = torch.where(several[:, None], vector, axis)
    first = torch.cat([count.new_zeros(1), count.cumsum(0)])
    point = torch.repeat_interleave(count)
    # probe i of N lies in the middle of the i-th of N equal parts of the footprint
    number = (torch.arange(len(point), device=uv.device) - first[point]).to(uv)
    place = uv[point] + ((number + 0.5) / count[point] - 0.5)[:, None] * axis[point]
    low = level.detach().floor()
    fine = (level - low)[point, None]
    low = low.long()
    pairs = []
    for k, share in ((low, 1 - fine), (torch.minimum(low + 1, last), fine)):
        size = (shape >> k[:, None]).clamp_min(1)
        begin = layout.levels[texture, k]
        index, weight = _corners(place, begin[point], size[point], layout.wraps[texture][point])
        pairs.append((index, weight * share / count[point, None]))
    index, weight = (torch.cat(pair, 1) for pair in zip(*pairs, strict=True))
    nearest = (kind == FILTERS.index("nearest"))[point, None]
    index = torch.where(nearest, _nearest(uv, texture, layout)[point, None], index)
    weight = torch.where(nearest, torch.eye(1, 8, dtype=uv.dtype, device=uv.device), weight)
    width = max(TAPS[name] for name in layout.filters)
    return Taps(first, index[:, :width].contiguous(), weight[:, :width].contiguous())


def _nearest(uv: Tensor, texture: Tensor, layout: TexelLayout) -> Tensor:
    """The texel that each point lies in."""
    shape = layout.shape[texture].flip(-1)
    x, y = _wrapped((_upside_down(uv) * shape).floor().long(), shape, layout.wraps[texture]).unbind(1)
    return (layout.first[texture] + y * shape[:, 0] + x).int()


@checked.door()
def bilinear_taps(
    uv: Float[Tensor, "n 2"], texture: Int[Tensor, "n"], layout: TexelLayout
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """Texels (index into the flat list) and weights of bilinear lookup at `uv` in texture number `texture`.

    UV (0, 0) is bottom-left and texture row 0 is v = 1; texel centres are at +0.5. Weights are differentiable in `uv`
    and sum to 1. Without gradients on CPU a kernel does it. `layout` is that of all textures.
    """
    checked.indices("texture", texture, len(layout.first), "texture")
    return _bilinear_taps(uv, texture, layout)


def _bilinear_taps(uv: Tensor, texture: Tensor, layout: TexelLayout) -> tuple[Tensor, Tensor]:
    return _bilinear(uv, texture, layout.first, layout.shape, layout.wraps)


def _bilinear_cpu(uv: Tensor, texture: Tensor, first: Tensor, shape: Tensor, wraps: Tensor) -> tuple[Tensor, Tensor]:
    index = torch.empty((len(uv), 4), dtype=torch.int32)
    weight = uv.new_empty((len(uv), 4))
    arrays = [t.contiguous().numpy() for t in (uv, texture.int(), first, shape, wraps)]
    parallel_for(kernels.bilinear_taps, len(uv), *arrays, index.numpy(), weight.numpy(), grain=4096)
    return index, weight


def bilinear_taps_reference(
    uv: Float[Tensor, "n 2"], texture: Int[Tensor, "n"], layout: TexelLayout
) -> tuple[Int[Tensor, "n 4"], Float[Tensor, "n 4"]]:
    """`bilinear_taps` in plain tensor language."""
    return _bilinear_anywhere(uv, texture, layout.first, layout.shape, layout.wraps)


def _bilinear_anywhere(
    uv: Tensor, texture: Tensor, first: Tensor, shape: Tensor, wraps: Tensor
) -> tuple[Tensor, Tensor]:
    texture = texture.long()
    return _corners(uv, first[texture], shape[texture], wraps[texture])


def _corners(uv: Tensor, first: Tensor, shape: Tensor, wraps: Tensor) -> tuple[Tensor, Tensor]:
    """The four texels around each point, and their bilinear weights, in images that begin at `first`."""
    shape = shape.flip(-1)
    place = _upside_down(uv) * shape - 0.5
    low = place.detach().floor()
    fraction = place - low
    corners = torch.stack([low.long(), low.long() + 1], -1)  # n, (x, y), (low, high)
    x, y = _wrapped(corners, shape[:, :, None], wraps[:, :, None]).unbind(1)
    index = first[:, None] + (y[:, :, None] * shape[:, :1, None] + x[:, None, :]).flatten(1)
    fx, fy = fraction.unbind(-1)
    wx, wy = torch.stack([1 - fx, fx], -1), torch.stack([1 - fy, fy], -1)
    return index.int(), (wy[:, :, None] * wx[:, None, :]).flatten(1)


def _upside_down(uv: Tensor) -> Tensor:
    """From (0, 0) at the bottom left to (0, 0) at the top left."""
    return torch.stack([uv[:, 0], 1 - uv[:, 1]], -1)


def _wrapped(texel: Tensor, size: Tensor, wrap: Tensor) -> Tensor:
    """Texel coordinates outside of the image, brought back to it."""
    around, there_and_back = texel % size, texel % (2 * size)
    mirrored = there_and_back.minimum(2 * size - 1 - there_and_back)
    clamped = texel.clamp_min(0).minimum(size - 1)
    return torch.where(
        wrap == WRAPS.index("repeat"), around, torch.where(wrap == WRAPS.index("clamp"), clamped, mirrored)
    )


@checked.door()
def gather_texels(
    texels: Float[Tensor, "texels channels"], index: Int[Tensor, "n taps"], weight: Float[Tensor, "n taps"]
) -> Float[Tensor, "n channels"]:
    """Weighted sum of the texels at `index`. Differentiable in `texels` and `weight`.

    Without gradients on CPU a kernel does it.
    """
    if index.shape[1] == 0:
        raise ArgumentError("index has no taps: a point reads one texel at least.")
    checked.indices("index", index, len(texels), "texel")
    return _gather_texels(texels, index, weight)


def _gather_texels_cpu(texels: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    out = texels.new_empty((len(index), texels.shape[1]))
    arrays = [t.contiguous().numpy() for t in (texels, index.int(), weight, out)]
    parallel_for(kernels.gather_texels, len(index), *arrays, grain=4096)
    return out


def gather_texels_reference(
    texels: Float[Tensor, "texels channels"], index: Int[Tensor, "n taps"], weight: Float[Tensor, "n taps"]
) -> Float[Tensor, "n channels"]:
    """`gather_texels` in plain tensor language."""
    return added(texels[index[:, t]] * weight[:, t, None] for t in range(index.shape[1]))


_filtered_taps = Op(
    "filtered_taps(Tensor uv, Tensor duv, Tensor texture, Tensor first, Tensor shape, Tensor wraps, Tensor last, "
    "Tensor levels, Tensor filter, str filters, int total, int anisotropy) -> (Tensor, Tensor, Tensor)",
    reference=_taps_anywhere,
    cpu=_taps_cpu,
    cuda=f"{__name__}_warp.filtered",
)
_bilinear = Op(
    "bilinear_taps(Tensor uv, Tensor texture, Tensor first, Tensor shape, Tensor wraps) -> (Tensor, Tensor)",
    reference=_bilinear_anywhere,
    cpu=_bilinear_cpu,
    cuda=f"{__name__}_warp.bilinear",
    fake=lambda uv, *rest: (uv.new_empty((uv.shape[0], 4), dtype=torch.int32), uv.new_empty((uv.shape[0], 4))),
)
_gather_texels = Op(
    "gather_texels(Tensor texels, Tensor index, Tensor weight) -> Tensor",
    reference=gather_texels_reference,
    cpu=_gather_texels_cpu,
    cuda=f"{__name__}_warp.gather",
    fake=lambda texels, index, weight: texels.new_empty((index.shape[0], texels.shape[1])),
)
