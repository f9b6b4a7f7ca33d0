"""Families of procedural materials: what bricks, planks or leather look like, feel like and are coloured like.

A family draws layouts, each once for all maps, so that colours, bumps and roughness belong together: mortar lies deep
and is rough, varnish is smooth, rust sits rough on smooth paint. Features are 8 texels and more at 128², edges are
anti-aliased, grain is faint. Contrasts are those of photographed albedo maps, not of posters.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from . import pigments as p
from .patterns import (
    clouds,
    coverage,
    grid,
    lattice,
    noise,
    per_cell,
    pick,
    planes,
    sharp,
    smooth,
    stones,
    uniform,
)


class Layout(NamedTuple):
    """One batch of a family. Heights are in 1/128 of the tile's edge, outwards: texels at 128²."""

    colour: Float[Tensor, "n 3 h w"]  # sRGB-encoded, about [0, 1]
    height: Float[Tensor, "n h w"]
    roughness: Float[Tensor, "n h w"]  # about [0, 1]


def bricks(n: int, size: int, rng: torch.Generator) -> Layout:
    """Courses of bricks in bond, each fired a little differently, in recessed mortar."""
    rows = pick(rng, (4, 6, 8), n)
    columns = torch.maximum(rows / 2 - pick(rng, (0, 0, 1), n), torch.tensor(2.0))
    gap, which = lattice(size, rows, columns, pick(rng, (0.5, 0.5, 0.25), n))
    joint = uniform(rng, 0.009, 0.016, n, 1, 1)
    brick, body = sharp(gap - joint), smooth((gap - joint) / uniform(rng, 0.012, 0.03, n, 1, 1))
    tone = (per_cell(rng, which) - 0.5) * uniform(rng, 0.1, 0.45, n, 1, 1)
    grain = noise(n, size, rng, 14.0, 1.0)
    colour = p.draw(rng, n, p.BRICK_RED, p.BRICK_RED, p.BRICK_BROWN, p.BRICK_SAND, p.GREY, p.CREAM)
    stone = p.shaded(p.even(colour, gap), tone + 0.03 * grain)
    mortar = p.shaded(p.even(p.draw(rng, n, p.MORTAR, p.MORTAR, p.DARK_MORTAR), gap), 0.02 * grain)
    return Layout(
        torch.lerp(mortar, stone, brick[:, None]),
        uniform(rng, 1.0, 2.2, n, 1, 1) * body + 0.15 * grain * (0.4 + 0.6 * brick),
        0.93 - brick * uniform(rng, 0.08, 0.25, n, 1, 1) + 0.02 * grain,
    )


def tiles(n: int, size: int, rng: torch.Generator) -> Layout:
    """Square ceramic tiles, glazed, with rough grout."""
    count = pick(rng, (2, 3, 4, 6), n)
    gap, which = lattice(size, count, count, pick(rng, (0.0, 0.0, 0.5), n))
    return _glazed(n, size, rng, gap, which)


def hexagons(n: int, size: int, rng: torch.Generator) -> Layout:
    """Hexagonal ceramic tiles, the cells of a triangular lattice."""
    rows = pick(rng, (4, 6, 8), n)
    columns = torch.where(rows == 4, 4.0, rows - 1)  # √3 / 2 as nearly as whole numbers can
    x, y = grid(size)
    best, far, which = torch.full((n, size, size), math.inf), torch.full((n, size, size), math.inf), 0
    for step in (-1, 0, 1):
        row = (y * rows).floor() + step
        shift = 0.5 * (row % 2)
        for side in (0, 1):
            column = (x * columns - shift - 0.5).floor() + side
            # scaled so that the centres of neighbours are 1 apart, in any direction
            d = (x * columns - shift - 0.5 - column) ** 2 + 0.75 * (y * rows - row - 0.5) ** 2
            far = torch.where(d < best, best, torch.minimum(far, d))
            which = torch.where(d < best, row % rows * 8 + column % columns, which)
            best = torch.minimum(best, d)
    return _glazed(n, size, rng, (far - best) / 2 / columns, which.long())


