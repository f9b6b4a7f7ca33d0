"""Surface samples and what their maps say → light towards the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .. import shading
from ..geometry import dot, unit
from ..scene import Material
from ..shading.sides import towards_eye
from .gbuffer import GBuffer, Surface
from .lighting import Illumination

GRAZING = 1e-3  # least cosine between a mapped normal and the view


def radiance(
    values: Mapping[str, Tensor], found: GBuffer, materials: Sequence[Material], light: Illumination
) -> Float[Tensor, "n 3"]:
    """Light towards the eye from surfaces of all kinds; `values` are what their maps say there (see `SceneMaps`)."""
    surface = found.surface
    if "normal" in values:
        surface = replace(surface, normal=mapped_normal(surface, values["normal"], light.eye))
    values = {**values, "base_color": surface.tinted(values["base_color"])}
    return with_emitted(_reflected(values, replace(found, surface=surface), materials, light), values)


def with_emitted(reflected: Float[Tensor, "n 3"], values: Mapping[str, Tensor]) -> Float[Tensor, "n 3"]:
    """What surfaces reflect, and what they send out by themselves."""
    return reflected + values["emissive"] if "emissive" in values else reflected


def _reflected(
    values: Mapping[str, Tensor], found: GBuffer, materials: Sequence[Material], light: Illumination
) -> Float[Tensor, "n 3"]:
    glossy = [material.roughness is not None for material in materials]
    where, visibility = found.surface, found.visibility
    if all(glossy):
        return _glossy(values, where, visibility, light)
    if not any(glossy):
        return _matt(values, where, visibility, light)
    shines = torch.tensor(glossy, device=where.material.device)[where.material.long()]
    out = where.position.new_zeros((len(shines), 3))
    for kind, which in ((_glossy, shines.nonzero()[:, 0]), (_matt, (~shines).nonzero()[:, 0])):
        some = {name: value[which] for name, value in values.items()}
        seen = None if visibility is None else visibility[which]
        out = out.index_copy(0, which, kind(some, where.some(which), seen, light))
    return out


def mapped_normal(surface: Surface, value: Float[Tensor, "n 3"], eye: Float[Tensor, "4"]) -> Float[Tensor, "n 3"]:
    """Unit normals with their map, towards the eye; those that the map turns past the horizon stop there.

    Which side of a surface is seen is the interpolated normal's to say, as everywhere in this renderer: a bump near a
    silhouette is not the back of the surface.
    """
    view = towards_eye(surface.position, eye)
    mapped = shading.apply_normal_map(surface.normal, surface.tangent, value)
    mapped = torch.where(dot(surface.normal, view)[:, None] < 0, -mapped, mapped)
    beyond = (dot(mapped, view)[:, None] - GRAZING).clamp_max(0)
    return unit(mapped - beyond * view)


def _matt(values: Mapping[str, Tensor], where: Surface, visibility: Tensor | None, light: Illumination) -> Tensor:
    return values["base_color"] * light.diffuse(where.position, where.normal, visibility, where.group)


def _glossy(values: Mapping[str, Tensor], where: Surface, visibility: Tensor | None, light: Illumination) -> Tensor:
    maps = (values["base_color"], values["roughness"][:, 0], values["metallic"][:, 0])
    return light.glossy(shading.MetallicRoughness(*maps), where.position, where.normal, visibility, where.group)
