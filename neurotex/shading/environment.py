"""Light from an image of the environment, infinitely far away.

Images are equirectangular, (3, H, W) linear radiance, +Y up: the top row looks up, the middle of the picture along −Z
(where a camera at rest looks) and u grows to the right, so that +X is at u = 3/4. Mitsuba's maps are these, rolled by
half a turn; three.js and the glTF sample viewer have +X in the middle, a quarter turn away.

What falls on a surface is split in two. Diffuse: nine coefficients of spherical harmonics (Ramamoorthi and Hanrahan,
An Efficient Representation for Irradiance Environment Maps, 2001). Specular: the image blurred for some roughnesses,
looked up along the mirror direction, times the surface's albedo (Karis, Real Shading in Unreal Engine 4, 2013).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from ..core import checked
from ..errors import ArgumentError
from ..geometry import dot
from .albedo import MIN_COSINE, MIN_ROUGHNESS, directional_albedo
from .ggx import even_light, split_base_color
from .sides import facing


@checked.door(mixed=["base_color", "roughness", "metallic"])
# 8 parameters: the numbers of a point of a surface, and of what is around it
def environment_reflection(
    base_color: Float[Tensor, "n 3"],
    roughness: Float[Tensor, "n"],
    metallic: Float[Tensor, "n"],
    normal: Float[Tensor, "n 3"],
    position: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    coefficients: Float[Tensor, "9 3"],
    prefiltered: Float[Tensor, "levels 3 h w"],
) -> Float[Tensor, "n 3"]:
    """Radiance towards the eye from a metallic-roughness surface; its arguments as in `ggx.metallic_roughness`.

    `coefficients` and `prefiltered` are what `sh_irradiance` and `prefilter` make of the image. For an image of one
    colour it is what `metallic_roughness` gives for that colour from everywhere. Differentiable in everything.
    """
    view, normal = facing(normal, position, eye)
    f0, body = split_base_color(base_color, metallic)
    nv = dot(normal, view).clamp_min(MIN_COSINE)
    blurred = environment_specular(prefiltered, _lobe_direction(normal, view, nv, roughness), roughness)
    diffuse = irradiance(coefficients, normal) / math.pi
    albedo = directional_albedo(nv, roughness)
    # even_light is a sum of both layers, linear in each: without body, and with nothing but body
    specular = even_light(f0, torch.zeros_like(body), albedo)
    reflected = blurred * specular + diffuse * (even_light(f0, body, albedo) - specular)
    return reflected * dot(normal, normal)[:, None]  # black where there is no normal


def _lobe_direction(normal: Tensor, view: Tensor, nv: Tensor, roughness: Tensor) -> Tensor:
    """Where most of what is seen comes from: the mirror direction, bent towards the normal as the surface gets rough.

    Lagarde and de Rousiers, Moving Frostbite to Physically Based Rendering, 2014, section 4.9.3, with alpha.
    """
    mirror = 2 * nv[:, None] * normal - view
    alpha = roughness.clamp(MIN_ROUGHNESS, 1) ** 2
    smooth = 1 - alpha
    return torch.lerp(normal, mirror, (smooth**1.5 + smooth * alpha)[:, None])


@checked.door()
def environment_diffuse(
    position: Float[Tensor, "n 3"],
    normal: Float[Tensor, "n 3"],
    eye: Float[Tensor, "4"],
    coefficients: Float[Tensor, "9 3"],
) -> Float[Tensor, "n 3"]:
    """Radiance towards the eye per unit of albedo, as `diffuse.diffuse` gives it for other lights."""
    _, normal = facing(normal, position, eye)
    return irradiance(coefficients, normal) / math.pi * dot(normal, normal)[:, None]


def directions(height: int, width: int, like: Tensor) -> Float[Tensor, "h w 3"]:
    """Unit directions that the centres of an image's pixels look along."""
    theta = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) * (math.pi / height)
    phi = _azimuth(torch.arange(width, dtype=like.dtype, device=like.device) + 0.5, width)
    y, ring = theta.cos()[:, None].expand(height, width), theta.sin()[:, None]
    return torch.stack([ring * phi.sin(), y, -ring * phi.cos()], -1)


def _azimuth(column: Tensor, width: int) -> Tensor:
    """Angle from −Z towards +X at a column's position in pixels, in [−π, π]."""
    return (column / width - 0.5) * (2 * math.pi)


@checked.door()
def sh_irradiance(image: Float[Tensor, "3 h w"]) -> Float[Tensor, "9 3"]:
    """Coefficients of the irradiance that an image sheds, in the basis of `irradiance`: the projection of the radiance
    on spherical harmonics up to order 2, times π, 2π/3, π/4 for the cosine.

    Pixels are integrated exactly, as patches of one colour: the harmonics are products of a function of the row
    and one of the column.
    """
    _check_image(image)
    _, height, width = image.shape
    like = {"dtype": image.dtype, "device": image.device}
    theta = torch.linspace(0, math.pi, height + 1, **like)
    phi = _azimuth(torch.arange(width + 1, **like), width)
    y, s = theta.cos(), theta.sin()
    # integrals over a row, with dy for sin θ dθ and ring² = 1 − y²
    one, up, upright = -y.diff(), -(y * y).diff() / 2, -(y**3 - y).diff()  # 1, y, 3 y² − 1
    ring = (theta / 2 - y * s / 2).diff()  # ring = √(1 − y²)
    ring_up, ring2 = (s**3 / 3).diff(), one + (y**3).diff() / 3  # ring · y, ring²
    # over a column, with x = ring · sin φ, z = −ring · cos φ
    all_round, x, z = phi.diff(), -phi.cos().diff(), -phi.sin().diff()
    xz, xx_zz = (phi.cos() ** 2).diff() / 2, -(2 * phi).sin().diff() / 2  # −sin φ cos φ, sin² φ − cos² φ
    rows = torch.stack([one, up, ring, ring, ring_up, ring_up, ring2, upright, ring2])
    columns = torch.stack([all_round, all_round, x, z, x, z, xz, all_round, xx_zz])
    projected = torch.einsum("kh,kw,chw->kc", rows, columns, image)
    a1, a2 = 2 * math.pi / 3, math.pi / 4
    lobes = torch.tensor([math.pi, a1, a1, a1, a2, a2, a2, a2, a2], **like)
    return projected * (lobes * _norms(image) ** 2)[:, None]


