"""Metal, bare, beaten, brushed, painted or rusty, and what is built of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .. import pigments as p
from ..dice import Dice
from ..patterns import clouds, grid, lattice, noise, per_cell, sharp, smooth, stones
from .layout import Layout, mix


def _bare(dice: Dice) -> Tensor:
    """A metal's reflectance at normal incidence, as base colour."""
    return p.draw(dice, p.STEEL, p.STEEL, p.CHROME, p.BRASS, p.COPPER, p.GOLD)


def rust(dice: Dice) -> Layout:
    """Painted or bare steel, with rust that eats into it in patches; where paint has chipped, a rim of bare metal."""
    field = clouds(dice, dice.uniform(2, 4))
    level = dice.uniform(-0.2, 1.0)
    patch, stain = smooth((field - level) / 0.35), smooth((field - level + 0.9) / 1.2)
    flakes = clouds(dice, 8.0)
    painted = dice.pick((0.0, 1.0))
    steel = p.draw(dice, p.STEEL)
    base = p.either(painted, p.draw(dice, p.PAINT, p.PASTEL, p.CREAM, p.DEEP), steel)
    ore = p.draw(dice, p.RUST)
    rim = painted * smooth((field + 0.15 * flakes - level + dice.uniform(0.2, 0.6)) / 0.08)
    colour = p.over(p.even(base, field), ore, 0.35 * stain)
    colour = p.over(p.over(colour, steel, rim), ore, 0.95 * patch)
    smoothness = dice.uniform(0.2, 0.5)
    return Layout(
        p.shaded(colour, (0.02 + 0.1 * patch) * flakes),
        dice.uniform(0.3, 0.7) * patch * (flakes - 0.6) + 0.05 * field - 0.5 * rim,
        mix(smoothness + 0.1 * stain + 0.02 * flakes, 0.88 + 0.05 * flakes, patch),
        torch.maximum(1 - painted, rim) * (1 - patch),
    )


def hammered(dice: Dice) -> Layout:
    """Beaten metal or its lacquer: round dents side by side, polished on their rims."""
    gap, middle, _ = stones(dice, (5, 6, 8), 0.7)
    dent = 1 - (middle * dice.uniform(8, 10)).clamp(max=1) ** 2
    rim = 1 - smooth(gap / 0.02)
    tarnish = clouds(dice, 2.0)
    metal = dice.pick((1.0, 1.0, 0.0))
    base = p.either(metal, _bare(dice), p.draw(dice, p.GREY, p.PAINT))
    colour = p.shaded(
        p.even(base, gap),
        dice.uniform(0.05, 0.12) * tarnish + 0.12 * rim - dice.uniform(0.0, 0.15) * dent,
    )
    return Layout(
        colour,
        -dice.uniform(2.0, 4.0) * dent,
        dice.uniform(0.18, 0.4) + 0.06 * tarnish + 0.1 * dent,
        metal.expand_as(gap),
    )


def plates(dice: Dice) -> Layout:
    """Riveted plates, bare or painted; paint is worn off along the edges."""
    rows = dice.pick((1, 2, 3, 4))
    gap, which = lattice(dice.size, rows, dice.pick((1, 2, 2, 3)), dice.pick((0.0, 0.5)))
    x, y = grid(dice.size)
    plate, body = sharp(gap - 0.006), smooth((gap - 0.004) / 0.012)
    count = dice.pick((8, 12, 16))
    inset, radius = dice.uniform(0.028, 0.036), dice.uniform(0.011, 0.016)
    # rivets stand in a row along the long edges
    fx, fy = (x * count % 1 - 0.5) / count, 0.5 / rows - (y * rows % 1 - 0.5).abs() / rows - inset
    rivet = torch.hypot(fx, fy) / radius
    dome = (1 - rivet * rivet).clamp(min=0).sqrt()
    scratch, stain = clouds(dice, 6.0), clouds(dice, 2.0)
    painted = dice.pick((0.0, 1.0))
    steel = p.either(painted, p.draw(dice, p.STEEL, p.CHROME), _bare(dice))
    base = p.either(painted, p.draw(dice, p.PAINT, p.DEEP, p.GREY, p.CREAM), steel)
    worn = painted * smooth((scratch + dice.uniform(0.2, 1.2) - gap * 40) / 0.3 * plate)
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.05, 0.25)
    colour = p.over(p.shaded(p.even(base, gap), tone + 0.04 * stain), steel, worn)
    colour = p.shaded(colour, -0.5 * (1 - plate) - 0.3 * smooth((1.35 - rivet) / 0.3) * smooth((rivet - 0.95) / 0.1))
    metal = torch.maximum(1 - painted, worn)
    gloss = dice.uniform(0.2, 0.5)
    return Layout(
        colour,
        dice.uniform(1.0, 2.0) * body + 1.6 * dome + 0.05 * scratch - 0.2 * worn,
        gloss + 0.05 * stain + 0.1 * (1 - metal) + 0.3 * (1 - plate),
        metal * plate,
    )


