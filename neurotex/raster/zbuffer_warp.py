"""The z-buffer's kernels for NVIDIA GPUs; see `zbuffer`, whose reference they equal to the bit.

Faces are cut into tiles of their boxes, and threads take tiles: a large face keeps many busy. Who is nearest at a pixel
is settled by one atomic minimum of depth and face in 64 bits.
"""

import torch
import warp as wp
from torch import Tensor

from ..core.warp import lanes, launch

# coverage: every product is rounded by itself
wp.set_module_options({"enable_backward": False, "fuse_fp": False})

TILE = wp.constant(8)
NOTHING = wp.constant(wp.int64(0x7FFFFFFFFFFFFFFF))
THREADS = 1 << 18  # enough to fill any GPU; how many tiles there are stays there, so nobody waits for it

edges_type = wp.types.vector(length=10, dtype=wp.float64)


@wp.func
def edge_functions(screen: wp.array2d(dtype=wp.float32), faces: wp.array2d(dtype=wp.int32), f: int):
    """(a0, b0, c0, a1, …, c2) and the determinant; see `zbuffer_kernels.edge_functions`."""
    a = faces[f, 0]
    b = faces[f, 1]
    c = faces[f, 2]
    x0 = wp.float64(screen[a, 0])
    y0 = wp.float64(screen[a, 1])
    w0 = wp.float64(screen[a, 3])
    x1 = wp.float64(screen[b, 0])
    y1 = wp.float64(screen[b, 1])
    w1 = wp.float64(screen[b, 3])
    x2 = wp.float64(screen[c, 0])
    y2 = wp.float64(screen[c, 1])
    w2 = wp.float64(screen[c, 3])
    a0 = y1 * w2 - y2 * w1
    b0 = x2 * w1 - x1 * w2
    c0 = x1 * y2 - x2 * y1
    a1 = y2 * w0 - y0 * w2
    b1 = x0 * w2 - x2 * w0
    c1 = x2 * y0 - x0 * y2
    a2 = y0 * w1 - y1 * w0
    b2 = x1 * w0 - x0 * w1
    c2 = x0 * y1 - x1 * y0
    det = x0 * a0 + y0 * b0 + w0 * c0
    s = wp.where(det > wp.float64(0.0), wp.float64(1.0), wp.float64(-1.0))
    return edges_type(s * a0, s * b0, s * c0, s * a1, s * b1, s * c1, s * a2, s * b2, s * c2, det)


@wp.kernel
def find_boxes(
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    top: int,
    height: int,
    width: int,
    boxes: wp.array(dtype=wp.vec4i),
    tiles: wp.array(dtype=wp.int64),
):
    """Pixel boxes (x0, x1, y0, y1) as `zbuffer_kernels.find_boxes` has them, and how many tiles these have."""
    f = wp.tid()
    boxes[f] = wp.vec4i(0, 0, 0, 0)
    tiles[f] = wp.int64(0)
    a = faces[f, 0]
    b = faces[f, 1]
    c = faces[f, 2]
    w0 = wp.float64(screen[a, 3])
    w1 = wp.float64(screen[b, 3])
    w2 = wp.float64(screen[c, 3])
    zero = wp.float64(0.0)
    half = wp.float64(0.5)
    one = wp.float64(1.0)
    det = edge_functions(screen, faces, f)[9]
    if (w0 <= zero and w1 <= zero and w2 <= zero) or det == zero or not wp.isfinite(det):
        return
    x0 = int(0)
    x1 = int(width)
    y0 = int(0)
    y1 = int(height)
    if w0 > zero and w1 > zero and w2 > zero:
        u0 = wp.float64(screen[a, 0]) / w0
        u1 = wp.float64(screen[b, 0]) / w1
        u2 = wp.float64(screen[c, 0]) / w2
        v0 = wp.float64(screen[a, 1]) / w0
        v1 = wp.float64(screen[b, 1]) / w1
        v2 = wp.float64(screen[c, 1]) / w2
        columns = wp.float64(width)
        rows = wp.float64(height)
        first = wp.float64(top)
        # a pixel's centre is at +0.5, hence the half-pixel shift of the box
        x0 = int(wp.min(wp.max(wp.ceil(wp.min(wp.min(u0, u1), u2) - half), zero), columns))
        x1 = int(wp.min(wp.max(wp.floor(wp.max(wp.max(u0, u1), u2) - half) + one, zero), columns))
        y0 = int(wp.min(wp.max(wp.ceil(wp.min(wp.min(v0, v1), v2) - half) - first, zero), rows))
        y1 = int(wp.min(wp.max(wp.floor(wp.max(wp.max(v0, v1), v2) - half) + one - first, zero), rows))
    if x0 >= x1 or y0 >= y1:
        return
    boxes[f] = wp.vec4i(x0, x1, y0, y1)
    tiles[f] = wp.int64((x1 - x0 + TILE - 1) / TILE) * wp.int64((y1 - y0 + TILE - 1) / TILE)