@checked.door()
def irradiance(coefficients: Float[Tensor, "9 3"], normal: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """What falls on a surface with this unit normal. Nine coefficients may undershoot 0: that is cut off.

    Smooth environments come out to about a percent, a small strong light on black to several of its maximum.
    """
    x, y, z = normal.unbind(1)
    basis = [torch.ones_like(x), y, x, z, x * y, y * z, x * z, 3 * y * y - 1, x * x - z * z]
    return (torch.stack(basis, 1) @ coefficients).clamp_min(0)


def _check_image(image: Tensor) -> None:
    if image.numel() == 0:
        raise ArgumentError(f"an image of the environment has pixels, but this one is {tuple(image.shape)}.")


def _norms(like: Tensor) -> Float[Tensor, "9"]:
    """What makes the polynomials of `irradiance` orthonormal on the sphere."""
    squares = [1 / 4, *[3 / 4] * 3, *[15 / 4] * 3, 5 / 16, 15 / 16]
    return (torch.tensor(squares, dtype=like.dtype, device=like.device) / math.pi).sqrt()


@checked.door()
def prefilter(
    image: Float[Tensor, "3 h w"], height: int = 64, levels: int = 8
) -> Float[Tensor, "levels 3 height 2*height"]:
    """The image blurred for roughness 0, 1 / (levels − 1), …, 1: the weighted mean of the radiance around a direction,
    with the weights D · (n · l) of a surface that is looked at along that direction.

    The image is first brought to `height` rows and twice as many columns, which is also how sharp a mirror can show
    it. The blur is the same at every azimuth: a product of spectra along the rows. Differentiable.
    """
    _check_image(image)
    height, levels = checked.whole("height", height, 1, 1 << 12), checked.whole("levels", levels, 1, 1 << 10)
    width = 2 * height
    small = interpolate(image[None], (height, width), mode="area")[0]
    theta = (torch.arange(height, dtype=image.dtype, device=image.device) + 0.5) * (math.pi / height)
    turn = torch.arange(width, dtype=image.dtype, device=image.device) * (2 * math.pi / width)
    edges = torch.linspace(0, math.pi, height + 1, dtype=image.dtype, device=image.device)
    up, ring, solid = theta.cos(), theta.sin(), -edges.cos().diff()
    cosine = up[:, None, None] * up[:, None] + ring[:, None, None] * ring[:, None] * turn.cos()
    spectrum = torch.fft.rfft(small)
    out = []
    for level in range(levels):
        if level == 0:
            out.append(small)
            continue
        a = max(level / (levels - 1), MIN_ROUGHNESS) ** 4
        # n·h of the half vector: cos² (t / 2) = (1 + cos t) / 2
        width2 = (1 - (1 + cosine) / 2) * (1 - a) + a
        weight = cosine.clamp_min(0) / (width2 * width2) * solid[:, None]
        weight = weight / weight.sum((1, 2), keepdim=True)
        out.append(torch.fft.irfft(torch.einsum("ijf,cjf->cif", torch.fft.rfft(weight), spectrum), width))
    return torch.stack(out)


@checked.door()
def environment_specular(
    prefiltered: Float[Tensor, "levels 3 h w"], direction: Float[Tensor, "n 3"], roughness: Float[Tensor, "n"]
) -> Float[Tensor, "n 3"]:
    """The blurred radiance along directions, interpolated between pixels and between the levels of roughness."""
    _check_image(prefiltered)
    levels, width = len(prefiltered), prefiltered.shape[-1]
    x, y, z = direction.unbind(1)
    ring = (x * x + z * z).clamp_min(1e-12)  # looking straight up, the azimuth has no derivative
    theta = torch.atan2(ring.sqrt(), y)
    pole = ring <= 1e-12
    phi = torch.atan2(x.masked_fill(pole, 0), (-z).masked_fill(pole, 1))
    # the volume of levels, one column more on both sides, which are neighbours across the seam
    volume = torch.cat([prefiltered[..., -1:], prefiltered, prefiltered[..., :1]], -1).transpose(0, 1)[None]
    place = torch.stack(
        [phi / math.pi * (width / (width + 2)), theta * (2 / math.pi) - 1, _level(roughness, levels)], 1
    )
    sampled = grid_sample(volume, place[None, :, None, None], padding_mode="border", align_corners=False)
    return sampled[0, :, :, 0, 0].T


def _level(roughness: Tensor, levels: int) -> Tensor:
    """`grid_sample`'s coordinate of a roughness: −1 and 1 are the outer faces of the first and last level."""
    return (2 * roughness.clamp(0, 1) * (levels - 1) + 1) / levels - 1
