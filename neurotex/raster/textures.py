"""Texture lookup as taps: which texels a point reads and with which weights.

Lookup and baked operator are the same taps, once multiplied at once, once kept as a matrix. A filter is a choice of
taps: nearest reads 1 texel, bilinear 4, trilinear 4 in each of two mip levels, anisotropic a row of trilinear probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
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
from .mipmap import level_of_detail, level_shapes, mip_levels, probes

# glTF's REPEAT, CLAMP_TO_EDGE and MIRRORED_REPEAT; numbered so in the kernels
WRAPS = ("repeat", "clamp", "mirror")
FILTERS = ("nearest", "bilinear", "trilinear", "anisotropic")  # numbered so in the kernels
ON_MESH = ("vertex", "face")  # texels that no UVs lead to: see `mesh_taps`
MIPMAPPED = FILTERS[2:]
TAPS = {"nearest": 1, "bilinear": 4, "trilinear": 8, "anisotropic": 8}  # per row


def both_axes(wrap: str | tuple[str, str]) -> tuple[str, str]:
    """How a texture wraps along u and along v; ArgumentError unless that is one way or two."""
    if isinstance(wrap, str):
        return wrap, wrap
    if not isinstance(wrap, tuple | list) or len(wrap) != 2:
        raise ArgumentError(f"a texture wraps in one way, or in two, along u and along v; not as {wrap!r}.")
    return wrap[0], wrap[1]


@dataclass(frozen=True)
class TexelLayout:
    """Several textures in one flat list of texels: where each begins, its (height, width), how it goes on
    outside along u and v: each wrap's place in `WRAPS`.

    A mip-mapped texture is followed by its levels down to number `last`, which is 0 for the others; `levels` says where
    each level begins, the last one repeated to fill the table. `filter` is each filter's place in `FILTERS`. `total` is
    how many texels there are, levels included.
    """

    first: Int[Tensor, "textures"]
    shape: Int[Tensor, "textures 2"]
    wraps: Int[Tensor, "textures 2"]
    last: Int[Tensor, "textures"]
    levels: Int[Tensor, "textures levels"]
    filter: Int[Tensor, "textures"]
    filters: tuple[str, ...]
    total: int

    def __post_init__(self) -> None:
        _check_layout(self.first, self.shape, self.wraps, self.last, self.levels, self.filter)
        columns = self.levels.shape[1]
        if not len(self.first) or not bool(((self.last >= 0) & (self.last < columns)).all()):
            raise ArgumentError(f"a layout has one texture or more, each with a last level among its {columns}.")
        if int(self.shape.min()) < 1 or int(self.filter.min()) < 0 or int(self.filter.max()) >= len(FILTERS):
            raise ArgumentError("a layout's textures have one texel at least, and filters of `FILTERS` by number.")

    @classmethod
    def of(
        cls,
        shapes: Sequence[tuple[int, int]],
        wraps: Sequence[str | tuple[str, str]],
        device: torch.device | None = None,
        filters: Sequence[str] | None = None,
    ) -> TexelLayout:
        """Textures of these (height, width), one after the other, each row by row; all bilinear without `filters`.

        A wrap is one of `WRAPS`, or two of them: along u, along v. `shapes` are at least 1 × 1, and the tables lie on
        `device`, the CPU by default. ArgumentError for names that are unknown, lists of other lengths than `shapes`,
        and for 2³¹ texels or more.
        """
        filters = ("bilinear",) * len(shapes) if filters is None else tuple(filters)
        if not len(shapes) == len(wraps) == len(filters) > 0:
            raise ArgumentError(
                f"a layout needs a wrap and a filter for each of its textures, but there are {len(shapes)} shapes, "
                f"{len(wraps)} wraps and {len(filters)} filters."
            )
        shapes = [checked.image_size("a texture", shape) for shape in shapes]
        axes = [both_axes(wrap) for wrap in wraps]
        for names, known in (*((pair, WRAPS) for pair in axes), (filters, FILTERS + ON_MESH)):
            for name in names:
                if name not in known:
                    raise ArgumentError(f"'{name}' is unknown: choose one of {', '.join(known)}.")
        chains, total = [], 0
        for shape, name in zip(shapes, filters, strict=True):
            starts = []
            for height, width in level_shapes(shape) if name in MIPMAPPED else [shape]:
                starts.append(total)
                total += height * width
            chains.append(starts)
        if total >= checked.BITS31:
            raise ArgumentError(f"textures of {total} texels are beyond the 2³¹ that one list has: make them smaller.")
        longest = max(map(len, chains))
        levels = torch.tensor([starts + starts[-1:] * (longest - len(starts)) for starts in chains], device=device)
        return cls(
            first=levels[:, 0].contiguous(),
            shape=torch.tensor(shapes, device=device),
            wraps=torch.tensor([[WRAPS.index(u), WRAPS.index(v)] for u, v in axes], device=device),
            last=torch.tensor([len(starts) - 1 for starts in chains], device=device),
            levels=levels,
            filter=torch.tensor([FILTERS.index(_by_uv(name)) for name in filters], device=device),
            filters=filters,
            total=total,
        )

    @cached_property
    def shapes(self) -> list[list[int]]:
        """`shape` as numbers, read once."""
        return self.shape.tolist()

    @property
    def mipmapped(self) -> bool:
        """Whether any texture has levels: then lookups need the derivatives of UV."""
        return any(name in MIPMAPPED for name in self.filters)

    @property
    def on_mesh(self) -> bool:
        """Whether any texture's texels lie on the mesh: then lookups need the place on it."""
        return any(name in ON_MESH for name in self.filters)

    def by_uv(self) -> TexelLayout:
        """The same, as if all textures were found by UV."""
        return replace(self, filters=tuple(map(_by_uv, self.filters)))


def _by_uv(name: str) -> str:
    return "bilinear" if name in ON_MESH else name


def flatten_maps(
    maps: Sequence[Float[Tensor, "channels _ _"]], layout: TexelLayout
) -> Float[Tensor, "texels channels"]:
    """Textures (C, H, W) as the list of texels that `layout` describes, with the levels of those that are mip-mapped.

    Differentiable in the maps. Levels are averages of light: decode sRGB first. ArgumentError for maps that are not
    those of the layout.
    """
    if len(maps) != len(layout.filters):
        raise ArgumentError(f"there are {len(maps)} maps, but their layout is of {len(layout.filters)}.")
    kinds = {(m.ndim, len(m), m.dtype) if isinstance(m, Tensor) and m.ndim else None for m in maps}
    if len(kinds) > 1 or None in kinds or maps[0].ndim != 3:
        raise ArgumentError("maps are (C, H, W), of one type and with as many channels each.")
    levels = [mip_levels(m) if name in MIPMAPPED else [m] for m, name in zip(maps, layout.filters, strict=True)]
    texels = torch.cat([level.flatten(1).T for chain in levels for level in chain])
    if len(texels) != layout.total:
        raise ArgumentError(f"these maps have {len(texels)} texels with all levels, but their layout {layout.total}.")
    shapes = [list(m.shape[1:]) for m in maps]
    if not torch.compiler.is_compiling() and shapes != layout.shapes:
        raise ArgumentError(f"these maps are of {shapes} texels, but their layout is of {layout.shapes}.")
    return texels


@checked.door()
def _check_layout(
    first: Int[Tensor, "textures"],
    shape: Int[Tensor, "textures 2"],
    wraps: Int[Tensor, "textures 2"],
    last: Int[Tensor, "textures"],
    levels: Int[Tensor, "textures levels"],
    filter: Int[Tensor, "textures"],
) -> None:
    """The door looks."""


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
