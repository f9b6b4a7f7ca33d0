"""Scene → bake: what it holds constant is computed here, once; see `baked`."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from .. import raster
from ..core.memory import memory_for
from ..core.precision import uncast
from ..core.progress import Bar
from ..raster.operator import assemble_rows_unchecked
from ..raster.texels import number_seen_unchecked
from ..scene import Geometry, Scene
from ..scene.check import stand_ins
from .baked import BakedMatrix
from .baked_samples import BakedSamples, Strip
from .budget import BUDGET, strips
from .direct import check_scene, described
from .gbuffer import GBuffer, Surface, View, pixel_runs
from .maps import SceneMaps
from .stage import Stage


@torch.no_grad()
def bake(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    grid: int = 4,
    budget: int = BUDGET,
    progress: bool | None = None,
) -> BakedMatrix | BakedSamples:
    """Freeze geometry, cameras, cut-outs, shadows and, if all is diffuse, lights of a scene.

    For `size`, `grid` and `budget` see `render`, for `progress` `neurotex.core.progress`.

    Of textures only the sizes count, so latents may be unbound; but not those that cut something out.
    """
    size = check_scene(scene, size, grid)
    with memory_for(f"a bake of {described(scene, size)}", "turn down size or grid, or give fewer cameras"):
        return _frozen(scene, size, grid, budget, progress)


def _frozen(
    scene: Scene, size: tuple[int, int], grid: int, budget: int, progress: bool | None
) -> BakedMatrix | BakedSamples:
    cut = any(material.alpha_cutoff is not None for material in scene.materials())
    geometry = scene.geometry()
    maps = SceneMaps(scene, None if cut else stand_ins(scene), geometry.vertices)
    with uncast(geometry.vertices.device):
        return _bake(scene, geometry, maps, size, grid, budget, progress)


def _bake(
    scene: Scene,
    geometry: Geometry,
    maps: SceneMaps,
    size: tuple[int, int],
    grid: int,
    budget: int,
    progress: bool | None,
) -> BakedMatrix | BakedSamples:
    stage = Stage.of(scene, geometry, maps, grid)
    parts, pixels, counts = [], [], []
    before = 0
    with Bar("bake", len(scene.cameras), progress) as bar:
        for number, camera in enumerate(scene.cameras):
            view = View.of(stage, camera, size, grid)
            for _, top, rows in strips(view, budget):
                surface = view.surface(view.visible(top, rows), top)
                if maps.linear:
                    found = view.lit(GBuffer.of(surface, maps)).rows(maps, view.light, grid)
                    pixel, count = found.pixel, found.count
                    parts.append(assemble_rows_unchecked(found.first, found.index, found.weight, found.light))
                else:
                    pixel, _, count = pixel_runs(surface.pixel)
                    parts += _strips(number, surface, maps, before + torch.repeat_interleave(count))
                pixels.append(pixel + (number * size[0] + top) * size[1])
                counts.append(count)
                before += len(count)
            bar(number + 1)
    alpha = torch.cat(counts).to(geometry.vertices.dtype) / grid**2
    common = (scene, maps, torch.cat(pixels), alpha, size)
    if not maps.linear:
        return BakedSamples(parts, stage.occluders, grid, *common)
    ends = torch.stack([pointers[-1] for pointers, _, _ in parts]).cumsum(0)
    starts = [0, *ends[:-1].tolist()]
    pointers = torch.cat([p[:-1] + start for (p, _, _), start in zip(parts, starts, strict=True)] + [ends[-1:]])
    columns, values = (torch.cat([part[k] for part in parts]) for k in (1, 2))
    # most texels are seen by no view: only those that are become columns
    texel, (columns,) = number_seen_unchecked([columns[:, None]], maps.layout("base_color").total)
    operator = raster.SparseOperator(pointers, columns[:, 0], values, len(texel))
    return BakedMatrix(operator, texel, *common)


def _strips(number: int, surface: Surface, maps: SceneMaps, pixel: Int[Tensor, "n"]) -> list[Strip]:
    """Glossy and diffuse samples of some rows of a view, each by themselves."""
    glossy = torch.tensor([material.roughness is not None for material in maps.materials], device=pixel.device)
    parts = []
    for kind in (True, False):
        which = (glossy[surface.material.long()] == kind).nonzero()[:, 0]
        if len(which):
            alike = [material for material in maps.materials if (material.roughness is not None) == kind]
            diffuse = not kind and "normal" not in maps.planes
            parts.append(Strip(number, GBuffer.of(surface.some(which), maps), pixel[which], alike, diffuse))
    return parts
