"""CPU kernels of the z-buffer; see `zbuffer` for the references that they are held to.

Decisions about coverage are made in float64 by kernel and reference alike: they agree to the bit.
"""

from __future__ import annotations

import numpy as np

from ..core.jit import jit

BAND = 16  # rows of the image that one task owns; small enough that its depth rows stay in the L1/L2 cache


@jit
def edge_functions(screen, faces, f):
    """Edge functions and determinant of one face: (a0, b0, c0, a1, …, c2), signed as in `find_boxes`, and det.

    The rows of the adjugate of the matrix of homogeneous pixel coordinates (Olano and Greer 1997):
    e_i(x, y) = a_i x + b_i y + c_i, all three >= 0 inside a face in front of the camera.
    """
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    x0, y0, w0 = np.float64(screen[a, 0]), np.float64(screen[a, 1]), np.float64(screen[a, 3])
    x1, y1, w1 = np.float64(screen[b, 0]), np.float64(screen[b, 1]), np.float64(screen[b, 3])
    x2, y2, w2 = np.float64(screen[c, 0]), np.float64(screen[c, 1]), np.float64(screen[c, 3])
    a0, b0, c0 = y1 * w2 - y2 * w1, x2 * w1 - x1 * w2, x1 * y2 - x2 * y1
    a1, b1, c1 = y2 * w0 - y0 * w2, x0 * w2 - x2 * w0, x2 * y0 - x0 * y2
    a2, b2, c2 = y0 * w1 - y1 * w0, x1 * w0 - x0 * w1, x0 * y1 - x1 * y0
    det = x0 * a0 + y0 * b0 + w0 * c0
    s = 1.0 if det > 0.0 else -1.0
    return s * a0, s * b0, s * c0, s * a1, s * b1, s * c1, s * a2, s * b2, s * c2, det


@jit
def find_boxes(start, stop, screen, faces, top, height, width, boxes):
    """Pixel boxes (x0, x1, y0, y1), half open, of faces [start, stop); empty for a face that cannot be seen.

    Rows count from `top`, the first of `height` rows to be rasterised.
    """
    for f in range(start, stop):
        boxes[f, 0] = boxes[f, 1] = boxes[f, 2] = boxes[f, 3] = 0
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        w0, w1, w2 = np.float64(screen[a, 3]), np.float64(screen[b, 3]), np.float64(screen[c, 3])
        if w0 <= 0.0 and w1 <= 0.0 and w2 <= 0.0:
            continue
        if w0 > 0.0 and w1 > 0.0 and w2 > 0.0:
            u0, u1, u2 = screen[a, 0] / w0, screen[b, 0] / w1, screen[c, 0] / w2
            v0, v1, v2 = screen[a, 1] / w0, screen[b, 1] / w1, screen[c, 1] / w2
            # a pixel's centre is at +0.5, hence the half-pixel shift of the box
            x0 = np.int32(min(max(np.ceil(min(u0, u1, u2) - 0.5), 0.0), np.float64(width)))
            x1 = np.int32(min(max(np.floor(max(u0, u1, u2) - 0.5) + 1.0, 0.0), np.float64(width)))
            y0 = np.int32(min(max(np.ceil(min(v0, v1, v2) - 0.5) - top, 0.0), np.float64(height)))
            y1 = np.int32(min(max(np.floor(max(v0, v1, v2) - 0.5) + 1.0 - top, 0.0), np.float64(height)))
        else:  # it passes behind the camera: its projection is unbounded, the edge functions still hold
            x0, x1, y0, y1 = 0, width, 0, height
        if x0 >= x1 or y0 >= y1:
            continue
        det = edge_functions(screen, faces, f)[9]
        if det != 0.0 and np.isfinite(det):  # else seen edge on, degenerate, or not a number
            boxes[f, 0], boxes[f, 1], boxes[f, 2], boxes[f, 3] = x0, x1, y0, y1


@jit
def bin_faces(boxes, first, members):
    """Which faces each band meets, in ascending order: band k owns `members[first[k] : first[k + 1]]`.

    A counting sort in two calls: with `members` empty it fills `first`, an array of zeros, with the bounds; called
    again with room for `first[-1]` members it lists them.
    """
    if len(members) == 0:
        for f in range(boxes.shape[0]):
            if boxes[f, 2] < boxes[f, 3]:
                for band in range(boxes[f, 2] // BAND, (boxes[f, 3] - 1) // BAND + 1):
                    first[band + 1] += 1
        for band in range(first.shape[0] - 1):
            first[band + 1] += first[band]
        return
    cursor = first.copy()
    for f in range(boxes.shape[0]):
        if boxes[f, 2] < boxes[f, 3]:
            for band in range(boxes[f, 2] // BAND, (boxes[f, 3] - 1) // BAND + 1):
                members[cursor[band]] = f
                cursor[band] += 1


@jit
def z_buffer(start, stop, screen, faces, boxes, first, members, top, near, beyond, ids, depth):
    """Nearest face at every pixel centre, bands [start, stop) of one view; the lower index wins an exact tie.

    Only what lies beyond the depths in `beyond` counts; it may be empty.
    """
    height, width = ids.shape
    peel = len(beyond) > 0
    for band in range(start, stop):
        above, below = band * BAND, min(band * BAND + BAND, height)
        for y in range(above, below):
            for x in range(width):
                ids[y, x] = -1
                depth[y, x] = np.inf
        for k in range(first[band], first[band + 1]):
            f = members[k]
            a0, b0, c0, a1, b1, c1, a2, b2, c2, _ = edge_functions(screen, faces, f)
            d0 = np.float64(screen[faces[f, 0], 2])
            d1 = np.float64(screen[faces[f, 1], 2])
            d2 = np.float64(screen[faces[f, 2], 2])
            x0, x1 = boxes[f, 0], boxes[f, 1]
            for y in range(max(boxes[f, 2], above), min(boxes[f, 3], below)):
                py = y + top + 0.5
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
                            if z >= near and z < depth[y, x] and (not peel or z > beyond[y, x]):
                                depth[y, x] = z
                                ids[y, x] = f
                    elif inside:  # edge functions are monotonous, rounding included: a row of a face is one run
                        break
