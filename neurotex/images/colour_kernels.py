"""CPU kernels of the sRGB curve in float32; see `colour` for the reference that they are held to.

Each loop has no branch and calls nothing, so the compiler turns it into vector instructions, power included.
Loops run from 0: an index that might be negative would be tested for wrap-around, and not vectorised.
"""

from __future__ import annotations

import numpy as np

from ..core.jit import jit_simd

F = np.float32
INT = np.int32


@jit_simd
def _power(x, p):
    """x ** p for normal positive float32 x, within 1e-6 of its value while |p log2 x| < 20.

    log2 by the series of atanh on [√½, √2], 2^t by its Taylor polynomial on [−½, ½]: both are below float32's rounding.
    Exponents are read and written as numbers: a float's bits are (exponent + 127 + …) · 2²³.
    """
    e = np.floor(F(F(x).view(np.int32)) * F(2.0**-23) - F(126.5))
    m = x * INT((F(127) - e) * F(2.0**23)).view(np.float32)
    t = (m - F(1)) / (m + F(1))
    s = t * t
    series = F(1) + s * (F(1 / 3) + s * (F(1 / 5) + s * (F(1 / 7) + s * F(1 / 9))))
    y = p * (e + F(2 / np.log(2)) * t * series)
    whole = np.floor(y + F(0.5))
    r = (y - whole) * F(np.log(2))
    z = F(1) + r * (F(1) + r * (F(1 / 2) + r * (F(1 / 6) + r * (F(1 / 24) + r * (F(1 / 120) + r * F(1 / 720))))))
    return INT((whole + F(127)) * F(2.0**23)).view(np.float32) * z


@jit_simd
def decode(start, stop, x, y):
    """`srgb_to_linear` of the elements [start, stop)."""
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        v = x[i]
        curve = _power(max(v, F(0.04)) * F(1 / 1.055) + F(0.055 / 1.055), F(2.4))
        # NaN and infinity pass through the square
        y[i] = v * F(1 / 12.92) if v <= F(0.04045) else (curve if v < F(1e8) else v * v)


@jit_simd
def decode_backward(start, stop, x, y, grad, out):
    """The gradient through `decode` of the elements [start, stop)."""
    x, y, grad, out = x[start:stop], y[start:stop], grad[start:stop], out[start:stop]
    for i in range(len(x)):
        v = x[i]
        slope = y[i] / (max(v, F(0.04)) * F(1 / 2.4) + F(0.055 / 2.4))
        out[i] = grad[i] * (F(1 / 12.92) if v <= F(0.04045) else slope)


@jit_simd
def encode(start, stop, x, y):
    """`linear_to_srgb` of the elements [start, stop)."""
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        v = x[i]
        curve = _power(max(v, F(0.003)), F(1 / 2.4)) * F(1.055) - F(0.055)
        y[i] = v * F(12.92) if v <= F(0.0031308) else (curve if v < F(1e30) else v)


@jit_simd
def encode_backward(start, stop, x, y, grad, out):
    """The gradient through `encode` of the elements [start, stop)."""
    x, y, grad, out = x[start:stop], y[start:stop], grad[start:stop], out[start:stop]
    for i in range(len(x)):
        v = x[i]
        slope = (y[i] * F(1 / 2.4) + F(0.055 / 2.4)) / max(v, F(0.003))
        out[i] = grad[i] * (F(12.92) if v <= F(0.0031308) else slope)
