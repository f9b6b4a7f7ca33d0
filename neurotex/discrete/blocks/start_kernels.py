"""Codes to begin with: texels lined up along the direction in which they vary most, and cut into codes."""

from __future__ import annotations

import numpy as np

from ...core.jit import jit
from .code_kernels import CODES, FAR, ORDER, SHARES, STEPS, F, bits_of, expand

TURNS = 4  # of the power method


@jit
def principal_axis(x, n, mean):
    """Direction in which the texels vary most: the power method on their covariance, from its largest column."""
    xx = xy = xz = yy = yz = zz = F(0)
    for t in range(n):
        r, g, b = x[0, t] - mean[0], x[1, t] - mean[1], x[2, t] - mean[2]
        xx, xy, xz, yy, yz, zz = xx + r * r, xy + r * g, xz + r * b, yy + g * g, yz + g * b, zz + b * b
    u, v, w = xx, xy, xz
    if yy > xx and yy >= zz:
        u, v, w = xy, yy, yz
    elif zz > xx:
        u, v, w = xz, yz, zz
    for _ in range(TURNS):
        r, g, b = xx * u + xy * v + xz * w, xy * u + yy * v + yz * w, xz * u + yz * v + zz * w
        scale = F(1) / max(abs(r), abs(g), abs(b), F(1e-20))
        u, v, w = r * scale, g * scale, b * scale
    return u, v, w


@jit
def line_up(x, m, n, order, key, sums, mean):
    """Sorts the m texels in `order` along the main direction of the first n, and sums them up in that order."""
    channels = x.shape[0]
    if channels == 3:
        for c in range(3):
            mean[c] = F(0)
            for t in range(n):
                mean[c] += x[c, t]
            mean[c] /= F(n)
        u, v, w = principal_axis(x, n, mean)
        for t in range(n):
            key[t] = u * (x[0, t] - mean[0]) + v * (x[1, t] - mean[1]) + w * (x[2, t] - mean[2])
    else:
        for t in range(n):
            key[t] = x[0, t]
    for t in range(1, m):
        this, s = order[t], t
        while s > 0 and key[order[s - 1]] > key[this]:
            order[s] = order[s - 1]
            s -= 1
        order[s] = this
    for c in range(channels):
        sums[c, 0] = F(0)
        for t in range(m):
            sums[c, t + 1] = sums[c, t] + x[c, order[t]]


@jit
def explained(sums, cuts, parts, m):
    """How much of the squared error a line takes away, if m texels in order are cut into parts + 1 even codes.

    With sums P of the first texels, c_q texels beyond cut q = 1 … parts, and P̄ = P(m) / m for their mean:
    |Σ P(cut_q) − cut_q P̄|² / (Σ (2q − 1) c_q − (Σ c_q)² / m), which is what linear regression explains.
    """
    beyond = spread = before = F(0)
    for q in range(parts):
        c = F(m - cuts[q])
        before += F(cuts[q])
        beyond += c
        spread += F(2 * q + 1) * c
    spread -= beyond * beyond / F(m)
    if spread < F(1e-3):
        return F(0)
    square = F(0)
    for c in range(sums.shape[0]):
        s = -before * (sums[c, m] / F(m))
        for q in range(parts):
            s += sums[c, cuts[q]]
        square += s * s
    return square / spread


@jit
def cut_evenly(order, key, sums, cuts, m, parts):
    """Cuts in even spaces, moved by a texel at a time while a line explains more."""
    low, high = key[order[0]], key[order[m - 1]]
    for q in range(parts):
        edge = low + (high - low) * (F(2 * q + 1) / F(2 * parts))
        cuts[q] = 0
        while cuts[q] < m and key[order[cuts[q]]] < edge:
            cuts[q] += 1
    best, moved = explained(sums, cuts, parts, m), True
    while moved:
        moved = False
        for q in range(parts):
            for step in (-1, 1):
                there = cuts[q] + step
                if there < (cuts[q - 1] if q > 0 else 0) or there > (cuts[q + 1] if q + 1 < parts else m):
                    continue
                cuts[q] = there
                value = explained(sums, cuts, parts, m)
                if value > best:
                    best, moved = value, True
                else:
                    cuts[q] = there - step


@jit
def cut_in_two(sums, m):
    """The cut between the two clusters that explain most, and how much: |P(t) − t P̄|² m / (t (m − t))."""
    best, at = F(-1), 0
    for t in range(1, m):
        square = F(0)
        for c in range(sums.shape[0]):
            s = sums[c, t] - F(t) * (sums[c, m] / F(m))
            square += s * s
        value = square * F(m) / F(t * (m - t))
        if value > best:
            best, at = value, t
    return at, best


@jit
def error_of_pair(mode, first, second, half, m, sums):
    """Error of the best ends if the first `half` texels take one code and the others another, less Σ x²; as `fit`."""
    channels, error = sums.shape[0], F(0)
    u, v, offset = SHARES[mode, first], SHARES[mode, second], F(0.5) / STEPS[mode]
    for c in range(channels):
        bits = bits_of(c, channels)
        top = F((1 << bits) - 1)
        n, k, s, r = F(half), F(m - half), sums[c, half], sums[c, m] - sums[c, half]
        slope = (r / k - s / n) / (v - u)
        start = s / n - u * slope
        a = np.int64(min(max(start * top / F(255), F(0)), top - 1))
        b = np.int64(min(max((start + slope) * top / F(255), F(0)), top - 1))
        least = FAR
        for i in range(2):
            one = expand(a + i, bits)
            for j in range(2):
                two = expand(b + j, bits)
                x = np.floor(one * (F(1) - u) + two * u + offset)
                y = np.floor(one * (F(1) - v) + two * v + offset)
                least = min(least, x * (n * x - F(2) * s) + y * (k * y - F(2) * r))
        error += least
    return error


@jit
def set_codes(mode, cuts, m, order, code):
    """The codes that the cuts mean."""
    q, parts = 0, CODES[mode] - 1
    for t in range(m):
        while q < parts and t >= cuts[q]:
            q += 1
        code[order[t]] = ORDER[mode, q]
