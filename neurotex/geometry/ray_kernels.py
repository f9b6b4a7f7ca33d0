"""CPU kernels of `rays`: a bounding volume hierarchy, built and walked.

Boxes split where the surface area heuristic, over a few bins, is least (Wald, "On fast construction of SAH-based
bounding volume hierarchies", 2007). A node holds the boxes of its two children: `bounds` (nodes, 12), low and high of
the first, then of the second; `children` (nodes, 2) are nodes, or, below 0, leaves: -1 - (first · 8 + count) of
`corners` (faces, 9), which lie in the order of the leaves; `owner` says which face each is.

Triangles are met by Woop, Benthin and Wald's test ("Watertight ray/triangle intersection", 2013): coordinates are
sheared along the ray in single precision, and edges compared in double, where products are exact. Two faces on an edge
see the same numbers, so nothing passes between them.
"""

from __future__ import annotations

import numpy as np

from ..core.jit import jit

BINS = 16
LEAF = 4
DEEP = 48  # from here on nodes are halved, so that the stack suffices
STACK = 96
TINY = np.float32(1e-30)
SLACK = np.float32(1 + 1e-6)  # of distances to boxes, which are rounded


@jit
def build(low, high, order, bounds, children):
    """Fill `bounds` and `children` for faces with boxes `low` to `high` (f, 3), sorting `order`. Returns the nodes."""
    f = len(order)
    stack = np.empty((STACK * 2, 5), np.int64)  # first, last, parent, which child, depth
    used = 1
    bounds[0, :3], bounds[0, 3:6], bounds[0, 6:9], bounds[0, 9:] = np.inf, -np.inf, np.inf, -np.inf
    children[0, 0] = children[0, 1] = -1
    if f == 0:
        return used
    stack[0] = 0, f, 0, 0, 0
    top = 1
    count = np.empty(BINS, np.int64)
    box = np.empty((BINS, 6), np.float32)
    area = np.empty(BINS, np.float32)
    while top:
        top -= 1
        first, last, parent, side, depth = stack[top]
        n = last - first
        lo, hi = np.full(3, np.inf, np.float32), np.full(3, -np.inf, np.float32)
        clo, chi = np.full(3, np.inf, np.float32), np.full(3, -np.inf, np.float32)
        for i in range(first, last):
            k = order[i]
            for c in range(3):
                lo[c] = min(lo[c], low[k, c])
                hi[c] = max(hi[c], high[k, c])
                middle = low[k, c] + high[k, c]
                clo[c] = min(clo[c], middle)
                chi[c] = max(chi[c], middle)
        for c in range(3):
            bounds[parent, 6 * side + c] = lo[c]
            bounds[parent, 6 * side + 3 + c] = hi[c]
        if n <= LEAF:
            children[parent, side] = -1 - (first * 8 + n)
            continue
        best, best_axis, best_bin = np.float32(np.inf), -1, 0
        if depth < DEEP:
            for axis in range(3):
                extent = chi[axis] - clo[axis]
                if not extent > 0:
                    continue
                scale = BINS * np.float32(0.99999) / extent
                count[:] = 0
                box[:, :3], box[:, 3:] = np.inf, -np.inf
                for i in range(first, last):
                    k = order[i]
                    b = min(int((low[k, axis] + high[k, axis] - clo[axis]) * scale), BINS - 1)
                    count[b] += 1
                    for c in range(3):
                        box[b, c] = min(box[b, c], low[k, c])
                        box[b, 3 + c] = max(box[b, 3 + c], high[k, c])
                for c in range(3):
                    lo[c], hi[c] = np.inf, -np.inf
                right = 0
                for b in range(BINS - 1, 0, -1):
                    right += count[b]
                    for c in range(3):
                        lo[c] = min(lo[c], box[b, c])
                        hi[c] = max(hi[c], box[b, 3 + c])
                    area[b] = _area(lo, hi) * right
                for c in range(3):
                    lo[c], hi[c] = np.inf, -np.inf
                left = 0
                for b in range(BINS - 1):
                    left += count[b]
                    for c in range(3):
                        lo[c] = min(lo[c], box[b, c])
                        hi[c] = max(hi[c], box[b, 3 + c])
                    cost = _area(lo, hi) * left + area[b + 1]
                    if 0 < left < n and cost < best:
                        best, best_axis, best_bin = cost, axis, b
        middle = first + n // 2
        if best_axis >= 0:
            scale = BINS * np.float32(0.99999) / (chi[best_axis] - clo[best_axis])
            middle = first
            for i in range(first, last):
                k = order[i]
                b = min(int((low[k, best_axis] + high[k, best_axis] - clo[best_axis]) * scale), BINS - 1)
                if b <= best_bin:
                    order[i], order[middle] = order[middle], k
                    middle += 1
        node = parent
        if depth > 0 or side:
            node = used
            used += 1
            children[parent, side] = node
        stack[top] = first, middle, node, 0, depth + 1
        stack[top + 1] = middle, last, node, 1, depth + 1
        top += 2
    return used


