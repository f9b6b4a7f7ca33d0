"""The smooth relative of decoding: means of the colours of codes, weighted by how near a texel is to each."""

from __future__ import annotations

import numpy as np

from ...core.jit import jit
from .byte_kernels import read_colours, read_levels
from .code_kernels import scratch


@jit
def weigh(x, image, y, z, first, channels, colours, codes, temperature, weight):
    """softmax(−|x − c_k|² / T) of one texel over the codes; colours on the scale of bytes."""
    least = np.inf
    for k in range(codes):
        square = 0.0
        for c in range(channels):
            apart = x[image, first + c, y, z] - np.float64(colours[k, c]) / 255
            square += apart * apart
        weight[k] = square
        least = min(least, square)
    total = 0.0
    for k in range(codes):
        weight[k] = np.exp((least - weight[k]) / temperature)
        total += weight[k]
    for k in range(codes):
        weight[k] /= total


@jit
def soft(start, stop, x, blocks, byte, first, channels, choice, temperature, grad, out):
    """Mean colours of blocks [start, stop), or with `grad` (else of no images) its product with their derivative.

    That is (2 / T) Σ w_k c_k (c_k − mean)ᵀ, which is symmetric. See `block_compress` for holes.
    """
    w, per_image = scratch(channels), blocks.shape[1]
    weight, mean = np.zeros(8), np.zeros(3)
    height, width = x.shape[2], x.shape[3]
    columns, backward = (width + 3) // 4, len(grad) > 0
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        if channels == 3:
            codes = read_colours(blocks, image, block, byte, choice, w.ends, w.colours)
        else:
            codes = read_levels(blocks, image, block, byte, w.ends, w.colours)
        holes = choice and codes == 3 and x.shape[1] == 4
        for y in range(4 * row, min(4 * row + 4, height)):
            for z in range(4 * column, min(4 * column + 4, width)):
                weigh(x, image, y, z, first, channels, w.colours, codes, temperature, weight)
                for c in range(channels):
                    mean[c] = 0.0
                    for k in range(codes):
                        mean[c] += weight[k] * w.colours[k, c] / 255
                solid = 1 / (1 + np.exp((1 - 2 * x[image, 3, y, z]) / temperature)) if holes else 1.0
                if not backward:
                    for c in range(channels):
                        out[image, first + c, y, z] = solid * mean[c]
                    if choice and x.shape[1] == 4:
                        out[image, 3, y, z] = solid
                    continue
                for c in range(channels):
                    out[image, first + c, y, z] = 0
                for k in range(codes):
                    along = 0.0
                    for c in range(channels):
                        along += (w.colours[k, c] / 255 - mean[c]) * grad[image, first + c, y, z]
                    along *= 2 / temperature * weight[k] * solid
                    for c in range(channels):
                        out[image, first + c, y, z] += along * (w.colours[k, c] / 255 - mean[c])
                if choice and x.shape[1] == 4:
                    along = grad[image, 3, y, z]
                    for c in range(3):
                        along += grad[image, c, y, z] * mean[c]
                    out[image, 3, y, z] = along * 2 / temperature * solid * (1 - solid)
