"""The metallic-roughness surface of glTF 2.0 (Appendix B of its specification) under lights and ambient light.

A rough mirror over a diffuse body. With alpha = roughness², half vector h, and α² written a:

    D = a / (π ((n·h)² (a − 1) + 1)²)                                             Trowbridge, Reitz 1975 (GGX)
    V = 1 / (2 (n·l √((n·v)² (1 − a) + a) + n·v √((n·l)² (1 − a) + a)))           Smith, height-correlated (Heitz 2014)
    F = f0 + (1 − f0) (1 − v·h)⁵,   f0 = lerp(0.04, base_color, metallic)         Schlick 1994
    BRDF = F D V + (1 − F) base_color (1 − metallic) / π

It is glTF's, with glTF's weakness: seen at grazing angles a white dielectric sends back more than it gets (nearly
twice as much where it is smooth), since (1 − F) is taken at v·h and not for both passages through the surface.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ..core import checked
from ..core.op import Backward, Op
from ..core.threads import parallel_for
from ..geometry import dot, unit
from . import ggx_gradient_kernels, ggx_kernels
from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS, albedo_table, directional_albedo
from .kernels import in_rows
from .lights import reflected, scaled
from .sides import facing


class MetallicRoughness(NamedTuple):
    """What the surface is made of, at each point; `base_color` is linear."""

    base_color: Float[Tensor, "n 3"]
    roughness: Float[Tensor, "n"]
    metallic: Float[Tensor, "n"]


def metallic_roughness_brdf(
    normal: Float[Tensor, "n 3"],
    view: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    material: MetallicRoughness,
) -> Float[Tensor, "n 3"]:
    """The BRDF above, for unit vectors to the eye and to a light; `normal` is on the eye's side."""
    f0, body = split_base_color(material.base_color, material.metallic)
    nv, nl = dot(normal, view).clamp_min(MIN_COSINE), dot(normal, direction).clamp_min(0)
    half = view + direction
    squared = dot(half, half).clamp_min(1e-12)
    across = torch.linalg.cross(normal, half)
    schlick = (1 - squared.sqrt() / 2).clamp_min(0) ** 5  # as v·h = |v + l| / 2
    fresnel = f0 + (1 - f0) * schlick[:, None]
    a = material.roughness.clamp_min(MIN_ROUGHNESS) ** 4
    width = dot(across, across) / squared * (1 - a) + a  # 1 − (n·h)², which does not cancel for small roughness
    smith = nl * (nv * nv * (1 - a) + a).sqrt() + nv * (nl * nl * (1 - a) + a).sqrt()
    specular = a / (2 * math.pi * width * width * smith)
    return fresnel * specular[:, None] + (1 - fresnel) * body / math.pi


@checked.door(mixed=["base_color", "roughness", "metallic"])
# 10 parameters: the numbers of a point of a surface, and of what lights it
def metallic_roughness(
    base_color: Float[Tensor, "n 3"],
    roughness: Float[Tensor, "n"],
    metallic: Float[Tensor, "n"],
    normal: Float[Tensor, "n 3"],
    position: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    lights: Float[Tensor, "lights 4"],
    intensity: Float[Tensor, "lights 3"],
    ambient: Float[Tensor, "3"] | None = None,
    visibility: Float[Tensor, "n lights"] | None = None,
) -> Float[Tensor, "n 3"]:
    """Radiance towards the eye, summed over lights. `base_color` is linear, as all of it.

    `roughness` in [0, 1] counts as at least 0.045 (see `albedo`); below, its gradient is 0. `normal` need not be of
    unit length; surfaces have two sides, and the normal is turned towards the eye; the normal (0, 0, 0) is black.
    `eye` and `lights` are homogeneous points (see `lights`). `ambient` is the radiance that comes evenly from
    everywhere, integrated over the hemisphere. `visibility`, in [0, 1], is the share of each light that reaches each
    point, by default all. Differentiable in everything, and finite everywhere. On CPU a kernel does it, forward and
    backward; second derivatives go through `metallic_roughness_reference`.
    """
    placed = (_placed(eye[None])[0], _placed(lights))
    return _shade(base_color, roughness, metallic, normal, position, *placed, intensity, ambient, visibility)


