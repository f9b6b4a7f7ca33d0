"""CPU kernels of what happens between convolutions; see `passes` for the reference that they are held to.

Planes are contiguous. bfloat16 comes in as int16: a float32 is made of it by 16 zeros behind, and one is rounded to it,
to even, by its upper half. All arithmetic is float32's.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import overload

from ..core.jit import jit_simd

# sums in any order: in vector instructions
jit_sum = njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
F, INT = np.float32, np.int32
BLOCK = 2048  # texels that fit the innermost cache several times


def wide(x):
    """A stored number as it is computed with."""
    raise NotImplementedError  # numba takes one of those below


def narrow(x, like):
    """A number as it is stored, of the type of `like`."""
    raise NotImplementedError


@overload(wide, inline="always")
def _wide(x):
    if isinstance(x, types.Integer):
        return lambda x: INT(INT(x) << INT(16)).view(np.float32)
    return lambda x: x


@overload(narrow, inline="always")
def _narrow(x, like):
    if isinstance(like, types.Integer):
        return lambda x, like: _rounded(x)
    return lambda x, like: x


@jit_simd
def _rounded(x):
    bits = F(x).view(np.int32)
    return np.int16((bits + INT(0x7FFF) + ((bits >> INT(16)) & INT(1))) >> INT(16))


@jit_simd
def wrap(start, stop, x, rows, columns, out):
    """x (planes, h, w) with `rows` and `columns` around that repeat the other side."""
    h, w = x.shape[1], x.shape[2]
    for p in range(start, stop):
        for i in range(h + 2 * rows):
            a, b = x[p, (i - rows + h) % h], out[p, i]
            for j in range(w):
                b[columns + j] = a[j]
            for j in range(columns):
                b[j] = a[w - columns + j]
                b[columns + w + j] = a[j]


@jit_simd
def modulate(start, stop, x, style, width, out):
    """x (planes, h, w) times style (planes), with `width` texels around that repeat the other side."""
    h, w = x.shape[1], x.shape[2]
    for p in range(start, stop):
        s = style[p]
        for i in range(h + 2 * width):
            a, b = x[p, (i - width + h) % h], out[p, i]
            inner = b[width : width + w]
            for j in range(w):
                inner[j] = narrow(wide(a[j]) * s, a[j])
            for j in range(width):
                b[j] = b[w + j]
                b[width + w + j] = b[width + j]


@jit_simd
def fold_row(planes, p, i, rows, columns, row):
    """Row i of a plane without its margins, each texel of which is added to the one that it was taken from."""
    w, h = len(row), planes.shape[1] - 2 * rows
    inner = planes[p, i + rows][columns : columns + w]
    for j in range(w):
        row[j] = wide(inner[j])
    for j in range(columns):
        row[w - columns + j] += wide(planes[p, i + rows, j])
        row[j] += wide(planes[p, i + rows, columns + w + j])
    for at in (i + rows - h, i + rows + h):  # copies above and below
        if 0 <= at < h + 2 * rows:
            g = planes[p, at]
            inner = g[columns : columns + w]
            for j in range(w):
                row[j] += wide(inner[j])
            for j in range(columns):
                row[w - columns + j] += wide(g[j])
                row[j] += wide(g[columns + w + j])


@jit_simd
def fold(start, stop, padded, rows, columns, out):
    """The transpose of `wrap`."""
    h, w = out.shape[1], out.shape[2]
    row = np.empty(w, np.float32)
    for p in range(start, stop):
        for i in range(h):
            fold_row(padded, p, i, rows, columns, row)
            b = out[p, i]
            for j in range(w):
                b[j] = narrow(row[j], b[j])


@jit_sum
def modulate_backward(start, stop, grad, x, style, width, gx, gstyle):
    """Gradients of x and style from that of `modulate`'s planes."""
    h, w = x.shape[1], x.shape[2]
    row = np.empty(w, np.float32)
    for p in range(start, stop):
        s, total = style[p], 0.0
        for i in range(h):
            fold_row(grad, p, i, width, width, row)
            a, b = x[p, i], gx[p, i]
            part = F(0)
            for j in range(w):
                part += row[j] * wide(a[j])
            for j in range(w):
                b[j] = narrow(row[j] * s, b[j])
            total += part
        gstyle[p] = total


@jit_simd
def finish(start, stop, y, scale, bias, offset, slope, bound, out):
    """Planes y (planes, texels) · scale + bias + offset, through a leaky ReLU and within ±bound; offset (1 or n, …)."""
    channels, shared = len(bias), len(offset) == 1
    for p in range(start, stop):
        s, t = scale[p], bias[p % channels]
        o, a, c = offset[0 if shared else p // channels], y[p], out[p]
        if len(o) == 1:
            for j in range(len(a)):
                v = wide(a[j]) * s + t
                v = max(v, v * slope)
                c[j] = narrow(min(max(v, -bound), bound), a[j])
        else:
            for j in range(len(a)):
                v = wide(a[j]) * s + (t + o[j])
                v = max(v, v * slope)
                c[j] = narrow(min(max(v, -bound), bound), a[j])


@jit_sum
def finish_backward(start, stop, grad, y, scale, out, channels, slope, bound, gy, gscale, gbias, goffset):
    """Gradients for images [start, stop): of y, and of each plane's scale and bias, and of the image's offset."""
    row = np.empty(BLOCK, np.float32)
    for n in range(start, stop):
        for c in range(channels):
            p = n * channels + c
            s = scale[p]
            sum_scale, sum_bias = 0.0, 0.0
            for block in range(0, y.shape[1], BLOCK):
                g, a = grad[p, block : block + BLOCK], y[p, block : block + BLOCK]
                r, b = out[p, block : block + BLOCK], gy[p, block : block + BLOCK]
                part_scale, part_bias = F(0), F(0)
                for j in range(len(a)):
                    v = wide(r[j])
                    d = wide(g[j]) * (F(1) if v > F(0) else slope)
                    row[j] = d if abs(v) < bound else F(0)
                for j in range(len(a)):
                    part_scale += row[j] * wide(a[j])
                    part_bias += row[j]
                for j in range(len(a)):
                    b[j] = narrow(row[j] * s, b[j])
                if goffset.shape[1] > 1:
                    o = goffset[n, block : block + BLOCK]
                    for j in range(len(a)):
                        o[j] += row[j]
                sum_scale += part_scale
                sum_bias += part_bias
            gscale[p] = sum_scale
            gbias[p] = sum_bias
