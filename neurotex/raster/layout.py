"""Several textures as one flat list of texels: where each lies in it, with its mip levels, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..errors import ArgumentError
from .mipmap import level_shapes, mip_levels
from .sampler import FILTERS, MIPMAPPED, ON_MESH, WRAPS, Sampler


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
        samplers = [Sampler.of(wrap, name) for wrap, name in zip(wraps, filters, strict=True)]
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
            wraps=torch.tensor([[WRAPS.index(s.wrap_s), WRAPS.index(s.wrap_t)] for s in samplers], device=device),
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
