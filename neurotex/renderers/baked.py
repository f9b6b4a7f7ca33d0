"""A static scene, prepared once so that a step of a fit only does what depends on its textures.

With fixed meshes, cameras, lights and cut-outs, which texels a sample reads and with which weights is fixed, too.

- Where all surfaces are diffuse, the image is linear in the albedo of the texels: visibility, filtering, antialiasing
  and light of all views are one sparse matrix, and a step is two sparse products, whatever the mesh or the number of
  samples per pixel (`BakedMatrix`).
- Roughness, metallic and normal maps enter the light non-linearly. Then the samples' taps and geometry are kept, and a
  step looks up and shades every sample (`BakedSamples`).

Both are exact: they equal `render` up to rounding, as long as nothing but the values of textures changes. A texture of
another size, a moved vertex, camera or light, and an alpha map that cuts elsewhere need another bake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from .. import raster
from ..errors import SceneError
from ..progress import Bar
from ..raster.operator import assemble_rows_unchecked
from ..raster.pixels import place_pixels_unchecked
from ..raster.texels import number_seen_unchecked
from ..scene import Latents, Material, Scene
from ..scene.batches import over_batches
from ..scene.check import stand_ins
from .embedded import BUDGET, check_scene, pixel_runs
from .maps import Key, SceneMaps
from .radiance import Illumination, radiance, transport
from .surface import Surface, View


class BakedScene(nn.Module):
    """What `bake` returns: call it to render. Textures stay live, everything else is frozen.

    Only covered pixels are computed: `pixel` says where in the stack of views each lies, `alpha` how much of it is
    covered. A pure function of `latents`, under `torch.func`, `torch.compile` and `torch.export`, too; latents with a
    batch put a dimension in front, as in `render`.
    """

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
        self.register_buffer("pixel", pixel, persistent=False)
        self.register_buffer("alpha", alpha, persistent=False)

    def pixels(self, latents: Latents | None = None) -> Float[Tensor, "*batches rows 3"]:
        """Linear RGB of the covered pixels only: all that a photometric loss needs."""
        return self.padded_pixels(latents)[..., :3]

    def padded_pixels(self, latents: Latents | None = None) -> Float[Tensor, "*batches rows 4"]:
        """`pixels` and a channel of zeros: as they lie in memory, without a copy."""
        return over_batches(self._colour, self.scene, latents)

    def _maps(self, latents: Latents) -> SceneMaps:
        maps = SceneMaps(self.scene, latents)
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
        return self._pixels(self._maps(latents))

    def _pixels(self, maps: SceneMaps) -> Float[Tensor, "rows 4"]:
        """Linear RGB of the covered pixels, and 0."""
        raise NotImplementedError

    def forward(self, latents: Latents | None = None) -> Float[Tensor, "*batches views 4 h w"]:
        """The images, as `render` gives them."""
        return over_batches(self._image, self.scene, latents)

    def _image(self, latents: Latents) -> Float[Tensor, "views 4 h w"]:
        colour = self._colour(latents)
        views, height, width = self.shape
        flat = place_pixels_unchecked(colour, self.alpha.to(colour), self.pixel, views * height * width)
        return flat.view(views, height, width, 4).movedim(-1, 1)

    def seen(self, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
        """Which texels of a (height, width) texture some view may see; of a scene with one texture."""
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

    def __init__(self, operator: raster.SparseOperator, texel: Int[Tensor, "columns"], *args: object):
        super().__init__(*args)
        self.operator = operator
        self.register_buffer("texel", texel, persistent=False)

    def seen(self, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
        """Which texels of a (height, width) texture some view sees; of a scene with one texture."""
        mask = torch.zeros(size, dtype=torch.bool, device=self.texel.device)
        return mask.view(-1).index_fill_(0, self.texel, True).view(size)

    def _pixels(self, maps: SceneMaps) -> Tensor:
        return self.operator(maps.albedo(self.texel))


@dataclass(frozen=True)
class Strip:
    """Samples of some rows of a view that are all glossy or all diffuse, and which of the baked pixels each adds to.

    `lit` is the light of diffuse samples, whose normals no map turns: radiance per unit of albedo. Others have none.
    """

    surface: Surface
    taps: dict[Key, raster.Taps]
    pixel: Int[Tensor, "n"]
    materials: list[Material]
    light: Illumination
    lit: Float[Tensor, "n channels"] | None

    @classmethod
    def of(
        cls, view: View, surface: Surface, pixel: Int[Tensor, "n"], materials: list[Material], light: Illumination
    ) -> Strip:
        matt = materials[0].roughness is None and "normal" not in view.maps.planes
        lit = light.diffuse(surface.position, surface.normal) if matt else None
        taps = view.maps.all_taps(surface.uv, surface.duv, surface.material)
        return cls(surface, taps, pixel, materials, light, lit)

    def colour(self, maps: SceneMaps, texels: Mapping[str, Tensor]) -> Float[Tensor, "n 3"]:
        """Linear RGB of the samples."""
        values = maps.look_up(texels, self.taps)
        if self.lit is not None:
            return values["base_color"] * self.lit
        return radiance(values, self.surface, self.materials, self.light)


class BakedSamples(BakedScene):
    """Surfaces of all kinds: samples are looked up and shaded in every step, one strip after the other."""

    def __init__(self, strips: list[Strip], grid: int, *args: object):
        super().__init__(*args)
        self._strips = strips
        self._grid = grid

    def _pixels(self, maps: SceneMaps) -> Tensor:
        texels = maps.texels()
        rows = texels["base_color"].new_zeros((len(self.pixel), 3))
        if self._strips:
            colour = torch.cat([strip.colour(maps, texels) for strip in self._strips]) / self._grid**2
            rows = rows.index_add(0, torch.cat([strip.pixel for strip in self._strips]), colour)
        return pad(rows, (0, 1))


@torch.no_grad()
def bake(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    grid: int = 4,
    budget: int = BUDGET,
    progress: bool | None = None,
) -> BakedMatrix | BakedSamples:
    """Freeze geometry, cameras, lights and cut-outs of a scene; for the arguments see `render`, for `progress`
    `neurotex.progress`.

    Of textures only the sizes count, so latents may be unbound; but not those that cut something out.
    """
    size = check_scene(scene, size, grid)
    cut = any(material.alpha_cutoff is not None for material in scene.materials())
    geometry, maps = scene.geometry(), SceneMaps(scene, None if cut else stand_ins(scene))
    parts, pixels, counts = [], [], []
    before = 0
    with Bar("bake", len(scene.cameras), progress) as bar:
        for number, camera in enumerate(scene.cameras):
            view = View.of(geometry, maps, camera, size, grid)
            for top, rows in view.strips(budget):
                surface = view.surface(view.visible(top, rows), top)
                pixel, first, count = pixel_runs(surface.pixel)
                if maps.linear:
                    parts.append(_matrix(view, scene, surface, first))
                else:
                    parts += _strips(view, scene, surface, before + torch.repeat_interleave(count))
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


def _matrix(view: View, scene: Scene, surface: Surface, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of the sparse matrix for some rows of a view."""
    taps = view.maps.taps("base_color", surface.uv, surface.duv, surface.material)
    eye = view.camera.eye.to(surface.position)
    light = taps.per_row(transport(scene.lights, eye, surface.position, surface.normal) / view.grid**2)
    return assemble_rows_unchecked(taps.first[first], taps.index, taps.weight, light)


def _strips(view: View, scene: Scene, surface: Surface, pixel: Int[Tensor, "n"]) -> list[Strip]:
    """Glossy and diffuse samples of some rows of a view, each by themselves."""
    light = Illumination.of(scene.lights, view.camera.eye.to(surface.position))
    materials = view.maps.materials
    glossy = torch.tensor([material.roughness is not None for material in materials], device=pixel.device)
    strips = []
    for kind in (True, False):
        which = (glossy[surface.material.long()] == kind).nonzero()[:, 0]
        if len(which):
            alike = [material for material in materials if (material.roughness is not None) == kind]
            strips.append(Strip.of(view, surface.some(which), pixel[which], alike, light))
    return strips