def _glazed(n: int, size: int, rng: torch.Generator, gap: Tensor, which: Tensor) -> Layout:
    """Tiles with rounded edges in grout; every one, or a random half of them, or none in a second colour."""
    joint = uniform(rng, 0.008, 0.014, n, 1, 1)
    tile, body = sharp(gap - joint), smooth((gap - joint) / uniform(rng, 0.015, 0.03, n, 1, 1))
    base = p.draw(rng, n, p.WHITE, p.CREAM, p.PASTEL, p.PASTEL, p.TERRACOTTA, p.DEEP, p.SLATE, p.BLACK)
    chance = per_cell(rng, which)
    second = (chance < pick(rng, (0.0, 0.0, 0.3, 0.5), n)).float()
    cloud = clouds(n, size, rng, 2.0)
    colour = p.over(p.even(base, gap), p.companion(rng, base, 0.08, 0.25), second)
    colour = p.shaded(colour, (chance * 7 % 1 - 0.5) * uniform(rng, 0.02, 0.15, n, 1, 1) + 0.02 * cloud)
    grout = p.even(p.draw(rng, n, p.MORTAR, p.MORTAR, p.DARK_MORTAR), gap)
    gloss = uniform(rng, 0.12, 0.45, n, 1, 1)
    return Layout(
        torch.lerp(grout, colour, tile[:, None]),
        uniform(rng, 0.8, 1.8, n, 1, 1) * body + 0.1 * cloud * tile,
        torch.lerp(torch.tensor(0.9), gloss + 0.03 * cloud, tile),
    )


def planks(n: int, size: int, rng: torch.Generator) -> Layout:
    """Boards side by side, their ends staggered, each cut from another piece of wood."""
    rows, columns = pick(rng, (3, 4, 6), n), pick(rng, (1, 1, 2), n)
    gap, which = lattice(size, rows, columns, pick(rng, (0.5, 0.5, 0.25), n))
    grain = noise(n, size, rng, uniform(rng, 9, 14, n, 1, 1), 0.7, stretch=9)
    rings = noise(n, size, rng, uniform(rng, 4, 7, n, 1, 1), 0.5, stretch=5)
    # each board shows another stretch of the same grain
    start = (per_cell(rng, which) * size).long()
    along = (torch.arange(size) + start) % size
    grain, rings = grain.gather(2, along), rings.gather(2, along)
    tone = (per_cell(rng, which) - 0.5) * uniform(rng, 0.1, 0.4, n, 1, 1)
    wood, body = sharp(gap - 0.004), smooth((gap - 0.003) / 0.018)
    base = p.draw(rng, n, p.LIGHT_WOOD, p.WOOD, p.WOOD, p.DARK_WOOD, p.OLD_WOOD)
    colour = p.shaded(p.even(base, gap), tone + 0.05 * grain + uniform(rng, 0.02, 0.08, n, 1, 1) * rings)
    varnish = uniform(rng, 0.3, 0.8, n, 1, 1)
    return Layout(
        torch.lerp(0.45 * colour, colour, wood[:, None]),
        uniform(rng, 1.0, 2.0, n, 1, 1) * body + varnish * 0.3 * grain,
        torch.lerp(torch.tensor(0.9), varnish + 0.04 * grain, wood),
    )


def wood(n: int, size: int, rng: torch.Generator) -> Layout:
    """Sawn wood: rings that darken slowly and end at once, wandering along the board, with faint pores."""
    wander = noise(n, size, rng, uniform(rng, 1.5, 3, n, 1, 1), 0.5, stretch=2.5)
    phase = grid(size)[1] * pick(rng, (3, 4, 5, 6, 8), n) + uniform(rng, 0.2, 0.6, n, 1, 1) * wander
    ring = phase - phase.floor()
    late = smooth(ring / 0.85) * (1 - smooth((ring - 0.85) / 0.15))
    pores = noise(n, size, rng, 16.0, 0.6, stretch=10)
    tint = noise(n, size, rng, 4.0, 0.6, stretch=4)
    base = p.draw(rng, n, p.LIGHT_WOOD, p.LIGHT_WOOD, p.WOOD, p.WOOD, p.DARK_WOOD, p.OLD_WOOD)
    dark = p.vary(base, -uniform(rng, 0.06, 0.16, n), 1.05, -uniform(rng, 0, 8, n))
    colour = p.shaded(p.over(p.even(base, ring), dark, late), 0.03 * pores + 0.04 * tint)
    varnish = uniform(rng, 0.2, 0.75, n, 1, 1)
    return Layout(
        colour,
        varnish * (uniform(rng, 0.3, 1.0, n, 1, 1) * late + 0.25 * pores),
        varnish + 0.08 * late + 0.03 * pores,
    )


