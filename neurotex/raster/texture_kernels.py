"""CPU kernels of texture lookup; see `textures`."""

from __future__ import annotations

import math

import numpy as np

from ..core.jit import jit

NEAREST, BILINEAR, TRILINEAR, ANISOTROPIC = range(4)  # places in `sampler.FILTERS`
REPEAT, CLAMP, MIRROR = range(3)  # places in `sampler.WRAPS`


@jit
def wrapped(texel, size, wrap):
    """A texel's number along one axis, brought back into an image of `size` texels."""
    if wrap == CLAMP:
        return min(max(texel, 0), size - 1)
    if 0 <= texel < size:  # nearly always, and no division
        return texel
    if wrap == REPEAT:
        return texel % size
    texel %= 2 * size
    return min(texel, 2 * size - 1 - texel)


@jit
def bilinear_taps(start, stop, uv, texture, first, shape, wraps, index, weight):
    """Texels and weights of bilinear lookup at samples [start, stop); see `textures.bilinear_taps`."""
    for s in range(start, stop):
        t = texture[s]
        height, width = shape[t, 0], shape[t, 1]
        x, y = uv[s, 0] * width - uv.dtype.type(0.5), (1 - uv[s, 1]) * height - uv.dtype.type(0.5)
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        i0, j0 = np.int64(x0), np.int64(y0)
        i1, j1 = i0 + 1, j0 + 1
        i0, i1 = wrapped(i0, width, wraps[t, 0]), wrapped(i1, width, wraps[t, 0])
        j0, j1 = wrapped(j0, height, wraps[t, 1]), wrapped(j1, height, wraps[t, 1])
        base = first[t]
        index[s, 0], index[s, 1] = base + j0 * width + i0, base + j0 * width + i1
        index[s, 2], index[s, 3] = base + j1 * width + i0, base + j1 * width + i1
        weight[s, 0], weight[s, 1] = (1 - fy) * (1 - fx), (1 - fy) * fx
        weight[s, 2], weight[s, 3] = fy * (1 - fx), fy * fx


@jit
def gather_texels(start, stop, texels, index, weight, out):
    """Weighted sums of texels for samples [start, stop)."""
    for s in range(start, stop):
        for c in range(out.shape[1]):
            out[s, c] = 0
        for t in range(index.shape[1]):
            for c in range(out.shape[1]):
                out[s, c] += weight[s, t] * texels[index[s, t], c]


@jit
def footprint(kind, duv, s, height, width, last, most):
    """Of sample s: number of probes, level of detail, and the row's axis in UV; see `mipmap`."""
    if kind < TRILINEAR:
        return 1, 0.0, 0.0, 0.0
    a, b = np.float64(duv[s, 0, 0]) * width, np.float64(duv[s, 0, 1]) * width
    c, d = np.float64(duv[s, 1, 0]) * height, np.float64(duv[s, 1, 1]) * height
    widest = 2.0**last
    if kind == TRILINEAR:
        square = max(a * a + c * c, b * b + d * d)
        if not square < widest * widest or np.isnan(a + b + c + d):  # max may drop a NaN, a sum does not
            return 1, np.float64(last), 0.0, 0.0
        return 1, 0.5 * math.log2(max(square, 1.0)), 0.0, 0.0
    p, q, r = a * a + b * b, a * c + b * d, c * c + d * d
    if not p + r < 2 * (most * widest) ** 2:
        return 1, np.float64(last), 0.0, 0.0
    tilt = (p - r) / 2
    spread = math.sqrt(max(tilt * tilt + q * q, 1e-30))
    major = math.sqrt((p + r) / 2 + spread)
    minor = abs(a * d - b * c) / major
    count = min(max(math.ceil(major / max(minor, 1.0) - 0.01), 1), most)
    if major >= count * widest:
        return 1, np.float64(last), 0.0, 0.0
    dx, dy = (spread + tilt, q) if tilt >= 0 else (q, spread - tilt)
    scale = major / math.sqrt(dx * dx + dy * dy)
    return count, math.log2(max(major / count, 1.0)), dx * scale / width, dy * scale / height


@jit
def count_probes(start, stop, duv, texture, filters, shape, last, most, counts):
    """How many rows of taps each of the samples [start, stop) gets."""
    for s in range(start, stop):
        t = texture[s]
        counts[s] = footprint(filters[t], duv, s, shape[t, 0], shape[t, 1], last[t], most)[0]


@jit
def write_corners(u, v, first, height, width, wrap_u, wrap_v, share, row, column, index, weight):
    """Four bilinear taps at (u, v) in the image that begins at `first`, their weights times `share`."""
    x, y = u * width - 0.5, (1 - v) * height - 0.5
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    i0, j0 = np.int64(x0), np.int64(y0)
    i1, j1 = i0 + 1, j0 + 1
    i0, i1 = wrapped(i0, width, wrap_u), wrapped(i1, width, wrap_u)
    j0, j1 = wrapped(j0, height, wrap_v), wrapped(j1, height, wrap_v)
    index[row, column], index[row, column + 1] = first + j0 * width + i0, first + j0 * width + i1
    index[row, column + 2], index[row, column + 3] = first + j1 * width + i0, first + j1 * width + i1
    weight[row, column], weight[row, column + 1] = share * (1 - fy) * (1 - fx), share * (1 - fy) * fx
    weight[row, column + 2], weight[row, column + 3] = share * fy * (1 - fx), share * fy * fx


@jit
def filtered_taps(start, stop, uv, duv, texture, filters, shape, last, most, levels, wraps, rows, index, weight):
    """Texels and weights of lookup at samples [start, stop), each by its texture's filter; see `textures.taps`.

    Sample s fills the rows from `rows[s]` on.
    """
    for s in range(start, stop):
        t = texture[s]
        height, width, u, v = shape[t, 0], shape[t, 1], uv[s, 0], uv[s, 1]
        count, level, du, dv = footprint(filters[t], duv, s, height, width, last[t], most)
        low = np.int64(level)
        fine = level - low
        high = min(low + 1, last[t])
        for i in range(count):
            row = rows[s] + i
            if filters[t] == NEAREST:
                x, y = np.int64(np.floor(u * width)), np.int64(np.floor((1 - v) * height))
                x, y = wrapped(x, width, wraps[t, 0]), wrapped(y, height, wraps[t, 1])
                index[row, 0], weight[row, 0] = levels[t, 0] + y * width + x, 1
                for k in range(1, index.shape[1]):
                    index[row, k], weight[row, k] = levels[t, 0], 0
                continue
            part = (i + 0.5) / count - 0.5
            pu, pv = u + part * du, v + part * dv
            h, w = max(height >> low, 1), max(width >> low, 1)
            write_corners(
                pu, pv, levels[t, low], h, w, wraps[t, 0], wraps[t, 1], (1 - fine) / count, row, 0, index, weight
            )
            if fine > 0:
                h, w = max(height >> high, 1), max(width >> high, 1)
                write_corners(
                    pu, pv, levels[t, high], h, w, wraps[t, 0], wraps[t, 1], fine / count, row, 4, index, weight
                )
            else:
                for k in range(4, index.shape[1]):
                    index[row, k], weight[row, k] = levels[t, 0], 0
