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
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from .. import raster
from ..core.precision import is_half, uncast
from ..errors import SceneError
from ..raster.pixels import place_pixels_unchecked
from ..scene import Latents, Material, Scene
from ..scene.batches import over_batches
from ..scene.graph import check_has_gradients
from .frozen import Guard
from .maps import SceneMaps

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
            check_has_gradients(self.scene)
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
