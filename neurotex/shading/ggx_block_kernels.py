"""Points of metallic-roughness surfaces in blocks, for `ggx_kernels` and `ggx_gradient_kernels`.

A block's numbers lie in one flat buffer, a row of BLOCK numbers for each quantity, at offsets that are known when
compiling. Only so LLVM sees that rows do not overlap, and takes eight points at a time: that is why these loops have no
`if` about a point but choose between two results, and why constants are made in the arrays' own type. It makes them six
times faster than a loop over points.
"""

from __future__ import annotations

import math

from ..core.jit import jit, jit_simd
from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS

BLOCK = 128  # a block's rows stay in the first-level cache in single precision

# what a point is: normal, view, position, n·v, roughness and its 4th power, metallic, and 1 / lengths
(NX, NY, NZ, VX, VY, VZ, PX, PY, PZ, NV, ROUGH, A, METAL, SCALE, NEAR) = (k * BLOCK for k in range(15))
COLOR, OUT = 15 * BLOCK, 18 * BLOCK  # three rows each: base colour; the radiance, or its gradient
# gradients: by n, v, position, n·v, a, metallic, base colour; by a light's place and colour
(G_NX, G_NY, G_NZ, G_VX, G_VY, G_VZ, G_PX, G_PY, G_PZ, G_NV, G_A, G_METAL) = (k * BLOCK for k in range(21, 33))
G_COLOR, G_LIGHT, G_INTENSITY = 33 * BLOCK, 36 * BLOCK, 39 * BLOCK
G_ROUGH = 42 * BLOCK
SEEN, G_SEEN = 43 * BLOCK, 44 * BLOCK  # how much of the light gets here, and its gradient
ROWS = 45


@jit
def load(block, first, count, base_color, roughness, metallic, normal, position):
    """Points [first, first + count) into the block."""
    for i in range(count):
        s = first + i
        block[NX + i], block[NY + i], block[NZ + i] = normal[s, 0], normal[s, 1], normal[s, 2]
        block[PX + i], block[PY + i], block[PZ + i] = position[s, 0], position[s, 1], position[s, 2]
        block[ROUGH + i], block[METAL + i] = roughness[s], metallic[s]
        for c in range(3):
            block[COLOR + c * BLOCK + i] = base_color[s, c]


@jit_simd
def prepare(block, eye):
    """Unit normals turned to the eye, views, n·v and a."""
    number = block.dtype.type
    zero, one, tiny, least, grazing = number(0), number(1), number(1e-30), number(MIN_ROUGHNESS), number(MIN_COSINE)
    x, y, z, placed = eye[0], eye[1], eye[2], eye[3]
    for i in range(BLOCK):
        vx, vy, vz = x - placed * block[PX + i], y - placed * block[PY + i], z - placed * block[PZ + i]
        squared = vx * vx + vy * vy + vz * vz
        near = one / math.sqrt(squared) if squared > tiny else zero
        vx, vy, vz = vx * near, vy * near, vz * near
        nx, ny, nz = block[NX + i], block[NY + i], block[NZ + i]
        squared = nx * nx + ny * ny + nz * nz
        scale = one / math.sqrt(squared) if squared > tiny else zero
        scale = -scale if nx * vx + ny * vy + nz * vz < zero else scale
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        rough = max(block[ROUGH + i], least)
        block[VX + i], block[VY + i], block[VZ + i], block[NEAR + i] = vx, vy, vz, near
        block[NX + i], block[NY + i], block[NZ + i], block[SCALE + i] = nx, ny, nz, scale
        block[NV + i] = max(nx * vx + ny * vy + nz * vz, grazing)
        block[A + i] = rough * rough * rough * rough


@jit_simd
def sent(base, metal, specular, diffuse, schlick):
    """One channel of F · specular + (1 − F) · body · diffuse."""
    one, least = type(base)(1), type(base)(DIELECTRIC)
    f0 = least + metal * (base - least)
    fresnel = f0 + (one - f0) * schlick
    return fresnel * specular + (one - fresnel) * base * (one - metal) * diffuse


@jit
def cell_of(table, nv, rough):
    """The table's cell for a cosine and a roughness, and the place in it."""
    last = table.shape[0] - 1
    x = math.sqrt(min(nv, 1.0)) * last
    y = (min(rough, 1.0) - MIN_ROUGHNESS) / (1 - MIN_ROUGHNESS) * last
    # not a number is in no cell: any will do, as what is found there is not a number, too
    i, j = min(int(x), last - 1) if x >= 0 else 0, min(int(y), last - 1) if y >= 0 else 0
    return i, j, x - i, y - j


@jit
def mix(table, i, j, x, y, channel):
    """One number from a cell, and its derivatives by x and y."""
    a, b, c, d = table[i, j, channel], table[i, j + 1, channel], table[i + 1, j, channel], table[i + 1, j + 1, channel]
    low, high = a + (b - a) * y, c + (d - c) * y
    return low + (high - low) * x, high - low, (b - a) * (1 - x) + (d - c) * x


@jit
def add_up(block, row, count, total):
    """Sums of three rows over the block's points, in double precision."""
    for c in range(3):
        for i in range(count):
            total[c] += block[row + c * BLOCK + i]


@jit
def load_visibility(block, first, count, visibility, light):
    """What of a light gets to points [first, first + count)."""
    for i in range(count):
        block[SEEN + i] = visibility[first + i, light]


# kernels take arrays, not structures of them: numba compiles anew for every kind of structure