def marble(n: int, size: int, rng: torch.Generator) -> Layout:
    """Polished stone: soft clouds, and veins where a folded noise crosses zero."""
    warp = noise(n, size, rng, uniform(rng, 1.5, 2.5, n, 1, 1), 0.7)
    phase = planes(n, size, rng, (1, 2)) + uniform(rng, 0.15, 0.4, n, 1, 1) * warp
    body = 0.5 + 0.5 * torch.cos(2 * math.pi * phase)
    fold = noise(n, size, rng, uniform(rng, 1.3, 2.2, n, 1, 1), 0.5) + 0.3 * noise(n, size, rng, 5.0, 0.5)
    vein = torch.exp(-((fold / uniform(rng, 0.12, 0.22, n, 1, 1)) ** 2)) * smooth(0.4 + 0.6 * body)
    base = p.draw(rng, n, p.WHITE, p.WHITE, p.CREAM, p.GREY, p.BLACK, p.JADE, p.ROSE, p.SLATE)
    away = torch.where(base[:, 0] > 0.6, -1.0, 1.0)  # what is in light stone is dark
    cloud = p.vary(base, away * uniform(rng, 0.08, 0.2, n), uniform(rng, 0.6, 1.2, n), uniform(rng, -25, 25, n))
    streak = p.vary(base, away * uniform(rng, 0.12, 0.3, n))
    colour = p.over(p.even(base, body), cloud, uniform(rng, 0.4, 0.9, n, 1, 1) * body)
    colour = p.over(colour, streak, uniform(rng, 0.4, 0.8, n, 1, 1) * vein)
    gloss = uniform(rng, 0.06, 0.28, n, 1, 1)
    return Layout(p.shaded(colour, 0.02 * warp), -0.12 * vein + 0.05 * warp, gloss + 0.08 * vein + 0.01 * warp)


def weave(n: int, size: int, rng: torch.Generator) -> Layout:
    """Threads over and under each other, those of the warp and of the weft in one colour or two."""
    threads = pick(rng, (8, 8, 12, 16), n)
    x, y = (c * threads for c in grid(size))
    repeat = pick(rng, (2, 2, 4), n)  # plain weave: over, under; twill: two over, two under, a step further each row
    step = (x.floor() + y.floor()) % repeat
    warp = (step < repeat / 2).float()
    across = torch.where(warp > 0, x % 1, y % 1)
    bulge = (1 - (2 * across - 1) ** 2).clamp(min=0).sqrt()
    # a thread rises and falls over the repeat / 2 squares that it lies on top of
    run = torch.where(warp > 0, step + y % 1, step - repeat / 2 + x % 1) / (repeat / 2)
    arch = (1 - (2 * run - 1) ** 2).clamp(min=0)
    base = p.draw(rng, n, p.CLOTH, p.CLOTH, p.CREAM, p.GREY, p.DEEP)
    other = p.companion(rng, base, 0.04, 0.22)
    bands = torch.where(warp > 0, x.floor(), y.floor()) // 4 % 2
    second = torch.where(pick(rng, (0.0, 1.0), n) > 0, 1 - warp, bands) * pick(rng, (1.0, 1.0, 0.0), n)
    fuzz = noise(n, size, rng, 20.0, 1.0)
    shade = 0.34 * (bulge * (0.5 + 0.5 * arch) - 0.7) + 0.02 * fuzz
    return Layout(
        p.shaded(p.over(p.even(base, bulge), other, second), shade),
        uniform(rng, 0.8, 1.6, n, 1, 1) * 12 / threads * bulge * (0.45 + 0.55 * arch) + 0.1 * fuzz,
        uniform(rng, 0.65, 0.92, n, 1, 1) - 0.08 * bulge + 0.02 * fuzz,
    )


