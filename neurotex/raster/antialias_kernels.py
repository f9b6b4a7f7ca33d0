"""CPU kernels that find the visible edges between samples; see `antialias` for the reference they are held to."""

from __future__ import annotations

import numpy as np

from ..core.jit import jit

EDGE, MEETING = 1, 2  # kinds of crossing
COVERS, SMOOTH, LOST = -1, -2, -3  # how a walk ends, unless at a corner, whose opposite edge it fell off
STEPS = 64  # faces that a walk from one sample to the next may cross
COPLANAR = 1e-4  # planes that part by less of their depth within a sample never meet: their line is not determined


@jit
def local(screen, vertex, x, y, axis, sign):
    """A vertex (along, across, w), seen from the sample centre (x, y) with its neighbour at (1, 0)."""
    w = np.float64(screen[vertex, 3])
    u, v = np.float64(screen[vertex, 0]) - x * w, np.float64(screen[vertex, 1]) - y * w
    if axis == 0:
        return u * sign, v, w
    return v * sign, u, w


@jit
def cross(p, q):
    return p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]


@jit
def edge_functions(screen, faces, face, x, y, axis, sign):
    """The rows of `zbuffer.edge_functions` in local coordinates, and the sign of the determinant."""
    p = local(screen, faces[face, 0], x, y, axis, sign)
    q = local(screen, faces[face, 1], x, y, axis, sign)
    r = local(screen, faces[face, 2], x, y, axis, sign)
    a, b, c = cross(q, r), cross(r, p), cross(p, q)
    return a, b, c, np.sign(p[0] * a[0] + p[1] * a[1] + p[2] * a[2])


