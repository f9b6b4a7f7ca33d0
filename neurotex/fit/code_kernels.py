"""CPU kernels of the search for codes; see `codes`."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit


@jit
def descend(pointers, rows, values, weight, residual, codes, number):
    """Give each texel in turn the code that lowers Σ_p Σ_c weight[p, c] residual[p, c]² most; returns the changes.

    Column t of A are the pixels `rows[e]` with `values[e]` (one for all channels, or one a channel), e from
    `pointers[t]` to `pointers[t + 1]`. Moving its colour by d changes the sum by 2 Σ_c g_c d_c + Σ_c h_c d_c², with
    g = Aᵀ W residual and h the diagonal of Aᵀ W A. `number` and `residual` are kept up to date.
    """
    count, channels = codes.shape
    separate = values.shape[1] > 1
    slope, curve = np.zeros(channels), np.zeros(channels)
    changes = 0
    for texel in range(len(pointers) - 1):
        for c in range(channels):
            slope[c] = 0.0
            curve[c] = 0.0
        for e in range(pointers[texel], pointers[texel + 1]):
            p = rows[e]
            for c in range(channels):
                a = values[e, c if separate else 0]
                pull = a * weight[p, c]
                slope[c] += pull * residual[p, c]
                curve[c] += pull * a
        now = number[texel]
        best, chosen = 0.0, now
        for k in range(count):
            change = 0.0
            for c in range(channels):
                d = codes[k, c] - codes[now, c]
                change += d * (2.0 * slope[c] + curve[c] * d)
            if change < best:
                best, chosen = change, k
        if chosen != now:
            changes += 1
            number[texel] = chosen
            for e in range(pointers[texel], pointers[texel + 1]):
                for c in range(channels):
                    a = values[e, c if separate else 0]
                    residual[rows[e], c] += a * (codes[chosen, c] - codes[now, c])
    return changes


@jit
def add_up(pointers, columns, values, number, out):
    """Add each entry of row p of A, `values[e]` for e from `pointers[p]` to `pointers[p + 1]`, to out[p, its number].

    That of its column: columns of the same number become one.
    """
    for p in range(len(pointers) - 1):
        for e in range(pointers[p], pointers[p + 1]):
            out[p, number[columns[e]]] += values[e]
