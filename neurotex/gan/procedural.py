"""Endless training data: seeded, tileable base colours in ten families of pattern.

A texture is a *layout* painted with a *palette*. A family draws the layout: how much of each of four colours every
pixel takes. The palette is drawn on its own, in OKLCH (Ottosson 2020), so that any pattern comes in any colours.
Everything is periodic: noise is filtered by FFT, waves have whole numbers of cycles, and cells know their neighbours
across the edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Num
from torch import Tensor

from ..errors import ArgumentError

COLOURS = 4
Layout = tuple[Tensor, Tensor]  # weights (n, 4, size, size) that sum to one; light (n, 1, size, size) around one


def procedural(n: int, size: int, seed: int, family: str | None = None) -> Float[Tensor, "n 3 size size"]:
    """`n` tileable base-colour textures, sRGB-encoded, in [0, 1].

    The same arguments give the same textures. `family` is one of `FAMILIES`; without it each texture draws its own.
    """
    if n < 1 or size < 8:
        raise ArgumentError(f"procedural textures need n >= 1 and size >= 8, got n={n}, size={size}.")
    if family is not None and family not in FAMILIES:
        raise ArgumentError(f"unknown family {family!r}; the families are {', '.join(FAMILIES)}.")
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(FAMILIES), (n,), generator=rng)
    if family is not None:
        drawn = torch.full_like(drawn, FAMILIES.index(family))
    out = torch.empty(n, 3, size, size)
    for index, draw in enumerate(_FAMILIES.values()):
        chosen = (drawn == index).nonzero()[:, 0]
        if len(chosen):
            weights, light = draw(len(chosen), size, rng)
            colours = torch.einsum("nkhw,nkc->nchw", weights, palettes(len(chosen), rng))
            out[chosen] = (colours * light).clamp(0, 1)
    return out


def palettes(n: int, rng: torch.Generator) -> Float[Tensor, "n 4 3"]:
    """`n` palettes of four sRGB colours: hues near one another or opposite, lightness well apart."""
    hue = _uniform(rng, 0, 2 * math.pi, n, 1) + _uniform(rng, -0.35, 0.35, n, COLOURS)
    opposite = torch.rand(n, COLOURS, generator=rng) < _pick(rng, (0.0, 0.0, 0.3, 0.5), n)[:, None]
    hue = hue + opposite * _pick(rng, (math.pi, 2.1, -2.1), n)[:, None]
    chroma = _uniform(rng, 0.01, 0.2, n, 1) * _uniform(rng, 0.5, 1.1, n, COLOURS)
    steps = torch.rand(n, COLOURS, generator=rng).argsort(1) / (COLOURS - 1)
    low, high = _uniform(rng, 0.2, 0.5, n, 1), _uniform(rng, 0.7, 0.97, n, 1)
    lightness = low + (high - low) * steps + _uniform(rng, -0.05, 0.05, n, COLOURS)
    return _oklab_to_srgb(torch.stack([lightness, chroma * hue.cos(), chroma * hue.sin()], -1))


# ---------------------------------------------------------------- families: (n, size, rng) -> Layout


def _camouflage(n: int, size: int, rng: torch.Generator) -> Layout:
    cycles, spread = _uniform(rng, 2.5, 6, n), _uniform(rng, 0.25, 0.7, n)
    fields = [_noise(n, size, rng, cycles, spread) - _uniform(rng, -0.1, 0.8, n, 1, 1) for _ in range(3)]
    return _paint(*(_coverage(f) for f in fields)), _flat(n, size)


def _spots(n: int, size: int, rng: torch.Generator) -> Layout:
    field = _noise(n, size, rng, _uniform(rng, 3, 8, n), _uniform(rng, 0.1, 0.4, n))
    outer = _uniform(rng, -0.2, 0.8, n, 1, 1)
    inner = outer + _pick(rng, (0.5, 0.9, 9.0), n)[:, None, None]  # 9: no core, a plain spot
    return _paint(_coverage(field - outer), _coverage(field - inner)), _flat(n, size)


def _stripes(n: int, size: int, rng: torch.Generator) -> Layout:
    warp = _noise(n, size, rng, _uniform(rng, 1.5, 4, n), torch.full((n,), 0.4))
    phase = _planes(n, size, rng, (2, 3, 4, 5, 6)) + _pick(rng, (0.0, 0.1, 0.25, 0.45), n)[:, None, None] * warp
    wave = torch.cos(2 * math.pi * phase)
    edge = _uniform(rng, -0.4, 0.6, n, 1, 1)
    inner = edge + _pick(rng, (0.3, 9.0), n)[:, None, None]
    return _paint(_coverage(wave - edge), _coverage(wave - inner)), _flat(n, size)


def _marble(n: int, size: int, rng: torch.Generator) -> Layout:
    warp = _noise(n, size, rng, _uniform(rng, 1.5, 3, n), torch.full((n,), 0.9))
    phase = _planes(n, size, rng, (1, 2, 3)) + _uniform(rng, 0.2, 0.6, n, 1, 1) * warp
    body = 0.5 + 0.5 * torch.cos(2 * math.pi * phase)
    vein = torch.exp(-_uniform(rng, 4, 9, n, 1, 1) * _noise(n, size, rng, _uniform(rng, 1.5, 4, n), 0.8).abs())
    return _paint(body, body**4 * 0.7, vein), _flat(n, size)


def _wood(n: int, size: int, rng: torch.Generator) -> Layout:
    along = _noise(n, size, rng, _uniform(rng, 1, 2.5, n), 0.5, stretch=4)
    phase = _grid(size)[0] * _pick(rng, (2, 3, 4, 5), n)[:, None, None] + _uniform(rng, 0.2, 0.5, n, 1, 1) * along
    ring = phase - phase.floor()
    ring = ring**2 * (1 - ((ring - 0.9) / 0.1).clamp(0, 1))  # grows dark slowly, ends at once
    streak = _noise(n, size, rng, _uniform(rng, 8, 14, n), 0.6, stretch=8)
    light = 1 + 0.06 * streak[:, None]
    weights = _paint(0.9 * ring, 0.5 * torch.sigmoid(3 * (streak - 1)))
    return _turn(rng, weights, light)


def _bricks(n: int, size: int, rng: torch.Generator) -> Layout:
    rows, columns = _pick(rng, (4, 6, 8), n)[:, None, None], _pick(rng, (2, 3, 4), n)[:, None, None]
    x, y = _grid(size)
    row = (y * rows).floor()
    shifted = x * columns + _pick(rng, (0, 0.5, 0.5), n)[:, None, None] * (row % 2)
    gap = torch.minimum(
        (0.5 - (shifted % 1 - 0.5).abs()) / columns,
        (0.5 - (y * rows % 1 - 0.5).abs()) / rows,
    )
    joint = _uniform(rng, 0.008, 0.022, n, 1, 1)
    brick = ((gap - joint) * size + 0.5).clamp(0, 1)
    tone = _per_cell(rng, row * 8 + shifted.floor() % columns)
    light = 1 + 0.12 * ((gap - joint) / 0.05).clamp(0, 1) - 0.06 + 0.03 * _noise(n, size, rng, 6.0, 1.0)
    return _turn(rng, _paint(brick, brick * tone), light[:, None])


def _scales(n: int, size: int, rng: torch.Generator) -> Layout:
    rows, columns = _pick(rng, (6, 8, 10), n)[:, None, None], _pick(rng, (3, 4, 5), n)[:, None, None]
    x, y = _grid(size)
    below, distance, cell = torch.zeros(n, size, size), torch.ones(n, size, size), torch.zeros(n, size, size)
    radius = _uniform(rng, 1.05, 1.3, n, 1, 1)
    for step in (-1, 0, 1, 2):  # later rows lie on top
        row = (y * rows).floor() + step
        along = x * columns + 0.5 * (row % 2)
        d = torch.hypot((along % 1 - 0.5) * 2, (y * rows - row) / rows * columns * 2) / radius
        on_top = d < 1
        distance, cell = (
            torch.where(on_top, d, distance),
            torch.where(on_top, row % rows * 8 + along.floor() % columns, cell),
        )
        below = below + on_top
    rim = ((distance - _uniform(rng, 0.7, 0.88, n, 1, 1)) * size / columns * 0.5 + 0.5).clamp(0, 1)
    tone = _per_cell(rng, cell) * _pick(rng, (0.0, 1.0), n)[:, None, None]
    return _turn(rng, _paint(tone, 0.4 * (1 - distance), rim), (1.1 - 0.25 * distance**2)[:, None])


def _weave(n: int, size: int, rng: torch.Generator) -> Layout:
    threads = _pick(rng, (6, 8, 12), n)[:, None, None]
    x, y = (coordinate * threads for coordinate in _grid(size))
    across = ((x.floor() + y.floor()) % 2).expand(n, size, size)
    colour_x = _per_cell(rng, (x.floor() // 2).expand(n, size, size)).round()
    colour_y = _per_cell(rng, (y.floor() // 2).expand(n, size, size)).round()
    second = across * colour_x + (1 - across) * colour_y
    bulge = (across * torch.sin(math.pi * (x % 1)) + (1 - across) * torch.sin(math.pi * (y % 1))).sqrt()
    tint = across * _pick(rng, (0.0, 0.6), n)[:, None, None]
    return _paint(second, tint), (0.7 + 0.35 * bulge)[:, None]


def _checker(n: int, size: int, rng: torch.Generator) -> Layout:
    a, b = _pick(rng, (1, 2, 3), n)[:, None, None], _pick(rng, (0, 1, 2), n)[:, None, None]
    x, y = _grid(size)
    first, second = torch.sin(2 * math.pi * (a * x + b * y)), torch.sin(2 * math.pi * (a * y - b * x))
    line = _uniform(rng, 0.15, 0.45, n, 1, 1) - torch.minimum(first.abs(), second.abs())
    dot = first.abs() * second.abs() - _uniform(rng, 0.5, 0.9, n, 1, 1)
    on = _pick(rng, (0.0, 1.0), n)[:, None, None], _pick(rng, (0.0, 0.0, 1.0), n)[:, None, None]
    return _paint(_coverage(first * second), _coverage(dot) * on[0], _coverage(line) * on[1]), _flat(n, size)


def _cells(n: int, size: int, rng: torch.Generator, points: int = 24) -> Layout:
    seeds = torch.rand(n, points, 2, 1, 1, generator=rng)
    active = torch.arange(points) < _pick(rng, (12, 18, 24), n)[:, None]
    apart = [(c - seeds[:, :, i] + 0.5) % 1 - 0.5 for i, c in enumerate(_grid(size))]  # the nearest copy of each seed
    distance = torch.hypot(*apart) + 9.0 * ~active[:, :, None, None]
    near, far, nearest = _two_nearest(distance)
    gap = ((far - near - _uniform(rng, 0.015, 0.06, n, 1, 1)) * size * 0.5 + 0.5).clamp(0, 1)
    tone = _per_cell(rng, nearest)
    core = _coverage(_uniform(rng, 0.03, 0.06, n, 1, 1) - near) * _pick(rng, (0.0, 0.0, 1.0), n)[:, None, None]
    return _paint(gap, gap * tone, core), (1.05 - 0.8 * near)[:, None]


_FAMILIES: dict[str, Callable[[int, int, torch.Generator], Layout]] = {
    "camouflage": _camouflage,
    "spots": _spots,
    "stripes": _stripes,
    "marble": _marble,
    "wood": _wood,
    "bricks": _bricks,
    "scales": _scales,
    "weave": _weave,
    "checker": _checker,
    "cells": _cells,
}
FAMILIES: tuple[str, ...] = tuple(_FAMILIES)


# ---------------------------------------------------------------- what the families are made of


def _noise(
    n: int, size: int, rng: torch.Generator, cycles: Tensor | float, spread: Tensor | float, stretch: int = 1
) -> Float[Tensor, "n size size"]:
    """Periodic noise of unit variance: white noise through a band `spread` octaves wide around `cycles`."""
    cycles, spread = (torch.as_tensor(v, dtype=torch.float32).expand(n)[:, None, None] for v in (cycles, spread))
    kx, ky = torch.fft.rfftfreq(size, 1 / size), torch.fft.fftfreq(size, 1 / size)[:, None] * stretch
    octaves = torch.hypot(kx, ky).clamp(min=1e-6).log2() - cycles.log2()
    # In 2-D a band holds k times as many waves as k grows; dividing by k keeps the octaves even.
    gain = torch.exp(-0.5 * (octaves / spread) ** 2 - octaves * math.log(2))
    noise = torch.fft.irfft2(torch.fft.rfft2(torch.randn(n, size, size, generator=rng)) * gain, s=(size, size))
    return noise / noise.std((1, 2), keepdim=True).clamp(min=1e-6)


def _planes(n: int, size: int, rng: torch.Generator, cycles: tuple[int, ...]) -> Float[Tensor, "n size size"]:
    """A phase that grows across the texture in a random direction, by a whole number of cycles along each axis."""
    x, y = _grid(size)
    angle, count = _uniform(rng, 0, math.pi, n, 1, 1), _pick(rng, cycles, n)[:, None, None]
    return (count * angle.cos()).round() * x + (count * angle.sin()).round() * y + _uniform(rng, 0, 1, n, 1, 1)


def _coverage(field: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """The share of each pixel where `field` > 0: signed distance by the first-order estimate field / |gradient|."""
    dx = (field.roll(-1, 2) - field.roll(1, 2)) / 2
    dy = (field.roll(-1, 1) - field.roll(1, 1)) / 2
    return (0.5 + field / (torch.hypot(dx, dy) + 1e-4)).clamp(0, 1)


def _paint(*masks: Float[Tensor, "n h w"]) -> Float[Tensor, "n 4 h w"]:
    """Weights of the four colours after laying colour 1, 2, 3 over colour 0, each through its mask."""
    layers = [torch.ones_like(masks[0])]
    for mask in masks:
        layers = [layer * (1 - mask) for layer in layers] + [mask]
    layers += [torch.zeros_like(masks[0])] * (COLOURS - len(layers))
    return torch.stack(layers, 1)


def _per_cell(rng: torch.Generator, cell: Num[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """A random number in [0, 1] for each whole-numbered cell (fewer than 128 of them), pushed towards 0 or 1."""
    values = torch.rand(len(cell), 128, generator=rng)
    values = torch.sigmoid(8 * (values - 0.5))
    return values.gather(1, cell.long().flatten(1)).view_as(cell)


def _two_nearest(distance: Float[Tensor, "n p h w"]) -> tuple[Tensor, Tensor, Tensor]:
    near, nearest = distance.min(1)
    far = distance.scatter(1, nearest[:, None], torch.inf).amin(1)
    return near, far, nearest


def _turn(rng: torch.Generator, weights: Tensor, light: Tensor) -> Layout:
    """A quarter turn for half of the layouts."""
    turned = (torch.rand(len(weights), 1, 1, 1, generator=rng) < 0.5).expand(-1, 1, 1, 1)
    return torch.where(turned, weights.mT, weights), torch.where(turned, light.mT, light)


def _grid(size: int) -> tuple[Float[Tensor, "1 size"], Float[Tensor, "size 1"]]:
    """Pixel centres in [0, 1): x along the row, y down the column."""
    ticks = (torch.arange(size) + 0.5) / size
    return ticks[None], ticks[:, None]


def _flat(n: int, size: int) -> Float[Tensor, "n 1 size size"]:
    return torch.ones(n, 1, size, size)


def _uniform(rng: torch.Generator, low: int | float, high: int | float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=rng)


def _pick(rng: torch.Generator, values: tuple[int | float, ...], n: int) -> Float[Tensor, " n"]:
    return torch.tensor(values, dtype=torch.float32)[torch.randint(len(values), (n,), generator=rng)]


def _oklab_to_srgb(lab: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    """OKLab (Ottosson 2020) → sRGB, clipped to the gamut."""
    to_lms = lab.new_tensor(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_rgb = lab.new_tensor(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = ((lab @ to_lms.T) ** 3 @ to_rgb.T).clamp(0, 1)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055)
