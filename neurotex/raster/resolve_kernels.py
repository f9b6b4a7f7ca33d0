"""CPU kernels that sum lit texels into pixels and spread gradients back; see `resolve`."""

from __future__ import annotations

from ..core.jit import jit_simd


@jit_simd
def resolve(start, stop, texels, first, index, weight, light, out):
    """Rows [start, stop) of the sum over samples and taps."""
    coloured, zero = light.shape[1] > 1, light.dtype.type(0)
    for row in range(start, stop):
        r0 = r1 = r2 = r3 = zero
        for s in range(first[row], first[row + 1]):
            s0 = s1 = s2 = s3 = zero
            for t in range(index.shape[1]):
                i, w = index[s, t], weight[s, t]
                s0 += w * texels[i, 0]
                s1 += w * texels[i, 1]
                s2 += w * texels[i, 2]
                s3 += w * texels[i, 3]
            l0 = l1 = l2 = l3 = light[s, 0]
            if coloured:
                l1, l2, l3 = light[s, 1], light[s, 2], zero
            r0 += l0 * s0
            r1 += l1 * s1
            r2 += l2 * s2
            r3 += l3 * s3
        out[row, 0] = r0
        out[row, 1] = r1
        out[row, 2] = r2
        out[row, 3] = r3


@jit_simd
def spread(start, stop, grad, first, index, weight, light, out):
    """Add the gradients of rows [start, stop) to the texels that they read."""
    coloured, zero = light.shape[1] > 1, light.dtype.type(0)
    for row in range(start, stop):
        g0, g1, g2, g3 = grad[row, 0], grad[row, 1], grad[row, 2], grad[row, 3]
        for s in range(first[row], first[row + 1]):
            l0 = l1 = l2 = l3 = light[s, 0]
            if coloured:
                l1, l2, l3 = light[s, 1], light[s, 2], zero
            l0 *= g0
            l1 *= g1
            l2 *= g2
            l3 *= g3
            for t in range(index.shape[1]):
                i, w = index[s, t], weight[s, t]
                out[i, 0] += w * l0
                out[i, 1] += w * l1
                out[i, 2] += w * l2
                out[i, 3] += w * l3
