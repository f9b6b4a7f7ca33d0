"""CPU kernels that move texels between planes and interleaved channels; see `texels`."""

from __future__ import annotations

from ..jit import jit


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
    """planes[:, index[i]] = texels[i] for i in [start, stop)."""
    for i in range(start, stop):
        for c in range(planes.shape[0]):
            planes[c, index[i]] = texels[i, c]
