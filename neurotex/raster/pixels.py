"""Covered pixels, kept as a list, and the image that they are part of."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Linear, Op
from ..core.threads import parallel_for
from . import pixel_kernels as kernels


@checked.door()
def place_pixels(
    colour: Float[Tensor, "n 4"], alpha: Float[Tensor, "n"], pixel: Int[Tensor, "n"], total: int
) -> Float[Tensor, "total 4"]:
    """An image of `total` pixels, 0 but for those at `pixel`, ascending: the first three channels of `colour`, `alpha`.

    Differentiable in `colour`; `alpha` is a share of covered samples, which is constant.
    """
    total = checked.whole("total", total)
    checked.ascending("pixel", pixel, total, "pixel")
    return place_pixels_unchecked(colour, alpha, pixel.long(), total)


def place_reference(colour: Tensor, alpha: Tensor, pixel: Tensor, total: int) -> Tensor:
    """`place_pixels` in plain tensor language."""
    rows = torch.cat([colour[:, :3], alpha[:, None]], 1)
    return colour.new_zeros((total, 4)).index_copy(0, pixel, rows)


def _pick_reference(image: Tensor, pixel: Tensor) -> Tensor:
    return torch.nn.functional.pad(image[pixel, :3], (0, 1))


def _place_cpu(colour: Tensor, alpha: Tensor, pixel: Tensor, total: int) -> Tensor:
    out = colour.new_empty((total, 4))
    arrays = [t.contiguous().numpy() for t in (colour, alpha, pixel, out)]
    parallel_for(kernels.place_pixels, total, *arrays, grain=1 << 14)
    return out


def _pick_cpu(image: Tensor, pixel: Tensor) -> Tensor:
    out = image.new_empty((len(pixel), 4))
    # read where it lies: a gradient often comes plane by plane, and most of it is background
    parallel_for(kernels.pick_pixels, len(pixel), image.numpy(), pixel.numpy(), out.numpy(), grain=1 << 13)
    return out


def _place_alone(colour: Tensor, pixel: Tensor, total: int) -> Tensor:
    """The part of `place_pixels` that is linear in `colour`."""
    return place_pixels_unchecked(colour, colour.new_zeros(len(pixel)), pixel, total)


# each is the other's transpose, so both can be differentiated any number of times
place_pixels_unchecked = Op(
    "place_pixels(Tensor colour, Tensor alpha, Tensor pixel, int total) -> Tensor",
    reference=place_reference,
    cpu=_place_cpu,
    cuda=f"{__name__}_warp.place",
    fake=lambda colour, alpha, pixel, total: colour.new_empty((total, 4)),
    derivative=Linear(
        lambda grad, shape, alpha, pixel, total: _pick(grad, pixel),
        along=lambda tangent, alpha, pixel, total: _place_alone(tangent, pixel, total),
    ),
)
_pick = Op(
    "pick_pixels(Tensor image, Tensor pixel) -> Tensor",
    reference=_pick_reference,
    cpu=_pick_cpu,
    cuda=f"{__name__}_warp.pick",
    fake=lambda image, pixel: image.new_empty((pixel.shape[0], 4)),
    derivative=Linear(lambda grad, shape, pixel: _place_alone(grad, pixel, shape[0])),
)