@wp.func
def greatest(a: wp.float64, b: wp.float64, c: wp.float64, x0: int, x1: int, y0: int, y1: int):
    """The greatest value of an edge function at the centres of pixels [x0, x1) × [y0, y1).

    It is at a corner, and rounding keeps that: each operation is monotonous. So no pixel of a tile is lost by it.
    """
    half = wp.float64(0.5)
    zero = wp.float64(0.0)
    px = wp.float64(wp.where(a > zero, x1 - 1, x0)) + half
    py = wp.float64(wp.where(b > zero, y1 - 1, y0)) + half
    return a * px + (b * py + c)


@wp.kernel
def z_buffer(
    stride: int,
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    ends: wp.array(dtype=wp.int64),
    top: int,
    width: int,
    near: float,
    beyond: wp.array2d(dtype=wp.float32),
    key: wp.array(dtype=wp.int64),
):
    """Tiles tid, tid + stride, …: at each pixel the least of depth, then face. `ends` counts tiles up to each face."""
    item = wp.int64(wp.tid())
    total = ends[ends.shape[0] - 1]
    peel = beyond.shape[0] > 0
    zero = wp.float64(0.0)
    half = wp.float64(0.5)
    while item < total:
        f = wp.lower_bound(ends, item + wp.int64(1))  # the first face whose tiles end beyond this one
        k = item
        if f > 0:
            k = item - ends[f - 1]
        item += wp.int64(stride)
        box = boxes[f]
        columns = wp.int64((box[1] - box[0] + TILE - 1) / TILE)
        x0 = box[0] + int(k % columns) * TILE
        y0 = box[2] + int(k / columns) * TILE
        x1 = wp.min(x0 + TILE, box[1])
        y1 = wp.min(y0 + TILE, box[3])
        e = edge_functions(screen, faces, f)
        outside = (
            greatest(e[0], e[1], e[2], x0, x1, y0 + top, y1 + top) < zero
            or greatest(e[3], e[4], e[5], x0, x1, y0 + top, y1 + top) < zero
            or greatest(e[6], e[7], e[8], x0, x1, y0 + top, y1 + top) < zero
        )
        if outside:
            continue
        d0 = wp.float64(screen[faces[f, 0], 2])
        d1 = wp.float64(screen[faces[f, 1], 2])
        d2 = wp.float64(screen[faces[f, 2], 2])
        for y in range(y0, y1):
            py = wp.float64(y + top) + half
            r0 = e[1] * py + e[2]
            r1 = e[4] * py + e[5]
            r2 = e[7] * py + e[8]
            for x in range(x0, x1):
                px = wp.float64(x) + half
                e0 = e[0] * px + r0
                e1 = e[3] * px + r1
                e2 = e[6] * px + r2
                if e0 >= zero and e1 >= zero and e2 >= zero:
                    norm = e0 + e1 + e2
                    if norm > zero:
                        z = wp.float32((e0 * d0 + e1 * d1 + e2 * d2) / norm)
                        if z >= near and wp.isfinite(z):
                            seen = True
                            if peel:
                                seen = z > beyond[y, x]
                            # positive floats sort like their bits
                            packed = (wp.int64(wp.cast(z, wp.int32)) << wp.int64(32)) | wp.int64(f)
                            p = y * width + x
                            if seen and packed < key[p]:  # a plain read first: most that lose never touch the atomic
                                wp.atomic_min(key, p, packed)


@wp.kernel
def unpack(key: wp.array(dtype=wp.int64), ids: wp.array(dtype=wp.int32), depth: wp.array(dtype=wp.float32)):
    """Faces and depths from what `z_buffer` left."""
    p = wp.tid()
    k = key[p]
    if k == NOTHING:
        ids[p] = -1
        depth[p] = wp.inf
    else:
        ids[p] = wp.int32(k & wp.int64(0xFFFFFFFF))
        depth[p] = wp.cast(wp.int32(k >> wp.int64(32)), wp.float32)


def nearest(
    screen: Tensor, faces: Tensor, height: int, width: int, near: float, top: int, beyond: Tensor
) -> tuple[Tensor, Tensor]:
    """`zbuffer.z_buffer_reference`."""
    count, empty = len(faces), torch.iinfo(torch.int64).max
    key = torch.full((height * width,), empty, dtype=torch.int64, device=screen.device)
    if count:
        index = faces.int()
        boxes = index.new_empty((count, 4))
        ends = torch.empty(count, dtype=torch.int64, device=screen.device)  # in place: of each face, then up to each
        launch(find_boxes, count, screen, index, top, height, width, boxes, ends)
        ends = ends.cumsum(0)
        threads = lanes(screen, THREADS)
        launch(z_buffer, threads, threads, screen, index, boxes, ends, top, width, near, beyond, key)
    ids = torch.empty((height, width), dtype=torch.int32, device=screen.device)
    depth = torch.empty((height, width), dtype=torch.float32, device=screen.device)
    launch(unpack, height * width, key, ids.view(-1), depth.view(-1))
    return ids, depth
