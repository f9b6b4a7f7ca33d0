"""CPU kernels between lists of pixels and images; see `pixels`."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit


@jit
def place_pixels(start, stop, colour, alpha, pixel, out):
    """Pixels [start, stop) of the image."""
    k = np.searchsorted(pixel, start)
    for p in range(start, stop):
        if k < len(pixel) and pixel[k] == p:
            for c in range(3):
                out[p, c] = colour[k, c]
            out[p, 3] = alpha[k]
            k += 1
        else:
            for c in range(4):
                out[p, c] = 0


@jit
def pick_pixels(start, stop, image, pixel, out):
    """Colours of the pixels number [start, stop) in the list; the last channel is not a colour."""
    for k in range(start, stop):
        for c in range(3):
            out[k, c] = image[pixel[k], c]
        out[k, 3] = 0
