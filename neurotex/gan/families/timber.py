"""Wood: boards, sawn faces, parquet."""

from __future__ import annotations

import torch
from torch import Tensor

from .. import pigments as p
from ..dice import Dice
from ..patterns import grid, lattice, noise, per_cell, sharp, smooth
from .layout import Layout, mix


def planks(dice: Dice) -> Layout:
    """Boards side by side, their ends staggered, each cut from another piece of wood, some of them with a knot."""
    rows, columns = dice.pick((3, 4, 6)), dice.pick((1, 1, 2))
    gap, which = lattice(dice.size, rows, columns, dice.pick((0.5, 0.5, 0.25)))
    grain = noise(dice, dice.uniform(9, 14), 0.7, stretch=9)
    rings = noise(dice, dice.uniform(4, 7), 0.5, stretch=5)
    # each board shows another stretch of the same grain
    start = (per_cell(dice, which) * dice.size).long()
    along = (torch.arange(dice.size) + start) % dice.size
    grain, rings = grain.gather(2, along), rings.gather(2, along)
    core, near = _knots(dice, rows, dice.pick((0.0, 0.3, 0.6)))
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.1, 0.4)
    wood, body = sharp(gap - 0.004), smooth((gap - 0.003) / 0.018)
    base = p.draw(dice, p.LIGHT_WOOD, p.WOOD, p.WOOD, p.DARK_WOOD, p.OLD_WOOD)
    lines = dice.uniform(0.02, 0.08) * torch.lerp(rings, (14 * near).sin(), near.clamp(max=0.7))
    colour = p.shaded(p.even(base, gap), tone + 0.05 * grain + lines - 0.35 * core)
    varnish = dice.uniform(0.3, 0.8)
    return Layout(
        torch.lerp(0.45 * colour, colour, wood[:, None]),
        dice.uniform(1.0, 2.0) * body + varnish * 0.3 * grain - 0.3 * core,
        mix(0.9, varnish + 0.04 * grain, wood),
    )


def _knots(dice: Dice, rows: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
    """In the middle of each row at most one: its dark core, and how near it is, from 0 to 1."""
    x, y = grid(dice.size)
    row = (y * rows).floor()
    which = row.long().expand(dice.n, -1, dice.size)
    there, at = (per_cell(dice, which) < chance).float(), per_cell(dice, which)
    dx = ((x - at + 0.5) % 1 - 0.5) * 0.45
    d = torch.hypot(dx, (y * rows - row - 0.5) / rows) * rows  # in rows
    return there * smooth((0.16 - d) / 0.08), there * smooth((0.5 - d) / 0.4)


def wood(dice: Dice) -> Layout:
    """Sawn wood: rings that darken slowly and end at once, wandering along the board and around knots; faint pores."""
    wander = noise(dice, dice.uniform(1.5, 3), 0.5, stretch=2.5)
    x, y = grid(dice.size)
    count = dice.pick((3, 4, 5, 6, 8))
    knots = dice.table(3, 2)
    near = torch.zeros(dice.n, dice.size, dice.size)
    strong = dice.pick((0.0, 0.0, 1.0, 1.6))
    for k in range(3):
        dx = ((x - knots[:, k, :1, None] + 0.5) % 1 - 0.5) * 0.5
        dy = (y - knots[:, k, 1:, None] + 0.5) % 1 - 0.5
        near = torch.maximum(near, torch.exp(-(dx * dx + dy * dy) / 0.006))
    phase = y * count + dice.uniform(0.2, 0.6) * wander + strong * near
    ring = phase - phase.floor()
    late = smooth(ring / 0.85) * (1 - smooth((ring - 0.85) / 0.15))
    pores = noise(dice, 16.0, 0.6, stretch=10)
    tint = noise(dice, 4.0, 0.6, stretch=4)
    base = p.draw(dice, p.LIGHT_WOOD, p.LIGHT_WOOD, p.WOOD, p.WOOD, p.DARK_WOOD, p.OLD_WOOD)
    dark = p.vary(base, -dice.uniform(0.06, 0.16), 1.05, -dice.uniform(0, 8))
    core = strong.clamp(max=1) * smooth((near - 0.75) / 0.2)
    colour = p.shaded(p.over(p.even(base, ring), dark, late), 0.03 * pores + 0.04 * tint - 0.3 * core)
    varnish = dice.uniform(0.2, 0.75)
    return Layout(
        colour,
        varnish * (dice.uniform(0.3, 1.0) * late + 0.25 * pores),
        varnish + 0.08 * late + 0.03 * pores,
    )


def herringbone(dice: Dice) -> Layout:
    """Parquet of short boards, twice as long as wide, laid in zigzag."""
    m = dice.pick((8, 8, 12, 16))
    x, y = (c * m for c in grid(dice.size))
    i, j = x.floor(), y.floor()
    step = (i - j) % 4  # the left and right half of a board that lies, the lower and upper one of a board that stands
    lies = step < 2
    along = torch.where(lies, x - i + (step == 1).float(), y - j + (step == 2).float())
    across = torch.where(lies, y - j, x - i)
    gap = torch.minimum(torch.minimum(along, 2 - along), torch.minimum(across, 1 - across)) / m
    first = torch.where(lies, (i - (step == 1).float()) % m, i), torch.where(lies, j, (j - (step == 2).float()) % m)
    which = (first[1] * 16 + first[0]).long()
    grain = noise(dice, dice.uniform(10, 16), 0.7, stretch=7)
    grain = torch.where(lies, grain, grain.mT)
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.15, 0.5)
    board, body = sharp(gap - 0.0025), smooth((gap - 0.002) / 0.01)
    base = p.draw(dice, p.LIGHT_WOOD, p.WOOD, p.WOOD, p.DARK_WOOD, p.OLD_WOOD)
    colour = p.shaded(p.even(base, gap), tone + 0.06 * grain)
    varnish = dice.uniform(0.15, 0.6)
    return Layout(
        torch.lerp(0.5 * colour, colour, board[:, None]),
        dice.uniform(0.5, 1.2) * body + varnish * 0.2 * grain,
        mix(0.85, varnish + 0.04 * grain, board),
    )