@jit
def walk(face, target, screen, faces, opposite, x, y, axis, sign):
    """Where a walk over the surface ends that starts at a sample on `face`, towards its neighbour on `target`."""
    if face < 0:
        return COVERS
    for _ in range(STEPS):
        a, b, c, turn = edge_functions(screen, faces, face, x, y, axis, sign)
        slot, nearest = -1, np.inf
        edge = a
        for i in range(3):
            e = a if i == 0 else (b if i == 1 else c)
            slope = e[0] * turn
            if slope < 0.0:  # the walk can leave through here
                t = -(e[2] * turn) / slope
                if t < nearest:
                    slot, nearest, edge = i, t, e
        if not nearest < 1.0:
            return COVERS
        corner = opposite[face, slot]
        if corner < 0:
            return 3 * face + slot
        tip = local(screen, faces[corner // 3, corner % 3], x, y, axis, sign)
        # beyond a visible inner edge, the neighbour's tip is on its other side
        beyond = (edge[0] * tip[0] + edge[1] * tip[1] + edge[2] * tip[2]) * turn
        if not (beyond < 0.0 and np.isfinite(beyond)):
            return 3 * face + slot
        face = corner // 3
        if face == target:
            return SMOOTH
    return LOST


@jit
def counted(along, across, axis):
    """Whether a line with this normal is counted between neighbours along `axis`: the nearer to the normal of two."""
    return abs(along) > abs(across) or (axis == 0 and abs(along) == abs(across))


@jit
def plane(screen, faces, face, x, y, axis):
    """Depth on a face's plane as a quotient of two linear functions (along, across, 1) of the local place."""
    a, b, c, turn = edge_functions(screen, faces, face, x, y, axis, 1.0)
    i, j, k = (
        np.float64(screen[faces[face, 0], 2]),
        np.float64(screen[faces[face, 1], 2]),
        np.float64(screen[faces[face, 2], 2]),
    )
    top = (
        (a[0] * i + b[0] * j + c[0] * k) * turn,
        (a[1] * i + b[1] * j + c[1] * k) * turn,
        (a[2] * i + b[2] * j + c[2] * k) * turn,
    )
    bottom = (a[0] + b[0] + c[0]) * turn, (a[1] + b[1] + c[1]) * turn, (a[2] + b[2] + c[2]) * turn
    return top, bottom


@jit
def depth(screen, faces, face, x, y, axis):
    if face < 0:
        return np.inf
    top, bottom = plane(screen, faces, face, x, y, axis)
    return top[2] / bottom[2]


@jit
def meet(screen, faces, first, second, x, y, axis):
    """Whether the planes of two faces cut through each other between two samples, in a line that is counted here."""
    f, g = plane(screen, faces, first, x, y, axis)
    h, i = plane(screen, faces, second, x, y, axis)
    near, far = f[2] / g[2], h[2] / i[2]
    other_far, other_near = (f[2] + f[0]) / (g[2] + g[0]), (h[2] + h[0]) / (i[2] + i[0])
    if not (0.0 < near < far and 0.0 < other_near < other_far):
        return False
    if not (far / near - 1.0 + other_far / other_near - 1.0 > COPLANAR):
        return False
    here = f[2] * i[2] - h[2] * g[2]
    along = (f[2] + f[0]) * (i[2] + i[0]) - (h[2] + h[0]) * (g[2] + g[0]) - here
    across = (f[2] + f[1]) * (i[2] + i[1]) - (h[2] + h[1]) * (g[2] + g[1]) - here
    return counted(along, across, axis)


@jit
def smooth(ids, screen, faces, opposite, x, y, axis):
    """Whether the samples (x, y) and the next one along `axis` lie on one smooth surface, or both beside all.

    False where one of them is outside of the image.
    """
    dx, dy = (1, 0) if axis == 0 else (0, 1)
    if x < 0 or y < 0 or y + dy >= ids.shape[0] or x + dx >= ids.shape[1]:
        return False
    first, second = ids[y, x], ids[y + dy, x + dx]
    if first == second:
        return True
    ahead = walk(first, second, screen, faces, opposite, x + 0.5, y + 0.5, axis, 1.0)
    return (
        ahead == SMOOTH
        or walk(second, first, screen, faces, opposite, x + dx + 0.5, y + dy + 0.5, axis, -1.0) == SMOOTH
    )


@jit
def count_changes(start, stop, ids, counts):
    """Pairs of neighbours, to the right and below, that see different faces, in each of the rows [start, stop)."""
    height, width = ids.shape
    for y in range(start, stop):
        n = 0
        for x in range(width - 1):
            n += ids[y, x] != ids[y, x + 1]
        if y + 1 < height:
            for x in range(width):
                n += ids[y, x] != ids[y + 1, x]
        counts[y] = n


@jit
def find_crossings(start, stop, ids, screen, faces, opposite, offsets, found, counts):
    """The crossings of the rows [start, stop), in the columns of `antialias.Crossings`.

    Those of row y go to `found[offsets[y]:]`, `counts[y]` in number.
    """
    height, width = ids.shape
    for y in range(start, stop):
        n = offsets[y]
        for x in range(width):
            for axis in range(2):
                if (axis == 0 and x + 1 == width) or (axis == 1 and y + 1 == height):
                    continue
                first = ids[y, x]
                second = ids[y, x + 1] if axis == 0 else ids[y + 1, x]
                if first == second:
                    continue
                cx, cy = x + 0.5, y + 0.5
                ox, oy = (cx + 1.0, cy) if axis == 0 else (cx, cy + 1.0)
                end = walk(first, second, screen, faces, opposite, cx, cy, axis, 1.0)
                if end == SMOOTH:
                    continue
                other = walk(second, first, screen, faces, opposite, ox, oy, axis, -1.0)
                if other == SMOOTH:
                    continue
                if end >= 0 or other >= 0:
                    owner = end if end >= 0 else other
                    if end >= 0 and other >= 0:
                        far = depth(screen, faces, first, cx, cy, axis)
                        if depth(screen, faces, second, ox, oy, axis) < far:
                            owner = other
                    a, b = faces[owner // 3, (owner + 1) % 3], faces[owner // 3, (owner + 2) % 3]
                    line = cross(local(screen, a, cx, cy, axis, 1.0), local(screen, b, cx, cy, axis, 1.0))
                    if not counted(line[0], line[1], axis):
                        continue
                    found[n, 2], found[n, 3], found[n, 4] = EDGE, a, b
                elif end == COVERS and other == COVERS and first >= 0 and second >= 0:
                    if not meet(screen, faces, first, second, cx, cy, axis):
                        continue
                    found[n, 2], found[n, 3], found[n, 4] = MEETING, first, second
                else:
                    continue
                found[n, 0], found[n, 1] = y * width + x, axis
                dx, dy = (1, 0) if axis == 0 else (0, 1)
                found[n, 5] = smooth(ids, screen, faces, opposite, x - dx, y - dy, axis)
                found[n, 6] = smooth(ids, screen, faces, opposite, x + dx, y + dy, axis)
                n += 1
        counts[y] = n - offsets[y]
