"""The gradient of fragments for NVIDIA GPUs; see `fragment_gradient_kernels` for what is computed, as PyTorch3D does.

A thread takes a layer of a pixel. What layers add to the corners of one face is summed in double precision.
"""

import torch
import warp as wp
from torch import Tensor

from ...core.warp import launch
from . import fragment_kernels as kernels
from .places import SMALL as SMALL_SUM
from .places import pixel_centres

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

EPSILON = wp.constant(wp.float64(kernels.EPSILON))
TINY, SMALL = wp.constant(wp.float32(kernels.EPSILON)), wp.constant(wp.float32(SMALL_SUM))


@wp.func
def foot(px: float, py: float, p: wp.vec3, q: wp.vec3):
    """Where on the segment from p to q the nearest point lies: 0 at p, 1 at q."""
    dx = q[0] - p[0]
    dy = q[1] - p[1]
    length = dx * dx + dy * dy
    t = float(1.0)
    if wp.float64(length) > EPSILON:
        t = (dx * (px - p[0]) + dy * (py - p[1])) / length
        if t < 0.0:
            t = 0.0
        if t > 1.0:
            t = 1.0
    return t


@wp.func
def squared_to(px: float, py: float, p: wp.vec3, q: wp.vec3, t: float):
    x = px - (p[0] + t * (q[0] - p[0]))
    y = py - (p[1] + t * (q[1] - p[1]))
    return x * x + y * y


@wp.func
def away_from(px: float, py: float, p: wp.vec3, q: wp.vec3, t: float, g: float):
    return wp.vec3(g * (p[0] + t * (q[0] - p[0]) - px), g * (p[1] + t * (q[1] - p[1]) - py), 0.0)


@wp.func
def add_to(out: wp.array3d(dtype=wp.float64), f: int, i: int, part: wp.vec3):
    for c in range(3):
        wp.atomic_add(out, f, i, c, wp.float64(part[c]))