def treads(dice: Dice) -> Layout:
    """Tread plate: raised lozenges, each at a right angle to its neighbours."""
    m = dice.pick((6, 8, 8, 10))
    x, y = (c * m for c in grid(dice.size))
    u, v = x % 1 - 0.5, y % 1 - 0.5
    turn = 1 - 2 * ((x.floor() + y.floor()) % 2)
    along, across = (u + turn * v) * math.sqrt(0.5), (u - turn * v) * math.sqrt(0.5)
    wide = dice.uniform(0.09, 0.13)
    edge = (1 - (along / 0.52) ** 2) * wide - across.abs()  # of the space between two arcs
    bar, top = sharp(edge / m), smooth(edge / 0.1)
    tarnish, scratch = clouds(dice, 2.0), noise(dice, 14.0, 0.8)
    base = _bare(dice)
    shade = dice.uniform(0.02, 0.06) * tarnish + dice.uniform(0.0, 0.25) * (bar - 0.5) + 0.02 * scratch
    return Layout(
        p.shaded(p.even(base, edge), shade),
        dice.uniform(1.4, 2.4) * top + 0.06 * scratch,
        dice.uniform(0.25, 0.5) + 0.05 * tarnish - 0.08 * bar + 0.02 * scratch,
        torch.ones_like(edge),
    )


def brushed(dice: Dice) -> Layout:
    """Sheet metal brushed in one direction, sometimes in panels that turn it."""
    streaks, fine = noise(dice, dice.uniform(10, 18), 0.9, stretch=14), noise(dice, 40.0, 0.6, stretch=10)
    m = dice.pick((0, 0, 2, 4))
    x, y = grid(dice.size)
    turned = ((x * m).floor() + (y * m).floor()) % 2 > 0
    streaks, fine = (torch.where(turned, field.mT, field) for field in (streaks, fine))
    edge = torch.minimum((x * m + 0.5) % 1 - 0.5, (y * m + 0.5) % 1 - 0.5).abs()
    groove = torch.where(m > 0, 1 - smooth(edge / 0.03), torch.zeros(()))
    cloud = clouds(dice, 2.0)
    base = _bare(dice)
    deep = dice.uniform(0.03, 0.1)
    return Layout(
        p.shaded(p.even(base, streaks), deep * (streaks + 0.5 * fine) + 0.03 * cloud - 0.25 * groove),
        0.12 * streaks + 0.05 * fine - 0.8 * groove,
        dice.uniform(0.2, 0.45) + 0.05 * streaks + 0.03 * cloud + 0.2 * groove,
        torch.ones_like(streaks),
    )


def foil(dice: Dice) -> Layout:
    """Crumpled foil: flat facets that meet in sharp creases."""
    height, _, which = stones(dice, (4, 5, 6, 8), 1.0)
    rough = noise(dice, dice.uniform(3, 5), 0.5)
    crease = 1 - smooth(height / 0.012)
    fold = (noise(dice, 2.0, 0.5) * dice.uniform(1, 2) + rough).abs()
    tone = (per_cell(dice, which) - 0.5) * dice.uniform(0.05, 0.2)
    base = p.draw(dice, p.GOLD, p.GOLD, p.CHROME, p.CHROME, p.COPPER, p.STEEL)
    return Layout(
        p.shaded(p.even(base, height), tone + 0.08 * crease),
        dice.uniform(10, 22) * height + dice.uniform(0.5, 1.5) * fold,
        dice.uniform(0.12, 0.35) + 0.08 * crease,
        torch.ones_like(height),
    )


def corrugated(dice: Dice) -> Layout:
    """Corrugated sheet, galvanised or painted, with streaks of rain down its valleys."""
    x, y = grid(dice.size)
    across, along = (torch.where(dice.pick((0.0, 1.0)) > 0, a, b) for a, b in ((x, y), (y, x)))
    del along
    wave = torch.cos(2 * math.pi * dice.pick((5, 6, 8, 10)) * across).expand(dice.n, dice.size, dice.size)
    streak, spots = noise(dice, 8.0, 0.6), clouds(dice, 4.0)
    dirt = smooth((streak * 0.4 + spots * 0.4 - wave * 0.8 - dice.uniform(0.0, 1.4)) / 0.8)
    painted = dice.pick((0.0, 0.0, 1.0))
    base = p.either(painted, p.draw(dice, p.PAINT, p.PASTEL, p.DEEP), p.draw(dice, p.STEEL, p.CHROME))
    colour = p.over(p.even(base, wave), p.draw(dice, p.RUST, p.DARK_WOOD), dice.uniform(0.3, 0.9) * dirt)
    return Layout(
        p.shaded(colour, 0.04 * spots),
        dice.uniform(2.0, 4.0) * 6 / dice.pick((6.0, 8.0)) * wave + 0.05 * spots,
        mix(dice.uniform(0.25, 0.5) + 0.04 * spots, 0.85, dirt),
        (1 - painted) * (1 - dirt),
    )


