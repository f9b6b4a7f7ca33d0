"""Blocks as bytes: what the file holds, encoded and decoded."""

from __future__ import annotations

import numpy as np

from ...core.jit import jit
from .code_kernels import EIGHT, FOUR, SIX, THREE, F, fill_all, nearest, scratch
from .search_kernels import search_colours, search_levels


@jit
def load(x, image, row, column, first, size, texels):
    """Reads a block on the scale of bytes; beyond the border its texels are repeated. NaN reads as 0."""
    height, width = x.shape[2], x.shape[3]
    for c in range(texels.shape[0]):
        for t in range(size):
            v = F(x[image, first + c, min(4 * row + t // 4, height - 1), min(4 * column + t % 4, width - 1)])
            texels[c, t] = F(255) * min(v, F(1)) if v > 0 else F(0)


@jit
def put(blocks, image, block, byte, value, count):
    """Writes `count` bytes, the lowest first."""
    for k in range(count):
        blocks[image, block, byte + k] = (value >> (8 * k)) & 255


@jit
def get(blocks, image, block, byte, count):
    """Reads `count` bytes, the lowest first."""
    value = 0
    for k in range(count):
        value |= np.int64(blocks[image, block, byte + k]) << (8 * k)
    return value


@jit
def in_order(ends, first_larger, a, b):
    """Exchanges the ends, whose bits together are a and b, if they do not say their mode; returns a and b."""
    if a != b and (a > b) != first_larger:
        for c in range(ends.shape[1]):
            ends[0, c], ends[1, c] = ends[1, c], ends[0, c]
        return b, a
    return a, b


@jit
def encode_colours(start, stop, x, blocks, byte, choice, holes, size):
    """Encodes the first three channels of blocks [start, stop), of all images one after the other; `size` is 16.

    With `choice`, the order of the ends says the mode: four or three colours. With `holes`, texels whose fourth channel
    is below a half are left out and take the fourth code beside three.
    """
    w, alpha = scratch(3), np.zeros((1, 16), F)
    place = np.zeros(16, np.int64)
    columns, per_image = (x.shape[3] + 3) // 4, blocks.shape[1]
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        load(x, image, row, column, 0, size, w.x)
        n = size
        if holes:
            load(x, image, row, column, 3, size, alpha)
            n = 0
            for t in range(size):
                if alpha[0, t] >= F(127.5):
                    w.x[0, n], w.x[1, n], w.x[2, n] = w.x[0, t], w.x[1, t], w.x[2, t]
                    place[n] = t
                    n += 1
        if n == 0:
            put(blocks, image, block, byte, 0, 4)
            put(blocks, image, block, byte + 4, 0xFFFFFFFF, 4)
            continue
        mode = search_colours(w, n, 0 if n == size else 1, 1 if choice else 0)
        a = (w.ends[0, 0] << 11) | (w.ends[0, 1] << 5) | w.ends[0, 2]
        b = (w.ends[1, 0] << 11) | (w.ends[1, 1] << 5) | w.ends[1, 2]
        a, b = in_order(w.ends, mode == FOUR, a, b)
        nearest(w.x, n, w.colours, fill_all(w.ends, mode, w.colours), w.code, w.distance)
        bits = 0
        if n == size:
            for t in range(n):
                bits |= np.int64(w.code[t]) << (2 * t)
        else:
            bits = 0xFFFFFFFF
            for t in range(n):
                bits ^= np.int64(3 - w.code[t]) << (2 * place[t])
        put(blocks, image, block, byte, a | (b << 16), 4)
        put(blocks, image, block, byte + 4, bits, 4)


@jit
def encode_levels(start, stop, x, channel, blocks, byte, size):
    """Encodes one channel of blocks [start, stop), of all images one after the other; `size` is 16."""
    w = scratch(1)
    columns, per_image = (x.shape[3] + 3) // 4, blocks.shape[1]
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        load(x, image, block // columns, block % columns, channel, size, w.x)
        mode = search_levels(w, size)
        a, b = in_order(w.ends, mode == EIGHT, w.ends[0, 0], w.ends[1, 0])
        nearest(w.x, size, w.colours, fill_all(w.ends, mode, w.colours), w.code, w.distance)
        bits = 0
        for t in range(size):
            bits |= np.int64(w.code[t]) << (3 * t)
        put(blocks, image, block, byte, a | (b << 8) | (bits << 16), 8)


@jit
def read_colours(blocks, image, block, byte, choice, ends, colours):
    """Ends and colours of a block; returns how many of the codes are colours: the fourth beside three is black."""
    for e in range(2):
        end = get(blocks, image, block, byte + 2 * e, 2)
        ends[e, 0], ends[e, 1], ends[e, 2] = end >> 11, (end >> 5) & 63, end & 31
    four = not choice or get(blocks, image, block, byte, 2) > get(blocks, image, block, byte + 2, 2)
    colours[3, 0] = colours[3, 1] = colours[3, 2] = F(0)
    return fill_all(ends, FOUR if four else THREE, colours)


@jit
def read_levels(blocks, image, block, byte, ends, levels):
    """Ends and levels of a block; returns 8, how many there are."""
    ends[0, 0], ends[1, 0] = blocks[image, block, byte], blocks[image, block, byte + 1]
    return fill_all(ends, EIGHT if ends[0, 0] > ends[1, 0] else SIX, levels)


@jit
def decode(start, stop, blocks, byte, first, channels, choice, out):
    """Decodes blocks [start, stop) into `channels` (1 or 3) of `out` from number `first` on.

    The fourth channel of a choice between three and four colours tells holes; it is `out`'s fourth, if that has one.
    """
    w, per_image = scratch(channels), blocks.shape[1]
    height, width = out.shape[2], out.shape[3]
    columns, depth = (width + 3) // 4, 2 if channels == 3 else 3
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        if channels == 3:
            codes = read_colours(blocks, image, block, byte, choice, w.ends, w.colours)
        else:
            codes = read_levels(blocks, image, block, byte, w.ends, w.colours)
        bits = get(blocks, image, block, byte + (4 if channels == 3 else 2), 2 * depth)
        for t in range(16):
            y, z = 4 * row + t // 4, 4 * column + t % 4
            if y < height and z < width:
                code = (bits >> (depth * t)) & ((1 << depth) - 1)
                for c in range(channels):
                    out[image, first + c, y, z] = np.uint8(w.colours[code, c])
                if choice and out.shape[1] == 4:
                    out[image, 3, y, z] = 255 if code < codes else 0
