"""CPU kernels of the search for the coefficients of a JPEG; see `coefficients`."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit


@jit
def to_bytes(luma, blue, red, out):
    """R, G, B as libjpeg makes them of a texel's planes (around 0): those become whole bytes first."""
    y = min(max(np.rint(luma), -128.0), 127.0) + 128.0
    b = min(max(np.rint(blue), -128.0), 127.0)
    r = min(max(np.rint(red), -128.0), 127.0)
    out[0] = int(min(max(np.rint(y + 1.402 * r), 0.0), 255.0))
    out[1] = int(min(max(np.rint(y - 0.344136286 * b - 0.714136286 * r), 0.0), 255.0))
    out[2] = int(min(max(np.rint(y + 1.772 * b), 0.0), 255.0))


@jit
def seen_texels(column, top, left, height, width, places, texels):
    """Places (row, column in the patch) and numbers of the texels of a patch that some view sees; how many they are."""
    count = 0
    for i in range(max(-top, 0), min(height, column.shape[0] - top)):
        for j in range(max(-left, 0), min(width, column.shape[1] - left)):
            if column[top + i, left + j] >= 0:
                places[count, 0], places[count, 1] = i, j
                texels[count] = column[top + i, left + j]
                count += 1
    return count


@jit
def number_pixels(pointers, rows, texels, slot, pixels):
    """Number the pixels that show any of the texels, slot[pixels[n]] = n; how many they are."""
    count = 0
    for t in texels:
        for e in range(pointers[t], pointers[t + 1]):
            if slot[rows[e]] < 0:
                slot[rows[e]] = count
                pixels[count] = rows[e]
                count += 1
    return count


@jit
def lower(slope, gram, change, most):
    """Lower 2 slope · s + s · gram s over whole numbers s: up to `most` single steps, each the best; added to `change`.

    `slope` is kept up to date. Returns the number of steps.
    """
    for step in range(most):
        best, chosen = 0.0, -1
        for k in range(len(slope)):
            fall = gram[k, k] - 2.0 * abs(slope[k])
            if fall < best:
                best, chosen = fall, k
        if chosen < 0:
            return step
        sign = -1.0 if slope[chosen] > 0 else 1.0
        change[chosen] += sign
        slope += sign * gram[chosen]
    return most


@jit
def descend_coefficients(
    pointers, rows, values, weight, residual, planes, column, light, origins, plane, patch, barred, change, most
):
    """Change coefficients of one of the `planes` (3, h, w), block by block, where that lowers Σ weight · residual².

    Texel t, `column` of its place (−1: unseen), adds to the pixels `rows[e]` with `values[e]`, e from `pointers[t]` to
    `pointers[t + 1]`; `light` is what a byte decodes to. Block b begins at `origins[b]`; a step of its coefficient k
    adds `patch[:, :, k]` there, unless it is `barred[b, k]`. Steps, at most `most` a visit, are chosen by a quadratic
    around the present bytes, and taken together if the sum itself, with clipping and rounding, is the lower for it.
    `planes`, `residual` and `change` (blocks, coefficients), the steps taken, are kept up to date. Returns by how much
    the sum fell.
    """
    height, width, count = patch.shape
    separate = values.shape[1] > 1
    weights = np.array([[1.0, 1.0, 1.0], [0.0, -0.344136286, 1.772], [1.402, -0.714136286, 0.0]])[plane]
    places, texels = np.empty((height * width, 2), np.int64), np.empty(height * width, np.int64)
    slot, pixels = np.full(len(residual), -1, np.int32), np.empty(len(residual), np.int32)
    mix = np.empty((0, 3, count), values.dtype)
    gram, slope, taken = np.empty((count, count)), np.empty(count), np.empty(count)
    before, after = np.empty(3, np.int64), np.empty(3, np.int64)
    fallen = 0.0
    for b in range(len(origins)):
        top, left = origins[b]
        seen = seen_texels(column, top, left, height, width, places, texels)
        shown = number_pixels(pointers, rows, texels[:seen], slot, pixels)
        if shown > len(mix):
            mix = np.empty((2 * shown, 3, count), values.dtype)
        mix[:shown] = 0
        for q in range(seen):
            i, j = places[q]
            y, x = top + i, left + j
            to_bytes(planes[0, y, x], planes[1, y, x], planes[2, y, x], before)
            for c in range(3):
                bright, dark = light[min(before[c] + 1, 255)], light[max(before[c] - 1, 0)]
                one = (bright - dark) / 2 * weights[c]
                for e in range(pointers[texels[q]], pointers[texels[q] + 1]):
                    s, a = slot[rows[e]], values[e, c if separate else 0] * one
                    for k in range(count):
                        mix[s, c, k] += a * patch[i, j, k]
        gram[:], slope[:], taken[:] = 0, 0, 0
        for s in range(shown):
            for c in range(3):
                w, r = weight[pixels[s], c], residual[pixels[s], c]
                for k in range(count):
                    pull = w * mix[s, c, k]
                    slope[k] += pull * r
                    for j in range(k + 1):
                        gram[k, j] += pull * mix[s, c, j]
        for k in range(count):
            gram[:k, k] = gram[k, :k]
        for k in range(count):
            if barred[b, k]:
                gram[k, k], slope[k] = np.inf, 0.0
        if lower(slope, gram, taken, most):
            mix[:shown, :, 0] = 0  # from here on: how the light of each pixel changes
            for q in range(seen):
                i, j = places[q]
                y, x = top + i, left + j
                to_bytes(planes[0, y, x], planes[1, y, x], planes[2, y, x], before)
                old = planes[plane, y, x]
                planes[plane, y, x] += np.sum(taken * patch[i, j])
                to_bytes(planes[0, y, x], planes[1, y, x], planes[2, y, x], after)
                planes[plane, y, x] = old
                for c in range(3):
                    moved = light[after[c]] - light[before[c]]
                    for e in range(pointers[texels[q]], pointers[texels[q] + 1]):
                        mix[slot[rows[e]], c, 0] += values[e, c if separate else 0] * moved
            total = 0.0
            for s in range(shown):
                for c in range(3):
                    moved = mix[s, c, 0]
                    total += weight[pixels[s], c] * moved * (2 * residual[pixels[s], c] + moved)
            if total < 0:
                fallen -= total
                change[b] += taken
                for s in range(shown):
                    for c in range(3):
                        residual[pixels[s], c] += mix[s, c, 0]
                for i in range(max(-top, 0), min(height, planes.shape[1] - top)):
                    for j in range(max(-left, 0), min(width, planes.shape[2] - left)):
                        planes[plane, top + i, left + j] += np.sum(taken * patch[i, j])
        for s in range(shown):
            slot[pixels[s]] = -1
    return fallen
