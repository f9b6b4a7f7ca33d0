"""Surface samples and what their maps say → light towards the camera."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from .. import shading
from ..scene import Camera, EnvironmentLight, Light, Material
from .surface import Surface

GRAZING = 1e-3  # least cosine between a mapped normal and the view


def transport(
    lights: Iterable[Light], eye: Float[Tensor, "4"], position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]
) -> Float[Tensor, "n c"]:
    """Diffuse surfaces: radiance towards the eye per unit of albedo; one channel if all lights are grey, else three."""
    points, images = _sorted(lights)
    total: Tensor | None = None
    if points:
        where, strength = _points(points, eye)
        grey = not strength.requires_grad and not images and bool((strength == strength[:, :1]).all())
        total = shading.diffuse(position, normal, eye, where, strength[:, :1] if grey else strength)
    for light in images:
        light_there = shading.environment_diffuse(position, normal, eye, light.maps()[0])
        total = light_there if total is None else total + light_there
    return total


def radiance(
    values: Mapping[str, Tensor],
    surface: Surface,
    materials: Sequence[Material],
    lights: Iterable[Light],
    camera: Camera,
) -> Float[Tensor, "n 3"]:
    """Light towards the eye from surfaces of all kinds; `values` are what their maps say there (see `SceneMaps`)."""
    lights = list(lights)
    if "normal" in values:
        surface = Surface(**{**vars(surface), "normal": mapped_normal(surface, values["normal"], camera)})
    glossy = torch.tensor([material.roughness is not None for material in materials], device=surface.material.device)
    if bool(glossy.all()):
        return _glossy(values, surface, lights, camera)
    if not bool(glossy.any()):
        return _matt(values, surface, lights, camera)
    shines = glossy[surface.material.long()]
    out = surface.position.new_zeros((len(shines), 3))
    for kind, which in ((_glossy, shines.nonzero()[:, 0]), (_matt, (~shines).nonzero()[:, 0])):
        part = Surface(**{name: tensor[which] for name, tensor in vars(surface).items()})
        some = {name: value[which] for name, value in values.items()}
        out = out.index_copy(0, which, kind(some, part, lights, camera))
    return out


def mapped_normal(surface: Surface, value: Float[Tensor, "n 3"], camera: Camera) -> Float[Tensor, "n 3"]:
    """Unit normals with their map, towards the camera; those that the map turns past the horizon stop there.

    Which side of a surface is seen is the interpolated normal's to say, as everywhere in this renderer: a bump near a
    silhouette is not the back of the surface.
    """
    eye = camera.eye.to(value)
    view = normalize(eye[:3] - eye[3] * surface.position, dim=1)
    turned = shading.apply_normal_map(surface.normal, surface.tangent, value)
    turned = torch.where(((surface.normal * view).sum(1, keepdim=True) < 0), -turned, turned)
    beyond = ((turned * view).sum(1, keepdim=True) - GRAZING).clamp_max(0)
    return normalize(turned - beyond * view, dim=1)


def _matt(values: Mapping[str, Tensor], surface: Surface, lights: list[Light], camera: Camera) -> Tensor:
    return values["base_color"] * transport(lights, camera.eye.to(surface.position), surface.position, surface.normal)


def _glossy(values: Mapping[str, Tensor], surface: Surface, lights: list[Light], camera: Camera) -> Tensor:
    """Metallic-roughness surfaces."""
    points, images = _sorted(lights)
    eye = camera.eye.to(surface.position)
    what = (values["base_color"], values["roughness"][:, 0], values["metallic"][:, 0], surface.normal, surface.position)
    total: Tensor | float = 0.0
    if points:
        total = shading.metallic_roughness(*what, eye, *_points(points, eye))
    for light in images:
        total = total + shading.environment_reflection(*what, eye, *light.maps())
    return total


def _sorted(lights: Iterable[Light]) -> tuple[list[Light], list[EnvironmentLight]]:
    lights = list(lights)
    images = [light for light in lights if isinstance(light, EnvironmentLight)]
    return [light for light in lights if not isinstance(light, EnvironmentLight)], images


def _points(lights: Sequence[Light], eye: Tensor) -> tuple[Float[Tensor, "lights 4"], Float[Tensor, "lights 3"]]:
    """Homogeneous places and intensities."""
    return torch.stack([light.point(eye) for light in lights]), torch.stack([light.intensity for light in lights])
