"""Floors that shine: ceramic tiles, checks, polished stone."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import pigments as p
from ..dice import Dice
from ..patterns import COLUMNS, clouds, coverage, grid, lattice, noise, per_cell, planes, sharp, smooth, stones
from .layout import Layout, mix


def tiles(dice: Dice) -> Layout:
    """Square ceramic tiles, glazed, with rough grout."""
    count = dice.pick((2, 3, 4, 6))
    gap, which = lattice(dice.size, count, count, dice.pick((0.0, 0.0, 0.5)))
    return _glazed(dice, gap, which)


def hexagons(dice: Dice) -> Layout:
    """Hexagonal ceramic tiles, the cells of a triangular lattice."""
    rows = dice.pick((4, 6, 8))
    columns = torch.where(rows == 4, 4.0, rows - 1)  # √3 / 2 as nearly as whole numbers can
    x, y = grid(dice.size)
    best = torch.full((dice.n, dice.size, dice.size), math.inf)
    far, which = best.clone(), 0
    for step in (-1, 0, 1):
        row = (y * rows).floor() + step
        shift = 0.5 * (row % 2)
        for side in (0, 1):
            column = (x * columns - shift - 0.5).floor() + side
            # scaled so that the centres of neighbours are 1 apart, in any direction
            d = (x * columns - shift - 0.5 - column) ** 2 + 0.75 * (y * rows - row - 0.5) ** 2
            far = torch.where(d < best, best, torch.minimum(far, d))
            which = torch.where(d < best, row % rows * COLUMNS + column % columns, which)
            best = torch.minimum(best, d)
    return _glazed(dice, (far - best) / 2 / columns, which.long())


def _glazed(dice: Dice, gap: Tensor, which: Tensor) -> Layout:
    """Tiles with rounded edges in grout; every one, or a random half of them, or none in a second colour."""
    joint = dice.uniform(0.008, 0.014)
    tile, body = sharp(gap - joint), smooth((gap - joint) / dice.uniform(0.015, 0.03))
    base = p.draw(dice, p.WHITE, p.CREAM, p.PASTEL, p.PASTEL, p.TERRACOTTA, p.DEEP, p.SLATE, p.BLACK)
    chance = per_cell(dice, which)
    second = (chance < dice.pick((0.0, 0.0, 0.3, 0.5))).float()
    cloud = clouds(dice, 2.0)
    colour = p.over(p.even(base, gap), p.companion(dice, base, 0.08, 0.25), second)
    colour = p.shaded(colour, (chance * 7 % 1 - 0.5) * dice.uniform(0.02, 0.15) + 0.02 * cloud)
    grout = p.even(p.draw(dice, p.MORTAR, p.MORTAR, p.DARK_MORTAR), gap)
    gloss = dice.uniform(0.12, 0.45)
    return Layout(
        torch.lerp(grout, colour, tile[:, None]),
        dice.uniform(0.8, 1.8) * body + 0.1 * cloud * tile,
        torch.lerp(torch.tensor(0.9), gloss + 0.03 * cloud, tile),
    )


def checker(dice: Dice) -> Layout:
    """Squares of two colours, straight or on their corners: a floor of stone, or linoleum."""
    a, b = dice.pick((1, 2, 2, 3)), dice.pick((0, 0, 1, 2))
    x, y = grid(dice.size)
    first, second = torch.sin(2 * math.pi * (a * x + b * y)), torch.sin(2 * math.pi * (a * y - b * x))
    turns = 2 * math.pi * torch.hypot(a, b)
    gap = torch.minimum(first.abs().asin(), second.abs().asin()) / turns
    base = p.draw(dice, p.WHITE, p.CREAM, p.STONE, p.TERRACOTTA, p.CLOTH, p.DEEP, p.BLACK)
    cloud = clouds(dice, 3.0)
    colour = p.over(p.even(base, gap), p.companion(dice, base, 0.12, 0.38), coverage(first * second))
    joint = dice.uniform(0.0, 1.0).round()
    sunk = joint * (1 - smooth(gap / 0.02))
    gloss = dice.uniform(0.1, 0.6)
    return Layout(
        p.shaded(colour, 0.035 * cloud - 0.25 * joint * (1 - smooth(gap / 0.01))),
        0.1 * cloud - dice.uniform(0.5, 1.2) * sunk,
        gloss + 0.3 * sunk + 0.04 * cloud,
    )


def terrazzo(dice: Dice) -> Layout:
    """Chips of stone in cement, ground flat and polished."""
    gap, _, which = stones(dice, (6, 8, 9), 0.95)
    chance = per_cell(dice, which)
    chip = sharp(gap - 0.012 - 0.03 * (chance * 5 % 1)) * (chance < dice.uniform(0.6, 0.95))
    base = p.draw(dice, p.CREAM, p.WHITE, p.GREY, p.PASTEL, p.SLATE)
    kinds = [p.companion(dice, base, 0.06, 0.3) for _ in range(3)]
    chips = p.even(kinds[0], gap)
    for k in (1, 2):
        chips = p.over(chips, kinds[k], (chance * 3 % 1 * 3 > k).float())
    cloud = clouds(dice, 3.0)
    colour = torch.lerp(p.even(base, gap), chips, chip[:, None])
    gloss = dice.uniform(0.1, 0.35)
    return Layout(p.shaded(colour, 0.02 * cloud), 0.15 * chip + 0.05 * cloud, gloss + 0.15 * (1 - chip) + 0.01 * cloud)


def marble(dice: Dice) -> Layout:
    """Polished stone: soft clouds, and veins where a folded noise crosses zero."""
    warp = noise(dice, dice.uniform(1.5, 2.5), 0.7)
    phase = planes(dice, (1, 2)) + dice.uniform(0.15, 0.4) * warp
    body = 0.5 + 0.5 * torch.cos(2 * math.pi * phase)
    fold = noise(dice, dice.uniform(1.3, 2.2), 0.5) + 0.3 * noise(dice, 5.0, 0.5)
    vein = torch.exp(-((fold / dice.uniform(0.12, 0.22)) ** 2)) * smooth(0.4 + 0.6 * body)
    base = p.draw(dice, p.WHITE, p.WHITE, p.CREAM, p.GREY, p.BLACK, p.JADE, p.ROSE, p.SLATE)
    away = torch.where(base[:, 0] > 0.6, -1.0, 1.0)[:, None, None]  # what is in light stone is dark
    cloud = p.vary(base, away * dice.uniform(0.08, 0.2), dice.uniform(0.6, 1.2), dice.uniform(-25, 25))
    streak = p.vary(base, away * dice.uniform(0.12, 0.3))
    colour = p.over(p.even(base, body), cloud, dice.uniform(0.4, 0.9) * body)
    colour = p.over(colour, streak, dice.uniform(0.4, 0.8) * vein)
    gloss = dice.uniform(0.06, 0.28)
    return Layout(p.shaded(colour, 0.02 * warp), -0.12 * vein + 0.05 * warp, gloss + 0.08 * vein + 0.01 * warp)


def mosaic(dice: Dice) -> Layout:
    """Small square stones set by hand, in shades of two or three colours that follow soft regions."""
    m = dice.pick((8, 12, 16))
    x, y = (c * m for c in grid(dice.size))
    which = (y.floor() * 16 + x.floor()).long()
    chance = per_cell(dice, which)
    gap = torch.minimum(0.5 - (x % 1 - 0.5).abs(), 0.5 - (y % 1 - 0.5).abs())
    gap = (gap - 0.08 * (per_cell(dice, which) - 0.2)) / m
    stone, body = sharp(gap - 0.003), smooth((gap - 0.002) / 0.01)
    base = p.draw(dice, p.WHITE, p.CREAM, p.DEEP, p.PASTEL, p.TERRACOTTA, p.JADE, p.SLATE)
    others = [p.companion(dice, base, 0.08, 0.3) for _ in range(2)]
    share = dice.uniform(0.2, 0.5)
    colour = p.over(p.even(base, chance), others[0], (chance * 3 % 1 < share).float())
    colour = p.over(colour, others[1], (chance * 11 % 1 < dice.pick((0.0, 0.15, 0.3))).float())
    cloud = clouds(dice, 4.0)
    colour = p.shaded(colour, (chance - 0.5) * dice.uniform(0.1, 0.3) + 0.02 * cloud)
    grout = p.even(p.draw(dice, p.MORTAR, p.DARK_MORTAR, p.CREAM), gap)
    gloss = dice.uniform(0.12, 0.5)
    return Layout(
        torch.lerp(grout, colour, stone[:, None]),
        dice.uniform(0.6, 1.4) * body + 0.1 * cloud * stone,
        mix(0.9, gloss + 0.15 * (chance * 13 % 1 - 0.5) + 0.02 * cloud, stone),
    )
