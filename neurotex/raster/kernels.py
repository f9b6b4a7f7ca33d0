"""The hot loops on CPU, compiled by numba and cached on disk.

Each stands beside a torch reference that says the same in tensor language; a test holds the two together. Kernels
work on `start <= i < stop` of their outermost loop and release the GIL, so that `threads.parallel_for` can share
them among cores. Decisions about coverage are made in float64 by kernel and reference alike: they agree to the bit.
"""

from __future__ import annotations

import numba
import numpy as np

_jit = numba.njit(nogil=True, cache=True, error_model="numpy")
# may fuse a multiplication and an addition into one rounding: for sums, never for decisions about coverage
_jit_fused = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})

BAND = 16  # rows of the image that one task owns; small enough that its depth rows stay in the L1/L2 cache


@_jit
def setup_faces(start, stop, screen, faces, height, width, edges, boxes):
    """Edge functions and bounding boxes of faces [start, stop) in one view.

    `edges[f]` holds the rows of the adjugate of the face's matrix of homogeneous pixel coordinates (Olano and
    Greer 1997): e_i(x, y) = a_i x + b_i y + c_i, signed so that all three are >= 0 inside a face in front of the
    camera. `boxes[f]` is (x0, x1, y0, y1), half open; empty for a face that cannot be seen.
    """
    for f in range(start, stop):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        x0, y0, w0 = np.float64(screen[a, 0]), np.float64(screen[a, 1]), np.float64(screen[a, 3])
        x1, y1, w1 = np.float64(screen[b, 0]), np.float64(screen[b, 1]), np.float64(screen[b, 3])
        x2, y2, w2 = np.float64(screen[c, 0]), np.float64(screen[c, 1]), np.float64(screen[c, 3])
        boxes[f, 0] = boxes[f, 1] = boxes[f, 2] = boxes[f, 3] = 0
        a0, b0, c0 = y1 * w2 - y2 * w1, x2 * w1 - x1 * w2, x1 * y2 - x2 * y1
        a1, b1, c1 = y2 * w0 - y0 * w2, x0 * w2 - x2 * w0, x2 * y0 - x0 * y2
        a2, b2, c2 = y0 * w1 - y1 * w0, x1 * w0 - x0 * w1, x0 * y1 - x1 * y0
        det = x0 * a0 + y0 * b0 + w0 * c0
        if not (det != 0.0 and np.isfinite(det)):  # seen edge on, degenerate, or not a number
            continue
        if w0 <= 0.0 and w1 <= 0.0 and w2 <= 0.0:
            continue
        sign = 1.0 if det > 0.0 else -1.0
        edges[f, 0, 0], edges[f, 0, 1], edges[f, 0, 2] = sign * a0, sign * b0, sign * c0
        edges[f, 1, 0], edges[f, 1, 1], edges[f, 1, 2] = sign * a1, sign * b1, sign * c1
        edges[f, 2, 0], edges[f, 2, 1], edges[f, 2, 2] = sign * a2, sign * b2, sign * c2
        if w0 > 0.0 and w1 > 0.0 and w2 > 0.0:
            u0, u1, u2 = x0 / w0, x1 / w1, x2 / w2
            v0, v1, v2 = y0 / w0, y1 / w1, y2 / w2
            # a pixel's centre is at +0.5, hence the half-pixel shift of the box
            boxes[f, 0] = np.int32(min(max(np.ceil(min(u0, u1, u2) - 0.5), 0.0), np.float64(width)))
            boxes[f, 1] = np.int32(min(max(np.floor(max(u0, u1, u2) - 0.5) + 1.0, 0.0), np.float64(width)))
            boxes[f, 2] = np.int32(min(max(np.ceil(min(v0, v1, v2) - 0.5), 0.0), np.float64(height)))
            boxes[f, 3] = np.int32(min(max(np.floor(max(v0, v1, v2) - 0.5) + 1.0, 0.0), np.float64(height)))
        else:  # it passes behind the camera: its projection is unbounded, the edge functions still hold
            boxes[f, 1], boxes[f, 3] = width, height


