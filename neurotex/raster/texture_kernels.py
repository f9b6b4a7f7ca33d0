"""CPU kernels of texture lookup; see `textures`."""

from __future__ import annotations

import numpy as np

from ..jit import jit


@jit
def bilinear_taps(start, stop, uv, texture, first, shape, repeat, index, weight):
    """Texels and weights of bilinear lookup at samples [start, stop); see `textures.bilinear_taps`."""
    for s in range(start, stop):
        t = texture[s]
        height, width = shape[t, 0], shape[t, 1]
        x, y = uv[s, 0] * width - uv.dtype.type(0.5), (1 - uv[s, 1]) * height - uv.dtype.type(0.5)
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        i0, j0 = np.int64(x0), np.int64(y0)
        i1, j1 = i0 + 1, j0 + 1
        if repeat[t]:
            i0, i1, j0, j1 = i0 % width, i1 % width, j0 % height, j1 % height
        else:
            i0, i1 = min(max(i0, 0), width - 1), min(max(i1, 0), width - 1)
            j0, j1 = min(max(j0, 0), height - 1), min(max(j1, 0), height - 1)
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
