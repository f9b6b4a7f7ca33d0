"""Mip maps: a texture's levels of detail, and which of them the footprint of a sample asks for.

A sample stands for the square around it, one sample step wide. `duv` (n, 2, 2) is ∂(u, v)/∂(x, y) there, and
J = diag(width, height) · duv maps the square to a parallelogram of texels: the footprint. Level k of the texture has
averaged the texels in blocks of about 2ᵏ × 2ᵏ (Williams, "Pyramidal parametrics", 1983), so a few of its texels stand
for all that the footprint covers.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.typed import sides
from ..errors import ArgumentError


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """(height, width) of all levels, down to 1 × 1: max(1, ⌊size / 2ᵏ⌋) (OpenGL 4.6, section 8.14.3)."""
    height, width = shape
    return [(max(1, height >> k), max(1, width >> k)) for k in range(max(height, width).bit_length())]


@checked.door()
def mip_levels(texture: Float[Tensor, "c h w"]) -> list[Float[Tensor, "c _ _"]]:
    """The texture and its halved levels down to 1 × 1. Linear in the texture, and differentiable.

    Every level has the mean of the texture, whatever its size. Averages are of light: decode sRGB first. ArgumentError
    for a texture without texels.
    """
    if 0 in texture.shape[1:]:
        raise ArgumentError(f"a texture of {tuple(texture.shape[1:])} texels has no levels.")
    levels = [texture]
    for _ in level_shapes(sides(texture))[1:]:
        levels.append(_halve(_halve(levels[-1], 1), 2))
    return levels


def _halve(texture: Tensor, axis: int) -> Tensor:
    """Half as many texels along an axis (rounded down), each the average over the length that it now covers.

    From 2m + 1 to m texels, number j covers 2 + 1/m old ones: parts (m − j)/m, 1 and (j + 1)/m of the three from 2j
    on (Guthe and Heckbert, "Non-power-of-two mipmapping", NVIDIA 2005).
    """
    size = texture.shape[axis]
    half = size // 2
    if size == 1:
        return texture
    if size % 2 == 0:
        return texture.unflatten(axis, (half, 2)).mean(axis + 1)
    j = torch.arange(half, dtype=texture.dtype, device=texture.device).view(-1, *[1] * (texture.ndim - 1 - axis))
    left, middle, right = (
        texture.narrow(axis, k, size - 2)[(slice(None),) * axis + (slice(0, None, 2),)] for k in range(3)
    )
    return ((half - j) * left + half * middle + (j + 1) * right) / size


def level_of_detail(
    duv: Float[Tensor, "n 2 2"], shape: Int[Tensor, "n 2"], last: Int[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """Level in [0, last] at which the longer side of the footprint is one texel (OpenGL 4.6, section 8.14.1).

    λ = log2 max(|∂/∂x|, |∂/∂y|), lengths in texels of a (height, width) = `shape` texture; 0 where magnified.
    Footprints that are infinite or not a number get `last`. Differentiable in `duv`.
    """
    jacobian = _texels_per_step(duv, shape)
    coarse = ~(jacobian.detach().square().sum(1).amax(1) < 4.0**last)
    square = _where_not(coarse, jacobian).square().sum(1).amax(1)
    return torch.where(coarse, last.to(square), square.clamp_min(1).log2() / 2)


def probes(
    duv: Float[Tensor, "n 2 2"], shape: Int[Tensor, "n 2"], last: Int[Tensor, "n"], most: int
) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"], Float[Tensor, "n 2"]]:
    """A long footprint as a row of round ones: how many, at which level in [0, last], along which vector in UV.

    After EXT_texture_filter_anisotropic, N = min(⌈P_max / P_min⌉, most) and λ = log2(P_max / N). P_max and P_min are
    here the singular values of J instead of the lengths of its columns, and the row lies along its major axis: the
    footprint has the second moments J Jᵀ / 12, whichever way the image is turned. A minor axis below one texel counts
    as one: probes closer than texels would see nothing new. Level and axis are differentiable in `duv`; N is discrete.
    """
    jacobian = _texels_per_step(duv, shape)
    widest = (2.0**last).to(jacobian)
    # far beyond the coarsest level, infinite, or not a number; what remains has fourth powers within float32
    coarse = ~(jacobian.detach().square().sum((1, 2)) < 2 * (most * widest) ** 2)
    (a, b), (c, d) = (row.unbind(1) for row in _where_not(coarse, jacobian).unbind(1))
    # J Jᵀ = [[p, q], [q, r]]
    p, q, r = a * a + b * b, a * c + b * d, c * c + d * d
    tilt = (p - r) / 2
    spread = (tilt * tilt + q * q).clamp_min(1e-30).sqrt()
    major = ((p + r) / 2 + spread).sqrt()
    minor = (a * d - b * c).abs() / major
    # a hundredth less, so that rounding does not make two probes of a round footprint
    count = (major / minor.clamp_min(1) - 0.01).detach().ceil().clamp(1, most)
    coarse = coarse | (major.detach() >= count * widest)
    level = torch.where(coarse, last.to(major), (major / count).clamp_min(1).log2())
    direction = torch.where(
        (tilt >= 0)[:, None], torch.stack([spread + tilt, q], 1), torch.stack([q, spread - tilt], 1)
    )
    axis = major[:, None] * torch.nn.functional.normalize(direction, dim=1) / shape.flip(1)
    return torch.where(coarse, 1, count).long(), level, _where_not(coarse, axis)


def _texels_per_step(duv: Tensor, shape: Tensor) -> Tensor:
    """J: the derivatives in texels of a (height, width) = `shape` texture per sample step."""
    return duv * shape.flip(1)[:, :, None]


def _where_not(mask: Tensor, values: Tensor) -> Tensor:
    """0 where `mask`: there neither values nor gradients may be infinite."""
    return torch.where(mask.view(-1, *[1] * (values.ndim - 1)), torch.zeros_like(values), values)
