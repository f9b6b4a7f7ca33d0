"""Kernels of fragments for NVIDIA GPUs; see `fragment_kernels` for what they compute, in PyTorch3D's order.

Faces are listed for each tile of the image that their boxes meet, in ascending order, and a thread takes a pixel
through its tile's list: what a pixel keeps does not depend on who comes first.
"""

from collections.abc import Sequence

import torch
import warp as wp
from torch import Tensor

from ...core.warp import launch
from . import fragment_kernels as kernels
from .blank_layers import blank_layers
from .places import SMALL as SMALL_SUM
from .places import pixel_centres

# which faces are seen, and in which order: every product is rounded by itself
wp.set_module_options({"enable_backward": False, "fuse_fp": False})

TILE = wp.constant(16)
EPSILON = wp.constant(wp.float64(kernels.EPSILON))
TINY, SMALL = wp.constant(wp.float32(kernels.EPSILON)), wp.constant(wp.float32(SMALL_SUM))
INFINITE = wp.constant(float("inf"))


@wp.func
def below(values: wp.array(dtype=wp.float32), bound: float):
    """Number of entries of the ascending `values` that are less than `bound`."""
    i = wp.lower_bound(values, bound)  # or the last one
    if values[i] < bound:
        i += 1
    return i


@wp.func
def up_to(values: wp.array(dtype=wp.float32), bound: float):
    """Number of entries of the ascending `values` that are at most `bound`."""
    i = below(values, bound)
    if i < values.shape[0] and values[i] == bound:
        i += 1
    return i


@wp.kernel
def set_up_faces(
    corners: wp.array2d(dtype=wp.vec3),
    xs: wp.array(dtype=wp.float32),
    ys: wp.array(dtype=wp.float32),
    radius: float,
    cull: bool,
    areas: wp.array(dtype=wp.float32),
    boxes: wp.array(dtype=wp.vec4i),
    tiles: wp.array(dtype=wp.int64),
):
    """Areas (+ ε) and boxes as `fragment_kernels.setup_faces` has them, and how many tiles these meet; `ys` ascend."""
    f = wp.tid()
    boxes[f] = wp.vec4i(0, 0, 0, 0)
    tiles[f] = wp.int64(0)
    areas[f] = 0.0
    p = corners[f, 0]
    q = corners[f, 1]
    r = corners[f, 2]
    area = (r[1] - p[1]) * (q[0] - p[0]) - (r[0] - p[0]) * (q[1] - p[1])
    size = wp.float64(area)
    if not (size > EPSILON or (size < -EPSILON and not cull)):
        return
    near = wp.float64(p[2]) >= EPSILON and wp.float64(q[2]) >= EPSILON and wp.float64(r[2]) >= EPSILON
    if not (near and wp.max(wp.max(p[2], q[2]), r[2]) < INFINITE):
        return
    length = (
        (q[0] - p[0]) * (q[0] - p[0])
        + (q[1] - p[1]) * (q[1] - p[1])
        + (r[0] - p[0]) * (r[0] - p[0])
        + (r[1] - p[1]) * (r[1] - p[1])
        + (r[0] - q[0]) * (r[0] - q[0])
        + (r[1] - q[1]) * (r[1] - q[1])
    )
    if not (wp.abs(area) < INFINITE and length < INFINITE):
        return
    areas[f] = wp.float32(size + EPSILON)
    x0 = below(xs, wp.min(wp.min(p[0], q[0]), r[0]) - radius)
    x1 = up_to(xs, wp.max(wp.max(p[0], q[0]), r[0]) + radius)
    y0 = below(ys, -(wp.max(wp.max(p[1], q[1]), r[1]) + radius))
    y1 = up_to(ys, -(wp.min(wp.min(p[1], q[1]), r[1]) - radius))
    if x0 < x1 and y0 < y1:
        boxes[f] = wp.vec4i(x0, x1, y0, y1)
        tiles[f] = wp.int64((x1 - 1) / TILE - x0 / TILE + 1) * wp.int64((y1 - 1) / TILE - y0 / TILE + 1)


@wp.kernel
def list_tiles(
    boxes: wp.array(dtype=wp.vec4i),
    first: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    down: int,
    across: int,
    tile: wp.array(dtype=wp.int32),
    face: wp.array(dtype=wp.int32),
):
    """Each face beside each tile that it meets; `down` × `across` tiles make an image, and images follow each other."""
    f = wp.tid()
    k = int(0)
    if f > 0:
        k = int(ends[f - 1])
    if k == int(ends[f]):
        return
    image = int(0)
    while image + 1 < first.shape[0] and first[image + 1] <= wp.int64(f):
        image += 1
    box = boxes[f]
    for y in range(box[2] / TILE, (box[3] - 1) / TILE + 1):
        for x in range(box[0] / TILE, (box[1] - 1) / TILE + 1):
            tile[k] = (image * down + y) * across + x
            face[k] = f
            k += 1


