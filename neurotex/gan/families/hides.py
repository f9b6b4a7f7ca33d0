"""What animals wear, and roofs: hides, leather, scales."""

from __future__ import annotations

import torch

from .. import pigments as p
from ..dice import Dice
from ..patterns import COLUMNS, clouds, coverage, grid, noise, per_cell, smooth, stones
from .layout import Layout


def spots(dice: Dice) -> Layout:
    """Blots as on hides, ringed or plain, on short fur."""
    field = noise(dice, dice.uniform(3, 6), 0.25)
    outer = dice.uniform(0.1, 0.8)
    blot, core = coverage(field - outer), coverage(field - outer - dice.pick((0.6, 9.0, 9.0)))
    base = p.draw(dice, p.TAN, p.CREAM, p.LIGHT_WOOD, p.CLOTH, p.WHITE, p.GREY)
    second = p.companion(dice, base, 0.12, 0.36)
    fur = noise(dice, 14.0, 0.6, stretch=3)
    colour = p.over(p.over(p.even(base, field), second, blot), p.companion(dice, second, 0.08, 0.2), core)
    return Layout(
        p.shaded(colour, 0.035 * fur),
        0.3 * fur + dice.uniform(0.0, 0.8) * blot,
        dice.uniform(0.5, 0.9) + 0.03 * fur - 0.05 * blot,
    )


def leather(dice: Dice) -> Layout:
    """Grain of small pads between creases, worn lighter and smoother where it stands out."""
    gap, _, which = stones(dice, (7, 8, 10, 11), 0.9)
    pad = smooth(gap / dice.uniform(0.02, 0.035))
    wear = clouds(dice, 2.0)
    base = p.draw(dice, p.TAN, p.TAN, p.DARK_WOOD, p.BLACK, p.BRICK_RED, p.CREAM, p.DEEP)
    tone = (per_cell(dice, which) - 0.5) * 0.08
    dark = p.vary(base, -dice.uniform(0.05, 0.12))
    colour = p.shaded(p.over(p.even(base, gap), dark, 1 - pad), tone + dice.uniform(0.03, 0.1) * wear)
    return Layout(
        colour,
        dice.uniform(0.8, 1.8) * pad + 0.3 * wear,
        dice.uniform(0.35, 0.6) + 0.2 * (1 - pad) - 0.05 * wear,
    )


def scales(dice: Dice) -> Layout:
    """Round scales, of a dragon, of armour or of a roof, in overlapping rows."""
    rows, columns = dice.pick((6, 8)), dice.pick((3, 4))
    x, y = grid(dice.size)
    reach, which = torch.ones(dice.n, dice.size, dice.size), torch.zeros(dice.n, dice.size, dice.size)
    radius = dice.uniform(1.1, 1.3)
    for step in (-1, 0, 1, 2):  # later rows lie on top
        row = (y * rows).floor() + step
        along = x * columns + 0.5 * (row % 2)
        d = torch.hypot((along % 1 - 0.5) * 2, (y * rows - row) / rows * columns * 2) / radius
        on_top = d < 1
        reach = torch.where(on_top, d, reach)
        which = torch.where(on_top, row % rows * COLUMNS + along.floor() % columns, which)
    rim = smooth((reach - 0.78) / 0.2)
    tone = (per_cell(dice, which.long()) - 0.5) * dice.uniform(0.05, 0.35)
    grain = noise(dice, 12.0, 1.0)
    metal = dice.pick((0.0, 0.0, 1.0))
    paint = p.draw(dice, p.TERRACOTTA, p.TERRACOTTA, p.SLATE, p.CLOTH, p.DEEP, p.JADE)
    base = p.either(metal, p.draw(dice, p.STEEL, p.BRASS, p.COPPER, p.GOLD), paint)
    colour = p.over(p.even(base, reach), p.vary(base, -dice.uniform(0.08, 0.2)), rim)
    rough = dice.uniform(0.3, 0.85)
    return Layout(
        p.shaded(colour, tone + 0.025 * grain),
        dice.uniform(1.5, 3.0) * (1 - reach**2) + 0.1 * grain,
        rough * (1 - 0.4 * metal) + 0.12 * rim + 0.02 * grain,
        metal.expand_as(reach),
    )
