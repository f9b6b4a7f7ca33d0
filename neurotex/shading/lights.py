"""Lights as homogeneous points, and what arrives from them.

A light is (x, y, z, w): a point for w = 1; for w = 0 the direction *towards* a light infinitely far away; all zero for
light that comes evenly from everywhere. What it sends to the eye is intensity · fall-off · BRDF · max(0, n · l).
Intensities are colours: radiant intensity for points, irradiance for directions, radiance for ambient light.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..core import checked

FAR = 1e15
NEAREST = 1e-12  # a light that is nearer to a surface lies on it and sends nothing there, for it has no direction


@checked.door()
def incident(
    light: Float[Tensor, "4"], position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
    """Unit directions from surface points to a light, and its fall-off there.

    1 / d² for a point, 1 for a direction. Ambient light of radiance L gives a diffuse surface the irradiance π L
    (the integral of the cosine over the hemisphere), as if it all came along the normal. Both are 0 for a point that
    lies on the surface, nearer than NEAREST.
    """
    light = scaled(light)
    if not bool(light.any()):
        return normal, torch.full_like(normal[:, 0], math.pi)
    if not bool(light[3]):
        return normalize(light[:3], dim=0).expand_as(position), torch.ones_like(position[:, 0])
    offset = light[:3] - position
    squared = (offset * offset).sum(-1)
    inverse = squared.where(squared > NEAREST**2, torch.inf).rsqrt()
    return offset * inverse[:, None], inverse * inverse  # 1 / d² has a derivative that overflows sooner


def scaled(points: Float[Tensor, "*points 4"]) -> Float[Tensor, "*points 4"]:
    """The same homogeneous points with w = 1, or with w = 0 and 1 as the largest coordinate; all zero stays.

    Of a short direction the square is 0, as of light from everywhere. A place further away than FAR is moved to FAR
    along its direction, where the square of its distance is still a number.
    """
    size, w = points[..., :3].abs().amax(-1, keepdim=True), points[..., 3:]
    least = (size / FAR).detach()
    placed = torch.where(w < 0, torch.minimum(w, -least), torch.maximum(w, least))
    divisor = torch.where(w == 0, size.where(size > 0, 1), placed.where(w != 0, 1))
    return torch.cat([points[..., :3] / divisor, (w != 0).to(points)], -1)
