"""Lambert's law: the BRDF albedo / π, which makes an image linear in the albedo and a scene bakeable."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from . import kernels
from .lights import incident, scaled


@checked.door()
def diffuse(
    position: Float[Tensor, "n 3"],
    normal: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    lights: Float[Tensor, "lights 4"],
    intensity: Float[Tensor, "lights channels"],
) -> Float[Tensor, "n channels"]:
    """Radiance towards the eye per unit of albedo: Σ over lights of intensity · fall-off · max(0, n · l) / π.

    `normal` need not be of unit length; surfaces have two sides, and the normal is turned towards the eye. `eye` and
    `lights` are homogeneous points (see `lights`). Differentiable in all but `eye`; without gradients on CPU a kernel
    does it.
    """
    return _diffuse(position, normal, eye, lights, intensity)


def diffuse_reference(
    position: Tensor, normal: Tensor, eye: Tensor, lights: Tensor, intensity: Tensor
) -> Float[Tensor, "n channels"]:
    """`diffuse` in plain tensor language."""
    normal, eye = normalize(normal, dim=1), scaled(eye)
    # the shading normal, not the face's, decides which side is seen (as Mitsuba's `twosided` does), else samples near
    # a silhouette, whose normal already looks away, would be black
    facing = (normal * (eye[:3] - eye[3] * position)).sum(1, keepdim=True)
    normal = torch.where(facing < 0, -normal, normal)
    total = torch.zeros((len(position), intensity.shape[1]), dtype=position.dtype, device=position.device)
    for light, strength in zip(lights, intensity, strict=True):
        direction, falloff = incident(light, position, normal)
        total = total + (falloff * (normal * direction).sum(1).clamp_min(0))[:, None] * strength
    return total / math.pi


def _diffuse_cpu(position: Tensor, normal: Tensor, eye: Tensor, lights: Tensor, intensity: Tensor) -> Tensor:
    out = position.new_empty((len(position), intensity.shape[1]))
    arrays = [t.contiguous().numpy() for t in (position, normal, scaled(eye), scaled(lights), intensity, out)]
    parallel_for(kernels.diffuse, len(position), *arrays, grain=4096)
    return out


_diffuse = Op(
    "diffuse(Tensor position, Tensor normal, Tensor eye, Tensor lights, Tensor intensity) -> Tensor",
    reference=diffuse_reference,
    cpu=_diffuse_cpu,
    cuda=f"{__name__}_warp.diffuse",
    fake=lambda position, normal, eye, lights, intensity: position.new_empty((position.shape[0], intensity.shape[1])),
)
