"""The renderer that comes along: rasterise, look up, shade, resolve.

Every covered sample of every view becomes a row of taps into flat lists of texels. Where surfaces are diffuse, taps,
light and texels multiply at once, pixel by pixel, and `bake` keeps taps times light as a matrix; else samples are
shaded one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .. import raster
from ..core.memory import memory_for
from ..core.op import transformed
from ..core.precision import uncast
from ..errors import ArgumentError
from ..raster.antialias import edge_blends_unchecked
from ..raster.pixels import place_pixels_unchecked
from ..raster.resolve import resolve_unchecked
from ..raster.texels import number_seen_unchecked
from ..scene import Camera, Latents, Light, Scene, resolution
from ..scene.batches import over_batches
from ..scene.check import check_views
from ..scene.counts import is_count
from .lighting import Lighting
from .maps import SceneMaps
from .radiance import radiance
from .surface import View

BUDGET = 1 << 30  # bytes


def render(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    cameras: Iterable[Camera] | Camera | None = None,
    lights: Iterable[Light] | Light | None = None,
    grid: int = 4,
    antialias: bool = False,
    latents: Latents | None = None,
    budget: int = BUDGET,
) -> Float[Tensor, "*batches views 4 h w"]:
    """Render every camera of the scene: (views, 4, H, W), linear RGB over black, and coverage as alpha.

    `cameras` and `lights`, if given, stand in for the scene's own (see `Scene.replace`).
    `size` is the side of a square image or (height, width), pixels; `grid` × `grid` samples per pixel, box filtered.
    `antialias` blends samples across visible edges, which gives silhouettes a gradient to the vertices (see
    `neurotex.raster.antialias`). `latents` gives values to latents by name for this render; each name of a batch
    (see `Latent`) puts a dimension in front, for which everything but textures and light is computed once. Each texture
    node is evaluated once. Differentiable in textures, latents, weights, vertices and lights; through visibility only
    with `antialias`. A pure function of `latents`, under the transforms of `torch.func`, too. An image whose samples
    need more than about `budget` bytes is worked off in strips, which for gradients are rendered a second time.
    Raises OutOfMemoryError where memory does not suffice.
    """
    scene = scene.replace(cameras=cameras, lights=lights)
    size = check_scene(scene, size, grid)
    with memory_for(f"a render of {described(scene, size)}", "turn down size, grid or budget, or give fewer cameras"):
        return over_batches(lambda given: _render(scene, size, grid, antialias, given, budget), scene, latents)


def _render(
    scene: Scene, size: tuple[int, int], grid: int, antialias: bool, latents: Latents, budget: int
) -> Float[Tensor, "views 4 h w"]:
    geometry = scene.geometry()
    maps = SceneMaps(scene, latents, geometry.vertices)
    with uncast(geometry.vertices.device):
        lights = Lighting.of(scene.lights, geometry.vertices)
        views = [View.of(geometry, maps, camera, size, grid) for camera in scene.cameras]
        strips = [(view, *strip) for view in views for strip in view.strips(budget)]
        if maps.linear and not antialias:
            at_once = len(views) * views[0].bytes <= budget
            parts = _lit_at_once(strips, lights) if at_once else _lit_in_turn(strips, lights)
        else:
            # across a UV seam, where vertices are doubled, a surface goes on
            opposite = raster.opposite_corners(scene.welded()[geometry.faces.long()]) if antialias else None
            parts = [_frugally(_shaded, len(strips) > len(views), lights, opposite, *strip) for strip in strips]
        image = parts[0] if len(parts) == 1 else torch.cat(parts)
    # channels come last in memory: so pixels are written, and so losses read them
    return image.view(len(views), *size, 4).movedim(-1, 1)


def _frugally(part: Callable[..., Tensor], several: bool, *args: object) -> Tensor:
    """One of `several` parts of a render; each is rendered again for its gradients, so that one at a time is kept."""
    if several and torch.is_grad_enabled() and not transformed():
        return checkpoint(part, *args, use_reentrant=False)
    return part(*args)


def described(scene: Scene, size: tuple[int, int]) -> str:
    """What is rendered, for messages."""
    views = len(scene.cameras)
    return f"{views} view{'' if views == 1 else 's'} of {size[1]} x {size[0]} pixels"


def check_scene(scene: Scene, size: int | tuple[int, int], grid: int) -> tuple[int, int]:
    """The image size as (height, width); raises where there would be nothing to see."""
    check_views(scene)
    if not is_count(grid):
        raise ArgumentError(f"grid is {grid}, but every pixel needs at least 1 x 1 samples, a whole number.")
    return resolution(size)


def pixel_runs(pixel: Int[Tensor, "n"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m_plus_1"], Int[Tensor, "m"]]:
    """The covered pixels, where each one's samples begin, and how many they are."""
    pixel, count = pixel.unique_consecutive(return_counts=True)
    return pixel, torch.cat([count.new_zeros(1), count.cumsum(0)]), count


