"""Error diffusion: each texel is rounded, and those that come after make up for it.

Floyd and Steinberg (1976): of a texel's error 7/16 go to the next one, and 3/16, 5/16 and 1/16 to the row below:
behind, beneath and ahead. Serpentine: every other row is worked off from right to left, with mirrored shares, which
breaks up the diagonal worms. What would leave the picture is dropped. Each texel waits for the one before, so on other
devices than CPU, where the reference does it, this is slow.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.op import ON_CPU, Op
from ..core.threads import parallel_for
from ..core.typed import added
from . import dither_kernels as kernels


def diffuse_levels(x: Float[Tensor, "n c h w"], levels: Float[Tensor, "k"]) -> Int[Tensor, "n c h w"]:
    """Numbers (int32) of levels, ascending and with x between their ends, whose local averages are those of x.

    Channels are independent; halfway between two levels the lower one is taken. Not differentiable.
    """
    return _diffuse_levels(x.detach(), levels.detach())


def diffuse_colors(x: Float[Tensor, "n c h w"], colors: Float[Tensor, "k c"]) -> Int[Tensor, "n h w"]:
    """Numbers (int32) of the colours (the nearest, the first of equals) whose local averages are those of x in [0, 1].

    Texels with the errors they take over are clamped to [0, 1], so that colours beyond the palette's reach do not pile
    up an error without end. Not differentiable.
    """
    return _diffuse_colors(x.detach(), colors.detach())


def levels_reference(x: Float[Tensor, "n c h w"], levels: Float[Tensor, "k"]) -> Int[Tensor, "n c h w"]:
    """`diffuse_levels` in plain tensor language."""
    middles = (levels[1:] + levels[:-1]) * 0.5

    def pick(value: Tensor) -> tuple[Tensor, Tensor]:
        number = torch.searchsorted(middles, value)
        return number, value - levels[number]

    return _serpentine(x, pick, x.new_empty(x.shape, dtype=torch.int32))


def colors_reference(x: Float[Tensor, "n c h w"], colors: Float[Tensor, "k c"]) -> Int[Tensor, "n h w"]:
    """`diffuse_colors` in plain tensor language."""

    def pick(value: Tensor) -> tuple[Tensor, Tensor]:
        value = value.clamp(0, 1)
        distance = added((value[:, c, None] - colors[:, c]).square() for c in range(x.shape[1]))
        number = distance.argmin(1)
        return number, value - colors[number]

    return _serpentine(x, pick, x.new_empty((x.shape[0], *x.shape[2:]), dtype=torch.int32))


def _serpentine(x: Tensor, pick: Callable[[Tensor], tuple[Tensor, Tensor]], index: Tensor) -> Tensor:
    """Texel by texel: `pick` gives numbers and errors of values (N, C). A frame takes what leaves the picture."""
    height, width = x.shape[2:]
    error = x.new_zeros((height + 1, width + 2, *x.shape[:2]))
    for y in range(height):
        step = 1 - 2 * (y % 2)
        for column in range(width)[::step]:
            index[..., y, column], rest = pick(x[:, :, y, column] + error[y, column + 1])
            error[y, column + 1 + step] += rest * (7 / 16)
            error[y + 1, column + 1 - step] += rest * (3 / 16)
            error[y + 1, column + 1] += rest * (5 / 16)
            error[y + 1, column + 1 + step] += rest * (1 / 16)
    return index


def _levels_cpu(x: Tensor, levels: Tensor) -> Tensor:
    index = torch.empty(x.shape, dtype=torch.int32)
    planes = [t.contiguous().flatten(0, 1).numpy() for t in (x, index)]
    parallel_for(kernels.diffuse_levels, len(planes[0]), planes[0], levels.contiguous().numpy(), planes[1])
    return index


def _colors_cpu(x: Tensor, colors: Tensor) -> Tensor:
    index = torch.empty((x.shape[0], *x.shape[2:]), dtype=torch.int32)
    arrays = [t.contiguous().numpy() for t in (x, colors, index)]
    parallel_for(kernels.diffuse_colors, len(x), *arrays)
    return index


_diffuse_levels = Op(
    "diffuse_levels(Tensor x, Tensor levels) -> Tensor",
    reference=levels_reference,
    cpu=_levels_cpu,
    cuda=ON_CPU,
    fake=lambda x, levels: x.new_empty(x.shape, dtype=torch.int32),
)
_diffuse_colors = Op(
    "diffuse_colors(Tensor x, Tensor colors) -> Tensor",
    reference=colors_reference,
    cpu=_colors_cpu,
    cuda=ON_CPU,
    fake=lambda x, colors: x.new_empty((x.shape[0], *x.shape[2:]), dtype=torch.int32),
)
