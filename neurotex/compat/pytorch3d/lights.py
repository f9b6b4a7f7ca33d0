"""Phong's lights and materials, from neurotex to PyTorch3D and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import ArgumentError
from . import installed
from .phong import PhongLight, PhongMaterial
from .shaders import listed

TERMS = ("ambient", "diffuse", "specular")  # of lights and materials


def to_lights(light: PhongLight | Sequence[PhongLight]) -> Any:
    """PointLights, DirectionalLights or AmbientLights with which PyTorch3D shades as `light` does.

    A batch of one, or of a sequence, whose lights must be of one kind.
    """
    installed.require()
    from pytorch3d.renderer import AmbientLights, DirectionalLights, PointLights

    lights = listed("a light", light, PhongLight, "SceneLights shows PyTorch3D the lights of a Scene")
    device = torch.as_tensor(lights[0].point).device
    point = _rows([one.point for one in lights], device)
    colors = {f"{term}_color": _rows([getattr(one, term) for one in lights], device) for term in TERMS}
    kinds = {_kind(row) for row in point.detach()}
    if len(kinds) > 1:
        raise ArgumentError(
            f"these lights are {' and '.join(sorted(kinds))}, but a batch of PyTorch3D's is of one kind: convert them "
            "one by one."
        )
    kind = kinds.pop()
    if kind == "ambient":
        return AmbientLights(ambient_color=colors["ambient_color"], device=device)
    if kind == "directional":
        return DirectionalLights(direction=point[:, :3], device=device, **colors)
    return PointLights(location=point[:, :3] / point[:, 3:], device=device, **colors)


def _kind(point: Float[Tensor, "4"]) -> str:
    """Of a light at this homogeneous point."""
    if not bool(point.any()):
        return "ambient"
    return "directional" if float(point[3]) == 0 else "points"


def from_lights(lights: Any) -> list[PhongLight]:
    """A batch of PointLights, DirectionalLights or AmbientLights for `render_phong`: one light for every image, or all.

    Gradients go through. Raises ArgumentError for other lights, by name.
    """
    installed.require()
    from pytorch3d.renderer import AmbientLights, DirectionalLights, PointLights

    if not isinstance(lights, PointLights | DirectionalLights | AmbientLights):
        raise ArgumentError(
            f"{type(lights).__name__} cannot become a PhongLight: give PointLights, DirectionalLights or AmbientLights."
        )
    if isinstance(lights, AmbientLights):
        return [PhongLight.everywhere(color) for color in lights.ambient_color]
    placed, where = (
        (PhongLight.at, lights.location) if isinstance(lights, PointLights) else (PhongLight.towards, lights.direction)
    )
    colors = zip(*(getattr(lights, f"{term}_color") for term in TERMS), strict=True)
    return [placed(place, **dict(zip(TERMS, rows, strict=True))) for place, rows in zip(where, colors, strict=True)]


def to_materials(material: PhongMaterial | Sequence[PhongMaterial]) -> Any:
    """PyTorch3D's Materials, a batch of one or of a sequence."""
    installed.require()
    from pytorch3d.renderer import Materials

    materials = listed("a material", material, PhongMaterial, "to_meshes takes a Scene's own materials along")
    device = torch.as_tensor(materials[0].diffuse).device
    colors = {f"{term}_color": _rows([getattr(one, term) for one in materials], device) for term in TERMS}
    return Materials(shininess=_rows([one.shininess for one in materials], device), device=device, **colors)


def from_materials(materials: Any) -> list[PhongMaterial]:
    """A batch of PyTorch3D's Materials for `render_phong`: one material for every image, or all."""
    installed.require()
    from pytorch3d.renderer import Materials

    if not isinstance(materials, Materials):
        raise ArgumentError(f"{type(materials).__name__} cannot become a PhongMaterial: give PyTorch3D's Materials.")
    colors = zip(*(getattr(materials, f"{term}_color") for term in TERMS), strict=True)
    return [
        PhongMaterial(ambient, diffuse, specular, shininess)
        for (ambient, diffuse, specular), shininess in zip(colors, materials.shininess, strict=True)
    ]


def _rows(values: Sequence[float | Sequence[float] | Tensor], device: torch.device) -> Float[Tensor, "n *numbers"]:
    """A batch, in the precision that PyTorch3D shades in."""
    return torch.stack([torch.as_tensor(value).to(device, torch.float32) for value in values])
