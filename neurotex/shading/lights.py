"""Lights that have a place, as homogeneous points, and the loop over them.

A light is (x, y, z, w), as an eye is: a point for w ≠ 0; for w = 0 the direction *towards* a light infinitely far away.
Its intensity is a colour: radiant intensity of a point, irradiance on a plane across a direction. What it sends to the
eye from a surface is

    BRDF · max(0, n · l) · intensity · fall-off · visibility

The BRDF is a function that knows of no light but the direction to it; visibility, the share of the light that gets as
far as the surface, belongs to neither: it is for the caller to find out. What comes from everywhere has no place and is
integrated over the hemisphere by each kind of surface itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..core import checked
from ..geometry import dot

FAR = 1e15
NEAREST = 1e-12  # a light that is nearer to a surface lies on it and sends nothing there, for it has no direction


@checked.door()
def incident(
    light: Float[Tensor, "4"], position: Float[Tensor, "n 3"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]]:
    """Unit directions from surface points to a light, and its fall-off there: 1 / d² for a point, 1 for a direction.

    Both are 0 for a point that lies on the surface, nearer than NEAREST; (0, 0, 0, 0) is no light, and its directions
    are 0.
    """
    light = scaled(light)
    offset = towards(light, position)
    squared = dot(offset, offset)
    inverse = squared.where(squared > NEAREST**2, torch.inf).rsqrt()
    # 1 / d² by itself has a derivative that overflows sooner
    return offset * inverse[:, None], torch.where(light[3] == 0, 1, inverse * inverse)


def towards(point: Float[Tensor, "4"], position: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """From places to a homogeneous point, `scaled`: the way there, or the direction of one infinitely far away."""
    return point[:3] - point[3] * position


def reflected(
    brdf: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n channels"]],
    position: Float[Tensor, "n 3"],
    normal: Float[Tensor, "n 3"],
    lights: Float[Tensor, "lights 4"],
    intensity: Float[Tensor, "lights channels"],
    visibility: Float[Tensor, "n lights"] | None = None,
) -> Float[Tensor, "n channels"]:
    """Radiance towards the eye, summed over lights: the loop that kernels of all BRDFs have within.

    `brdf` takes unit directions to a light. `normal` is of unit length, and on the eye's side. Differentiable in all.
    """
    total = torch.zeros((len(position), intensity.shape[1]), dtype=position.dtype, device=position.device)
    for k, (light, strength) in enumerate(zip(lights, intensity, strict=True)):
        direction, falloff = incident(light, position)
        arriving = falloff * dot(normal, direction).clamp_min(0)
        if visibility is not None:
            arriving = arriving * visibility[:, k]
        total = total + brdf(direction) * (arriving[:, None] * strength)
    return total


def scaled(points: Float[Tensor, "*points 4"]) -> Float[Tensor, "*points 4"]:
    """The same homogeneous points with w = 1, or with w = 0 and 1 as the largest coordinate; all zero stays.

    Of a short direction the square is 0, as of no direction. A place further away than FAR is moved to FAR along its
    direction, where the square of its distance is still a number.
    """
    size, w = points[..., :3].abs().amax(-1, keepdim=True), points[..., 3:]
    least = (size / FAR).detach()
    placed = torch.where(w < 0, torch.minimum(w, -least), torch.maximum(w, least))
    divisor = torch.where(w == 0, size.where(size > 0, 1), placed.where(w != 0, 1))
    return torch.cat([points[..., :3] / divisor, (w != 0).to(points)], -1)