@wp.func
def edge_distance(px: float, py: float, x0: float, y0: float, x1: float, y1: float):
    """Squared distance to a segment, and where its nearest point lies; of a segment shorter than √ε, to its end."""
    dx = x1 - x0
    dy = y1 - y0
    length = dx * dx + dy * dy
    if wp.float64(length) <= EPSILON:
        return (px - x1) * (px - x1) + (py - y1) * (py - y1)
    t = (dx * (px - x0) + dy * (py - y0)) / length
    if t < 0.0:
        t = 0.0
    if t > 1.0:
        t = 1.0
    x = px - (x0 + t * dx)
    y = py - (y0 + t * dy)
    return x * x + y * y


@wp.func
def distance_to(px: float, py: float, p: wp.vec3, q: wp.vec3, r: wp.vec3):
    """Squared distance to the nearest edge of a triangle."""
    d01 = edge_distance(px, py, p[0], p[1], q[0], q[1])
    d02 = edge_distance(px, py, p[0], p[1], r[0], r[1])
    d12 = edge_distance(px, py, q[0], q[1], r[0], r[1])
    return wp.min(wp.min(d01, d02), d12)


@wp.func
def move(
    pix: wp.array2d(dtype=wp.int64),
    zbuf: wp.array2d(dtype=wp.float32),
    bary: wp.array2d(dtype=wp.vec3),
    dists: wp.array2d(dtype=wp.float32),
    pixel: int,
    i: int,
    j: int,
):
    """Copy entry i of a pixel to j."""
    pix[pixel, j] = pix[pixel, i]
    zbuf[pixel, j] = zbuf[pixel, i]
    bary[pixel, j] = bary[pixel, i]
    dists[pixel, j] = dists[pixel, i]


