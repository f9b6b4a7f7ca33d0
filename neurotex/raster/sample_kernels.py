"""CPU kernels that list the covered samples of a view; see `samples`."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit, jit_simd
from .zbuffer_kernels import edge_functions


@jit
def count_samples(start, stop, ids, counts):
    """Covered pixel centres in each of the rows [start, stop)."""
    for y in range(start, stop):
        n = 0
        for x in range(ids.shape[1]):
            n += ids[y, x] >= 0
        counts[y] = n


@jit_simd
def gather_samples(
    start, stop, ids, screen, faces, attributes, grid, top, offsets, pixel, face, values, derivatives, barycentrics
):
    """Covered samples of the output rows [start, stop), pixel by pixel, with their interpolated vertex attributes.

    The leading attributes, as many as `derivatives` has columns, are also differentiated by x and y; see
    `samples.barycentric_derivatives`. `barycentrics` has three columns, or none if they are not wanted.

    `ids` is `grid` times finer than the output image, and begins with row number `top`. `offsets[y]` is where output
    row y starts in the results. Order within a row: output pixel, then sample row, then sample column.
    """
    width = ids.shape[1] // grid
    channels, columns, real = attributes.shape[1], derivatives.shape[1], values.dtype.type
    placed = barycentrics.shape[1] > 0
    last = -1  # neighbours often see the same face: its edge functions and corners are kept
    a0 = b0 = c0 = a1 = b1 = c1 = a2 = b2 = c2 = 0.0
    corner = np.empty((3, channels), attributes.dtype)
    for row in range(start, stop):
        s = offsets[row]
        for column in range(width):
            for y in range(row * grid, row * grid + grid):
                for x in range(column * grid, column * grid + grid):
                    f = ids[y, x]
                    if f < 0:
                        continue
                    if f != last:
                        a0, b0, c0, a1, b1, c1, a2, b2, c2, _ = edge_functions(screen, faces, f)
                        for i in range(3):
                            for c in range(channels):
                                corner[i, c] = attributes[faces[f, i], c]
                        last = f
                    px, py = x + 0.5, y + top + 0.5
                    e0 = a0 * px + (b0 * py + c0)
                    e1 = a1 * px + (b1 * py + c1)
                    e2 = a2 * px + (b2 * py + c2)
                    scale = 1.0 / (e0 + e1 + e2)
                    t0, t1, t2 = real(e0 * scale), real(e1 * scale), real(e2 * scale)
                    row_of_values = values[s]
                    for c in range(channels):
                        row_of_values[c] = t0 * corner[0, c] + t1 * corner[1, c] + t2 * corner[2, c]
                    if placed:
                        barycentrics[s, 0], barycentrics[s, 1], barycentrics[s, 2] = t0, t1, t2
                    if columns > 0:
                        mean_a, mean_b = (a0 + a1 + a2) * scale, (b0 + b1 + b2) * scale
                        x0, y0 = real((a0 - e0 * mean_a) * scale), real((b0 - e0 * mean_b) * scale)
                        x1, y1 = real((a1 - e1 * mean_a) * scale), real((b1 - e1 * mean_b) * scale)
                        x2, y2 = real((a2 - e2 * mean_a) * scale), real((b2 - e2 * mean_b) * scale)
                        for c in range(columns):
                            v0, v1, v2 = corner[0, c], corner[1, c], corner[2, c]
                            derivatives[s, c, 0] = x0 * v0 + x1 * v1 + x2 * v2
                            derivatives[s, c, 1] = y0 * v0 + y1 * v1 + y2 * v2
                    pixel[s] = row * width + column
                    face[s] = f
                    s += 1
