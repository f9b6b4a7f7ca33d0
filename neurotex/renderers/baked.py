"""A static scene, prepared once so that a step of a fit only does what depends on its textures.

With fixed meshes, cameras, lights and cut-outs, which texels a sample reads and with which weights is fixed, too.

- Where all surfaces are diffuse, the image is linear in the albedo of the texels: visibility, filtering, antialiasing
  and light of all views are one sparse matrix, and a step is two sparse products, whatever the mesh or the number of
  samples per pixel (`BakedMatrix`).
- Roughness, metallic and normal maps enter the light non-linearly. Then the samples' taps and geometry are kept, and a
  step looks up and shades every sample, under the lights as they are then (`BakedSamples`).

Both are exact: they equal `render` up to rounding, as long as nothing but the values of textures, and the lights of a
`BakedSamples`, changes. A texture of another size, a moved vertex or camera, and lights of a `BakedMatrix` are refused;
they, and an alpha map that cuts elsewhere, need another bake.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from .. import raster
from ..core.memory import memory_for
from ..core.op import transformed
from ..core.precision import is_half, uncast
from ..core.progress import Bar
from ..errors import SceneError
from ..raster.operator import assemble_rows_unchecked
from ..raster.pixels import place_pixels_unchecked
from ..raster.texels import number_seen_unchecked
from ..scene import Geometry, Latents, Material, Scene
from ..scene.batches import over_batches
from ..scene.check import stand_ins
from .budget import BUDGET, strips
from .direct import check_scene, described
from .frozen import Frozen, Guard
from .gbuffer import GBuffer, Surface, View, pixel_runs
from .lighting import Illumination, Lighting
from .maps import SceneMaps
from .radiance import radiance, with_emitted

Baked = TypeVar("Baked", bound="BakedScene")


class BakedScene(nn.Module):
    """What `bake` returns: call it to render. Textures stay live, everything else is frozen.

    Only covered pixels are computed: `pixel` says where in the stack of views each lies, `alpha` how much of it is
    covered. A pure function of `latents`, under `torch.func`, `torch.compile` and `torch.export`, too; latents with a
    batch put a dimension in front, as in `render`. `size` is (height, width) of each view in pixels, and `maps` are
    those of the materials, as they were in the bake.
    """

    pixel: Int[Tensor, "rows"]
    alpha: Float[Tensor, "rows"]

    def __init__(
        self,
        scene: Scene,
        maps: SceneMaps,
        pixel: Int[Tensor, "rows"],
        alpha: Float[Tensor, "rows"],
        size: tuple[int, int],
    ):
        super().__init__()
        self.scene = scene
        self.size = size
        self.shape = (len(scene.cameras), *size)
        self._keys = dict(maps.keys)
        self._layouts = maps.layouts()
        self._guard = Guard(scene, lights=maps.linear)
        self.register_buffer("pixel", pixel, persistent=False)
        self.register_buffer("alpha", alpha, persistent=False)

    def of(self: Baked, scene: Scene) -> Baked:
        """The same bake for a scene that is another in nothing but its textures: `scene.replace(materials=…)`.

        Nothing is baked again. Sizes and samplers must be those of the textures that were baked, as every call checks.
        Raises SceneError for a scene of other nodes, cameras, numbers of materials or, where all is diffuse, lights.
        """
        if len(scene.materials()) != len(self.scene.materials()):
            raise SceneError("this scene has another number of materials than the one that was baked: bake it.")
        other = copy.copy(self)
        for name in ("_buffers", "_modules"):
            setattr(other, name, dict(getattr(self, name)))
        other.scene = scene
        other._guard = self._guard.of(scene)
        other._wear(self.scene.materials())
        return other

    def _wear(self, before: list[Material]) -> None:
        """Make what depends on materials that of this scene's, which stand for those `before`, one by one."""

    def pixels(self, latents: Latents | None = None) -> Float[Tensor, "*batches rows 3"]:
        """Linear RGB of the covered pixels only: all that a photometric loss needs."""
        return self.padded_pixels(latents)[..., :3]

    def padded_pixels(self, latents: Latents | None = None) -> Float[Tensor, "*batches rows 4"]:
        """`pixels` and a channel of zeros: as they lie in memory, without a copy."""
        self._look()
        return over_batches(self._colour, self.scene, latents)

    def _maps(self, latents: Latents) -> SceneMaps:
        maps = SceneMaps(self.scene, latents, self.alpha)
        for name, (shapes, *_) in maps.keys.items():
            if maps.keys[name] != self._keys.get(name):
                before = "none" if name not in self._keys else self._keys[name][0]
                raise SceneError(
                    f"the {name} maps are now {shapes} pixels, but the scene was baked for {before}, or for another "
                    "sampler: bake it again."
                )
        maps.lay_out(self._layouts)
        return maps

    def _colour(self, latents: Latents) -> Float[Tensor, "rows 4"]:
        maps = self._maps(latents)
        with uncast(self.alpha.device):
            return self._pixels(maps)

    def _pixels(self, maps: SceneMaps) -> Float[Tensor, "rows 4"]:
        """Linear RGB of the covered pixels, and 0."""
        raise NotImplementedError

    def forward(self, latents: Latents | None = None) -> Float[Tensor, "*batches views 4 h w"]:
        """The images, as `render` gives them."""
        self._look()
        return over_batches(self._image, self.scene, latents)

    def _look(self) -> None:
        if not torch.compiler.is_compiling():
            self._guard.check()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BakedScene:
        """What `.to()` and its relatives do."""
        if is_half(fn(self.alpha.new_empty(0)).dtype):
            raise SceneError(
                "a baked scene computes in float32 or float64, not in half precision: textures alone may be half."
            )
        return super()._apply(fn, recurse)

    def _image(self, latents: Latents) -> Float[Tensor, "views 4 h w"]:
        colour = self._colour(latents)
        views, height, width = self.shape
        flat = place_pixels_unchecked(colour, self.alpha.to(colour), self.pixel, views * height * width)
        return flat.view(views, height, width, 4).movedim(-1, 1)

    def seen(self, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
        """Which texels of a (height, width) texture some view may see; of a scene with one texture.

        `size` is that of the texture, at least 1 × 1.
        """
        return torch.ones(size, dtype=torch.bool, device=self.alpha.device)

    def images(self, rows: Float[Tensor, "rows c"]) -> Float[Tensor, "views c h w"]:
        """Covered pixels put back into images, 0 elsewhere."""
        views, height, width = self.shape
        flat = rows.new_zeros((views * height * width, rows.shape[1])).index_copy(0, self.pixel, rows)
        return flat.view(views, height, width, -1).movedim(-1, 1)

    def rows(self, images: Float[Tensor, "views c h w"]) -> Float[Tensor, "rows c"]:
        """The covered pixels of images: the inverse of `images`."""
        return images.movedim(1, -1).reshape(-1, images.shape[1])[self.pixel]


class BakedMatrix(BakedScene):
    """Diffuse surfaces: `operator` takes the albedo of the texels that are seen, numbers `texel`, to the pixels."""

    texel: Int[Tensor, "columns"]

    def __init__(self, operator: raster.SparseOperator, texel: Int[Tensor, "columns"], *args: Any):
        super().__init__(*args)
        self.operator = operator
        self.register_buffer("texel", texel, persistent=False)

    def seen(self, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
        """Which texels of a (height, width) texture some view sees; of a scene with one texture.

        `size` is that of the texture, at least 1 × 1.
        """
        mask = torch.zeros(size, dtype=torch.bool, device=self.texel.device)
        return mask.view(-1).index_fill_(0, self.texel, True).view(size)

    def _pixels(self, maps: SceneMaps) -> Tensor:
        return self.operator(maps.albedo(self.texel))


@dataclass(frozen=True)
class Strip:
    """Samples of some rows of a view that are all glossy or all diffuse, and which of the baked pixels each adds to.

    `matt` are diffuse samples whose normals no map turns: their light does not depend on textures.
    """

    view: int
    found: GBuffer
    pixel: Int[Tensor, "n"]
    materials: list[Material]
    matt: bool

    def lit(self, light: Illumination) -> Float[Tensor, "n channels"] | None:
        """Radiance of matt samples per unit of what their maps say."""
        return self.found.transport(light) if self.matt else None

    def colour(
        self, maps: SceneMaps, texels: Mapping[str, Tensor], light: Illumination, lit: Float[Tensor, "n _"] | None
    ) -> Float[Tensor, "n 3"]:
        """Linear RGB of the samples."""
        values = maps.look_up(texels, self.found.taps)
        if lit is not None:
            return with_emitted(values["base_color"] * lit, values)
        return radiance(values, self.found, self.materials, light)

    def moved(self, move: Callable[[Tensor], Tensor]) -> Strip:
        """The same with `move` done to all its tensors."""
        return replace(self, found=self.found.moved(move), pixel=move(self.pixel))


class BakedSamples(BakedScene):
    """Surfaces of all kinds: samples are looked up and shaded in every step, one strip after the other.

    Lights are live, with gradients to all of their tensors. Compiled or exported, the light of diffuse samples is that
    of the bake's last use before. `strips` are what `bake` has found of the samples, `grid` × `grid` of them per pixel.
    """

    eyes: Float[Tensor, "views 4"]

    def __init__(self, strips: list[Strip], grid: int, *args: Any):
        super().__init__(*args)
        self._strips = strips
        self._grid = grid
        self._lights = Frozen(self.scene, ["lights"])
        self._lit = self._diffuse_light(self._illumination())

    def _wear(self, before: list[Material]) -> None:
        instead = dict(zip(before, self.scene.materials(), strict=True))
        if any((old.roughness is None) != (new.roughness is None) for old, new in instead.items()):
            raise SceneError("a diffuse material cannot become a glossy one, or a glossy one diffuse: bake again.")
        self._strips = [replace(strip, materials=[instead[m] for m in strip.materials]) for strip in self._strips]
        self._lights = Frozen(self.scene, ["lights"])
        self._lit = self._diffuse_light(self._illumination())

    def _pixels(self, maps: SceneMaps) -> Tensor:
        texels = maps.texels()
        rows = self.alpha.new_zeros((len(self.pixel), 3))
        if self._strips:
            lights = self._illumination()
            strips = zip(self._strips, self._lit_now(lights), strict=True)
            colours = [strip.colour(maps, texels, lights[strip.view], lit) for strip, lit in strips]
            colour = torch.cat(colours) / self._grid**2
            rows = rows.index_add(0, torch.cat([strip.pixel for strip in self._strips]), colour)
        return pad(rows, (0, 1))

    def _illumination(self) -> list[Illumination]:
        """The lights as they are now, for each view."""
        lights = Lighting.of(self.scene.lights, self.alpha)
        return [lights.at(camera) for camera in self.scene.cameras]

    def _diffuse_light(self, lights: list[Illumination]) -> list[Tensor | None]:
        return [strip.lit(lights[strip.view]) for strip in self._strips]

    def _lit_now(self, lights: list[Illumination]) -> list[Tensor | None]:
        """The diffuse light of each strip, computed again only if lights have changed or are being trained."""
        if torch.compiler.is_compiling() or not any(strip.matt for strip in self._strips):
            return self._lit
        if torch.is_grad_enabled() and self._lights.trained() is not None:
            return self._diffuse_light(lights)
        if self._lights.changed() is not None:
            if transformed():  # perhaps not values, and if so not those of the next call
                return self._diffuse_light(lights)
            self._lights = Frozen(self.scene, ["lights"])
            self._lit = self._diffuse_light(lights)
        return self._lit

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BakedSamples:
        super()._apply(fn, recurse)

        def move(tensor: Tensor) -> Tensor:
            return fn(tensor) if tensor.is_floating_point() else tensor.to(self.alpha.device)

        self._strips = [strip.moved(move) for strip in self._strips]
        self._lit = [None if lit is None else move(lit) for lit in self._lit]
        return self


@torch.no_grad()
def bake(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    grid: int = 4,
    budget: int = BUDGET,
    progress: bool | None = None,
) -> BakedMatrix | BakedSamples:
    """Freeze geometry, cameras, cut-outs and, if all is diffuse, lights of a scene; for `size`, `grid` and `budget` see
    `render`, for `progress` `neurotex.core.progress`.

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
    lights = Lighting.of(scene.lights, geometry.vertices)
    parts, pixels, counts = [], [], []
    before = 0
    with Bar("bake", len(scene.cameras), progress) as bar:
        for number, camera in enumerate(scene.cameras):
            view = View.of(geometry, maps, camera, size, grid)
            for _, top, rows in strips(view, budget):
                surface = view.surface(view.visible(top, rows), top)
                if maps.linear:
                    found = GBuffer.of(surface, maps).rows(maps, lights.at(camera), grid)
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
        return BakedSamples(parts, grid, *common)
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
            matt = not kind and "normal" not in maps.planes
            parts.append(Strip(number, GBuffer.of(surface.some(which), maps), pixel[which], alike, matt))
    return parts
