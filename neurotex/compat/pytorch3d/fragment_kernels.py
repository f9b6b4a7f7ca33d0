"""CPU kernels of `fragments`: see `fragments_reference`, to which they are held.

Every number that decides or is returned is computed in the type of the corners, in the order of operations of
PyTorch3D's CPU rasteriser (`csrc/rasterize_meshes/rasterize_meshes_cpu.cpp`, `csrc/utils/geometry_utils.h`), so that
results agree with it to the last bit. x points right here and left there: signs of x cancel in what follows.

numba's kernels take their arrays and numbers one by one: these are many.
"""

from __future__ import annotations

import numpy as np

from ...core.jit import jit

EPSILON = 1e-8  # PyTorch3D's, as a double; added to areas, and below it an area or a depth counts as none


@jit
def _first_from(values, bound):
    """Number of entries of the ascending, evenly spaced `values` that are less than `bound`."""
    n = values.shape[0]
    step = (values[n - 1] - values[0]) / max(n - 1, 1)
    guess = (bound - values[0]) / step if n > 1 else 0.0
    i = np.int64(min(max(guess, 0.0), np.float64(n)))
    while i > 0 and values[i - 1] >= bound:
        i -= 1
    while i < n and values[i] < bound:
        i += 1
    return i


@jit
def setup_faces(start, stop, corners, xs, ys, radius, cull, areas, boxes):
    """Areas (+ ε) of faces [start, stop), and boxes (x0, x1, y0, y1) of the pixels whose centres they may cover.

    `xs` and `ys` are the NDC of columns and rows, both ascending: y is negated, so that rows go down. Boxes are half
    open, widened by `radius` in NDC, and empty for a face that is not drawn: seen from behind when `cull` is set, one
    without area, with a corner nearer than ε, or with one that is not a number, infinite, or too far off to square.
    """
    for f in range(start, stop):
        boxes[f, 0] = boxes[f, 1] = boxes[f, 2] = boxes[f, 3] = 0
        areas[f] = 0
        x0, y0, z0 = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
        x1, y1, z1 = corners[f, 1, 0], corners[f, 1, 1], corners[f, 1, 2]
        x2, y2, z2 = corners[f, 2, 0], corners[f, 2, 1], corners[f, 2, 2]
        area = (y2 - y0) * (x1 - x0) - (x2 - x0) * (y1 - y0)
        if not (area > EPSILON or (area < -EPSILON and not cull)):
            continue
        if not (z0 >= EPSILON and z1 >= EPSILON and z2 >= EPSILON and max(z0, z1, z2) < np.inf):
            continue
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2 + (x2 - x0) ** 2 + (y2 - y0) ** 2 + (x2 - x1) ** 2 + (y2 - y1) ** 2
        if not (abs(area) < np.inf and length < np.inf):
            continue
        areas[f] = area + EPSILON
        low, high = min(x0, x1, x2) - radius, max(x0, x1, x2) + radius
        boxes[f, 0] = _first_from(xs, low)
        i = _first_from(xs, high)
        boxes[f, 1] = i + 1 if i < xs.shape[0] and xs[i] == high else i
        low, high = min(y0, y1, y2) - radius, max(y0, y1, y2) + radius
        boxes[f, 2] = _first_from(ys, -high)
        i = _first_from(ys, -low)
        boxes[f, 3] = i + 1 if i < ys.shape[0] and ys[i] == -low else i