@_jit
def z_buffer(start, stop, screen, faces, edges, boxes, near, ids, depth):
    """Nearest face at every pixel centre, bands [start, stop) of one view; the lower index wins an exact tie."""
    height, width = ids.shape
    top, bottom = start * BAND, min(stop * BAND, height)
    for band in range(top, bottom, BAND):
        band_end = min(band + BAND, bottom)
        for y in range(band, band_end):
            for x in range(width):
                ids[y, x] = -1
                depth[y, x] = np.inf
        for f in range(faces.shape[0]):
            y0, y1 = max(boxes[f, 2], band), min(boxes[f, 3], band_end)
            if y0 >= y1:
                continue
            x0, x1 = boxes[f, 0], boxes[f, 1]
            a0, b0, c0 = edges[f, 0, 0], edges[f, 0, 1], edges[f, 0, 2]
            a1, b1, c1 = edges[f, 1, 0], edges[f, 1, 1], edges[f, 1, 2]
            a2, b2, c2 = edges[f, 2, 0], edges[f, 2, 1], edges[f, 2, 2]
            d0 = np.float64(screen[faces[f, 0], 2])
            d1 = np.float64(screen[faces[f, 1], 2])
            d2 = np.float64(screen[faces[f, 2], 2])
            for y in range(y0, y1):
                py = y + 0.5
                r0, r1, r2 = b0 * py + c0, b1 * py + c1, b2 * py + c2
                inside = False
                for x in range(x0, x1):
                    px = x + 0.5
                    e0 = a0 * px + r0
                    e1 = a1 * px + r1
                    e2 = a2 * px + r2
                    if e0 >= 0.0 and e1 >= 0.0 and e2 >= 0.0:
                        inside = True
                        total = e0 + e1 + e2
                        if total > 0.0:
                            z = np.float32((e0 * d0 + e1 * d1 + e2 * d2) / total)
                            if z >= near and z < depth[y, x]:
                                depth[y, x] = z
                                ids[y, x] = f
                    elif inside:  # edge functions are monotonous, rounding included: a row of a face is one run
                        break


@_jit
def count_samples(start, stop, ids, counts):
    """Covered pixel centres in each of the rows [start, stop)."""
    for y in range(start, stop):
        n = 0
        for x in range(ids.shape[1]):
            n += ids[y, x] >= 0
        counts[y] = n


@_jit
def gather_samples(start, stop, ids, faces, edges, attributes, grid, offsets, pixel, face, values):
    """Covered samples of the output rows [start, stop), pixel by pixel, with their interpolated vertex attributes.

    `ids` is `grid` times finer than the output image. `offsets[y]` is where output row y starts in the three
    results. Order within a row: output pixel, then sample row, then sample column.
    """
    width = ids.shape[1] // grid
    channels, real = attributes.shape[1], values.dtype.type
    for row in range(start, stop):
        s = offsets[row]
        for column in range(width):
            for y in range(row * grid, row * grid + grid):
                for x in range(column * grid, column * grid + grid):
                    f = ids[y, x]
                    if f < 0:
                        continue
                    px, py = x + 0.5, y + 0.5
                    e0 = edges[f, 0, 0] * px + (edges[f, 0, 1] * py + edges[f, 0, 2])
                    e1 = edges[f, 1, 0] * px + (edges[f, 1, 1] * py + edges[f, 1, 2])
                    e2 = edges[f, 2, 0] * px + (edges[f, 2, 1] * py + edges[f, 2, 2])
                    scale = 1.0 / (e0 + e1 + e2)
                    t0, t1, t2 = real(e0 * scale), real(e1 * scale), real(e2 * scale)
                    i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
                    for c in range(channels):
                        values[s, c] = t0 * attributes[i, c] + t1 * attributes[j, c] + t2 * attributes[k, c]
                    pixel[s] = row * width + column
                    face[s] = f
                    s += 1


@_jit
def bilinear_taps(start, stop, uv, texture, first, shape, repeat, index, weight):
    """Texels and weights of bilinear lookup at samples [start, stop); see `textures.bilinear_taps`."""
    for s in range(start, stop):
        t = texture[s]
        height, width = shape[t, 0], shape[t, 1]
        x, y = uv[s, 0] * width - uv.dtype.type(0.5), (1 - uv[s, 1]) * height - uv.dtype.type(0.5)
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        i0, j0 = np.int64(x0), np.int64(y0)
        i1, j1 = i0 + 1, j0 + 1
        if repeat[t]:
            i0, i1, j0, j1 = i0 % width, i1 % width, j0 % height, j1 % height
        else:
            i0, i1 = min(max(i0, 0), width - 1), min(max(i1, 0), width - 1)
            j0, j1 = min(max(j0, 0), height - 1), min(max(j1, 0), height - 1)
        base = first[t]
        index[s, 0], index[s, 1] = base + j0 * width + i0, base + j0 * width + i1
        index[s, 2], index[s, 3] = base + j1 * width + i0, base + j1 * width + i1
        weight[s, 0], weight[s, 1] = (1 - fy) * (1 - fx), (1 - fy) * fx
        weight[s, 2], weight[s, 3] = fy * (1 - fx), fy * fx


