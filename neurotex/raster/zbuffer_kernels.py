"""CPU kernels of the z-buffer; see `zbuffer` for the references that they are held to.

Decisions about coverage are made in float64 by kernel and reference alike: they agree to the bit.
"""

from __future__ import annotations

import numpy as np

from ..jit import jit

BAND = 16  # rows of the image that one task owns; small enough that its depth rows stay in the L1/L2 cache


@jit
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


@jit
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
