"""The renderer that comes along: rasterise, look up, shade, resolve.

Every covered sample of every view becomes a row of taps into flat lists of texels. Where surfaces are diffuse, taps,
light and texels multiply at once, pixel by pixel, and `bake` keeps taps times light as a matrix; else samples are
shaded one by one.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .. import raster
from ..errors import ArgumentError, SceneError
from ..scene import Scene, resolution
from .maps import SceneMaps
from .radiance import radiance, transport
from .surface import View

BUDGET = 1 << 30  # bytes


def render(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    grid: int = 4,
    antialias: bool = False,
    latents: Mapping[str, Tensor] | None = None,
    budget: int = BUDGET,
) -> Float[Tensor, "views 4 h w"]:
    """Render every camera of the scene: (views, 4, H, W), linear RGB over black, and coverage as alpha.

    `size` is the side of a square image or (height, width), pixels; `grid` × `grid` samples per pixel, box filtered.
    `antialias` blends samples across visible edges, which gives silhouettes a gradient to the vertices (see
    `neurotex.raster.antialias`). `latents` gives values to latents by name for this render. Each texture node is
    evaluated once. Differentiable in textures, latents, weights, vertices and lights; through visibility only with
    `antialias`. An image whose samples need more than about `budget` bytes is worked off in strips, which for
    gradients are rendered a second time.
    """
    size = check_scene(scene, size, grid)
    geometry, maps = scene.geometry(), SceneMaps(scene, latents)
    texels = maps.albedo() if maps.linear and not antialias else None
    # across a UV seam, where vertices are doubled, a surface goes on
    opposite = raster.opposite_corners(scene.welded()[geometry.faces.long()]) if antialias else None
    images = []
    for camera in scene.cameras:
        view = View.of(geometry, maps, camera, size, grid)
        strips = view.strips(budget)

        def strip(top: int, rows: int, view: View = view) -> Tensor:
            if texels is None:
                return _shaded(view, scene, top, rows, opposite)
            return _linear(view, scene, texels, top, rows)

        if len(strips) == 1 or not torch.is_grad_enabled():
            parts = [strip(*rows) for rows in strips]
        else:
            parts = [checkpoint(strip, *rows, use_reentrant=False) for rows in strips]
        images.append(parts[0] if len(parts) == 1 else torch.cat(parts))
    # channels come last in memory: so pixels are written, and so losses read them
    return (images[0][None] if len(images) == 1 else torch.stack(images)).movedim(-1, 1)


def check_scene(scene: Scene, size: int | tuple[int, int], grid: int) -> tuple[int, int]:
    """The image size as (height, width); raises where there would be nothing to see."""
    if len(scene.cameras) == 0:
        raise SceneError("the scene has no camera: pass cameras=[...], or scene.cameras.append(...).")
    if len(scene.lights) == 0:
        raise SceneError("the scene has no light: pass lights=[neurotex.Flash(...)], or scene.lights.append(...).")
    if grid < 1:
        raise ArgumentError(f"grid is {grid}, but every pixel needs at least 1 x 1 samples.")
    return resolution(size)


def pixel_runs(pixel: Int[Tensor, "n"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m_plus_1"], Int[Tensor, "m"]]:
    """The covered pixels, where each one's samples begin, and how many they are."""
    pixel, count = pixel.unique_consecutive(return_counts=True)
    return pixel, torch.cat([count.new_zeros(1), count.cumsum(0)]), count


def _linear(view: View, scene: Scene, texels: Tensor, top: int, rows: int) -> Float[Tensor, "rows width 4"]:
    """Diffuse surfaces: texels straight into pixels."""
    surface = view.surface(view.visible(top, rows), top)
    taps = view.maps.taps("base_color", surface.uv, surface.duv, surface.material)
    light = transport(scene.lights, view.camera, surface) / view.grid**2
    pixel, first, count = pixel_runs(surface.pixel)
    colour = raster.resolve(texels, taps.first[first], taps.index, taps.weight, taps.per_row(light))
    alpha = (count / view.grid**2).to(colour)
    return raster.place_pixels(colour, alpha, pixel, rows * view.size[1]).view(rows, -1, 4)


def _shaded(
    view: View, scene: Scene, top: int, rows: int, opposite: Int[Tensor, "faces 3"] | None
) -> Float[Tensor, "rows width 4"]:
    """Surfaces of all kinds, sample by sample; antialiased if the faces' neighbours are given."""
    # edges are found between neighbours: one more row on both sides
    above, below = (0, 0) if opposite is None else (min(top, 1), min(view.size[0] - top - rows, 1))
    ids = view.visible(top - above, rows + above + below)
    surface = view.surface(ids, top - above)
    taps = view.maps.all_taps(surface.uv, surface.duv, surface.material)
    colour = radiance(view.maps.values(taps), surface, view.maps.materials, scene.lights, view.camera)
    samples = torch.cat([colour, torch.ones_like(colour[:, :1])], dim=1)
    pixel = surface.pixel
    if opposite is not None:
        pixel, samples = _with_blends(view, ids, top - above, opposite, pixel, samples)
    flat = samples.new_zeros(((above + rows + below) * view.size[1], 4))
    flat = flat.index_add(0, pixel, samples / view.grid**2)
    return flat.view(-1, view.size[1], 4)[above : above + rows]


def _with_blends(
    view: View, ids: Tensor, top: int, opposite: Tensor, pixel: Int[Tensor, "n"], samples: Float[Tensor, "n 4"]
) -> tuple[Int[Tensor, "m"], Float[Tensor, "m 4"]]:
    """Samples and what antialiasing adds to some of them, as more samples of their pixels."""
    grid, width = view.grid, ids.shape[1]
    screen = view.screen - view.screen[:, 3:] * view.screen.new_tensor([0, top * grid, 0, 0])
    blends = raster.edge_blends(ids, screen, view.geometry.faces, opposite)
    place = torch.arange(ids.numel(), device=ids.device).view(ids.shape)
    in_order = place.view(-1, grid, width // grid, grid).transpose(1, 2).reshape(-1)  # pixel by pixel, as samples are
    row = torch.full((ids.numel(),), len(samples), device=ids.device)  # the background is one more row
    row[in_order[ids.view(-1)[in_order] >= 0]] = torch.arange(len(samples), device=ids.device)
    seen = torch.cat([samples, samples.new_zeros((1, 4))])[row[blends.taps]]
    change = (blends.weights.to(samples)[:, :, None] * seen).sum(1)
    target = blends.to // width // grid * (width // grid) + blends.to % width // grid
    return torch.cat([pixel, target]), torch.cat([samples, change])
