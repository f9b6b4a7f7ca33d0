"""The gradient of `fragment_kernels`: see `fragments_reference`, to which it is held."""

from __future__ import annotations

from ...core.jit import jit
from .fragment_kernels import EPSILON


@jit
def faces_backward(
    start,
    stop,
    pix,
    corners,
    xs,
    ys,
    perspective,
    clip,
    tiny,
    small,
    by_depth,
    grad_zbuf,
    by_bary,
    grad_bary,
    by_distance,
    grad_dists,
    out,
):
    """Gradient to the corners of what is seen in pieces [start, stop) of the rows; piece p adds to out[p].

    The chain rule through depth, clipping, perspective, edge functions and distance, in this order. Gradients that
    nobody asked for (`by_…` false) are arrays without entries. Which face is seen, and its nearest edge, are fixed.
    """
    zero, one = tiny - tiny, tiny / tiny
    two = one + one
    images, height, width, layers = pix.shape
    pieces = out.shape[0]
    for p in range(start, stop):
        for row in range(images * height * p // pieces, images * height * (p + 1) // pieces):
            image, y = row // height, row % height
            py = ys[y]
            for x in range(width):
                px = xs[x]
                for k in range(layers):
                    f = pix[image, y, x, k]
                    if f < 0:
                        break
                    x0, y0, z0 = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
                    x1, y1, z1 = corners[f, 1, 0], corners[f, 1, 1], corners[f, 1, 2]
                    x2, y2, z2 = corners[f, 2, 0], corners[f, 2, 1], corners[f, 2, 2]
                    to = out[p, f]

                    # forward again: b linear in the image, u in space, w clipped
                    area = corners.dtype.type((y2 - y0) * (x1 - x0) - (x2 - x0) * (y1 - y0) + EPSILON)
                    b0 = ((py - y1) * (x2 - x1) - (px - x1) * (y2 - y1)) / area
                    b1 = ((py - y2) * (x0 - x2) - (px - x2) * (y0 - y2)) / area
                    b2 = ((py - y0) * (x1 - x0) - (px - x0) * (y1 - y0)) / area
                    u0, u1, u2 = b0, b1, b2
                    total = one
                    if perspective:
                        t0, t1, t2 = b0 * z1 * z2, b1 * z0 * z2, b2 * z0 * z1
                        sum_t = t0 + t1 + t2
                        total = tiny if sum_t < tiny else sum_t
                        u0, u1, u2 = t0 / total, t1 / total, t2 / total
                    inside = u0 > zero and u1 > zero and u2 > zero

                    if by_depth or by_bary:
                        w0, w1, w2 = u0, u1, u2
                        sum_c = one
                        if clip:
                            w0, w1, w2 = max(w0, zero), max(w1, zero), max(w2, zero)
                            sum_c = max(w0 + w1 + w2, small)
                            w0, w1, w2 = w0 / sum_c, w1 / sum_c, w2 / sum_c
                        g0, g1, g2 = zero, zero, zero
                        if by_bary:
                            g0, g1, g2 = (
                                grad_bary[image, y, x, k, 0],
                                grad_bary[image, y, x, k, 1],
                                grad_bary[image, y, x, k, 2],
                            )
                        if by_depth:
                            g = grad_zbuf[image, y, x, k]
                            g0, g1, g2 = g0 + g * z0, g1 + g * z1, g2 + g * z2
                            to[0, 2] += g * w0
                            to[1, 2] += g * w1
                            to[2, 2] += g * w2
                        if clip:
                            g = g0 * w0 + g1 * w1 + g2 * w2 if sum_c > small else zero
                            g0 = (g0 - g) / sum_c if u0 > zero else zero
                            g1 = (g1 - g) / sum_c if u1 > zero else zero
                            g2 = (g2 - g) / sum_c if u2 > zero else zero
                        if perspective:
                            g = g0 * u0 + g1 * u1 + g2 * u2 if sum_t > tiny else zero
                            g0, g1, g2 = (g0 - g) / total, (g1 - g) / total, (g2 - g) / total
                            to[0, 2] += g1 * b1 * z2 + g2 * b2 * z1
                            to[1, 2] += g0 * b0 * z2 + g2 * b2 * z0
                            to[2, 2] += g0 * b0 * z1 + g1 * b1 * z0
                            g0, g1, g2 = g0 * z1 * z2, g1 * z0 * z2, g2 * z0 * z1
                        ga = -(g0 * b0 + g1 * b1 + g2 * b2) / area
                        g0, g1, g2 = g0 / area, g1 / area, g2 / area
                        to[0, 0] += g1 * (py - y2) + g2 * (y1 - py) + ga * (y1 - y2)
                        to[0, 1] += g1 * (x2 - px) + g2 * (px - x1) + ga * (x2 - x1)
                        to[1, 0] += g0 * (y2 - py) + g2 * (py - y0) + ga * (y2 - y0)
                        to[1, 1] += g0 * (px - x2) + g2 * (x0 - px) + ga * (x0 - x2)
                        to[2, 0] += g0 * (py - y1) + g1 * (y0 - py) + ga * (y0 - y1)
                        to[2, 1] += g0 * (x1 - px) + g1 * (px - x0) + ga * (x1 - x0)

                    if by_distance:
                        g = two * grad_dists[image, y, x, k]
                        g = -g if inside else g
                        d01, t01 = _edge_place(px, py, x0, y0, x1, y1, zero, one)
                        d02, t02 = _edge_place(px, py, x0, y0, x2, y2, zero, one)
                        d12, t12 = _edge_place(px, py, x1, y1, x2, y2, zero, one)
                        i, j, t = 0, 1, t01
                        if d02 < d01 and d02 <= d12:
                            i, j, t = 0, 2, t02
                        elif d12 < d01:
                            i, j, t = 1, 2, t12
                        # the derivative along t vanishes: the foot is at right angles to the edge, or t is at its end
                        for c in range(2):
                            a, e = corners[f, i, c], corners[f, j, c]
                            away = g * (a + t * (e - a) - (py if c else px))
                            to[i, c] += (one - t) * away
                            to[j, c] += t * away


@jit
def _edge_place(px, py, x0, y0, x1, y1, zero, one):
    """Squared distance of (px, py) to a segment, and where its nearest point lies: 0 at the start, 1 at the end."""
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    t = one
    if length > EPSILON:
        t = (dx * (px - x0) + dy * (py - y0)) / length
        t = zero if t < zero else t
        t = one if one < t else t
    x, y = px - (x0 + t * dx), py - (y0 + t * dy)
    return x * x + y * y, t