@jit
def _area(lo, hi):
    x, y, z = hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]
    return x * y + y * z + z * x if x >= 0 else np.float32(0)


@jit
def leave(start, stop, origin, direction, leaving, normals, gap, out):
    """Rows of `origin`, those on a face moved off it by `gap`, to the side that the ray goes to."""
    for i in range(start, stop):
        x, y, z = origin[i, 0], origin[i, 1], origin[i, 2]
        k = leaving[i]
        if k >= 0:
            a, b, c = normals[k, 0], normals[k, 1], normals[k, 2]
            off = gap if a * direction[i, 0] + b * direction[i, 1] + c * direction[i, 2] >= 0 else -gap
            x, y, z = x + off * a, y + off * b, z + off * c
        out[i, 0], out[i, 1], out[i, 2] = x, y, z


@jit
def trace(start, stop, tree, origin, direction, far, leaving, any_hit, face, distance, barycentrics):
    """Rows of `Rays.closest`; with `any_hit` only `face` is written, with any that is met."""
    bounds, children, corners, owner = tree
    stack, entry = np.empty(STACK, np.int32), np.empty(STACK, np.float32)
    o, d, inverse = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    for i in range(start, stop):
        for c in range(3):
            o[c], d[c] = origin[i, c], direction[i, c]
            inverse[c] = np.float32(1) / (d[c] if abs(d[c]) > TINY else (TINY if d[c] >= 0 else -TINY))
        kz = 0 if abs(d[0]) > abs(d[1]) else 1
        kz = kz if abs(d[kz]) > abs(d[2]) else 2
        kx, ky = (kz + 1) % 3, (kz + 2) % 3
        sx, sy, sz = d[kx] / d[kz], d[ky] / d[kz], np.float32(1) / d[kz]
        limit, found, own = far[i], np.int32(-1), leaving[i]
        found_u, found_v, found_w = np.float32(0), np.float32(0), np.float32(0)
        node, top = np.int32(0), 0
        while True:
            if node >= 0:
                near0, far0 = np.float32(0), limit
                near1, far1 = np.float32(0), limit
                for c in range(3):
                    a = (bounds[node, c] - o[c]) * inverse[c]
                    b = (bounds[node, 3 + c] - o[c]) * inverse[c]
                    near0, far0 = max(near0, min(a, b)), min(far0, max(a, b))
                    a = (bounds[node, 6 + c] - o[c]) * inverse[c]
                    b = (bounds[node, 9 + c] - o[c]) * inverse[c]
                    near1, far1 = max(near1, min(a, b)), min(far1, max(a, b))
                hit0, hit1 = near0 <= far0 * SLACK, near1 <= far1 * SLACK
                if hit0 and hit1:
                    if near0 <= near1:
                        stack[top], entry[top] = children[node, 1], near1
                        node = children[node, 0]
                    else:
                        stack[top], entry[top] = children[node, 0], near0
                        node = children[node, 1]
                    top += 1
                    continue
                if hit0:
                    node = children[node, 0]
                    continue
                if hit1:
                    node = children[node, 1]
                    continue
            else:
                leaf = -1 - node
                begin, count = leaf >> 3, leaf & 7
                for k in range(begin, begin + count):
                    ax, ay, az = corners[k, kx] - o[kx], corners[k, ky] - o[ky], corners[k, kz] - o[kz]
                    bx, by, bz = corners[k, 3 + kx] - o[kx], corners[k, 3 + ky] - o[ky], corners[k, 3 + kz] - o[kz]
                    cx, cy, cz = corners[k, 6 + kx] - o[kx], corners[k, 6 + ky] - o[ky], corners[k, 6 + kz] - o[kz]
                    ax, ay = np.float64(ax - sx * az), np.float64(ay - sy * az)
                    bx, by = np.float64(bx - sx * bz), np.float64(by - sy * bz)
                    cx, cy = np.float64(cx - sx * cz), np.float64(cy - sy * cz)
                    u, v, w = cx * by - cy * bx, ax * cy - ay * cx, bx * ay - by * ax
                    if (u < 0 or v < 0 or w < 0) and (u > 0 or v > 0 or w > 0):
                        continue
                    total = u + v + w
                    if total == 0:
                        continue
                    t = np.float32((u * (sz * az) + v * (sz * bz) + w * (sz * cz)) / total)
                    if not 0 <= t <= limit or owner[k] == own:
                        continue
                    found = owner[k]
                    if any_hit:
                        break
                    limit = t
                    found_u, found_v, found_w = u / total, v / total, w / total
                if any_hit and found >= 0:
                    break
            while top and entry[top - 1] > limit:
                top -= 1
            if top == 0:
                break
            top -= 1
            node = stack[top]
        face[i] = found
        if not any_hit:
            distance[i] = limit if found >= 0 else np.float32(np.inf)
            barycentrics[i, 0], barycentrics[i, 1], barycentrics[i, 2] = found_u, found_v, found_w
