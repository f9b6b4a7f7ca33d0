"""CPU kernels that list the covered samples of a view; see `samples`."""

from __future__ import annotations

from ..jit import jit


@jit
def count_samples(start, stop, ids, counts):
    """Covered pixel centres in each of the rows [start, stop)."""
    for y in range(start, stop):
        n = 0
        for x in range(ids.shape[1]):
            n += ids[y, x] >= 0
        counts[y] = n


@jit
def gather_samples(start, stop, ids, faces, edges, attributes, grid, offsets, pixel, face, values):
    """Covered samples of the output rows [start, stop), pixel by pixel, with their interpolated vertex attributes.

    `ids` is `grid` times finer than the output image. `offsets[y]` is where output row y starts in the three
    results. Order within a row: output pixel, then sample row, then sample column.
    """
    width = ids.shape[1] // grid
    channels, real = attributes.shape[1], values.dtype.type
    for row in range(start, stop):
        s = offsets[row]
        for column in range(width):
            for y in range(row * grid, row * grid + grid):
                for x in range(column * grid, column * grid + grid):
                    f = ids[y, x]
                    if f < 0:
                        continue
                    px, py = x + 0.5, y + 0.5
                    e0 = edges[f, 0, 0] * px + (edges[f, 0, 1] * py + edges[f, 0, 2])
                    e1 = edges[f, 1, 0] * px + (edges[f, 1, 1] * py + edges[f, 1, 2])
                    e2 = edges[f, 2, 0] * px + (edges[f, 2, 1] * py + edges[f, 2, 2])
                    scale = 1.0 / (e0 + e1 + e2)
                    t0, t1, t2 = real(e0 * scale), real(e1 * scale), real(e2 * scale)
                    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
                    for c in range(channels):
                        values[s, c] = t0 * attributes[i, c] + t1 * attributes[j, c] + t2 * attributes[k, c]
                    pixel[s] = row * width + column
                    face[s] = f
                    s += 1