@_jit
def gather_texels(start, stop, texels, index, weight, out):
    """Weighted sums of texels for samples [start, stop)."""
    for s in range(start, stop):
        for c in range(out.shape[1]):
            out[s, c] = 0
        for t in range(index.shape[1]):
            for c in range(out.shape[1]):
                out[s, c] += weight[s, t] * texels[index[s, t], c]


@_jit
def merge_taps(start, stop, first, index, weight, light, columns, values, lengths):
    """Sum the texel taps of each pixel's samples into one sparse row; rows [start, stop).

    Row r owns the samples `first[r] : first[r + 1]`; a tap's entry is weight · light. Entries go to `columns` and
    `values` from `first[r] * taps` on, an upper bound of their number; `lengths[r]` says how many there are.
    """
    taps, channels = index.shape[1], values.shape[1]
    for row in range(start, stop):
        base = first[row] * taps
        n = 0
        for s in range(first[row], first[row + 1]):
            for t in range(taps):
                w = weight[s, t]
                if w == 0.0:
                    continue
                column = index[s, t]
                # neighbouring samples hit the texels that were added last: look backwards
                k = n - 1
                while k >= 0 and columns[base + k] != column:
                    k -= 1
                if k < 0:
                    k = n
                    columns[base + k] = column
                    for c in range(channels):
                        values[base + k, c] = 0.0
                    n += 1
                for c in range(channels):
                    values[base + k, c] += w * light[s, c]
        lengths[row] = n


@_jit
def compact_rows(start, stop, first, taps, pointers, columns, values, out_columns, out_values):
    """Close the gaps that `merge_taps` leaves between rows [start, stop)."""
    for row in range(start, stop):
        base = first[row] * taps
        target = pointers[row]
        for k in range(pointers[row + 1] - target):
            out_columns[target + k] = columns[base + k]
            for c in range(values.shape[1]):
                out_values[target + k, c] = values[base + k, c]


@_jit
def transpose_csr(pointers, columns, values, out_pointers, out_columns, out_values):
    """Compressed rows of the transposed matrix by a counting sort over columns."""
    for k in range(columns.shape[0]):
        out_pointers[columns[k] + 1] += 1
    for c in range(out_pointers.shape[0] - 1):
        out_pointers[c + 1] += out_pointers[c]
    cursor = out_pointers[:-1].copy()
    for row in range(pointers.shape[0] - 1):
        for k in range(pointers[row], pointers[row + 1]):
            target = cursor[columns[k]]
            cursor[columns[k]] = target + 1
            out_columns[target] = row
            for c in range(values.shape[1]):
                out_values[target, c] = values[k, c]


@_jit_fused
def csr_product(start, stop, pointers, columns, values, x, out):
    """out[rows] = matrix[rows] @ x for rows [start, stop); x and out are (…, 3), one value for all channels.

    `columns` come as uint32: a signed index would be tested for wrap-around at every entry.
    """
    for row in range(start, stop):
        s0 = s1 = s2 = x[0, 0] * 0
        for k in range(pointers[row], pointers[row + 1]):
            c = columns[k]
            v = values[k, 0]
            s0 += v * x[c, 0]
            s1 += v * x[c, 1]
            s2 += v * x[c, 2]
        out[row, 0] = s0
        out[row, 1] = s1
        out[row, 2] = s2


@_jit_fused
def csr_product_rgb(start, stop, pointers, columns, values, x, out):
    """As `csr_product`, with a value of its own for each of the three channels (lights of differing colours)."""
    for row in range(start, stop):
        s0 = s1 = s2 = x[0, 0] * 0
        for k in range(pointers[row], pointers[row + 1]):
            c = columns[k]
            s0 += values[k, 0] * x[c, 0]
            s1 += values[k, 1] * x[c, 1]
            s2 += values[k, 2] * x[c, 2]
        out[row, 0] = s0
        out[row, 1] = s1
        out[row, 2] = s2