# 10 parameters: the op's schema, which torch wants flat
def metallic_roughness_reference(
    base_color: Tensor,
    roughness: Tensor,
    metallic: Tensor,
    normal: Tensor,
    position: Tensor,
    eye: Tensor,
    lights: Tensor,
    intensity: Tensor,
    ambient: Tensor | None = None,
    visibility: Tensor | None = None,
) -> Float[Tensor, "n 3"]:
    """`metallic_roughness` in plain tensor language."""
    view, normal = facing(normal, position, eye)
    material = MetallicRoughness(base_color, roughness, metallic)
    arriving = (position, normal, lights, intensity, visibility)
    total = reflected(lambda direction: metallic_roughness_brdf(normal, view, direction, material), *arriving)
    if ambient is None:
        return total
    f0, body = split_base_color(base_color, metallic)
    nv = dot(normal, view).clamp_min(MIN_COSINE)
    there = dot(normal, normal)[:, None]  # 0 where there is no normal
    return total + there * ambient * even_light(f0, body, directional_albedo(nv, roughness))


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


def _placed(points: Tensor) -> Tensor:
    """Homogeneous points as the kernel wants them: (x, y, z, 1) places, (x, y, z, 0) of unit length, or all zero."""
    points = scaled(points)
    placed = points[:, 3:]
    return torch.cat([torch.where(placed == 0, unit(points[:, :3]), points[:, :3]), placed], 1)


def _arrays(inputs: tuple) -> list:
    *surface, lights, intensity, ambient, visibility = inputs
    tensors = (*surface, lights, intensity, *in_rows(lights, intensity, ambient, visibility))
    return [t.detach().contiguous().numpy() for t in tensors]


def _forward_cpu(*inputs: Any) -> Tensor:
    out = torch.empty_like(inputs[0], memory_format=torch.contiguous_format)
    parallel_for(ggx_kernels.forward, len(out), *_arrays(inputs), albedo_table(), out.numpy(), grain=1024)
    return out


def _backward_cpu(grad: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    arrays = _arrays(inputs)
    own = [torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs[:5]]
    visibility = grad.new_empty(arrays[-1].shape)
    results = [t.numpy() for t in (*own, visibility)]
    grads = grad.detach().contiguous().numpy()
    pieces = parallel_for(
        ggx_gradient_kernels.backward, len(grad), grads, *arrays, albedo_table(), *results, grain=1024
    )
    shared = [torch.from_numpy(sum(column)).to(grad) for column in zip(*pieces, strict=True)]
    eye, lights, intensity, ambient = shared
    optional = ((inputs[8], ambient), (inputs[9], visibility))
    return *own, eye, lights, intensity, *(grad.new_empty(0) if x is None else found for x, found in optional)


def _backward_reference(grad: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    there = [value is not None for value in inputs]

    def of_those(*values: Tensor) -> Tensor:
        rest = iter(values)
        every: list[Any] = [next(rest) if is_there else None for is_there in there]
        return metallic_roughness_reference(*every)

    given = iter(torch.func.vjp(of_those, *(value for value in inputs if value is not None))[1](grad))
    return tuple(next(given) if is_there else grad.new_empty(0) for is_there in there)


def _rule(grads: tuple, inputs: tuple, outputs: tuple) -> list[Tensor | None]:
    found = _shade_backward(grads[0], *inputs)
    return [None if value is None else gradient for value, gradient in zip(inputs, found, strict=True)]


_INPUTS = (
    "Tensor base_color, Tensor roughness, Tensor metallic, Tensor normal, Tensor position, Tensor eye, Tensor lights, "
    "Tensor intensity, Tensor? ambient, Tensor? visibility"
)
_shade = Op(
    f"metallic_roughness({_INPUTS}) -> Tensor",
    reference=metallic_roughness_reference,
    cpu=_forward_cpu,
    cuda=f"{__name__}_warp.shade",
    fake=lambda base_color, *rest: torch.empty_like(base_color, memory_format=torch.contiguous_format),
    derivative=Backward(_rule),
)
# gradients by all ten; those by ambient light and visibility are empty where there is none
_shade_backward = Op(
    f"metallic_roughness_backward(Tensor grad, {_INPUTS}) -> ({', '.join(['Tensor'] * 10)})",
    reference=_backward_reference,
    cpu=_backward_cpu,
    cuda=f"{__name__}_warp.shade_backward",
    fake=lambda grad, *inputs: tuple(
        grad.new_empty(0) if t is None else torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs
    ),
)