@jit
def bin_faces(boxes, first, rows, bands, offsets, cost):
    """Sort faces into bands of rows by counting: those of band b are `order[offsets[b] : offsets[b + 1]]`, ascending.

    Image i owns faces first[i] to first[i + 1] and `bands` bands of `rows` rows. The pixels in a band's boxes are added
    to its `cost`.
    """
    for i in range(first.shape[0] - 1):
        for f in range(first[i], first[i + 1]):
            x0, x1, y0, y1 = boxes[f, 0], boxes[f, 1], boxes[f, 2], boxes[f, 3]
            if x0 < x1 and y0 < y1:
                for band in range(y0 // rows, (y1 - 1) // rows + 1):
                    offsets[i * bands + band + 1] += 1
                    cost[i * bands + band] += (x1 - x0) * (min(y1, (band + 1) * rows) - max(y0, band * rows))
    for b in range(1, offsets.shape[0]):
        offsets[b] += offsets[b - 1]
    order = np.empty(offsets[-1], np.int32)
    end = offsets[:-1].copy()
    for i in range(first.shape[0] - 1):
        for f in range(first[i], first[i + 1]):
            if boxes[f, 0] < boxes[f, 1] and boxes[f, 2] < boxes[f, 3]:
                for band in range(boxes[f, 2] // rows, (boxes[f, 3] - 1) // rows + 1):
                    b = i * bands + band
                    order[end[b]] = f
                    end[b] += 1
    return order


@jit
def _edge_distance(px, py, x0, y0, dx, dy, length, zero, one):
    """Squared distance of (px, py) to the segment from (x0, y0) to (x0 + dx, y0 + dy) of squared `length` > ε."""
    t = (dx * (px - x0) + dy * (py - y0)) / length
    t = zero if t < zero else t
    t = one if one < t else t
    x, y = px - (x0 + t * dx), py - (y0 + t * dy)
    return x * x + y * y


@jit
def _distance(px, py, x0, y0, x1, y1, x2, y2, zero, one):
    """Squared distance of (px, py) to the nearest edge of a triangle; of an edge shorter than √ε, to its end."""
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    if length <= EPSILON:
        d01 = (px - x1) * (px - x1) + (py - y1) * (py - y1)
    else:
        d01 = _edge_distance(px, py, x0, y0, dx, dy, length, zero, one)
    dx, dy = x2 - x0, y2 - y0
    length = dx * dx + dy * dy
    if length <= EPSILON:
        d02 = (px - x2) * (px - x2) + (py - y2) * (py - y2)
    else:
        d02 = _edge_distance(px, py, x0, y0, dx, dy, length, zero, one)
    dx, dy = x2 - x1, y2 - y1
    length = dx * dx + dy * dy
    if length <= EPSILON:
        d12 = (px - x2) * (px - x2) + (py - y2) * (py - y2)
    else:
        d12 = _edge_distance(px, py, x1, y1, dx, dy, length, zero, one)
    return min(min(d01, d02), d12)


@jit
def _fill(flat, start, stop, value):
    """flat[start:stop] = value, several at a time: an index that counts from 0 needs no check for being negative."""
    part = flat[start:stop]
    for i in range(part.shape[0]):
        part[i] = value


@jit
def nearest_faces(
    start,
    stop,
    cuts,
    order,
    offsets,
    rows,
    bands,
    corners,
    areas,
    boxes,
    xs,
    ys,
    perspective,
    clip,
    tiny,
    small,
    pix,
    zbuf,
    bary,
    dists,
):
    """The nearest face that holds each pixel centre, without blur: bands cuts[start] to cuts[stop], one layer.

    `tiny` is ε and `small` the least sum of clipped coordinates, both in the type of the corners.
    """
    zero, one = tiny - tiny, tiny / tiny
    far = one / zero
    height, width = pix.shape[1], pix.shape[2]
    face_at, depth_at, bary_at, distance_at = pix.reshape(-1), zbuf.reshape(-1), bary.reshape(-1), dists.reshape(-1)
    for b in range(cuts[start], cuts[stop]):
        image, top = b // bands, b % bands * rows
        bottom = min(top + rows, height)
        begin, end = (image * height + top) * width, (image * height + bottom) * width
        _fill(face_at, begin, end, -1)
        _fill(bary_at, 3 * begin, 3 * end, -one)
        _fill(distance_at, begin, end, -one)
        _fill(depth_at, begin, end, far if offsets[b] < offsets[b + 1] else -one)
        if offsets[b] == offsets[b + 1]:
            continue
        first, last = width, 0  # columns that a box has reached
        for k in range(offsets[b], offsets[b + 1]):
            f = order[k]
            x0, y0, z0 = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
            x1, y1, z1 = corners[f, 1, 0], corners[f, 1, 1], corners[f, 1, 2]
            x2, y2, z2 = corners[f, 2, 0], corners[f, 2, 1], corners[f, 2, 2]
            sign = one if areas[f] > zero else -one
            area = sign * areas[f]
            dx0, dy0 = sign * (x2 - x1), sign * (y2 - y1)
            dx1, dy1 = sign * (x0 - x2), sign * (y0 - y2)
            dx2, dy2 = sign * (x1 - x0), sign * (y1 - y0)
            left, right = boxes[f, 0], boxes[f, 1]
            first, last = min(first, left), max(last, right)
            column = xs[left:right]
            for y in range(max(boxes[f, 2], top), min(boxes[f, 3], bottom)):
                r0, r1, r2 = (ys[y] - y1) * dx0, (ys[y] - y2) * dx1, (ys[y] - y0) * dx2
                at = (image * height + y) * width + left
                depth = depth_at[at : at + right - left]
                entered = False
                for x in range(right - left):
                    w0 = r0 - (column[x] - x1) * dy0
                    w1 = r1 - (column[x] - x2) * dy1
                    w2 = r2 - (column[x] - x0) * dy2
                    if w0 > zero and w1 > zero and w2 > zero:
                        entered = True
                        w0, w1, w2 = w0 / area, w1 / area, w2 / area
                        if perspective:
                            w0, w1, w2 = w0 * z1 * z2, w1 * z0 * z2, w2 * z0 * z1
                            total = w0 + w1 + w2
                            total = tiny if total < tiny else total
                            w0, w1, w2 = w0 / total, w1 / total, w2 / total
                        if not (w0 > zero and w1 > zero and w2 > zero):
                            continue
                        if clip:
                            total = w0 + w1 + w2
                            total = small if total < small else total
                            w0, w1, w2 = w0 / total, w1 / total, w2 / total
                        z = w0 * z0 + w1 * z1 + w2 * z2
                        if z < depth[x]:
                            depth[x], face_at[at + x] = z, f
                            i = 3 * (at + x)
                            bary_at[i], bary_at[i + 1], bary_at[i + 2] = w0, w1, w2
                    elif entered:  # edge functions are monotonous, rounding included: a row of a face is one run
                        break
        for y in range(top, bottom):
            at = (image * height + y) * width
            for x in range(first, last):
                f = face_at[at + x]
                if f >= 0:
                    x0, y0, x1, y1 = corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1]
                    x2, y2 = corners[f, 2, 0], corners[f, 2, 1]
                    distance_at[at + x] = -_distance(xs[x], ys[y], x0, y0, x1, y1, x2, y2, zero, one)
        depth = depth_at[begin:end]
        for x in range(depth.shape[0]):
            depth[x] = -one if depth[x] == far else depth[x]


@jit
def face_layers(
    start,
    stop,
    cuts,
    order,
    offsets,
    rows,
    bands,
    corners,
    neighbours,
    areas,
    boxes,
    xs,
    ys,
    blur,
    perspective,
    clip,
    tiny,
    small,
    pix,
    zbuf,
    bary,
    dists,
):
    """The nearest faces in or near which each pixel centre lies, by depth: bands cuts[start] to cuts[stop].

    Outputs are kept sorted while faces arrive in ascending order. Of the two halves of a face (`neighbours`; empty if
    no face was cut) one at most has a place in a pixel: the nearer one in the image, the first of equally near ones.
    """
    zero, one = tiny - tiny, tiny / tiny
    radius = np.sqrt(blur)
    height, width, layers = pix.shape[1], pix.shape[2], pix.shape[3]
    face_at, depth_at, bary_at, distance_at = pix.reshape(-1), zbuf.reshape(-1), bary.reshape(-1), dists.reshape(-1)
    filled = np.empty(rows * width, np.int32)
    for b in range(cuts[start], cuts[stop]):
        image, top = b // bands, b % bands * rows
        bottom = min(top + rows, height)
        begin, end = (image * height + top) * width * layers, (image * height + bottom) * width * layers
        _fill(face_at, begin, end, -1)
        _fill(depth_at, begin, end, -one)
        _fill(bary_at, 3 * begin, 3 * end, -one)
        _fill(distance_at, begin, end, -one)
        _fill(filled, 0, width * rows, 0)
        for k in range(offsets[b], offsets[b + 1]):
            f = order[k]
            x0, y0, z0 = corners[f, 0, 0], corners[f, 0, 1], corners[f, 0, 2]
            x1, y1, z1 = corners[f, 1, 0], corners[f, 1, 1], corners[f, 1, 2]
            x2, y2, z2 = corners[f, 2, 0], corners[f, 2, 1], corners[f, 2, 2]
            sign = one if areas[f] > zero else -one
            area = sign * areas[f]
            dx0, dy0 = sign * (x2 - x1), sign * (y2 - y1)
            dx1, dy1 = sign * (x0 - x2), sign * (y0 - y2)
            dx2, dy2 = sign * (x1 - x0), sign * (y1 - y0)
            # a centre further than this outside of an edge is beyond the blur, whatever the rounding of its distance
            reach = max(abs(x0), abs(x1), abs(x2)) + max(abs(y0), abs(y1), abs(y2)) + radius
            reach = corners.dtype.type(radius * 1.001 + reach * 1e-5) if radius > zero else zero
            limit0 = zero - reach * np.sqrt(dx0 * dx0 + dy0 * dy0)
            limit1 = zero - reach * np.sqrt(dx1 * dx1 + dy1 * dy1)
            limit2 = zero - reach * np.sqrt(dx2 * dx2 + dy2 * dy2)
            rival = neighbours[f] if neighbours.shape[0] else -1
            for y in range(max(boxes[f, 2], top), min(boxes[f, 3], bottom)):
                py = ys[y]
                r0, r1, r2 = (py - y1) * dx0, (py - y2) * dx1, (py - y0) * dx2
                entered = False
                for x in range(boxes[f, 0], boxes[f, 1]):
                    px = xs[x]
                    w0 = r0 - (px - x1) * dy0
                    w1 = r1 - (px - x2) * dy1
                    w2 = r2 - (px - x0) * dy2
                    if not (w0 >= limit0 and w1 >= limit1 and w2 >= limit2):
                        if entered:
                            break
                        continue
                    entered = True
                    inside = w0 > zero and w1 > zero and w2 > zero
                    distance = zero
                    if not inside:
                        distance = _distance(px, py, x0, y0, x1, y1, x2, y2, zero, one)
                        if not distance < blur:
                            continue
                    w0, w1, w2 = w0 / area, w1 / area, w2 / area
                    if perspective:
                        w0, w1, w2 = w0 * z1 * z2, w1 * z0 * z2, w2 * z0 * z1
                        total = w0 + w1 + w2
                        total = tiny if total < tiny else total
                        w0, w1, w2 = w0 / total, w1 / total, w2 / total
                    within = w0 > zero and w1 > zero and w2 > zero
                    if clip:
                        w0 = zero if w0 < zero else w0
                        w1 = zero if w1 < zero else w1
                        w2 = zero if w2 < zero else w2
                        total = w0 + w1 + w2
                        total = small if total < small else total
                        w0, w1, w2 = w0 / total, w1 / total, w2 / total
                    z = w0 * z0 + w1 * z1 + w2 * z2
                    n = filled[(y - top) * width + x]
                    at = ((image * height + y) * width + x) * layers
                    if not (z >= zero and z < np.inf) or (n == layers and rival < 0 and z >= depth_at[at + n - 1]):
                        continue
                    if inside:
                        distance = _distance(px, py, x0, y0, x1, y1, x2, y2, zero, one)
                        if not within and not distance < blur:  # an edge function vanished in the division
                            continue
                    if rival >= 0:
                        i = at
                        while i < at + n and face_at[i] != rival:
                            i += 1
                        if i < at + n:
                            if not distance < abs(distance_at[i]):
                                continue
                            n -= 1
                            for j in range(i, at + n):
                                _move(face_at, depth_at, bary_at, distance_at, j + 1, j)
                        elif n == layers and z >= depth_at[at + n - 1]:
                            continue
                    i = at + n
                    while i > at and z < depth_at[i - 1]:
                        i -= 1
                    for j in range(at + min(n, layers - 1), i, -1):
                        _move(face_at, depth_at, bary_at, distance_at, j - 1, j)
                    filled[(y - top) * width + x] = min(n + 1, layers)
                    face_at[i], depth_at[i], distance_at[i] = f, z, -distance if within else distance
                    bary_at[3 * i], bary_at[3 * i + 1], bary_at[3 * i + 2] = w0, w1, w2


@jit
def _move(faces, depths, barys, distances, i, j):
    """Copy entry i to j."""
    faces[j], depths[j], distances[j] = faces[i], depths[i], distances[i]
    barys[3 * j], barys[3 * j + 1], barys[3 * j + 2] = barys[3 * i], barys[3 * i + 1], barys[3 * i + 2]