def panels(dice: Dice) -> Layout:
    """Plating of a machine: squares, each whole or parted in two or four, with seams and a few in another colour."""
    m = dice.pick((2, 2, 3, 4))
    x, y = grid(dice.size)
    cell = ((y * m).floor() * 16 + (x * m).floor()).long()
    kind = per_cell(dice, cell)
    columns, rows = 1 + (kind > 0.4).float(), 1 + ((kind > 0.25) & (kind < 0.75)).float()
    u, v = x * m % 1 * columns, y * m % 1 * rows
    gap = torch.minimum((0.5 - (u % 1 - 0.5).abs()) / columns, (0.5 - (v % 1 - 0.5).abs()) / rows) / m
    part = (cell + 4 * u.floor().long() * (u < columns) + 64 * v.floor().long() * (v < rows)) % 256
    plate, body = sharp(gap - 0.006), smooth((gap - 0.004) / dice.uniform(0.008, 0.02))
    chance, cloud = per_cell(dice, part), clouds(dice, 3.0)
    metal = dice.pick((0.0, 0.0, 1.0))
    base = p.either(metal, _bare(dice), p.draw(dice, p.GREY, p.CREAM, p.SLATE, p.WHITE))
    other = p.companion(dice, base, 0.1, 0.3)
    second = (chance < dice.uniform(0.1, 0.4)).float()
    vent = (torch.sin(2 * math.pi * 40 * y) > 0).float() * ((chance > 0.85) & (gap > 0.03)).float()
    colour = p.over(p.even(base, gap), other, second)
    shade = (chance * 7 % 1 - 0.5) * 0.1 + 0.03 * cloud - 0.6 * (1 - plate) - 0.35 * vent
    return Layout(
        p.shaded(colour, shade),
        dice.uniform(0.8, 1.8) * body - 0.8 * vent + 0.03 * cloud,
        mix(0.7, dice.uniform(0.25, 0.55) + 0.05 * cloud, plate),
        metal * plate * (1 - second),
    )


def circuits(dice: Dice) -> Layout:
    """A circuit board: copper tracks from hole to hole under lacquer or bare, pads, and a few black chips."""
    m = dice.pick((8, 12, 16))
    x, y = (c * m for c in grid(dice.size))
    dense = dice.uniform(0.45, 0.75)
    i, j = x.round() % m, y.round() % m
    right = ((j * 16 + x.floor()) % 256).long(), (y - y.round()).abs()  # the track that runs along this row
    down = ((y.floor() * 16 + i) % 256).long(), (x - x.round()).abs()
    track = torch.full((dice.n, dice.size, dice.size), 9.0)
    for cell, away in (right, down):
        there = per_cell(dice, cell) < dense
        track = torch.where(there, torch.minimum(track, away.expand_as(track)), track)
    pad = torch.hypot(x - x.round(), y - y.round())
    there = per_cell(dice, ((j * 16 + i) % 256).long()) < dice.uniform(0.2, 0.6)
    ring = torch.where(there, sharp((0.33 - pad) / m), torch.zeros(()))
    hole = torch.where(there, sharp((0.13 - pad) / m), torch.zeros(()))
    copper = sharp((0.13 - track) / m)
    chip = torch.zeros_like(track)
    corners, wide = dice.table(3, 2), dice.pick((2, 3, 4)) / m
    for k in range(3):
        cx, cy = (((corners[:, k, a, None, None] * m).round() + 0.5) / m for a in (0, 1))
        dx, dy = ((x / m - cx + 0.5) % 1 - 0.5).abs(), ((y / m - cy + 0.5) % 1 - 0.5).abs()
        chip = torch.maximum(chip, sharp(torch.minimum(wide / 2 - dx, wide / 3 - dy)))
    chip = chip * dice.pick((0.0, 1.0, 1.0))
    bare = dice.pick((0.0, 1.0))
    board = p.draw(dice, p.SOLDER, p.SOLDER, p.SOLDER_BLUE, p.BLACK, p.BRICK_RED)
    metal = p.draw(dice, p.COPPER, p.GOLD, p.CHROME)
    under = p.vary(board, dice.uniform(0.06, 0.12))
    colour = p.over(p.over(p.even(board, track), under, copper), metal, bare * copper)
    colour = p.over(p.over(colour, metal, ring), p.vary(board, -0.2), hole)
    black = p.draw(dice, p.BLACK)
    colour = p.over(colour, black, chip)
    shiny = torch.maximum(bare * copper, ring) * (1 - hole) * (1 - chip)
    weave = noise(dice, 20.0, 0.6)
    return Layout(
        p.shaded(colour, 0.02 * weave),
        0.5 * copper + 0.4 * ring - 1.2 * hole + 2.5 * chip + 0.04 * weave,
        mix(mix(dice.uniform(0.25, 0.45), 0.3, shiny), 0.6, chip) + 0.01 * weave,
        shiny,
    )
