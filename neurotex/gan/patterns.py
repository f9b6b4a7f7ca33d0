"""What procedural layouts are made of: noise, lattices and cells, all periodic over the tile.

A tile is the unit square; `size` only says how finely it is sampled. Random numbers are drawn in an order and a number
that do not depend on `size`, so one seed gives one layout at any resolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..generators.fields import BAND
from .dice import Dice

CELLS = 256  # the most cells that `per_cell` tells apart
COLUMNS = 16  # the most cells in a row


def grid(size: int) -> tuple[Float[Tensor, "1 1 {size}"], Float[Tensor, "1 {size} 1"]]:
    """Texel centres in [0, 1): x along the row, y down the column."""
    ticks = (torch.arange(size) + 0.5) / size
    return ticks[None, None], ticks[None, :, None]


def noise(
    dice: Dice,
    cycles: Float[Tensor, "n 1 1"] | float,
    octaves: float = 0.5,
    stretch: float = 1.0,
) -> Float[Tensor, "n size size"]:
    """Noise of mean 0 and variance 1 in a band around `cycles` per tile, `octaves` wide (standard deviation).

    Features are `stretch` times as long along x as across it. The amplitude of a wave (kx, ky) is normal, of standard
    deviation exp(−½ (log2(k / cycles) / octaves)²) / k, k = hypot(stretch · kx, ky): as the number of waves grows
    with k, the 1 / k spreads the variance evenly over octaves.
    """
    cycles = torch.as_tensor(cycles, dtype=torch.float32)

    def gain(k: Tensor) -> Tensor:
        return torch.exp(-0.5 * ((k / cycles).log2() / octaves) ** 2) / k

    return _filtered(dice, gain, stretch)


def clouds(dice: Dice, cycles: Float[Tensor, "n 1 1"] | float) -> Float[Tensor, "n size size"]:
    """Fractal noise of mean 0 and variance 1: of the octaves from `cycles` per tile on, each is half as strong."""

    def gain(k: Tensor) -> Tensor:
        return k**-2 / (1 + (cycles / k) ** 4)

    return _filtered(dice, gain, 1.0)


def _filtered(dice: Dice, gain: Callable[[Tensor], Tensor], stretch: float) -> Float[Tensor, "n size size"]:
    """Waves of random phase and amplitude, `gain` (k) strong, up to BAND cycles per tile."""
    n, size, waves = dice.n, dice.size, dice.waves()
    ky, kx = torch.arange(-BAND, BAND + 1.0)[:, None], torch.arange(BAND + 1.0) * stretch
    k = torch.hypot(kx, ky)
    k[BAND, 0] = math.inf  # the mean
    waves = torch.view_as_complex(waves) * gain(k).nan_to_num(0.0)
    last = min(BAND, (size - 1) // 2)  # what a smaller size cannot hold is left out
    spectrum = torch.zeros(n, size, size // 2 + 1, dtype=torch.complex64)
    spectrum[:, : last + 1, : last + 1] = waves[:, BAND : BAND + last + 1, : last + 1]
    spectrum[:, size - last :, : last + 1] = waves[:, BAND - last : BAND, : last + 1]
    field = torch.fft.irfft2(spectrum, s=(size, size))
    return field / field.std((1, 2), keepdim=True).clamp(min=1e-12)


def planes(dice: Dice, cycles: tuple[int, ...]) -> Float[Tensor, "n size size"]:
    """A phase that grows across the tile in some direction, by a whole number of turns along each axis."""
    x, y = grid(dice.size)
    angle, count = dice.uniform(0, math.pi), dice.pick(cycles)
    return (count * angle.cos()).round() * x + (count * angle.sin()).round() * y + dice.uniform(0, 1)


def coverage(field: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """The share of each texel where `field` > 0: signed distance by the first-order estimate field / |gradient|."""
    dx = (field.roll(-1, 2) - field.roll(1, 2)) / 2
    dy = (field.roll(-1, 1) - field.roll(1, 1)) / 2
    return (0.5 + field / (torch.hypot(dx, dy) + 1e-4)).clamp(0, 1)


def sharp(distance: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """The share of each texel inside a shape, from the signed distance to its edge in tiles; positive inside."""
    return (distance * distance.shape[-1] + 0.5).clamp(0, 1)


def smooth(x: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """0 below 0, 1 above 1, and the cubic between that leaves and arrives without slope."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def lattice(
    size: int, rows: Float[Tensor, "n 1 1"], columns: Float[Tensor, "n 1 1"], shift: Float[Tensor, "n 1 1"]
) -> tuple[Float[Tensor, "n s s"], Int[Tensor, "n s s"]]:
    """Rectangles, every second row moved along by `shift` of a rectangle: distance to the nearest edge, and which.

    The distance is in tiles.
    """
    x, y = grid(size)
    row = (y * rows).floor()
    along = x * columns + shift * (row % 2)
    gap = torch.minimum(
        (0.5 - (along % 1 - 0.5).abs()) / columns,
        (0.5 - (y * rows % 1 - 0.5).abs()) / rows,
    )
    return gap, (row * COLUMNS + along.floor() % columns).long()


def stones(
    dice: Dice, across: tuple[int, ...], irregular: float
) -> tuple[Float[Tensor, "n size size"], Float[Tensor, "n size size"], Int[Tensor, "n size size"]]:
    """Voronoi cells of `across`² points: distance to the nearest edge and to the cell's point, in tiles, and which.

    Points are moved from the centres of squares by up to `irregular` / 2 of a square, so of all points only those of
    the squares around a texel can be the nearest two: 25 where there are more. The distance to the edge is that to the
    bisector of the two nearest points, (far² − near²) / (2 |between them|).
    """
    n, size = dice.n, dice.size
    x, y = grid(size)
    m = dice.pick(across)
    moved = (dice.table(CELLS, 2) - 0.5) * irregular
    near = torch.full((n, size, size), math.inf)
    far, which = near.clone(), torch.zeros(n, size, size, dtype=torch.long)
    near_at = far_at = (torch.zeros(n, size, size), torch.zeros(n, size, size))
    column, row = (x * m).floor(), (y * m).floor()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            cell = ((row + dy) % m * m + (column + dx) % m).long().expand(n, size, size)
            at = moved.gather(1, cell.reshape(n, -1, 1).expand(-1, -1, 2)).view(n, size, size, 2)
            px, py = column + dx + 0.5 + at[..., 0], row + dy + 0.5 + at[..., 1]
            d = (x * m - px) ** 2 + (y * m - py) ** 2
            first, second = d < near, d < far
            far_at = tuple(
                torch.where(first, a, torch.where(second, b, c))
                for a, b, c in zip(near_at, (px, py), far_at, strict=True)
            )
            far = torch.where(first, near, torch.where(second, d, far))
            near_at = tuple(torch.where(first, a, b) for a, b in zip((px, py), near_at, strict=True))
            near, which = torch.where(first, d, near), torch.where(first, cell, which)
    between = torch.hypot(near_at[0] - far_at[0], near_at[1] - far_at[1])
    return (far - near) / (2 * between) / m, near.sqrt() / m, which


def per_cell(dice: Dice, cell: Int[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """A number evenly from [0, 1) for each cell, of which there are fewer than 256."""
    cell = cell.expand(dice.n, -1, -1)
    return dice.table(CELLS).gather(1, cell.flatten(1)).view(cell.shape)
