"""The codes of a block: what the modes are, which values codes stand for, and which come nearest to texels.

A block's texels are `x` (channels, 16), of which the first n count, in float32 on the scale of bytes, 0 to 255. Its two
`ends` (2, channels) are whole numbers of as many bits as the file stores, and between them lie its codes. The reference
of all kernels of blocks is in `compress` and `search`.

Kernels that search get n = 16 as an argument: loops of a length known to the compiler would be unrolled instead of
becoming vector instructions. Innermost functions take arrays one by one and no views: each view made is counted.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ...core.jit import jit

F = np.float32
FOUR, THREE, EIGHT, SIX = range(4)  # modes: how many codes lie on the line from the first end to the second
CODES = np.array([4, 3, 8, 6])
STEPS = np.array([3, 2, 7, 5], F)
# where on that line, in steps, each code lies; and the codes in the order in which they lie there
PLACES = np.array(
    [[0, 3, 1, 2, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 0, 0], [0, 7, 1, 2, 3, 4, 5, 6], [0, 5, 1, 2, 3, 4, 0, 0]]
)
ORDER = np.array(
    [[0, 2, 3, 1, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 0, 0], [0, 2, 3, 4, 5, 6, 7, 1], [0, 2, 3, 4, 5, 1, 0, 0]]
)
SHARES = (PLACES / STEPS[:, None]).astype(F)
FAR = F(1e30)

Scratch = namedtuple("Scratch", "x code distance colours count total order key sums cuts ends trial")


@jit
def scratch(channels):
    """Room for one block at a time."""
    return Scratch(
        np.zeros((channels, 16), F),
        np.zeros(16, np.int32),
        np.zeros(16, F),
        np.zeros((8, channels), F),
        np.zeros(8, F),
        np.zeros((channels, 8), F),
        np.zeros(16, np.int64),
        np.zeros(16, F),
        np.zeros((channels, 17), F),
        np.zeros(7, np.int64),
        np.zeros((2, channels), np.int64),
        np.zeros((2, channels), np.int64),
    )


@jit
def bits_of(channel, channels):
    """Bits of an end: colours are 5:6:5, single values 8."""
    if channels == 1:
        return 8
    return 6 if channel == 1 else 5


@jit
def expand(stored, bits):
    """A stored end as a byte: its highest bits once more below it, so that the largest becomes 255."""
    return F((stored << (8 - bits)) | (stored >> (2 * bits - 8)))


@jit
def fill(ends, mode, c, bits, colours):
    """All codes in channel c: ⌊(1 − w) a + w b⌋. Half a step within the floor keeps clear of float rounding."""
    a, b, half = expand(ends[0, c], bits), expand(ends[1, c], bits), F(0.5) / STEPS[mode]
    for k in range(CODES[mode]):
        colours[k, c] = np.floor(a * (F(1) - SHARES[mode, k]) + b * SHARES[mode, k] + half)


@jit
def fill_all(ends, mode, colours):
    """All codes; returns how many there are. The fourth beside three is a hole, and no colour."""
    channels = ends.shape[1]
    for c in range(channels):
        fill(ends, mode, c, bits_of(c, channels), colours)
    if mode == SIX:
        colours[6, 0], colours[7, 0] = F(0), F(255)
        return 8
    return CODES[mode]


@jit
def nearest(x, n, colours, codes, code, distance):
    """Gives the first n texels the nearest of the first `codes` codes, the first of equals; returns Σ distance²."""
    if x.shape[0] == 3:
        nearest_colour(x, n, colours, codes, code, distance)
    else:
        nearest_level(x, n, colours, codes, code, distance)
    error = F(0)
    for t in range(n):
        error += distance[t]
    return error


@jit
def nearest_colour(x, n, colours, codes, code, distance):
    """The nearest of 3 or 4 colours. All are at hand at once, so that the loop over texels is vector instructions."""
    last = codes - 1
    r0, g0, b0 = colours[0, 0], colours[0, 1], colours[0, 2]
    r1, g1, b1 = colours[1, 0], colours[1, 1], colours[1, 2]
    r2, g2, b2 = colours[2, 0], colours[2, 1], colours[2, 2]
    r3, g3, b3 = colours[last, 0], colours[last, 1], colours[last, 2]  # the third again, if there are no more
    for t in range(n):
        r, g, b = x[0, t], x[1, t], x[2, t]
        d0 = (r - r0) * (r - r0) + (g - g0) * (g - g0) + (b - b0) * (b - b0)
        d1 = (r - r1) * (r - r1) + (g - g1) * (g - g1) + (b - b1) * (b - b1)
        d2 = (r - r2) * (r - r2) + (g - g2) * (g - g2) + (b - b2) * (b - b2)
        d3 = (r - r3) * (r - r3) + (g - g3) * (g - g3) + (b - b3) * (b - b3)
        end = d1 if d1 < d0 else d0
        inner = d3 if d3 < d2 else d2
        end_code = np.int32(1) if d1 < d0 else np.int32(0)
        inner_code = np.int32(3) if d3 < d2 else np.int32(2)
        distance[t] = inner if inner < end else end
        code[t] = inner_code if inner < end else end_code


@jit
def nearest_level(x, n, levels, codes, code, distance):
    """The nearest of up to 8 levels."""
    for t in range(n):
        distance[t], code[t] = FAR, 0
    for k in range(codes):
        level, this = levels[k, 0], np.int32(k)
        for t in range(n):
            d = (x[0, t] - level) * (x[0, t] - level)
            closer = d < distance[t]
            distance[t] = d if closer else distance[t]
            code[t] = this if closer else code[t]
