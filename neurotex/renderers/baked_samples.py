"""A bake of surfaces of all kinds, sample by sample, under lights as they are; see `baked`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ..core.op import transformed
from ..errors import SceneError
from ..scene import Material
from .baked import BakedScene
from .frozen import Frozen, equal_values
from .gbuffer import GBuffer
from .lighting import Illumination, Lighting
from .maps import SceneMaps
from .radiance import radiance, with_emitted
from .shadows import Occluders


@dataclass(frozen=True)
class Strip:
    """Samples of some rows of a view that are all glossy or all diffuse, and which of the baked pixels each adds to.

    `diffuse` are samples without roughness whose normals no map turns: their light does not depend on textures.
    """

    view: int
    found: GBuffer
    pixel: Int[Tensor, "n"]
    materials: list[Material]
    diffuse: bool

    def shadowed(self, occluders: Occluders, light: Illumination) -> Strip:
        """The same with what gets there of these lights."""
        return replace(self, found=self.found.shadowed(occluders, light))

    def lit(self, light: Illumination) -> Float[Tensor, "n channels"] | None:
        """Radiance of diffuse samples per unit of what their maps say."""
        return self.found.transport(light) if self.diffuse else None

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

    Lights are live, with gradients to all of their tensors; where one has moved, its shadows are traced again. Compiled
    or exported, the light of diffuse samples, and all shadows, are those of the bake's last use before. `strips` are
    what `bake` has found of the samples, `grid` × `grid` of them per pixel, and `occluders` what shadows them.
    """

    def __init__(self, strips: list[Strip], occluders: Occluders, grid: int, *args: Any):
        super().__init__(*args)
        self._occluders = occluders
        self._grid = grid
        lights = self._illumination()
        self._strips = _shadowed(strips, occluders, lights)
        self._traced = _Traced.of(lights)
        self._lights = Frozen(self.scene, ["lights"])
        self._lit = self._diffuse_light(lights)

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
            parts = self._shadows_now(lights)
            strips = zip(parts, self._lit_now(parts, lights), strict=True)
            colours = [strip.colour(maps, texels, lights[strip.view], lit) for strip, lit in strips]
            colour = torch.cat(colours) / self._grid**2
            rows = rows.index_add(0, torch.cat([strip.pixel for strip in self._strips]), colour)
        return pad(rows, (0, 1))

    def _illumination(self) -> list[Illumination]:
        """The lights as they are now, for each view."""
        lights = Lighting.of(self.scene.lights, self.alpha, self._grid**2)
        return [lights.at(camera) for camera in self.scene.cameras]

    def _diffuse_light(self, lights: list[Illumination], strips: list[Strip] | None = None) -> list[Tensor | None]:
        return [strip.lit(lights[strip.view]) for strip in (self._strips if strips is None else strips)]

    def _shadows_now(self, lights: list[Illumination]) -> list[Strip]:
        """The strips in the shadows of lights as they are now, traced again only if these have moved."""
        if torch.compiler.is_compiling():
            return self._strips
        traced = _Traced.of(lights)
        if traced.same(self._traced):
            return self._strips
        strips = _shadowed(self._strips, self._occluders, lights)
        if not transformed():  # else perhaps no values, or not those of the next call
            self._strips, self._traced = strips, traced
        return strips

    def _lit_now(self, strips: list[Strip], lights: list[Illumination]) -> list[Tensor | None]:
        """The diffuse light of each strip, computed again only if lights have changed or are being trained."""
        if torch.compiler.is_compiling() or not any(strip.diffuse for strip in self._strips):
            return self._lit
        if torch.is_grad_enabled() and self._lights.trained() is not None:
            return self._diffuse_light(lights, strips)
        if self._lights.changed() is not None:
            if transformed():  # perhaps not values, and if so not those of the next call
                return self._diffuse_light(lights, strips)
            self._lights = Frozen(self.scene, ["lights"])
            self._lit = self._diffuse_light(lights)
        return self._lit

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BakedSamples:
        super()._apply(fn, recurse)

        def move(tensor: Tensor) -> Tensor:
            return fn(tensor) if tensor.is_floating_point() else tensor.to(self.alpha.device)

        self._strips = [strip.moved(move) for strip in self._strips]
        self._occluders, self._traced = self._occluders.moved(move), self._traced.moved(move)
        self._lit = [None if lit is None else move(lit) for lit in self._lit]
        return self


@dataclass(frozen=True)
class _Traced:
    """Where lights stood when their shadows were traced, for each view, and which cast any."""

    points: tuple[Float[Tensor, "lights 4"], ...]
    shadowing: tuple[tuple[bool, ...], ...]

    @classmethod
    def of(cls, lights: list[Illumination]) -> _Traced:
        return cls(tuple(light.everywhere() for light in lights), tuple(light.shadowing for light in lights))

    def same(self, other: _Traced) -> bool:
        """Whether shadows are where they were; never, where a transform hides where lights stand."""
        if not any(map(any, self.shadowing)) and not any(map(any, other.shadowing)):
            return True
        pairs = zip(self.points, other.points, strict=True)
        return self.shadowing == other.shadowing and all(equal_values(a, b) for a, b in pairs)

    def moved(self, move: Callable[[Tensor], Tensor]) -> _Traced:
        return replace(self, points=tuple(map(move, self.points)))


def _shadowed(strips: list[Strip], occluders: Occluders, lights: list[Illumination]) -> list[Strip]:
    return [strip.shadowed(occluders, lights[strip.view]) for strip in strips]
