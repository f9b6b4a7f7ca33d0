"""CPU kernels of palettes; see `palette_lookup` for the references that they are held to.

Textures come as planes (N, C, P) of P texels. Of many colours only a few can be the nearest ones of a texel, and which
these are follows from the part of the cube that it lies in: the cube is cut into cells, and each keeps a list, made
when the first texel falls into it.
"""

from __future__ import annotations

import numpy as np

from ..core.jit import jit

CELLS = 4096  # of the cube, at most
MARGIN = 1e-5  # relative; well above the rounding of distances in single precision


@jit
def find_cell(texel, side):
    """Number of the cell that a texel lies in; the last one, beyond all others, for texels outside of the cube."""
    cell, inside = 0, True
    for value in texel:
        inside &= (value >= 0) & (value <= 1)
        cell = cell * side + min(int(value * side), side - 1)
    return cell if inside else side ** len(texel)


@jit
def no_lists(channels):
    """How many cells lie along a side of the cube, and where each one's list begins (−1: nowhere yet) and how long."""
    side = max(int(CELLS ** (1 / channels) + 1e-6), 1)
    return side, np.full(side**channels + 1, -1, np.int64), np.zeros(side**channels + 1, np.int64)


@jit
def list_candidates(cell, side, colors, count, candidates, used):
    """Add the colours that may be among the `count` nearest ones of a texel in this cell, in order of their numbers.

    A colour is out if it is farther from all of the cell than the `count` best are from any of it. Returns all lists,
    and how much room they take.
    """
    if used + len(colors) > len(candidates):
        candidates = np.concatenate((candidates, np.empty(len(candidates) + len(colors), np.int32)))
    near, few = np.empty(len(colors)), np.full(count, np.inf)
    last = side ** colors.shape[1]
    for k in range(len(colors)):
        far, rest = 0.0, cell
        near[k] = 0
        for c in range(colors.shape[1] - 1, -1, -1):
            low = (rest % side) / side - MARGIN - colors[k, c]
            high = low + 1 / side + 2 * MARGIN
            rest //= side
            gap = max(low, -high, 0.0)
            near[k] += gap * gap
            reach = max(-low, high)
            far += reach * reach
        if far < few[count - 1]:
            place = count - 1
            while place > 0 and far < few[place - 1]:
                few[place] = few[place - 1]
                place -= 1
            few[place] = far
    limit = few[count - 1] * (1 + MARGIN) if cell < last else np.inf
    for k in range(len(colors)):
        if near[k] <= limit:
            candidates[used] = k
            used += 1
    return candidates, used


@jit
def nearest(start, stop, x, colors, index, distance):
    """Numbers and distances² of the nearest colours, in order of distance, then number, for the texels [start, stop).

    As many as `index` has room for; texels count through all images.
    """
    size, channels, count = x.shape[2], x.shape[1], index.shape[1]
    side, begin, length = no_lists(channels)
    candidates, used = np.empty(0, np.int32), 0
    best, number = np.empty(count, x.dtype), np.empty(count, np.int32)
    texel = np.empty(channels, x.dtype)
    n, p = start // size, start % size
    for _ in range(start, stop):
        for c in range(channels):
            texel[c] = x[n, c, p]
        cell = find_cell(texel, side)
        if begin[cell] < 0:
            begin[cell] = used
            candidates, used = list_candidates(cell, side, colors, count, candidates, used)
            length[cell] = used - begin[cell]
        best[:] = np.inf
        number[:] = 0
        worst = best[0]
        for j in range(begin[cell], begin[cell] + length[cell]):
            k = candidates[j]
            d = (texel[0] - colors[k, 0]) * (texel[0] - colors[k, 0])
            for c in range(1, channels):
                d += (texel[c] - colors[k, c]) * (texel[c] - colors[k, c])
            if d < worst:
                place = count - 1
                while place > 0 and d < best[place - 1]:
                    best[place], number[place] = best[place - 1], number[place - 1]
                    place -= 1
                best[place], number[place] = d, k
                worst = best[count - 1]
        for j in range(count):
            distance[n, j, p], index[n, j, p] = best[j], number[j]
        p += 1
        if p == size:
            n, p = n + 1, 0


@jit
def nearest_backward(start, stop, grad, x, colors, index, grad_x):
    """The gradient through the distances² to the colours at `index`, for the texels [start, stop) of all images.

    Returns the part of the colours' gradient, summed in double precision.
    """
    total = np.zeros(colors.shape)
    size = x.shape[2]
    n, p = start // size, start % size
    for _ in range(start, stop):
        for c in range(x.shape[1]):
            grad_x[n, c, p] = 0
        for j in range(index.shape[1]):
            k, g = index[n, j, p], 2 * grad[n, j, p]
            for c in range(x.shape[1]):
                slope = g * (x[n, c, p] - colors[k, c])
                grad_x[n, c, p] += slope
                total[k, c] -= slope
        p += 1
        if p == size:
            n, p = n + 1, 0
    return total


@jit
def blend(start, stop, weights, colors, index, out):
    """Sums of the colours at `index`, weighted, for the texels [start, stop) of all images."""
    size = weights.shape[2]
    n, p = start // size, start % size
    for _ in range(start, stop):
        for c in range(colors.shape[1]):
            out[n, c, p] = 0
        for j in range(index.shape[1]):
            k, w = index[n, j, p], weights[n, j, p]
            for c in range(colors.shape[1]):
                out[n, c, p] += w * colors[k, c]
        p += 1
        if p == size:
            n, p = n + 1, 0


@jit
def blend_backward(start, stop, grad, weights, colors, index, grad_weights):
    """The gradient through `blend`, for the texels [start, stop) of all images.

    Returns the part of the colours' gradient, summed in double precision.
    """
    total = np.zeros(colors.shape)
    size = weights.shape[2]
    n, p = start // size, start % size
    for _ in range(start, stop):
        for j in range(index.shape[1]):
            k, w, slope = index[n, j, p], weights[n, j, p], weights.dtype.type(0)
            for c in range(colors.shape[1]):
                slope += grad[n, c, p] * colors[k, c]
                total[k, c] += w * grad[n, c, p]
            grad_weights[n, j, p] = slope
        p += 1
        if p == size:
            n, p = n + 1, 0
    return total
