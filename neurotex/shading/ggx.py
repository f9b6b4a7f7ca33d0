"""The metallic-roughness surface of glTF 2.0 (Appendix B of its specification) under points, directions, even light.

A rough mirror over a matt body. With alpha = roughness², half vector h, and α² written a:

    D = a / (π ((n·h)² (a − 1) + 1)²)                                             Trowbridge, Reitz 1975 (GGX)
    V = 1 / (2 (n·l √((n·v)² (1 − a) + a) + n·v √((n·l)² (1 − a) + a)))           Smith, height-correlated (Heitz 2014)
    F = f0 + (1 − f0) (1 − v·h)⁵,   f0 = lerp(0.04, base_color, metallic)         Schlick 1994
    BRDF = F D V + (1 − F) base_color (1 − metallic) / π

It is glTF's, with glTF's weakness: seen at grazing angles a white dielectric sends back more than it gets (nearly
twice as much where it is smooth), since (1 − F) is taken at v·h and not for both passages through the surface.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..core import checked
from ..core.op import Backward, Op
from ..core.threads import parallel_for
from . import ggx_kernels as kernels
from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS, albedo_table, directional_albedo
from .lights import incident, scaled


@checked.door(mixed=["base_color", "roughness", "metallic"])
def metallic_roughness(
    base_color: Float[Tensor, "n 3"],
    roughness: Float[Tensor, "n"],
    metallic: Float[Tensor, "n"],
    normal: Float[Tensor, "n 3"],
    position: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    lights: Float[Tensor, "lights 4"],
    intensity: Float[Tensor, "lights 3"],
) -> Float[Tensor, "n 3"]:
    """Radiance towards the eye, summed over lights. `base_color` is linear, as all of it.

    `roughness` in [0, 1] counts as at least 0.045 (see `albedo`); below, its gradient is 0. `normal` need not be of
    unit length; surfaces have two sides, and the normal is turned towards the eye; the normal (0, 0, 0) is black.
    `eye` and `lights` are homogeneous points (see `lights`); light from everywhere is integrated over the hemisphere.
    Differentiable in everything, and finite everywhere. On CPU a kernel does it, forward and backward; second
    derivatives go through `metallic_roughness_reference`.
    """
    placed = (_placed(eye[None])[0], _placed(lights))
    return _shade(base_color, roughness, metallic, normal, position, *placed, intensity)


def metallic_roughness_reference(
    base_color: Tensor,
    roughness: Tensor,
    metallic: Tensor,
    normal: Tensor,
    position: Tensor,
    eye: Tensor,
    lights: Tensor,
    intensity: Tensor,
) -> Float[Tensor, "n 3"]:
    """`metallic_roughness` in plain tensor language."""
    view, normal = facing(normal, position, eye)
    f0, body = split_base_color(base_color, metallic)
    nv = dot(normal, view).clamp_min(MIN_COSINE)
    total = torch.zeros_like(base_color)
    for light, strength in zip(lights, intensity, strict=True):
        if not bool(light.any()):
            seen = dot(normal, normal)[:, None]  # 0 where there is no normal
            total = total + seen * strength * even_light(f0, body, directional_albedo(nv, roughness))
            continue
        direction, falloff = incident(light, position, normal)
        nl = dot(normal, direction).clamp_min(0)
        half = view + direction
        squared = dot(half, half).clamp_min(1e-12)
        across = torch.linalg.cross(normal, half)
        schlick = (1 - squared.sqrt() / 2).clamp_min(0) ** 5  # as v·h = |v + l| / 2
        fresnel = f0 + (1 - f0) * schlick[:, None]
        specular = _lobe(nl, nv, dot(across, across) / squared, roughness.clamp_min(MIN_ROUGHNESS) ** 4)
        reflected = fresnel * specular[:, None] + (1 - fresnel) * body * (nl / math.pi)[:, None]
        total = total + falloff[:, None] * reflected * strength
    return total


def _lobe(nl: Tensor, nv: Tensor, sine2: Tensor, a: Tensor) -> Tensor:
    """D V (n · l), where `sine2` = 1 − (n · h)², which does not cancel for small roughness, and `a` is alpha²."""
    width = sine2 * (1 - a) + a
    smith = nl * (nv * nv * (1 - a) + a).sqrt() + nv * (nl * nl * (1 - a) + a).sqrt()
    return a / (math.pi * width * width) * nl / (2 * smith)


def split_base_color(
    base_color: Float[Tensor, "n 3"], metallic: Float[Tensor, "n"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Head-on reflectance f0 of the surface, and albedo of the body below it."""
    metal = metallic[:, None]
    return DIELECTRIC + metal * (base_color - DIELECTRIC), base_color * (1 - metal)


