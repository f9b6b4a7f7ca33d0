"""CPU kernels of error diffusion; see `diffusion` for the references that they are held to.

The order of additions is theirs, too: one rounding apart, a texel here and there would fall to the other side, and with
it all that follow.
"""

from __future__ import annotations

import numpy as np

from ..core.jit import jit
from .palette_kernels import find_cell, list_candidates, no_lists


@jit
def diffuse_levels(start, stop, planes, levels, index):
    """Numbers of the levels (ascending) for the planes [start, stop), each by itself."""
    height, width = planes.shape[1:]
    real = planes.dtype.type
    right, back, down, ahead = real(7 / 16), real(3 / 16), real(5 / 16), real(1 / 16)
    middles = (levels[1:] + levels[:-1]) * real(0.5)
    for plane in range(start, stop):
        here, below = np.zeros(width + 2, planes.dtype), np.zeros(width + 2, planes.dtype)
        for y in range(height):
            below[:] = 0
            step = 1 - 2 * (y % 2)
            for i in range(width):
                x = i if step == 1 else width - 1 - i
                value = planes[plane, y, x] + here[x + 1]
                low, high = 0, len(middles)
                while low < high:
                    middle = (low + high) // 2
                    if middles[middle] < value:
                        low = middle + 1
                    else:
                        high = middle
                index[plane, y, x] = low
                error = value - levels[low]
                here[x + 1 + step] += error * right
                below[x + 1 - step] += error * back
                below[x + 1] += error * down
                below[x + 1 + step] += error * ahead
            here, below = below, here


@jit
def diffuse_colors(start, stop, images, colors, index):
    """Numbers of the colours for the images [start, stop), found among the candidates of a texel's cell."""
    channels, height, width = images.shape[1:]
    real = images.dtype.type
    right, back, down, ahead = real(7 / 16), real(3 / 16), real(5 / 16), real(1 / 16)
    value = np.empty(channels, images.dtype)
    side, begin, length = no_lists(channels)
    candidates, used = np.empty(0, np.int32), 0
    for image in range(start, stop):
        here, below = np.zeros((width + 2, channels), images.dtype), np.zeros((width + 2, channels), images.dtype)
        for y in range(height):
            below[:] = 0
            step = 1 - 2 * (y % 2)
            for i in range(width):
                x = i if step == 1 else width - 1 - i
                for c in range(channels):
                    value[c] = min(max(images[image, c, y, x] + here[x + 1, c], real(0)), real(1))
                cell = find_cell(value, side)
                if begin[cell] < 0:
                    begin[cell] = used
                    candidates, used = list_candidates(cell, side, colors, 1, candidates, used)
                    length[cell] = used - begin[cell]
                best, number = real(np.inf), 0
                for j in range(begin[cell], begin[cell] + length[cell]):
                    k = candidates[j]
                    distance = (value[0] - colors[k, 0]) * (value[0] - colors[k, 0])
                    for c in range(1, channels):
                        distance += (value[c] - colors[k, c]) * (value[c] - colors[k, c])
                    if distance < best:
                        best, number = distance, k
                index[image, y, x] = number
                for c in range(channels):
                    error = value[c] - colors[number, c]
                    here[x + 1 + step, c] += error * right
                    below[x + 1 - step, c] += error * back
                    below[x + 1, c] += error * down
                    below[x + 1 + step, c] += error * ahead
            here, below = below, here
