"""CPU kernels that move texels between planes and interleaved channels; see `texels`."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit


@jit
def take_texels(start, stop, planes, index, out):
    """out[i] = planes[:, index[i]] for i in [start, stop), 0 in channels without a plane."""
    for i in range(start, stop):
        for c in range(planes.shape[0]):
            out[i, c] = planes[c, index[i]]
        for c in range(planes.shape[0], out.shape[1]):
            out[i, c] = 0


@jit
def put_texels(start, stop, texels, index, planes):
    """planes[:, index[i]] = texels[i], 0 elsewhere, for the texels [start, stop) of the planes."""
    first, last = np.searchsorted(index, start), np.searchsorted(index, stop)
    for c in range(planes.shape[0]):
        planes[c, start:stop] = 0
        for i in range(first, last):
            planes[c, index[i]] = texels[i, c]


@jit
def mark(start, stop, index, seen):
    """seen[index] = 1 for the rows [start, stop); threads may write the same 1."""
    for i in range(start, stop):
        for t in range(index.shape[1]):
            seen[index[i, t]] = 1


@jit
def number(seen, numbers, texel):
    """Numbers in order for what is seen, and what each number stands for; returns how many there are."""
    n = 0
    for i in range(len(seen)):
        if seen[i]:
            numbers[i] = n
            texel[n] = i
            n += 1
    return n


@jit
def renumber(start, stop, index, numbers, out):
    """out = numbers[index] for the rows [start, stop)."""
    for i in range(start, stop):
        for t in range(index.shape[1]):
            out[i, t] = numbers[index[i, t]]
