"""Walls and ground: bricks, stones, plaster, what is cast and what lies loose."""

from __future__ import annotations

import torch

from .. import pigments as p
from ..dice import Dice
from ..patterns import clouds, lattice, noise, per_cell, planes, sharp, smooth, stones
from .layout import Layout


def bricks(dice: Dice) -> Layout:
    """Courses of bricks in bond, each fired a little differently, in recessed mortar."""
    rows = dice.pick((4, 6, 8))
    columns = torch.maximum(rows / 2 - dice.pick((0, 0, 1)), torch.tensor(2.0))
    gap, which = lattice(dice.size, rows, columns, dice.pick((0.5, 0.5, 0.25)))
    joint = dice.uniform(0.009, 0.016)
    brick, body = sharp(gap - joint), smooth((gap - joint) / dice.uniform(0.012, 0.03))
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.1, 0.45)
    grain = noise(dice, 14.0, 1.0)
    colour = p.draw(dice, p.BRICK_RED, p.BRICK_RED, p.BRICK_BROWN, p.BRICK_SAND, p.GREY, p.CREAM)
    stone = p.shaded(p.even(colour, gap), tone + 0.03 * grain)
    mortar = p.shaded(p.even(p.draw(dice, p.MORTAR, p.MORTAR, p.DARK_MORTAR), gap), 0.02 * grain)
    return Layout(
        torch.lerp(mortar, stone, brick[:, None]),
        dice.uniform(1.0, 2.2) * body + 0.15 * grain * (0.4 + 0.6 * brick),
        0.93 - brick * dice.uniform(0.08, 0.25) + 0.02 * grain,
    )


def cobbles(dice: Dice) -> Layout:
    """Domed stones of irregular outline in sand."""
    gap, _, which = stones(dice, (3, 4, 5, 6), 0.75)
    joint = dice.uniform(0.008, 0.02)
    stone, dome = sharp(gap - joint), smooth((gap - joint) / dice.uniform(0.035, 0.07))
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.15, 0.45)
    grain = clouds(dice, 6.0)
    base = p.draw(dice, p.STONE, p.GREY, p.SLATE, p.BRICK_BROWN)
    colour = p.shaded(p.even(base, gap), tone + 0.04 * grain + 0.06 * (dome - 1))
    sand = p.vary(base, -dice.uniform(0.08, 0.2), 0.8)
    return Layout(
        torch.lerp(p.even(sand, gap), colour, stone[:, None]),
        dice.uniform(2.0, 4.0) * dome + 0.2 * grain,
        torch.lerp(torch.tensor(0.95), dice.uniform(0.45, 0.8) + 0.03 * grain, stone),
    )


def concrete(dice: Dice) -> Layout:
    """Cast concrete: stains, a sandy skin, and pores where air stood against the form."""
    stain, grain = clouds(dice, 2.0), clouds(dice, 10.0)
    bubbles = noise(dice, dice.uniform(8, 12), 0.3)
    pore = smooth((bubbles - dice.uniform(1.6, 2.2)) / 0.5)
    base = p.draw(dice, p.GREY, p.GREY, p.STONE, p.CREAM)
    colour = p.shaded(
        p.even(base, stain),
        dice.uniform(0.05, 0.12) * stain + 0.03 * grain - 0.3 * pore,
    )
    return Layout(
        colour,
        0.25 * grain - dice.uniform(1.0, 2.0) * pore,
        dice.uniform(0.7, 0.9) + 0.04 * stain + 0.02 * grain,
    )


def plaster(dice: Dice) -> Layout:
    """Trowelled plaster, painted: broad strokes, rough rims."""
    field = noise(dice, dice.uniform(3, 6), 0.6, stretch=1.6)
    ridge = torch.exp(-3 * field.abs())
    grain, stain = clouds(dice, 8.0), clouds(dice, 2.0)
    base = p.vary(p.draw(dice, p.WHITE, p.CREAM, p.PASTEL, p.PASTEL, p.TERRACOTTA, p.GREY), 0.0, 0.7)
    colour = p.shaded(p.even(base, field), dice.uniform(0.03, 0.09) * stain - 0.08 * ridge + 0.02 * grain)
    return Layout(
        colour,
        dice.uniform(0.6, 1.6) * (field * 0.5 + ridge) + 0.3 * grain,
        dice.uniform(0.7, 0.92) + 0.03 * grain,
    )


def gravel(dice: Dice) -> Layout:
    """Loose pebbles of several kinds, with shadow between them."""
    gap, _, which = stones(dice, (8, 10, 12), 0.95)
    pebble, dome = sharp(gap - 0.002), smooth(gap / dice.uniform(0.02, 0.032))
    chance = per_cell(dice, which)
    grain = clouds(dice, 10.0)
    base = p.draw(dice, p.STONE, p.GREY, p.SLATE, p.SAND)
    colour = p.over(p.even(base, gap), p.companion(dice, base, 0.08, 0.22), (chance * 5 % 1 < 0.35).float())
    tone = (chance - 0.5) * dice.uniform(0.2, 0.5)
    return Layout(
        p.shaded(colour, tone + 0.05 * grain - 0.35 * (1 - dome) - 0.2 * (1 - pebble)),
        dice.uniform(1.2, 2.2) * dome + chance * dome + 0.2 * grain,
        dice.uniform(0.55, 0.9) + 0.03 * grain + 0.05 * (1 - dome),
    )


def sand(dice: Dice) -> Layout:
    """Rippled sand: waves that lean with the wind, fork and fade, strewn with darker grains."""
    warp = noise(dice, dice.uniform(1.5, 2.5), 0.5)
    phase = planes(dice, (5, 6, 8)) + dice.uniform(0.25, 0.6) * warp
    t = phase % 1
    ripple = smooth(t / 0.7) * (1 - smooth((t - 0.7) / 0.3))
    weak = smooth(0.7 + 0.4 * noise(dice, 2.0, 0.5))
    grain, specks = clouds(dice, 24.0), noise(dice, 32.0, 0.5)
    base = p.draw(dice, p.SAND, p.SAND, p.CREAM, p.STONE, p.GREY)
    shade = dice.uniform(0.03, 0.12) * (ripple - 0.5) * weak + 0.04 * grain - 0.15 * smooth((specks - 1.8) / 0.6)
    return Layout(
        p.shaded(p.even(base, ripple), shade),
        dice.uniform(1.2, 2.6) * ripple * weak + 0.12 * grain,
        dice.uniform(0.8, 0.97) + 0.02 * grain,
    )
