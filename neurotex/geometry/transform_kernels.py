"""CPU kernels of `transforms`."""

from __future__ import annotations

from ..core.jit import jit


@jit
def transform(start, stop, points, matrix, out):
    """Rows [start, stop) of `transforms.transform`."""
    for i in range(start, stop):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for c in range(matrix.shape[1]):
            out[i, c] = ((x * matrix[0, c] + y * matrix[1, c]) + z * matrix[2, c]) + matrix[3, c]
