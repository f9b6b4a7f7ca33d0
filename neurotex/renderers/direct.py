"""The renderer that comes along: rasterise, look up, shade, resolve.

Every covered sample of every view becomes a row of taps into flat lists of texels (see `gbuffer`). Where surfaces are
diffuse, taps, light and texels multiply at once, pixel by pixel, and `bake` keeps taps times light as a matrix; else
samples are shaded one by one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from .. import raster
from ..core.memory import memory_for
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
from ..scene.graph import check_is_scene
from .budget import BUDGET, SAMPLE_BYTES, Kept, Strip, in_turn, strips
from .gbuffer import GBuffer, PixelRows, View
from .maps import SceneMaps
from .radiance import radiance
from .stage import Stage

# what a sample keeps for its gradient, roughly: shaded by itself; and where vertices or lights are to have one, too
SHADED_BYTES, FOLLOWED_BYTES = 384, 1024


# 8 parameters: the scene and its size, the others have defaults and are named
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
    with `antialias`. A pure function of `latents`, under the transforms of `torch.func`, too. Samples of all views keep
    about `budget` bytes: they are worked off in strips, and those whose gradients find no room are rendered a second
    time for them. Raises OutOfMemoryError where memory does not suffice.
    """
    check_is_scene(scene)
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
        stage = Stage.of(scene, geometry, maps, grid)
        views = [View.of(stage, camera, size, grid) for camera in scene.cameras]
        parts = [strip for view in views for strip in strips(view, budget)]
        if not maps.linear or antialias:
            # across a UV seam, where vertices are doubled, a surface goes on
            opposite = raster.opposite_corners(scene.welded()[geometry.faces.long()]) if antialias else None
            images = in_turn(lambda strip: _shaded(opposite, *strip), parts, budget)
        elif sum(strip.samples for strip in parts) * SAMPLE_BYTES <= budget:
            images = _lit_at_once(parts)
        else:
            texels = maps.albedo()
            images = in_turn(lambda strip: _lit(texels, strip), parts, budget)
        image = images[0] if len(images) == 1 else torch.cat(images)
    # channels come last in memory: so pixels are written, and so losses read them
    return image.view(len(views), *size, 4).movedim(-1, 1)


def described(scene: Scene, size: tuple[int, int]) -> str:
    """What is rendered, for messages."""
    views = len(scene.cameras)
    return f"{views} view{'' if views == 1 else 's'} of {size[1]} x {size[0]} pixels"


def check_scene(scene: Scene, size: int | tuple[int, int], grid: int) -> tuple[int, int]:
    """The image size as (height, width); raises where there would be nothing to see."""
    check_is_scene(scene)
    check_views(scene)
    if not is_count(grid):
        raise ArgumentError(f"grid is {grid}, but every pixel needs at least 1 x 1 samples, a whole number.")
    return resolution(size)


def _lit_at_once(parts: list[Strip]) -> list[Float[Tensor, "total 4"]]:
    """Diffuse surfaces in a small image: of the textures, only what is seen is touched."""
    rows, maps = [_rows(strip) for strip in parts], parts[0].view.maps
    seen, indices = number_seen_unchecked([part.index for part in rows], maps.layout("base_color").total)
    texels = maps.albedo(seen)
    found = zip(parts, rows, indices, strict=True)
    return [_image(strip, part, texels, index) for strip, part, index in found]


def _lit(texels: Float[Tensor, "texels 4"], strip: Strip) -> Kept:
    """Diffuse surfaces, one strip after the other."""
    rows = _rows(strip)
    followed = len(rows.light) * FOLLOWED_BYTES * rows.light.requires_grad
    return Kept(_image(strip, rows, texels, rows.index), rows.bytes + followed)


def _rows(strip: Strip) -> PixelRows:
    view, top, rows = strip
    return view.lit(view.gbuffer(top, rows)).rows(view.maps, view.light, view.grid)


def _image(
    strip: Strip, rows: PixelRows, texels: Float[Tensor, "texels 4"], index: Int[Tensor, "rows taps"]
) -> Float[Tensor, "total 4"]:
    """Texels straight into pixels."""
    colour = resolve_unchecked(texels, rows.first, index, rows.weight, rows.light)
    alpha = rows.count.to(rows.light.dtype) / strip.view.grid**2
    return place_pixels_unchecked(colour, alpha, rows.pixel, strip.rows * strip.view.size[1])


def _shaded(opposite: Int[Tensor, "faces 3"] | None, view: View, top: int, rows: int) -> Kept:
    """Surfaces of all kinds, sample by sample; antialiased if the faces' neighbours are given."""
    # edges are found between neighbours: one more row on both sides
    above, below = (0, 0) if opposite is None else (min(top, 1), min(view.size[0] - top - rows, 1))
    ids = view.visible(top - above, rows + above + below)
    found = view.lit(GBuffer.of(view.surface(ids, top - above), view.maps))
    colour = radiance(view.maps.values(found.taps), found, view.maps.materials, view.light)
    samples = torch.cat([colour, torch.ones_like(colour[:, :1])], dim=1)
    pixel = found.surface.pixel
    if opposite is not None:
        pixel, samples = _with_blends(view, ids, top - above, opposite, pixel, samples)
    flat = samples.new_zeros(((above + rows + below) * view.size[1], 4))
    flat = flat.index_add(0, pixel, samples / view.grid**2)
    each = SHADED_BYTES + FOLLOWED_BYTES * found.surface.position.requires_grad
    return Kept(flat[above * view.size[1] : (above + rows) * view.size[1]], len(colour) * each)


def _with_blends(
    view: View, ids: Tensor, top: int, opposite: Tensor, pixel: Int[Tensor, "n"], samples: Float[Tensor, "n 4"]
) -> tuple[Int[Tensor, "m"], Float[Tensor, "m 4"]]:
    """Samples and what antialiasing adds to some of them, as more samples of their pixels."""
    grid, width = view.grid, ids.shape[1]
    screen = view.screen - pad(view.screen[:, 3:] * (top * grid), (1, 2))
    blends = edge_blends_unchecked(ids, screen, view.geometry.faces, opposite)
    place = torch.arange(ids.numel(), device=ids.device).view(ids.shape)
    in_order = place.view(-1, grid, width // grid, grid).transpose(1, 2).reshape(-1)  # pixel by pixel, as samples are
    seen = ids.view(-1)[in_order] >= 0
    number = torch.where(seen, seen.cumsum(0) - 1, len(samples))  # the background is one more row
    row = torch.empty_like(number).index_copy(0, in_order, number)
    seen = torch.cat([samples, samples.new_zeros((1, 4))])[row[blends.taps]]
    change = (blends.weights.to(samples)[:, :, None] * seen).sum(1)
    target = blends.to // width // grid * (width // grid) + blends.to % width // grid
    return torch.cat([pixel, target]), torch.cat([samples, change])
