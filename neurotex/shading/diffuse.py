"""Lambert's law: the BRDF albedo / π, which makes an image linear in the albedo and a scene bakeable."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from ..geometry import dot, unit
from . import kernels
from .lights import reflected, scaled, towards
from .sides import turned


def lambert(
    normal: Float[Tensor, "n 3"],
    view: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    albedo: Float[Tensor, "#n channels"],
) -> Float[Tensor, "#n channels"]:
    """The BRDF: of light from `direction`, as much goes along `view` as along any other."""
    return albedo / math.pi


@checked.door()
def diffuse(
    position: Float[Tensor, "n 3"],
    normal: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    lights: Float[Tensor, "lights 4"],
    intensity: Float[Tensor, "lights channels"],
    ambient: Float[Tensor, "channels"] | None = None,
    visibility: Float[Tensor, "n lights"] | None = None,
) -> Float[Tensor, "n channels"]:
    """Radiance towards the eye per unit of albedo: `ambient` + Σ over lights of arriving irradiance / π.

    `normal` need not be of unit length; surfaces have two sides, and the normal is turned towards the eye. `eye` and
    `lights` are homogeneous points (see `lights`), `ambient` is the radiance that comes evenly from everywhere, and
    `visibility`, in [0, 1], the share of each light that reaches each point, by default all. Differentiable in all but
    `eye`; without gradients on CPU a kernel does it.
    """
    return _diffuse(position, normal, eye, lights, intensity, ambient, visibility)


def diffuse_reference(
    position: Tensor,
    normal: Tensor,
    eye: Tensor,
    lights: Tensor,
    intensity: Tensor,
    ambient: Tensor | None = None,
    visibility: Tensor | None = None,
) -> Float[Tensor, "n channels"]:
    """`diffuse` in plain tensor language."""
    view = towards(scaled(eye), position)
    normal, white = turned(unit(normal), view), normal.new_ones((1, 1))
    arriving = (position, normal, lights, intensity, visibility)
    total = reflected(lambda direction: lambert(normal, view, direction, white), *arriving)
    if ambient is None:
        return total
    return total + dot(normal, normal)[:, None] * ambient  # 0 where there is no normal


def _diffuse_cpu(
    position: Tensor,
    normal: Tensor,
    eye: Tensor,
    lights: Tensor,
    intensity: Tensor,
    ambient: Tensor | None,
    visibility: Tensor | None,
) -> Tensor:
    out = position.new_empty((len(position), intensity.shape[1]))
    ambient, visibility = kernels.in_rows(lights, intensity, ambient, visibility)
    surface = (position, normal)
    if position.is_contiguous() or normal.is_contiguous():  # else columns of one table, read where they lie
        surface = (position.contiguous(), normal.contiguous())
    rest = [t.contiguous().numpy() for t in (scaled(eye), scaled(lights), intensity, ambient, visibility, out)]
    parallel_for(kernels.diffuse, len(position), *(t.numpy() for t in surface), *rest, grain=4096)
    return out


_diffuse = Op(
    "diffuse(Tensor position, Tensor normal, Tensor eye, Tensor lights, Tensor intensity, Tensor? ambient, "
    "Tensor? visibility) -> Tensor",
    reference=diffuse_reference,
    cpu=_diffuse_cpu,
    cuda=f"{__name__}_warp.diffuse",
    fake=lambda position, normal, eye, lights, intensity, *rest: position.new_empty(
        (position.shape[0], intensity.shape[1])
    ),
)