@wp.kernel
def face_layers(
    corners: wp.array2d(dtype=wp.vec3),
    neighbours: wp.array(dtype=wp.int64),
    areas: wp.array(dtype=wp.float32),
    boxes: wp.array(dtype=wp.vec4i),
    face: wp.array(dtype=wp.int32),
    begin: wp.array(dtype=wp.int64),
    down: int,
    across: int,
    xs: wp.array(dtype=wp.float32),
    ys: wp.array(dtype=wp.float32),
    blur: float,
    perspective: bool,
    clip: bool,
    pix: wp.array2d(dtype=wp.int64),
    zbuf: wp.array2d(dtype=wp.float32),
    bary: wp.array2d(dtype=wp.vec3),
    dists: wp.array2d(dtype=wp.float32),
):
    """A pixel's nearest faces by depth; see `fragment_kernels.face_layers`. `begin` says where each tile's faces do."""
    pixel = wp.tid()
    width = xs.shape[0]
    height = ys.shape[0]
    layers = pix.shape[1]
    x = pixel % width
    y = pixel / width % height
    image = pixel / (width * height)
    for k in range(layers):
        pix[pixel, k] = wp.int64(-1)
        zbuf[pixel, k] = -1.0
        bary[pixel, k] = wp.vec3(-1.0, -1.0, -1.0)
        dists[pixel, k] = -1.0
    px = xs[x]
    py = ys[y]
    tile = (image * down + y / TILE) * across + x / TILE
    n = int(0)
    for k in range(int(begin[tile]), int(begin[tile + 1])):
        f = face[k]
        box = boxes[f]
        if x < box[0] or x >= box[1] or y < box[2] or y >= box[3]:
            continue
        p = corners[f, 0]
        q = corners[f, 1]
        r = corners[f, 2]
        sign = float(-1.0)
        if areas[f] > 0.0:
            sign = 1.0
        area = sign * areas[f]
        w0 = (py - q[1]) * (sign * (r[0] - q[0])) - (px - q[0]) * (sign * (r[1] - q[1]))
        w1 = (py - r[1]) * (sign * (p[0] - r[0])) - (px - r[0]) * (sign * (p[1] - r[1]))
        w2 = (py - p[1]) * (sign * (q[0] - p[0])) - (px - p[0]) * (sign * (q[1] - p[1]))
        inside = w0 > 0.0 and w1 > 0.0 and w2 > 0.0
        if not inside and blur == 0.0:
            continue
        distance = distance_to(px, py, p, q, r)
        if not inside and not (distance < blur):
            continue
        w0 = w0 / area
        w1 = w1 / area
        w2 = w2 / area
        if perspective:
            w0 = w0 * q[2] * r[2]
            w1 = w1 * p[2] * r[2]
            w2 = w2 * p[2] * q[2]
            total = w0 + w1 + w2
            if total < TINY:
                total = TINY
            w0 = w0 / total
            w1 = w1 / total
            w2 = w2 / total
        within = w0 > 0.0 and w1 > 0.0 and w2 > 0.0
        if not within and not (distance < blur):  # an edge function vanished in the division
            continue
        if clip:
            if w0 < 0.0:
                w0 = 0.0
            if w1 < 0.0:
                w1 = 0.0
            if w2 < 0.0:
                w2 = 0.0
            total = w0 + w1 + w2
            if total < SMALL:
                total = SMALL
            w0 = w0 / total
            w1 = w1 / total
            w2 = w2 / total
        z = w0 * p[2] + w1 * q[2] + w2 * r[2]
        if not (z >= 0.0 and z < INFINITE):
            continue
        # of the two halves of a face that was cut, one at most stays: the nearer one in the image
        rival = wp.int64(-1)
        if neighbours.shape[0] > 0:
            rival = neighbours[f]
        if rival >= wp.int64(0):
            at = int(0)
            while at < n and pix[pixel, wp.min(at, layers - 1)] != rival:
                at += 1
            if at < n:
                if not (distance < wp.abs(dists[pixel, at])):
                    continue
                n -= 1
                for j in range(at, n):
                    move(pix, zbuf, bary, dists, pixel, j + 1, j)
        if n == layers and z >= zbuf[pixel, layers - 1]:
            continue
        place = int(n)
        while place > 0 and z < zbuf[pixel, wp.max(place - 1, 0)]:
            place -= 1
        last = wp.min(n, layers - 1)
        for j in range(place, last):
            back = last - 1 - (j - place)
            move(pix, zbuf, bary, dists, pixel, back, back + 1)
        n = wp.min(n + 1, layers)
        pix[pixel, place] = wp.int64(f)
        zbuf[pixel, place] = z
        bary[pixel, place] = wp.vec3(w0, w1, w2)
        dists[pixel, place] = wp.where(within, -distance, distance)
    for k in range(n, layers):
        pix[pixel, k] = wp.int64(-1)
        zbuf[pixel, k] = -1.0
        bary[pixel, k] = wp.vec3(-1.0, -1.0, -1.0)
        dists[pixel, k] = -1.0


def forward(
    corners: Tensor,
    first: Sequence[int],
    neighbours: Tensor,
    height: int,
    width: int,
    layers: int,
    blur: float,
    perspective: bool,
    clip: bool,
    cull: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`fragments_reference.rasterize_faces_reference`. How long the tiles' lists are is asked of the GPU, once."""
    out = blank_layers((len(first), height, width, layers), corners)
    xs, ys = pixel_centres((height, width), corners)
    count, faces = len(corners), corners.contiguous()
    areas, boxes = corners.new_empty(count), torch.empty((count, 4), dtype=torch.int32, device=corners.device)
    ends = torch.zeros(count, dtype=torch.int64, device=corners.device)  # in place: of each face, then up to each
    radius = float(torch.tensor(blur, dtype=torch.float32).sqrt())
    launch(set_up_faces, count, faces, xs, -ys, radius, cull, areas, boxes, ends)
    ends = ends.cumsum(0)
    listed = int(ends[-1]) if count else 0
    tile = torch.empty(listed, dtype=torch.int32, device=corners.device)
    face = torch.empty_like(tile)
    down, across = -(-height // int(TILE)), -(-width // int(TILE))
    if listed:
        starts = torch.tensor(first, dtype=torch.int64, device=corners.device)
        launch(list_tiles, count, boxes, starts, ends, down, across, tile, face)
    tile, order = tile.sort(stable=True)
    face = face[order]
    tiles = torch.arange(len(first) * down * across + 1, dtype=torch.int32, device=corners.device)
    begin = torch.searchsorted(tile, tiles)
    pix, zbuf, bary, dists = out
    pixels = pix.view(-1, layers), zbuf.view(-1, layers), bary.view(-1, layers, 3), dists.view(-1, layers)
    lists = (faces, neighbours, areas, boxes, face, begin, down, across)
    launch(face_layers, len(pixels[0]), *lists, xs, ys, blur, perspective, clip, *pixels)
    return out
