"""Kernels for NVIDIA GPUs that find the visible edges between samples; see `antialias`, and `antialias_kernels`."""

import torch
import warp as wp
from torch import Tensor

from ..core.warp import launch
from . import antialias_kernels as kernels

# which edge is seen: every product is rounded by itself
wp.set_module_options({"enable_backward": False, "fuse_fp": False})

EDGE, MEETING = wp.constant(kernels.EDGE), wp.constant(kernels.MEETING)
COVERS, SMOOTH, LOST = wp.constant(kernels.COVERS), wp.constant(kernels.SMOOTH), wp.constant(kernels.LOST)
STEPS, COPLANAR = wp.constant(kernels.STEPS), wp.constant(wp.float64(kernels.COPLANAR))
ZERO, HALF, ONE = wp.constant(wp.float64(0.0)), wp.constant(wp.float64(0.5)), wp.constant(wp.float64(1.0))


@wp.func
def local(screen: wp.array2d(dtype=wp.float32), vertex: int, x: wp.float64, y: wp.float64, axis: int, sign: wp.float64):
    """A vertex (along, across, w), seen from the sample centre (x, y) with its neighbour at (1, 0)."""
    w = wp.float64(screen[vertex, 3])
    u = wp.float64(screen[vertex, 0]) - x * w
    v = wp.float64(screen[vertex, 1]) - y * w
    if axis == 0:
        return wp.vec3d(u * sign, v, w)
    return wp.vec3d(v * sign, u, w)


@wp.func
def crossed(p: wp.vec3d, q: wp.vec3d):
    return wp.vec3d(p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])


@wp.func
def edge_functions(
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    face: int,
    x: wp.float64,
    y: wp.float64,
    axis: int,
    sign: wp.float64,
):
    """The three edge functions in local coordinates, and the sign of the determinant."""
    p = local(screen, faces[face, 0], x, y, axis, sign)
    q = local(screen, faces[face, 1], x, y, axis, sign)
    r = local(screen, faces[face, 2], x, y, axis, sign)
    a = crossed(q, r)
    b = crossed(r, p)
    c = crossed(p, q)
    det = p[0] * a[0] + p[1] * a[1] + p[2] * a[2]
    turn = ZERO
    if det > ZERO:
        turn = ONE
    elif det < ZERO:
        turn = -ONE
    elif not wp.isfinite(det):
        turn = det
    return a, b, c, turn


@wp.func
def walk(
    start: int,
    target: int,
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int64),
    x: wp.float64,
    y: wp.float64,
    axis: int,
    sign: wp.float64,
):
    """Where a walk over the surface ends that starts at a sample on a face, towards its neighbour on `target`."""
    if start < 0:
        return COVERS
    face = int(start)
    for _ in range(STEPS):
        a, b, c, turn = edge_functions(screen, faces, face, x, y, axis, sign)
        slot = int(-1)
        nearest = wp.float64(wp.inf)
        edge = a
        for i in range(3):
            e = a
            if i == 1:
                e = b
            if i == 2:
                e = c
            slope = e[0] * turn
            if slope < ZERO:  # the walk can leave through here
                t = -(e[2] * turn) / slope
                if t < nearest:
                    slot = i
                    nearest = t
                    edge = e
        if not (nearest < ONE):
            return COVERS
        corner = int(opposite[face, slot])
        if corner < 0:
            return 3 * face + slot
        tip = local(screen, faces[corner / 3, corner % 3], x, y, axis, sign)
        # beyond a visible inner edge, the neighbour's tip is on its other side
        beyond = (edge[0] * tip[0] + edge[1] * tip[1] + edge[2] * tip[2]) * turn
        if not (beyond < ZERO and wp.isfinite(beyond)):
            return 3 * face + slot
        face = corner / 3
        if face == target:
            return SMOOTH
    return LOST


@wp.func
def counted(along: wp.float64, across: wp.float64, axis: int):
    """Whether a line with this normal is counted between neighbours along `axis`: the nearer to the normal of two."""
    return wp.abs(along) > wp.abs(across) or (axis == 0 and wp.abs(along) == wp.abs(across))


@wp.func
def plane(
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    face: int,
    x: wp.float64,
    y: wp.float64,
    axis: int,
):
    """Depth on a face's plane as a quotient of two linear functions (along, across, 1) of the local place."""
    a, b, c, turn = edge_functions(screen, faces, face, x, y, axis, ONE)
    i = wp.float64(screen[faces[face, 0], 2])
    j = wp.float64(screen[faces[face, 1], 2])
    k = wp.float64(screen[faces[face, 2], 2])
    return (a * i + b * j + c * k) * turn, (a + b + c) * turn


@wp.func
def depth(
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    face: int,
    x: wp.float64,
    y: wp.float64,
    axis: int,
):
    if face < 0:
        return wp.float64(wp.inf)
    top, bottom = plane(screen, faces, face, x, y, axis)
    return top[2] / bottom[2]


@wp.func
def meet(
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    first: int,
    second: int,
    x: wp.float64,
    y: wp.float64,
    axis: int,
):
    """Whether the planes of two faces cut through each other between two samples, in a line that is counted here."""
    f, g = plane(screen, faces, first, x, y, axis)
    h, i = plane(screen, faces, second, x, y, axis)
    near = f[2] / g[2]
    far = h[2] / i[2]
    other_far = (f[2] + f[0]) / (g[2] + g[0])
    other_near = (h[2] + h[0]) / (i[2] + i[0])
    if not (near > ZERO and near < far and other_near > ZERO and other_near < other_far):
        return False
    if not (far / near - ONE + other_far / other_near - ONE > COPLANAR):
        return False
    here = f[2] * i[2] - h[2] * g[2]
    along = (f[2] + f[0]) * (i[2] + i[0]) - (h[2] + h[0]) * (g[2] + g[0]) - here
    across = (f[2] + f[1]) * (i[2] + i[1]) - (h[2] + h[1]) * (g[2] + g[1]) - here
    return counted(along, across, axis)