@dataclass(frozen=True)
class Lit:
    """Taps of some rows of a view with diffuse surfaces, and their light: all but the texels."""

    pixel: Int[Tensor, "m"]
    alpha: Float[Tensor, "m"]
    first: Int[Tensor, "m_plus_1"]
    index: Int[Tensor, "rows taps"]
    weight: Float[Tensor, "rows taps"]
    light: Float[Tensor, "rows channels"]
    total: int

    @classmethod
    def of(cls, lights: Lighting, view: View, top: int, rows: int) -> Lit:
        """What the camera sees of the image's rows [top, top + rows)."""
        surface = view.surface(view.visible(top, rows), top)
        taps = view.maps.taps("base_color", surface)
        light = surface.tinted(lights.at(view.camera).diffuse(surface.position, surface.normal))
        light = taps.per_row(light / view.grid**2)
        pixel, first, count = pixel_runs(surface.pixel)
        alpha = count.to(light.dtype) / view.grid**2
        return cls(pixel, alpha, taps.first.index_select(0, first), taps.index, taps.weight, light, rows * view.size[1])

    def image(self, texels: Float[Tensor, "texels 4"], index: Int[Tensor, "rows taps"]) -> Float[Tensor, "total 4"]:
        """Texels straight into pixels."""
        colour = resolve_unchecked(texels, self.first, index, self.weight, self.light)
        return place_pixels_unchecked(colour, self.alpha, self.pixel, self.total)


def _lit_at_once(strips: list[tuple[View, int, int]], lights: Lighting) -> list[Float[Tensor, "total 4"]]:
    """Diffuse surfaces in a small image: of the textures, only what is seen is touched."""
    lit = [Lit.of(lights, *strip) for strip in strips]
    maps = strips[0][0].maps
    seen, indices = number_seen_unchecked([part.index for part in lit], maps.layout("base_color").total)
    texels = maps.albedo(seen)
    return [part.image(texels, index) for part, index in zip(lit, indices, strict=True)]


def _lit_in_turn(strips: list[tuple[View, int, int]], lights: Lighting) -> list[Float[Tensor, "total 4"]]:
    """Diffuse surfaces, one strip after the other."""
    texels = strips[0][0].maps.albedo()

    def strip(*where: Any) -> Tensor:
        part = Lit.of(lights, *where)
        return part.image(texels, part.index)

    several = any(top for _, top, _ in strips)
    return [_frugally(strip, several, *where) for where in strips]


def _shaded(
    lights: Lighting, opposite: Int[Tensor, "faces 3"] | None, view: View, top: int, rows: int
) -> Float[Tensor, "total 4"]:
    """Surfaces of all kinds, sample by sample; antialiased if the faces' neighbours are given."""
    # edges are found between neighbours: one more row on both sides
    above, below = (0, 0) if opposite is None else (min(top, 1), min(view.size[0] - top - rows, 1))
    ids = view.visible(top - above, rows + above + below)
    surface = view.surface(ids, top - above)
    taps = view.maps.all_taps(surface)
    colour = radiance(view.maps.values(taps), surface, view.maps.materials, lights.at(view.camera))
    samples = torch.cat([colour, torch.ones_like(colour[:, :1])], dim=1)
    pixel = surface.pixel
    if opposite is not None:
        pixel, samples = _with_blends(view, ids, top - above, opposite, pixel, samples)
    flat = samples.new_zeros(((above + rows + below) * view.size[1], 4))
    flat = flat.index_add(0, pixel, samples / view.grid**2)
    return flat[above * view.size[1] : (above + rows) * view.size[1]]


def _with_blends(
    view: View, ids: Tensor, top: int, opposite: Tensor, pixel: Int[Tensor, "n"], samples: Float[Tensor, "n 4"]
) -> tuple[Int[Tensor, "m"], Float[Tensor, "m 4"]]:
    """Samples and what antialiasing adds to some of them, as more samples of their pixels."""
    grid, width = view.grid, ids.shape[1]
    screen = view.screen - view.screen[:, 3:] * view.screen.new_tensor([0, top * grid, 0, 0])
    blends = edge_blends_unchecked(ids, screen, view.geometry.faces, opposite)
    place = torch.arange(ids.numel(), device=ids.device).view(ids.shape)
    in_order = place.view(-1, grid, width // grid, grid).transpose(1, 2).reshape(-1)  # pixel by pixel, as samples are
    row = torch.full((ids.numel(),), len(samples), device=ids.device)  # the background is one more row
    row[in_order[ids.view(-1)[in_order] >= 0]] = torch.arange(len(samples), device=ids.device)
    seen = torch.cat([samples, samples.new_zeros((1, 4))])[row[blends.taps]]
    change = (blends.weights.to(samples)[:, :, None] * seen).sum(1)
    target = blends.to // width // grid * (width // grid) + blends.to % width // grid
    return torch.cat([pixel, target]), torch.cat([samples, change])
