"""The best ends for codes that are given; see `code_kernels` for blocks, ends and codes."""

from __future__ import annotations

import numpy as np

from ...core.jit import jit
from .code_kernels import CODES, FAR, FOUR, SHARES, STEPS, THREE, F, expand


def single_values() -> np.ndarray:
    """The ends whose code 2 comes nearest to a value: [mode FOUR or THREE, bits − 5, value, end].

    Of equals those closest together, as decoders in hardware round between them as they like.
    """
    pairs = np.empty((2, 2, 256, 2), np.int64)
    for mode in (FOUR, THREE):
        for bits in (5, 6):
            stored = np.arange(1 << bits)
            end = (stored << (8 - bits)) | (stored >> (2 * bits - 8))
            steps = int(STEPS[mode])
            value = ((steps - 1) * end[:, None] + end) // steps
            apart = abs(end[:, None] - end)
            for v in range(256):
                pairs[mode, bits - 5, v] = np.unravel_index((1000 * abs(value - v) + apart).argmin(), value.shape)
    return pairs


SINGLE = single_values()


@jit
def clear(count, total):
    """No texels yet."""
    for k in range(8):
        count[k] = F(0)
        for c in range(total.shape[0]):
            total[c, k] = F(0)


@jit
def single(mode, bits, value):
    """The ends one of whose codes comes nearest to one value."""
    if bits == 8:
        return np.int64(value + F(0.5)), np.int64(value + F(0.5))
    best, at_a, at_b = FAR, 0, 0
    low = np.int64(value)
    for near in range(low, min(low + 1, 255) + 1):
        a, b = SINGLE[mode, bits - 5, near, 0], SINGLE[mode, bits - 5, near, 1]
        share = SHARES[mode, 2]
        there = np.floor(expand(a, bits) * (F(1) - share) + expand(b, bits) * share + F(0.5) / STEPS[mode])
        if abs(there - value) < best:
            best, at_a, at_b = abs(there - value), a, b
    return at_a, at_b


@jit
def fit(mode, bits, count, total, c):
    """The ends that suit texels, of which `count[k]` with sum `total[c, k]` have code k; and Σ v² − 2 v x of these.

    Linear regression of the values x on where their codes lie; of the four ways to round both ends, the one with the
    least squared error as it is decoded. The sum, plus Σ x², is that error.
    """
    codes = CODES[mode]
    n = s = sw = sww = swx = F(0)
    for k in range(codes):
        share = SHARES[mode, k]
        n += count[k]
        s += total[c, k]
        sw += share * count[k]
        sww += share * share * count[k]
        swx += share * total[c, k]
    if n == 0:
        return 0, 0, F(0)
    mean, middle = s / n, sw / n
    spread = sww - sw * middle
    half = F(0.5) / STEPS[mode]
    if spread < F(1e-4):
        a, b = single(mode, bits, mean)
        value = np.floor(expand(a, bits) * (F(1) - SHARES[mode, 2]) + expand(b, bits) * SHARES[mode, 2] + half)
        return a, b, value * (n * value - F(2) * s)
    slope = (swx - mean * sw) / spread
    top = F((1 << bits) - 1)
    scale = top / F(255)
    a = np.int64(min(max((mean - slope * middle) * scale, F(0)), top - 1))
    b = np.int64(min(max((mean + slope * (F(1) - middle)) * scale, F(0)), top - 1))
    a0, a1, b0, b1 = expand(a, bits), expand(a + 1, bits), expand(b, bits), expand(b + 1, bits)
    c00 = c01 = c10 = c11 = F(0)
    for k in range(codes):
        share = SHARES[mode, k]
        rest, many, twice = F(1) - share, count[k], F(2) * total[c, k]
        low, high = b0 * share + half, b1 * share + half
        v00, v01 = np.floor(a0 * rest + low), np.floor(a0 * rest + high)
        v10, v11 = np.floor(a1 * rest + low), np.floor(a1 * rest + high)
        c00 += v00 * (many * v00 - twice)
        c01 += v01 * (many * v01 - twice)
        c10 += v10 * (many * v10 - twice)
        c11 += v11 * (many * v11 - twice)
    if min(c00, c01) <= min(c10, c11):
        return (a, b, c00) if c00 <= c01 else (a, b + 1, c01)
    return (a + 1, b, c10) if c10 <= c11 else (a + 1, b + 1, c11)
