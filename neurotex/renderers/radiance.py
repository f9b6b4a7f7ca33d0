"""Surface samples and what their maps say → light towards the camera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from .. import shading
from ..core.op import transformed
from ..scene import EnvironmentLight, Light, Material
from .surface import Surface

GRAZING = 1e-3  # least cosine between a mapped normal and the view


@dataclass(frozen=True)
class Lighting:
    """The lights of a scene as they are now, whoever looks; `at` says how a camera finds them.

    `images` are the maps of environments, `placed` the other lights, of which `intensity` has the colours.
    """

    placed: tuple[Light, ...]
    intensity: Float[Tensor, "lights 3"]
    grey: bool
    images: tuple[tuple[Float[Tensor, "9 3"], Float[Tensor, "levels 3 h w"]], ...]

    @classmethod
    def of(cls, lights: Iterable[Light], like: Tensor) -> Lighting:
        """Lights in the precision of `like`, each asked once."""
        lights = tuple(lights)
        images = tuple(
            tuple(map.to(like) for map in light.maps()) for light in lights if isinstance(light, EnvironmentLight)
        )
        placed = tuple(light for light in lights if not isinstance(light, EnvironmentLight))
        if not placed:
            return cls(placed, like.new_empty((0, 3)), False, images)
        strength = torch.stack([light.intensity for light in placed]).to(like)
        # one channel serves all three; not where numbers may not be looked at, or may cease to be equal
        told = strength.requires_grad or transformed() or torch.compiler.is_compiling()
        grey = not told and not images and bool((strength == strength[:, :1]).all())
        return cls(placed, strength, grey, images)

    def at(self, eye: Float[Tensor, "4"]) -> Illumination:
        """For a homogeneous eye."""
        points = [light.point(eye).to(eye) for light in self.placed]
        place = torch.stack(points) if points else eye.new_empty((0, 4))
        return Illumination(eye, place, self.intensity, self.grey, self.images)


@dataclass(frozen=True)
class Illumination:
    """The lights of a scene as a camera finds them: tensors, and nothing that is decided by looking at values.

    `points` are homogeneous (see `neurotex.shading.lights`); `images` are the maps of environments.
    """

    eye: Float[Tensor, "4"]
    points: Float[Tensor, "lights 4"]
    intensity: Float[Tensor, "lights 3"]
    grey: bool
    images: tuple[tuple[Float[Tensor, "9 3"], Float[Tensor, "levels 3 h w"]], ...]

    def diffuse(self, position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n channels"]:
        """Diffuse surfaces: radiance towards the eye per unit of albedo; one channel if all is grey, else three."""
        total: Tensor | None = None
        if len(self.points):
            strength = self.intensity[:, :1] if self.grey else self.intensity
            total = shading.diffuse(position, normal, self.eye, self.points, strength)
        for coefficients, _ in self.images:
            there = shading.environment_diffuse(position, normal, self.eye, coefficients)
            total = there if total is None else total + there
        return total


def transport(
    lights: Iterable[Light], eye: Float[Tensor, "4"], position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]
) -> Float[Tensor, "n channels"]:
    """`Illumination.diffuse`, of lights at once."""
    return Lighting.of(lights, eye).at(eye).diffuse(position, normal)


def radiance(
    values: Mapping[str, Tensor], surface: Surface, materials: Sequence[Material], light: Illumination
) -> Float[Tensor, "n 3"]:
    """Light towards the eye from surfaces of all kinds; `values` are what their maps say there (see `SceneMaps`)."""
    if "normal" in values:
        surface = Surface(**{**vars(surface), "normal": mapped_normal(surface, values["normal"], light.eye)})
    values = {**values, "base_color": surface.tinted(values["base_color"])}
    reflected = _reflected(values, surface, materials, light)
    return with_emitted(reflected, values)


def with_emitted(reflected: Float[Tensor, "n 3"], values: Mapping[str, Tensor]) -> Float[Tensor, "n 3"]:
    """What surfaces reflect, and what they send out by themselves."""
    return reflected + values["emissive"] if "emissive" in values else reflected


def _reflected(
    values: Mapping[str, Tensor], surface: Surface, materials: Sequence[Material], light: Illumination
) -> Float[Tensor, "n 3"]:
    glossy = [material.roughness is not None for material in materials]
    if all(glossy):
        return _glossy(values, surface, light)
    if not any(glossy):
        return _matt(values, surface, light)
    shines = torch.tensor(glossy, device=surface.material.device)[surface.material.long()]
    out = surface.position.new_zeros((len(shines), 3))
    for kind, which in ((_glossy, shines.nonzero()[:, 0]), (_matt, (~shines).nonzero()[:, 0])):
        some = {name: value[which] for name, value in values.items()}
        out = out.index_copy(0, which, kind(some, surface.some(which), light))
    return out


def mapped_normal(surface: Surface, value: Float[Tensor, "n 3"], eye: Float[Tensor, "4"]) -> Float[Tensor, "n 3"]:
    """Unit normals with their map, towards the eye; those that the map turns past the horizon stop there.

    Which side of a surface is seen is the interpolated normal's to say, as everywhere in this renderer: a bump near a
    silhouette is not the back of the surface.
    """
    view = normalize(eye[:3] - eye[3] * surface.position, dim=1)
    turned = shading.apply_normal_map(surface.normal, surface.tangent, value)
    turned = torch.where(((surface.normal * view).sum(1, keepdim=True) < 0), -turned, turned)
    beyond = ((turned * view).sum(1, keepdim=True) - GRAZING).clamp_max(0)
    return normalize(turned - beyond * view, dim=1)


def _matt(values: Mapping[str, Tensor], surface: Surface, light: Illumination) -> Tensor:
    return values["base_color"] * light.diffuse(surface.position, surface.normal)


def _glossy(values: Mapping[str, Tensor], surface: Surface, light: Illumination) -> Tensor:
    """Metallic-roughness surfaces."""
    maps = (values["base_color"], values["roughness"][:, 0], values["metallic"][:, 0])
    what = (*maps, surface.normal, surface.position, light.eye)
    total: Tensor | float = 0.0
    if len(light.points):
        total = shading.metallic_roughness(*what, light.points, light.intensity)
    for image in light.images:
        total = total + shading.environment_reflection(*what, *image)
    return total