def even_light(
    f0: Float[Tensor, "n 3"], body: Float[Tensor, "n 3"], albedo: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """Radiance sent back of the radiance 1 from everywhere; `albedo` is `directional_albedo`'s."""
    scale, bias, loss = albedo[:, :, None].unbind(1)
    return f0 * scale + bias + body * (1 - f0) * (1 - loss)


def facing(
    normal: Float[Tensor, "n 3"], position: Float[Tensor, "n 3"], eye: Float[Tensor, "4"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Unit directions towards the eye, and unit normals turned to it; (0, 0, 0) stays, with the gradient 0."""
    eye = scaled(eye)
    view, normal = unit(eye[:3] - eye[3] * position), unit(normal)
    return view, torch.where(dot(normal, view)[:, None] < 0, -normal, normal)


def unit(vector: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The direction of a vector; 0 with the gradient 0 for vectors shorter than 1e-15."""
    squared = dot(vector, vector)
    return vector * squared.where(squared > 1e-30, torch.inf).rsqrt()[..., None]


def dot(a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
    """Inner products along the last axis."""
    return (a * b).sum(-1)


def _placed(points: Tensor) -> Tensor:
    """Homogeneous points as the kernel wants them: (x, y, z, 1) places, (x, y, z, 0) of unit length, or all zero."""
    points = scaled(points)
    placed = points[:, 3:]
    return torch.cat([torch.where(placed == 0, unit(points[:, :3]), points[:, :3]), placed], 1)


def _arrays(*tensors: Tensor) -> list:
    return [t.detach().contiguous().numpy() for t in tensors]


def _forward_cpu(*inputs: Tensor) -> Tensor:
    out = torch.empty_like(inputs[0], memory_format=torch.contiguous_format)
    parallel_for(kernels.forward, len(out), *_arrays(*inputs), albedo_table(), out.numpy(), grain=1024)
    return out


def _backward_cpu(grad: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    own = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs[:5]]
    arrays = _arrays(grad, *inputs)
    pieces = parallel_for(kernels.backward, len(grad), *arrays, albedo_table(), *_arrays(*own), grain=1024)
    shared = [torch.from_numpy(sum(column)).to(grad) for column in zip(*pieces, strict=True)]
    return *own, *shared


_INPUTS = ", ".join(
    f"Tensor {name}"
    for name in ("base_color", "roughness", "metallic", "normal", "position", "eye", "lights", "intensity")
)
_shade = Op(
    f"metallic_roughness({_INPUTS}) -> Tensor",
    reference=metallic_roughness_reference,
    cpu=_forward_cpu,
    cuda=f"{__name__}_warp.shade",
    fake=lambda base_color, *rest: torch.empty_like(base_color, memory_format=torch.contiguous_format),
    derivative=Backward(lambda grads, inputs, _: _shade_backward(grads[0], *inputs)),
)
_shade_backward = Op(
    f"metallic_roughness_backward(Tensor grad, {_INPUTS}) -> ({', '.join(['Tensor'] * 8)})",
    reference=lambda grad, *inputs: torch.func.vjp(metallic_roughness_reference, *inputs)[1](grad),
    cpu=_backward_cpu,
    cuda=f"{__name__}_warp.shade_backward",
    fake=lambda grad, *inputs: tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs),
)