@wp.func
def smooth(
    ids: wp.array2d(dtype=wp.int32),
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int64),
    x: int,
    y: int,
    axis: int,
):
    """1 where the sample (x, y) and the next one along `axis` lie on one smooth surface, or both beside all, else 0."""
    dx = 1 - axis
    dy = axis
    if x < 0 or y < 0 or y + dy >= ids.shape[0] or x + dx >= ids.shape[1]:
        return 0
    first = ids[y, x]
    second = ids[y + dy, x + dx]
    if first == second:
        return 1
    cx = wp.float64(x) + HALF
    cy = wp.float64(y) + HALF
    if walk(first, second, screen, faces, opposite, cx, cy, axis, ONE) == SMOOTH:
        return 1
    ox = cx + wp.float64(dx)
    oy = cy + wp.float64(dy)
    if walk(second, first, screen, faces, opposite, ox, oy, axis, -ONE) == SMOOTH:
        return 1
    return 0


@wp.func
def crossing(
    ids: wp.array2d(dtype=wp.int32),
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int64),
    x: int,
    y: int,
    axis: int,
):
    """(kind, a, b) of the crossing after the sample (x, y) along `axis`; kind 0 where there is none."""
    none = wp.vec3i(0, 0, 0)
    ix = x + 1 - axis
    iy = y + axis
    if ix >= ids.shape[1] or iy >= ids.shape[0]:
        return none
    first = ids[y, x]
    second = ids[iy, ix]
    if first == second:
        return none
    cx = wp.float64(x) + HALF
    cy = wp.float64(y) + HALF
    ox = wp.float64(ix) + HALF
    oy = wp.float64(iy) + HALF
    end = walk(first, second, screen, faces, opposite, cx, cy, axis, ONE)
    if end == SMOOTH:
        return none
    other = walk(second, first, screen, faces, opposite, ox, oy, axis, -ONE)
    if other == SMOOTH:
        return none
    if end >= 0 or other >= 0:
        owner = int(end)
        if end < 0:
            owner = other
        elif other >= 0:
            far = depth(screen, faces, first, cx, cy, axis)
            if depth(screen, faces, second, ox, oy, axis) < far:
                owner = other
        a = faces[owner / 3, (owner + 1) % 3]
        b = faces[owner / 3, (owner + 2) % 3]
        line = crossed(local(screen, a, cx, cy, axis, ONE), local(screen, b, cx, cy, axis, ONE))
        if counted(line[0], line[1], axis):
            return wp.vec3i(EDGE, a, b)
        return none
    both = end == COVERS and other == COVERS and first >= 0 and second >= 0
    if both and meet(screen, faces, first, second, cx, cy, axis):
        return wp.vec3i(MEETING, first, second)
    return none


@wp.kernel
def count_crossings(
    ids: wp.array2d(dtype=wp.int32),
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int64),
    counts: wp.array(dtype=wp.int32),
):
    """How many crossings there are after a sample, to the right and below."""
    place = wp.tid()
    x = place % ids.shape[1]
    y = place / ids.shape[1]
    n = int(0)
    for axis in range(2):
        if crossing(ids, screen, faces, opposite, x, y, axis)[0] > 0:
            n += 1
    counts[place] = n


@wp.kernel
def list_crossings(
    ids: wp.array2d(dtype=wp.int32),
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    opposite: wp.array2d(dtype=wp.int64),
    ends: wp.array(dtype=wp.int32),
    found: wp.array2d(dtype=wp.int64),
):
    """These crossings, in the rows of `antialias.Crossings`; `ends` counts those up to each sample."""
    place = wp.tid()
    n = int(0)
    if place > 0:
        n = ends[place - 1]
    if n == ends[place]:
        return
    x = place % ids.shape[1]
    y = place / ids.shape[1]
    for k in range(2):
        axis = int(k)
        what = crossing(ids, screen, faces, opposite, x, y, axis)
        if what[0] > 0:
            found[0, n] = wp.int64(place)
            found[1, n] = wp.int64(axis)
            found[2, n] = wp.int64(what[0])
            found[3, n] = wp.int64(what[1])
            found[4, n] = wp.int64(what[2])
            found[5, n] = wp.int64(smooth(ids, screen, faces, opposite, x - 1 + axis, y - axis, axis))
            found[6, n] = wp.int64(smooth(ids, screen, faces, opposite, x + 1 - axis, y + axis, axis))
            n += 1


def find_crossings(ids: Tensor, screen: Tensor, faces: Tensor, opposite: Tensor) -> tuple[Tensor, ...]:
    """`antialias.find_crossings_reference`. How many there are is asked of the GPU, once."""
    samples, given = ids.numel(), (ids.int(), screen, faces.int(), opposite.long())
    ends = torch.empty(samples, dtype=torch.int32, device=ids.device)  # in place: after each sample, then up to each
    launch(count_crossings, samples, *given, ends)
    ends = ends.cumsum(0, dtype=torch.int32)
    found = torch.empty((7, int(ends[-1])), dtype=torch.int64, device=ids.device)
    launch(list_crossings, samples, *given, ends, found)
    return tuple(found.unbind(0))