def scales(n: int, size: int, rng: torch.Generator) -> Layout:
    """Round scales or roof tiles in overlapping rows."""
    rows, columns = pick(rng, (6, 8), n), pick(rng, (3, 4), n)
    x, y = grid(size)
    reach, which = torch.ones(n, size, size), torch.zeros(n, size, size)
    radius = uniform(rng, 1.1, 1.3, n, 1, 1)
    for step in (-1, 0, 1, 2):  # later rows lie on top
        row = (y * rows).floor() + step
        along = x * columns + 0.5 * (row % 2)
        d = torch.hypot((along % 1 - 0.5) * 2, (y * rows - row) / rows * columns * 2) / radius
        on_top = d < 1
        reach = torch.where(on_top, d, reach)
        which = torch.where(on_top, row % rows * 8 + along.floor() % columns, which)
    rim = smooth((reach - 0.78) / 0.2)
    tone = (per_cell(rng, which.long()) - 0.5) * uniform(rng, 0.05, 0.35, n, 1, 1)
    grain = noise(n, size, rng, 12.0, 1.0)
    base = p.draw(rng, n, p.TERRACOTTA, p.TERRACOTTA, p.SLATE, p.CLOTH, p.DEEP, p.JADE)
    colour = p.over(p.even(base, reach), p.vary(base, -uniform(rng, 0.08, 0.2, n)), rim)
    rough = uniform(rng, 0.3, 0.85, n, 1, 1)
    return Layout(
        p.shaded(colour, tone + 0.025 * grain),
        uniform(rng, 1.5, 3.0, n, 1, 1) * (1 - reach**2) + 0.1 * grain,
        rough + 0.12 * rim + 0.02 * grain,
    )


def rust(n: int, size: int, rng: torch.Generator) -> Layout:
    """Painted or bare steel, with rust that eats into it in patches and stains what is around."""
    field = clouds(n, size, rng, uniform(rng, 2, 4, n, 1, 1))
    level = uniform(rng, -0.2, 1.0, n, 1, 1)
    patch, stain = smooth((field - level) / 0.35), smooth((field - level + 0.9) / 1.2)
    flakes = clouds(n, size, rng, 8.0)
    base = p.draw(rng, n, p.STEEL, p.STEEL, p.PAINT, p.PASTEL, p.CREAM, p.DEEP)
    ore = p.draw(rng, n, p.RUST)
    colour = p.over(p.even(base, field), ore, 0.35 * stain)
    colour = p.over(colour, ore, 0.95 * patch)
    smoothness = uniform(rng, 0.2, 0.5, n, 1, 1)
    return Layout(
        p.shaded(colour, (0.02 + 0.1 * patch) * flakes),
        uniform(rng, 0.3, 0.7, n, 1, 1) * patch * (flakes - 0.6) + 0.05 * field,
        torch.lerp(smoothness + 0.1 * stain + 0.02 * flakes, 0.88 + 0.05 * flakes, patch),
    )


def camouflage(n: int, size: int, rng: torch.Generator) -> Layout:
    """Printed cloth: blots of four colours of woodland, desert, town or sea."""
    where = torch.randint(4, (n,), generator=rng)
    sets = torch.tensor(CAMOUFLAGE)[where]  # (n, 4, 3)
    sets = sets + uniform(rng, -1, 1, n, 4, 3) * torch.tensor([0.035, 0.01, 6.0])
    order = torch.rand(n, 4, generator=rng).argsort(1)[:, :, None].expand(-1, -1, 3)
    sets = sets.gather(1, order)
    cycles = uniform(rng, 2.5, 5, n, 1, 1)
    colour = None
    for k in range(4):
        field = noise(n, size, rng, cycles, 0.4) - uniform(rng, 0.0, 0.7, n, 1, 1)
        colour = p.even(sets[:, 0], field) if colour is None else p.over(colour, sets[:, k], coverage(field))
    cloth, fold = _cloth(n, size, rng)
    return Layout(
        p.shaded(colour, 0.03 * cloth),
        0.25 * cloth + 0.4 * fold,
        uniform(rng, 0.7, 0.92, n, 1, 1) + 0.03 * cloth,
    )


