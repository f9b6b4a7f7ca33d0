"""Phong's lighting as PyTorch3D has it: ambient, diffuse and specular terms, without fall-off.

    colour = texture · (k_a I_a + k_d I_d max(0, n·l)) + k_s I_s max(0, r·v)^s,    r = 2 (n·l) n − l,

no highlight where n·l ≤ 0 (Phong 1975; PyTorch3D 0.7.9, `renderer/lighting.py`). n, l, v are scaled to unit length
with a least length of 1e-6, so that nothing is undefined where one of them vanishes. Surfaces have one side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from ...errors import ArgumentError

EPS = 1e-6  # the least length that a vector is divided by

Numbers = Sequence[float] | Tensor


@dataclass(frozen=True)
class PhongLight:
    """A light as a homogeneous point (see `lights`), with a colour for each term; PyTorch3D's PointLights by default.

    Colours are 3 numbers; tensors carry gradients. `ambient`, `diffuse` and `specular` are those of the terms of
    these names.
    """

    point: Numbers = (0.0, 1.0, 0.0, 1.0)
    ambient: Numbers = (0.5, 0.5, 0.5)
    diffuse: Numbers = (0.3, 0.3, 0.3)
    specular: Numbers = (0.2, 0.2, 0.2)

    def __post_init__(self) -> None:
        _check_numbers("a light", 4, point=self.point)
        _check_numbers("a light", 3, ambient=self.ambient, diffuse=self.diffuse, specular=self.specular)

    @classmethod
    def at(cls, location: Numbers, **colors: Numbers) -> PhongLight:
        """A point light at `location`, in world space (PointLights)."""
        return cls(_homogeneous(location, 1.0), **colors)

    @classmethod
    def towards(cls, direction: Numbers, **colors: Numbers) -> PhongLight:
        """Parallel light; `direction` points from the scene to where it comes from (DirectionalLights)."""
        return cls(_homogeneous(direction, 0.0), **colors)

    @classmethod
    def everywhere(cls, color: Numbers = (1.0, 1.0, 1.0)) -> PhongLight:
        """The same light everywhere; white shows textures as they are (AmbientLights).

        `color` is that of its ambient term; the others are black.
        """
        return cls((0.0, 0.0, 0.0, 0.0), color, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


@dataclass(frozen=True)
class PhongMaterial:
    """What a surface makes of each term of a light, and the exponent of its highlight; PyTorch3D's Materials.

    `ambient`, `diffuse` and `specular` are 3 factors each, for the terms of those names, and `shininess` is the
    exponent, 0 or more.
    """

    ambient: Numbers = (1.0, 1.0, 1.0)
    diffuse: Numbers = (1.0, 1.0, 1.0)
    specular: Numbers = (1.0, 1.0, 1.0)
    shininess: float | Tensor = 64.0

    def __post_init__(self) -> None:
        _check_numbers("a material", 3, ambient=self.ambient, diffuse=self.diffuse, specular=self.specular)
        exponent = float(torch.as_tensor(self.shininess).detach())
        if not 0 <= exponent < math.inf:
            raise ArgumentError(f"a material's shininess is an exponent of 0 or more, but is {exponent}.")


def phong(
    position: Float[Tensor, "n 3"],
    normal: Float[Tensor, "n 3"],
    eye: Float[Tensor, "#n 3"],
    light: PhongLight,
    material: PhongMaterial,
) -> tuple[Float[Tensor, "#n 3"], Float[Tensor, "#n 3"]]:
    """What a texture is multiplied by (ambient + diffuse), and what is added to it (specular), at surface points.

    `normal` need not be of unit length; `eye` is where the camera stands, one for all points or one for each.
    Differentiable in everything.
    """
    point, ambient, diffuse, specular = (
        torch.as_tensor(t).to(position) for t in (light.point, light.ambient, light.diffuse, light.specular)
    )
    reflects = [torch.as_tensor(t).to(position) for t in (material.ambient, material.diffuse, material.specular)]
    ambient, diffuse, specular = (c * k for c, k in zip((ambient, diffuse, specular), reflects, strict=True))
    if not bool(point.any()):
        return ambient[None], torch.zeros_like(ambient)[None]
    offset = point[:3] if float(point.detach()[3]) == 0 else point[:3] / point[3] - position
    normal, towards_light, towards_eye = (normalize(t, dim=-1, eps=EPS) for t in (normal, offset, eye - position))
    cosine = (normal * towards_light).sum(-1, keepdim=True)
    reflected = 2 * cosine * normal - towards_light
    mirrored = torch.where(cosine > 0, (reflected * towards_eye).sum(-1, keepdim=True), 0)
    return ambient + diffuse * cosine.relu(), specular * _power(mirrored, material.shininess)


def _power(base: Tensor, exponent: float | Tensor) -> Tensor:
    """max(0, base)^exponent, with slope 0 where base ≤ 0 (an exponent below 1 would make it infinite)."""
    exponent = torch.as_tensor(exponent).to(base)
    positive = base > 0
    return torch.where(positive, torch.where(positive, base, 1).pow(exponent), (exponent == 0).to(base))


def area_normals(corners: Float[Tensor, "f 3 3"], vertex: Int[Tensor, "f 3"]) -> Float[Tensor, "f 3 3"]:
    """Unit normals at the corners of triangles: the faces' normals around, weighted by area (PyTorch3D's Meshes).

    Faces meet smoothly where their corners have the same number in `vertex`. PyTorch3D keeps UVs apart from vertices,
    so that a UV seam is no crease: corners on both sides of it have one number.
    """
    vertex = vertex.long()
    normal = _doubled_areas(corners)
    total = corners.new_zeros((int(vertex.max()) + 1 if len(vertex) else 0, 3))
    for i in range(3):
        total = total.index_add(0, vertex[:, i], normal)
    return normalize(total, dim=-1, eps=EPS)[vertex]


def face_normals(corners: Float[Tensor, "f 3 3"]) -> Float[Tensor, "f 3"]:
    """Unit normals of triangles, counter-clockwise seen from outside; 0 for one without area."""
    return normalize(_doubled_areas(corners), dim=-1, eps=EPS)


def _doubled_areas(corners: Tensor) -> Tensor:
    """The normal of a triangle, twice its area long."""
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _homogeneous(vector: Numbers, w: float) -> Tensor:
    vector = torch.as_tensor(vector, dtype=None if isinstance(vector, Tensor) else torch.get_default_dtype())
    return torch.cat([vector, vector.new_tensor([w])])


def _check_numbers(what: str, count: int, **values: Numbers) -> None:
    for name, value in values.items():
        numbers = torch.as_tensor(value).detach()
        if numbers.shape != (count,) or not bool(numbers.isfinite().all()):
            raise ArgumentError(f"{what}'s {name} is {count} finite numbers, but this is {numbers.tolist()}.")
