"""Cloth: threads, prints, stripes, stitches."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import pigments as p
from ..dice import Dice
from ..patterns import clouds, coverage, grid, noise, planes, sharp, smooth
from .layout import Layout


def weave(dice: Dice) -> Layout:
    """Threads over and under each other, those of the warp and of the weft in one colour or two."""
    threads = dice.pick((8, 8, 12, 16))
    x, y = (c * threads for c in grid(dice.size))
    repeat = dice.pick((2, 2, 4))  # plain weave: over, under; twill: two over, two under, a step further each row
    step = (x.floor() + y.floor()) % repeat
    warp = (step < repeat / 2).float()
    across = torch.where(warp > 0, x % 1, y % 1)
    bulge = (1 - (2 * across - 1) ** 2).clamp(min=0).sqrt()
    # a thread rises and falls over the repeat / 2 squares that it lies on top of
    run = torch.where(warp > 0, step + y % 1, step - repeat / 2 + x % 1) / (repeat / 2)
    arch = (1 - (2 * run - 1) ** 2).clamp(min=0)
    base = p.draw(dice, p.CLOTH, p.CLOTH, p.CREAM, p.GREY, p.DEEP)
    other = p.companion(dice, base, 0.04, 0.22)
    bands = torch.where(warp > 0, x.floor(), y.floor()) // 4 % 2
    second = torch.where(dice.pick((0.0, 1.0)) > 0, 1 - warp, bands) * dice.pick((1.0, 1.0, 0.0))
    fuzz = noise(dice, 20.0, 1.0)
    shade = 0.34 * (bulge * (0.5 + 0.5 * arch) - 0.7) + 0.02 * fuzz
    return Layout(
        p.shaded(p.over(p.even(base, bulge), other, second), shade),
        dice.uniform(0.8, 1.6) * 12 / threads * bulge * (0.45 + 0.55 * arch) + 0.1 * fuzz,
        dice.uniform(0.65, 0.92) - 0.08 * bulge + 0.02 * fuzz,
    )


def camouflage(dice: Dice) -> Layout:
    """Printed cloth: blots of four colours of woodland, desert, town or sea."""
    where = dice.index(4)
    sets = torch.tensor(CAMOUFLAGE)[where]  # (n, 4, 3)
    sets = sets + (2 * dice.table(4, 3) - 1) * torch.tensor([0.035, 0.01, 6.0])
    order = torch.stack([dice.throw() for _ in range(4)], 1).argsort(1)[:, :, None].expand(-1, -1, 3)
    sets = sets.gather(1, order)
    cycles = dice.uniform(2.5, 5)
    fields = [noise(dice, cycles, 0.4) - dice.uniform(0.0, 0.7) for _ in range(4)]
    colour = p.even(sets[:, 0], fields[0])
    for k in (1, 2, 3):
        colour = p.over(colour, sets[:, k], coverage(fields[k]))
    cloth, fold = _cloth(dice)
    return Layout(
        p.shaded(colour, 0.03 * cloth),
        0.25 * cloth + 0.4 * fold,
        dice.uniform(0.7, 0.92) + 0.03 * cloth,
    )


CAMOUFLAGE = (
    ((0.46, 0.060, 118.0), (0.36, 0.045, 70.0), (0.60, 0.050, 100.0), (0.27, 0.020, 130.0)),  # woodland
    ((0.72, 0.045, 85.0), (0.60, 0.050, 75.0), (0.50, 0.040, 65.0), (0.66, 0.035, 100.0)),  # desert
    ((0.30, 0.005, 260.0), (0.46, 0.008, 260.0), (0.62, 0.006, 250.0), (0.76, 0.005, 250.0)),  # town
    ((0.33, 0.050, 258.0), (0.45, 0.060, 255.0), (0.60, 0.040, 250.0), (0.27, 0.030, 265.0)),  # sea
)


def _cloth(dice: Dice) -> tuple[Tensor, Tensor]:
    """A fine even weave, of values in [-1, 1], and soft folds of variance 1."""
    x, y = grid(dice.size)
    turns = 2 * math.pi * dice.pick((12, 16, 20))
    return torch.sin(turns * x) * torch.sin(turns * y), noise(dice, 2.0, 0.6)


def stripes(dice: Dice) -> Layout:
    """Stripes of two or three colours, straight as on cloth or wavy as on a zebra."""
    warp = noise(dice, dice.uniform(1.5, 3), 0.4)
    phase = planes(dice, (2, 3, 4, 5)) + dice.pick((0.0, 0.0, 0.08, 0.2)) * warp
    wave = torch.cos(2 * math.pi * phase)
    edge = dice.uniform(-0.4, 0.5)
    wide, narrow = coverage(wave - edge), coverage(wave - edge - dice.pick((0.4, 9.0)))
    base = p.draw(dice, p.CLOTH, p.CREAM, p.WHITE, p.DEEP, p.TAN)
    second = p.companion(dice, base, 0.1, 0.4)
    colour = p.over(p.even(base, wave), second, wide)
    colour = p.over(colour, p.companion(dice, second, 0.08, 0.25), narrow)
    cloth, fold = _cloth(dice)
    raised = dice.uniform(-0.8, 0.8) * smooth(0.5 + 2 * (wave - edge))
    return Layout(
        p.shaded(colour, 0.025 * cloth),
        0.25 * cloth + 0.4 * fold + raised,
        dice.uniform(0.4, 0.85) + dice.uniform(-0.15, 0.15) * wide + 0.02 * cloth,
    )


def tartan(dice: Dice) -> Layout:
    """Coloured bands of warp and weft that cross, in a fine twill."""
    x, y = grid(dice.size)
    repeats = dice.pick((2, 3, 4))
    base = p.draw(dice, p.CLOTH, p.DEEP, p.CREAM, p.BLACK)
    colours = [p.companion(dice, base, 0.1, 0.35), p.companion(dice, base, 0.05, 0.3)]
    wide, thin, at = dice.uniform(0.12, 0.3), dice.uniform(0.02, 0.05), dice.uniform(0.05, 0.4)
    shape = (dice.n, dice.size, dice.size)

    def bands(t: Tensor) -> Tensor:
        from_middle = ((t * repeats) % 1 - 0.5).abs().expand(shape)
        broad, narrow = (sharp(d / repeats) for d in (wide - from_middle, thin - (from_middle - at).abs()))
        return p.over(p.over(p.even(base, broad), colours[0], broad), colours[1], narrow)

    threads = dice.pick((24, 32))
    u, v = x * threads, y * threads
    over = (((u.floor() + v.floor()) % 4) < 2).float().expand(shape)
    colour = torch.lerp(bands(y), bands(x), (0.5 + 0.3 * (2 * over - 1))[:, None])
    rib = torch.sin(math.pi / 2 * (u + v)).expand(shape)
    fuzz = clouds(dice, 6.0)
    return Layout(
        p.shaded(colour, 0.05 * rib + 0.02 * fuzz),
        0.35 * rib + 0.1 * fuzz,
        dice.uniform(0.75, 0.95) + 0.02 * fuzz,
    )


def knit(dice: Dice) -> Layout:
    """Stockinette: columns of stitches, each a V of two legs, plain or in stripes."""
    columns = dice.pick((8, 10, 12))
    rows = (columns * dice.pick((0.8, 1.0, 1.2)) / 2).round() * 2
    x, y = grid(dice.size)
    side = (x * columns % 1 - 0.5).abs()  # from the middle of the V to its outside
    rise = y * rows + dice.uniform(0.8, 1.1) * (0.5 - side)
    thick = torch.sin(2 * math.pi * side.clamp(0, 0.5)).clamp(min=0).sqrt()
    length = rise % 1
    loop = (1 - (2 * length - 1) ** 2).clamp(min=0).sqrt()
    strand = thick * (0.35 + 0.65 * loop)
    fuzz, soft = noise(dice, 24.0, 0.8), noise(dice, 2.0, 0.6)
    base = p.draw(dice, p.CLOTH, p.CLOTH, p.CREAM, p.GREY, p.DEEP)
    second = p.companion(dice, base, 0.08, 0.3)
    band = ((rise % rows).floor() // dice.pick((1, 2, 4)) % 2) * dice.pick((0.0, 0.0, 1.0))
    return Layout(
        p.shaded(p.over(p.even(base, strand), second, band), 0.45 * (strand - 0.65) + 0.03 * fuzz),
        dice.uniform(1.2, 2.2) * 10 / columns * strand + 0.12 * fuzz + 0.2 * soft,
        dice.uniform(0.8, 0.95) - 0.05 * strand + 0.02 * fuzz,
    )