@wp.kernel
def faces_backward(
    corners: wp.array2d(dtype=wp.vec3),
    pix: wp.array2d(dtype=wp.int64),
    xs: wp.array(dtype=wp.float32),
    ys: wp.array(dtype=wp.float32),
    perspective: bool,
    clip: bool,
    grad_zbuf: wp.array2d(dtype=wp.float32),
    grad_bary: wp.array2d(dtype=wp.vec3),
    grad_dists: wp.array2d(dtype=wp.float32),
    out: wp.array3d(dtype=wp.float64),
):
    """The gradient of a layer of a pixel; see `fragment_gradient_kernels`. Those that nobody asked for are empty."""
    pixel, k = wp.tid()
    f = int(pix[pixel, k])
    if f < 0:
        return
    px = xs[pixel % xs.shape[0]]
    py = ys[pixel / xs.shape[0] % ys.shape[0]]
    p = corners[f, 0]
    q = corners[f, 1]
    r = corners[f, 2]
    to_p = wp.vec3()
    to_q = wp.vec3()
    to_r = wp.vec3()

    # forward again: b linear in the image, u in space, w clipped
    area = wp.float32(wp.float64((r[1] - p[1]) * (q[0] - p[0]) - (r[0] - p[0]) * (q[1] - p[1])) + EPSILON)
    b0 = ((py - q[1]) * (r[0] - q[0]) - (px - q[0]) * (r[1] - q[1])) / area
    b1 = ((py - r[1]) * (p[0] - r[0]) - (px - r[0]) * (p[1] - r[1])) / area
    b2 = ((py - p[1]) * (q[0] - p[0]) - (px - p[0]) * (q[1] - p[1])) / area
    u = wp.vec3(b0, b1, b2)
    total = float(1.0)
    whole = float(1.0)
    if perspective:
        u = wp.vec3(b0 * q[2] * r[2], b1 * p[2] * r[2], b2 * p[2] * q[2])
        whole = u[0] + u[1] + u[2]
        total = wp.max(whole, TINY)
        u = wp.vec3(u[0] / total, u[1] / total, u[2] / total)
    inside = u[0] > 0.0 and u[1] > 0.0 and u[2] > 0.0

    if grad_zbuf.shape[0] > 0 or grad_bary.shape[0] > 0:
        w = u
        clipped = float(1.0)
        if clip:
            w = wp.vec3(wp.max(u[0], 0.0), wp.max(u[1], 0.0), wp.max(u[2], 0.0))
            clipped = wp.max(w[0] + w[1] + w[2], SMALL)
            w = wp.vec3(w[0] / clipped, w[1] / clipped, w[2] / clipped)
        g = wp.vec3()
        if grad_bary.shape[0] > 0:
            g = grad_bary[pixel, k]
        if grad_zbuf.shape[0] > 0:
            by_depth = grad_zbuf[pixel, k]
            g += by_depth * wp.vec3(p[2], q[2], r[2])
            to_p[2] = to_p[2] + by_depth * w[0]
            to_q[2] = to_q[2] + by_depth * w[1]
            to_r[2] = to_r[2] + by_depth * w[2]
        if clip:
            mean = float(0.0)
            if clipped > SMALL:
                mean = wp.dot(g, w)
            for c in range(3):
                if u[c] > 0.0:
                    g[c] = (g[c] - mean) / clipped
                else:
                    g[c] = 0.0
        if perspective:
            mean = float(0.0)
            if whole > TINY:
                mean = wp.dot(g, u)
            for c in range(3):
                g[c] = (g[c] - mean) / total
            to_p[2] = to_p[2] + g[1] * b1 * r[2] + g[2] * b2 * q[2]
            to_q[2] = to_q[2] + g[0] * b0 * r[2] + g[2] * b2 * p[2]
            to_r[2] = to_r[2] + g[0] * b0 * q[2] + g[1] * b1 * p[2]
            g = wp.vec3(g[0] * q[2] * r[2], g[1] * p[2] * r[2], g[2] * p[2] * q[2])
        ga = -(g[0] * b0 + g[1] * b1 + g[2] * b2) / area
        g = wp.vec3(g[0] / area, g[1] / area, g[2] / area)
        to_p[0] = to_p[0] + g[1] * (py - r[1]) + g[2] * (q[1] - py) + ga * (q[1] - r[1])
        to_p[1] = to_p[1] + g[1] * (r[0] - px) + g[2] * (px - q[0]) + ga * (r[0] - q[0])
        to_q[0] = to_q[0] + g[0] * (r[1] - py) + g[2] * (py - p[1]) + ga * (r[1] - p[1])
        to_q[1] = to_q[1] + g[0] * (px - r[0]) + g[2] * (p[0] - px) + ga * (p[0] - r[0])
        to_r[0] = to_r[0] + g[0] * (py - q[1]) + g[1] * (p[1] - py) + ga * (p[1] - q[1])
        to_r[1] = to_r[1] + g[0] * (q[0] - px) + g[1] * (px - p[0]) + ga * (q[0] - p[0])

    if grad_dists.shape[0] > 0:
        by_distance = 2.0 * grad_dists[pixel, k]
        if inside:
            by_distance = -by_distance
        t01 = foot(px, py, p, q)
        t02 = foot(px, py, p, r)
        t12 = foot(px, py, q, r)
        d01 = squared_to(px, py, p, q, t01)
        d02 = squared_to(px, py, p, r, t02)
        d12 = squared_to(px, py, q, r, t12)
        # the derivative along t vanishes: the foot is at right angles to the edge, or t is at its end
        if d02 < d01 and d02 <= d12:
            away = away_from(px, py, p, r, t02, by_distance)
            to_p += (1.0 - t02) * away
            to_r += t02 * away
        elif d12 < d01:
            away = away_from(px, py, q, r, t12, by_distance)
            to_q += (1.0 - t12) * away
            to_r += t12 * away
        else:
            away = away_from(px, py, p, q, t01, by_distance)
            to_p += (1.0 - t01) * away
            to_q += t01 * away
    add_to(out, f, 0, to_p)
    add_to(out, f, 1, to_q)
    add_to(out, f, 2, to_r)


def backward(
    corners: Tensor,
    pix: Tensor,
    grad_zbuf: Tensor | None,
    grad_bary: Tensor | None,
    grad_dists: Tensor | None,
    perspective: bool,
    clip: bool,
) -> Tensor:
    """`fragments_reference.rasterize_faces_backward_reference`, summed in double precision."""
    xs, ys = pixel_centres((pix.shape[1], pix.shape[2]), corners)
    layers = pix.shape[3]
    grads = [
        corners.new_empty((0, *shape)) if grad is None else grad.contiguous().view(-1, *shape)
        for grad, shape in ((grad_zbuf, (layers,)), (grad_bary, (layers, 3)), (grad_dists, (layers,)))
    ]
    out = torch.zeros(corners.shape, dtype=torch.float64, device=corners.device)
    seen = pix.contiguous().view(-1, layers)
    launch(faces_backward, tuple(seen.shape), corners.contiguous(), seen, xs, ys, perspective, clip, *grads, out)
    return out.to(corners.dtype)
