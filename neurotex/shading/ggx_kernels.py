"""CPU kernels of the metallic-roughness surface; see `ggx` for the maths, `core.jit` for the rules they keep.

Lights and eye come as (x, y, z, 1) places or (x, y, z, 0) unit directions. `ambient` has one row or none, `visibility`
a row for each point or none. `table` is `albedo.albedo_table()`.
"""

from __future__ import annotations

import math

import numpy as np

from ..core.jit import jit, jit_simd
from .albedo import DIELECTRIC, MIN_ROUGHNESS
from .ggx_block_kernels import (
    BLOCK,
    COLOR,
    METAL,
    NV,
    NX,
    NY,
    NZ,
    OUT,
    PX,
    PY,
    PZ,
    ROUGH,
    ROWS,
    SCALE,
    SEEN,
    VX,
    VY,
    VZ,
    A,
    cell_of,
    load,
    load_visibility,
    mix,
    prepare,
    sent,
)
from .lights import NEAREST


@jit
def _shade_evenly(block, count, intensity, table):
    """Add what comes from everywhere."""
    for i in range(count):
        if block[SCALE + i] == 0:
            continue
        cell = cell_of(table, block[NV + i], max(block[ROUGH + i], MIN_ROUGHNESS))
        lobe, bias, loss = mix(table, *cell, 0)[0], mix(table, *cell, 1)[0], mix(table, *cell, 2)[0]
        metal = block[METAL + i]
        for c in range(3):
            base = block[COLOR + c * BLOCK + i]
            f0 = DIELECTRIC + metal * (base - DIELECTRIC)
            body = base * (1 - metal)
            block[OUT + c * BLOCK + i] += intensity[c] * (f0 * lobe + bias + body * (1 - f0) * (1 - loss))


@jit_simd
def _shade(block, light, intensity):
    """Add what comes from a place or a direction."""
    number = block.dtype.type
    zero, one, half, tiny, nearest = number(0), number(1), number(0.5), number(1e-12), number(NEAREST**2)
    pi, two_pi = number(math.pi), number(2 * math.pi)
    x, y, z, far = light[0], light[1], light[2], light[3] == zero
    red, green, blue = intensity[0], intensity[1], intensity[2]
    for i in range(BLOCK):
        nx, ny, nz, nv, a = block[NX + i], block[NY + i], block[NZ + i], block[NV + i], block[A + i]
        lx, ly, lz = x - block[PX + i], y - block[PY + i], z - block[PZ + i]
        distance2 = lx * lx + ly * ly + lz * lz
        falloff = one / distance2 if distance2 > nearest else zero
        inverse = math.sqrt(falloff)
        lx, ly, lz = lx * inverse, ly * inverse, lz * inverse
        if far:
            lx, ly, lz, falloff = x, y, z, one
        falloff *= block[SEEN + i]
        nl = max(nx * lx + ny * ly + nz * lz, zero)
        hx, hy, hz = block[VX + i] + lx, block[VY + i] + ly, block[VZ + i] + lz
        squared = max(hx * hx + hy * hy + hz * hz, tiny)
        cx, cy, cz = ny * hz - nz * hy, nz * hx - nx * hz, nx * hy - ny * hx
        rest = one - a
        width = (cx * cx + cy * cy + cz * cz) / squared * rest + a
        smith = nl * math.sqrt(nv * nv * rest + a) + nv * math.sqrt(nl * nl * rest + a)
        specular = falloff * a * nl / (two_pi * width * width * smith)
        diffuse = falloff * nl / pi
        short = max(one - half * math.sqrt(squared), zero)
        schlick = short * short * short * short * short
        metal = block[METAL + i]
        block[OUT + i] += red * sent(block[COLOR + i], metal, specular, diffuse, schlick)
        block[OUT + BLOCK + i] += green * sent(block[COLOR + BLOCK + i], metal, specular, diffuse, schlick)
        block[OUT + 2 * BLOCK + i] += blue * sent(block[COLOR + 2 * BLOCK + i], metal, specular, diffuse, schlick)


@jit
def forward(
    start,
    stop,
    base_color,
    roughness,
    metallic,
    normal,
    position,
    eye,
    lights,
    intensity,
    ambient,
    visibility,
    table,
    out,
):
    """`ggx.metallic_roughness_reference` for points [start, stop)."""
    block = np.zeros(ROWS * BLOCK, out.dtype)
    block[SEEN : SEEN + BLOCK] = 1
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load(block, first, count, base_color, roughness, metallic, normal, position)
        prepare(block, eye)
        block[OUT : OUT + 3 * BLOCK] = 0
        for k in range(ambient.shape[0]):
            _shade_evenly(block, count, ambient[k], table)
        for k in range(lights.shape[0]):
            if visibility.shape[0] > 0:
                load_visibility(block, first, count, visibility, k)
            _shade(block, lights[k], intensity[k])
        for i in range(count):
            for c in range(3):
                out[first + i, c] = block[OUT + c * BLOCK + i]