CAMOUFLAGE = (
    ((0.46, 0.060, 118.0), (0.36, 0.045, 70.0), (0.60, 0.050, 100.0), (0.27, 0.020, 130.0)),  # woodland
    ((0.72, 0.045, 85.0), (0.60, 0.050, 75.0), (0.50, 0.040, 65.0), (0.66, 0.035, 100.0)),  # desert
    ((0.30, 0.005, 260.0), (0.46, 0.008, 260.0), (0.62, 0.006, 250.0), (0.76, 0.005, 250.0)),  # town
    ((0.33, 0.050, 258.0), (0.45, 0.060, 255.0), (0.60, 0.040, 250.0), (0.27, 0.030, 265.0)),  # sea
)


def _cloth(n: int, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """A fine even weave, of values in [-1, 1], and soft folds of variance 1."""
    x, y = grid(size)
    turns = 2 * math.pi * pick(rng, (12, 16, 20), n)
    return torch.sin(turns * x) * torch.sin(turns * y), noise(n, size, rng, 2.0, 0.6)


def stripes(n: int, size: int, rng: torch.Generator) -> Layout:
    """Stripes of two or three colours, straight as on cloth or wavy as on a zebra."""
    warp = noise(n, size, rng, uniform(rng, 1.5, 3, n, 1, 1), 0.4)
    phase = planes(n, size, rng, (2, 3, 4, 5)) + pick(rng, (0.0, 0.0, 0.08, 0.2), n) * warp
    wave = torch.cos(2 * math.pi * phase)
    edge = uniform(rng, -0.4, 0.5, n, 1, 1)
    wide, narrow = coverage(wave - edge), coverage(wave - edge - pick(rng, (0.4, 9.0), n))
    base = p.draw(rng, n, p.CLOTH, p.CREAM, p.WHITE, p.DEEP, p.TAN)
    second = p.companion(rng, base, 0.1, 0.4)
    colour = p.over(p.even(base, wave), second, wide)
    colour = p.over(colour, p.companion(rng, second, 0.08, 0.25), narrow)
    cloth, fold = _cloth(n, size, rng)
    raised = uniform(rng, -0.8, 0.8, n, 1, 1) * smooth(0.5 + 2 * (wave - edge))
    return Layout(
        p.shaded(colour, 0.025 * cloth),
        0.25 * cloth + 0.4 * fold + raised,
        uniform(rng, 0.4, 0.85, n, 1, 1) + uniform(rng, -0.15, 0.15, n, 1, 1) * wide + 0.02 * cloth,
    )


def checker(n: int, size: int, rng: torch.Generator) -> Layout:
    """Squares of two colours, straight or on their corners: a floor of stone, or linoleum."""
    a, b = pick(rng, (1, 2, 2, 3), n), pick(rng, (0, 0, 1, 2), n)
    x, y = grid(size)
    first, second = torch.sin(2 * math.pi * (a * x + b * y)), torch.sin(2 * math.pi * (a * y - b * x))
    turns = 2 * math.pi * torch.hypot(a, b)
    gap = torch.minimum(first.abs().asin(), second.abs().asin()) / turns
    base = p.draw(rng, n, p.WHITE, p.CREAM, p.STONE, p.TERRACOTTA, p.CLOTH, p.DEEP, p.BLACK)
    cloud = clouds(n, size, rng, 3.0)
    colour = p.over(p.even(base, gap), p.companion(rng, base, 0.12, 0.38), coverage(first * second))
    joint = uniform(rng, 0.0, 1.0, n, 1, 1).round()
    sunk = joint * (1 - smooth(gap / 0.02))
    gloss = uniform(rng, 0.1, 0.6, n, 1, 1)
    return Layout(
        p.shaded(colour, 0.035 * cloud - 0.25 * joint * (1 - smooth(gap / 0.01))),
        0.1 * cloud - uniform(rng, 0.5, 1.2, n, 1, 1) * sunk,
        gloss + 0.3 * sunk + 0.04 * cloud,
    )


def spots(n: int, size: int, rng: torch.Generator) -> Layout:
    """Blots as on hides, ringed or plain, on short fur."""
    field = noise(n, size, rng, uniform(rng, 3, 6, n, 1, 1), 0.25)
    outer = uniform(rng, 0.1, 0.8, n, 1, 1)
    blot, core = coverage(field - outer), coverage(field - outer - pick(rng, (0.6, 9.0, 9.0), n))
    base = p.draw(rng, n, p.TAN, p.CREAM, p.LIGHT_WOOD, p.CLOTH, p.WHITE, p.GREY)
    second = p.companion(rng, base, 0.12, 0.36)
    fur = noise(n, size, rng, 14.0, 0.6, stretch=3)
    colour = p.over(p.over(p.even(base, field), second, blot), p.companion(rng, second, 0.08, 0.2), core)
    return Layout(
        p.shaded(colour, 0.035 * fur),
        0.3 * fur + uniform(rng, 0.0, 0.8, n, 1, 1) * blot,
        uniform(rng, 0.5, 0.9, n, 1, 1) + 0.03 * fur - 0.05 * blot,
    )


def cobbles(n: int, size: int, rng: torch.Generator) -> Layout:
    """Domed stones of irregular outline in sand."""
    gap, _, which = stones(n, size, rng, (3, 4, 5, 6), 0.75)
    joint = uniform(rng, 0.008, 0.02, n, 1, 1)
    stone, dome = sharp(gap - joint), smooth((gap - joint) / uniform(rng, 0.035, 0.07, n, 1, 1))
    tone = (per_cell(rng, which) - 0.5) * uniform(rng, 0.15, 0.45, n, 1, 1)
    grain = clouds(n, size, rng, 6.0)
    base = p.draw(rng, n, p.STONE, p.GREY, p.SLATE, p.BRICK_BROWN)
    colour = p.shaded(p.even(base, gap), tone + 0.04 * grain + 0.06 * (dome - 1))
    sand = p.vary(base, -uniform(rng, 0.08, 0.2, n), 0.8)
    return Layout(
        torch.lerp(p.even(sand, gap), colour, stone[:, None]),
        uniform(rng, 2.0, 4.0, n, 1, 1) * dome + 0.2 * grain,
        torch.lerp(torch.tensor(0.95), uniform(rng, 0.45, 0.8, n, 1, 1) + 0.03 * grain, stone),
    )


def concrete(n: int, size: int, rng: torch.Generator) -> Layout:
    """Cast concrete: stains, a sandy skin, and pores where air stood against the form."""
    stain, grain = clouds(n, size, rng, 2.0), clouds(n, size, rng, 10.0)
    bubbles = noise(n, size, rng, uniform(rng, 8, 12, n, 1, 1), 0.3)
    pore = smooth((bubbles - uniform(rng, 1.6, 2.2, n, 1, 1)) / 0.5)
    base = p.draw(rng, n, p.GREY, p.GREY, p.STONE, p.CREAM)
    colour = p.shaded(
        p.even(base, stain),
        uniform(rng, 0.05, 0.12, n, 1, 1) * stain + 0.03 * grain - 0.3 * pore,
    )
    return Layout(
        colour,
        0.25 * grain - uniform(rng, 1.0, 2.0, n, 1, 1) * pore,
        uniform(rng, 0.7, 0.9, n, 1, 1) + 0.04 * stain + 0.02 * grain,
    )


def leather(n: int, size: int, rng: torch.Generator) -> Layout:
    """Grain of small pads between creases, worn lighter and smoother where it stands out."""
    gap, _, which = stones(n, size, rng, (7, 8, 10, 11), 0.9)
    pad = smooth(gap / uniform(rng, 0.02, 0.035, n, 1, 1))
    wear = clouds(n, size, rng, 2.0)
    base = p.draw(rng, n, p.TAN, p.TAN, p.DARK_WOOD, p.BLACK, p.BRICK_RED, p.CREAM, p.DEEP)
    tone = (per_cell(rng, which) - 0.5) * 0.08
    dark = p.vary(base, -uniform(rng, 0.05, 0.12, n))
    colour = p.shaded(p.over(p.even(base, gap), dark, 1 - pad), tone + uniform(rng, 0.03, 0.1, n, 1, 1) * wear)
    return Layout(
        colour,
        uniform(rng, 0.8, 1.8, n, 1, 1) * pad + 0.3 * wear,
        uniform(rng, 0.35, 0.6, n, 1, 1) + 0.2 * (1 - pad) - 0.05 * wear,
    )


def plaster(n: int, size: int, rng: torch.Generator) -> Layout:
    """Trowelled plaster, painted: broad strokes, rough rims."""
    field = noise(n, size, rng, uniform(rng, 3, 6, n, 1, 1), 0.6, stretch=1.6)
    ridge = torch.exp(-3 * field.abs())
    grain, stain = clouds(n, size, rng, 8.0), clouds(n, size, rng, 2.0)
    base = p.vary(p.draw(rng, n, p.WHITE, p.CREAM, p.PASTEL, p.PASTEL, p.TERRACOTTA, p.GREY), 0.0, 0.7)
    colour = p.shaded(p.even(base, field), uniform(rng, 0.03, 0.09, n, 1, 1) * stain - 0.08 * ridge + 0.02 * grain)
    return Layout(
        colour,
        uniform(rng, 0.6, 1.6, n, 1, 1) * (field * 0.5 + ridge) + 0.3 * grain,
        uniform(rng, 0.7, 0.92, n, 1, 1) + 0.03 * grain,
    )


def hammered(n: int, size: int, rng: torch.Generator) -> Layout:
    """Beaten metal or its lacquer: round dents side by side, polished on their rims."""
    gap, middle, _ = stones(n, size, rng, (5, 6, 8), 0.7)
    dent = 1 - (middle * uniform(rng, 8, 10, n, 1, 1)).clamp(max=1) ** 2
    rim = 1 - smooth(gap / 0.02)
    tarnish = clouds(n, size, rng, 2.0)
    base = p.draw(rng, n, p.STEEL, p.STEEL, p.BRASS, p.COPPER, p.GREY, p.PAINT)
    colour = p.shaded(
        p.even(base, gap),
        uniform(rng, 0.05, 0.12, n, 1, 1) * tarnish + 0.12 * rim - uniform(rng, 0.0, 0.15, n, 1, 1) * dent,
    )
    return Layout(
        colour,
        -uniform(rng, 2.0, 4.0, n, 1, 1) * dent,
        uniform(rng, 0.18, 0.4, n, 1, 1) + 0.06 * tarnish + 0.1 * dent,
    )


def terrazzo(n: int, size: int, rng: torch.Generator) -> Layout:
    """Chips of stone in cement, ground flat and polished."""
    gap, _, which = stones(n, size, rng, (6, 8, 9), 0.95)
    chance = per_cell(rng, which)
    chip = sharp(gap - 0.012 - 0.03 * (chance * 5 % 1)) * (chance < uniform(rng, 0.6, 0.95, n, 1, 1))
    base = p.draw(rng, n, p.CREAM, p.WHITE, p.GREY, p.PASTEL, p.SLATE)
    kinds = [p.companion(rng, base, 0.06, 0.3) for _ in range(3)]
    chips = p.even(kinds[0], gap)
    for k in (1, 2):
        chips = p.over(chips, kinds[k], (chance * 3 % 1 * 3 > k).float())
    cloud = clouds(n, size, rng, 3.0)
    colour = torch.lerp(p.even(base, gap), chips, chip[:, None])
    gloss = uniform(rng, 0.1, 0.35, n, 1, 1)
    return Layout(p.shaded(colour, 0.02 * cloud), 0.15 * chip + 0.05 * cloud, gloss + 0.15 * (1 - chip) + 0.01 * cloud)


FAMILIES: dict[str, Callable[[int, int, torch.Generator], Layout]] = {
    draw.__name__: draw
    for draw in (
        bricks,
        tiles,
        hexagons,
        planks,
        wood,
        marble,
        weave,
        scales,
        rust,
        camouflage,
        stripes,
        checker,
        spots,
        cobbles,
        concrete,
        leather,
        plaster,
        hammered,
        terrazzo,
    )
}
