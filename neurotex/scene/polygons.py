"""Polygons cut into triangles."""

from __future__ import annotations

import numpy as np

TRIES = 8  # corners looked at per corner cut off, on average, before a polygon that crosses itself is given up


def triangulate(corners: np.ndarray, counts: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of polygons, as numbers of corners, and the polygon of each.

    `corners` (c,) index `points` (p, 3); polygon k has the next `counts[k]` of them, at least 3. A convex polygon is a
    fan around its first corner; of a concave one, ears are cut off (Meisters, "Polygons have ears", 1975).
    """
    first = np.cumsum(counts) - counts
    if (counts == 3).all():
        return first[:, None] + np.arange(3), np.arange(len(counts))
    place = np.cumsum(counts - 2) - (counts - 2)  # of a polygon's first triangle
    triangles = np.empty((int((counts - 2).sum()), 3), np.int64)
    for count in np.unique(counts):
        which = np.flatnonzero(counts == count)
        own = first[which, None] + np.arange(count)  # (m, count) numbers of corners
        fan = np.stack([np.zeros(count - 2, np.int64), np.arange(1, count - 1), np.arange(2, count)], 1)
        cut = np.broadcast_to(fan, (len(which), *fan.shape)).copy()
        if count > 3:
            for k, turn in _concave(points[corners[own]]):
                cut[k] = _ears(turn)
        rows = place[which, None] + np.arange(count - 2)
        triangles[rows] = np.take_along_axis(own[:, None], cut, 2) if count > 3 else own[:, None]
    return triangles, np.repeat(np.arange(len(counts)), counts - 2)


def _concave(polygons: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Which of (m, n, 3) polygons are not convex, and the outline of each in its plane, (n, 2), counter-clockwise."""
    polygons = polygons - polygons[:, :1]
    normal = np.cross(polygons, np.roll(polygons, -1, 1)).sum(1)  # Newell: twice the area
    size = np.linalg.norm(normal, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        edge = np.roll(polygons, -1, 1) - polygons
        turn = (np.cross(np.roll(edge, 1, 1), edge) * normal[:, None]).sum(2)
        found = np.flatnonzero((turn < -1e-6 * size**2).any(1))
    flat = []
    for k in found:
        axis = normal[k] / size[k]
        side = np.eye(3)[np.abs(axis).argmin()]
        side = np.cross(axis, side) / np.linalg.norm(np.cross(axis, side))
        flat.append((int(k), polygons[k] @ np.stack([side, np.cross(axis, side)], 1)))
    return flat


def _ears(outline: np.ndarray) -> np.ndarray:
    """Triangles (n - 2, 3) of one outline (n, 2), counter-clockwise."""
    left = list(range(len(outline)))
    triangles = []
    tries = TRIES * len(left) + 64
    at = 0
    while len(left) > 3 and tries > 0:
        tries -= 1
        a, b, c = (left[(at + i) % len(left)] for i in range(3))
        if _is_ear(outline, left, a, b, c):
            triangles.append((a, b, c))
            left.remove(b)
            at = max(at - 1, 0)
            tries += TRIES
        else:
            at = (at + 1) % len(left)
    triangles += [(left[0], left[i], left[i + 1]) for i in range(1, len(left) - 1)]
    return np.array(triangles)


def _is_ear(outline: np.ndarray, left: list[int], a: int, b: int, c: int) -> bool:
    """Whether the triangle at b turns left, and no other corner that is left lies in it."""
    corner = outline[[a, b, c]]
    edge = np.roll(corner, -1, 0) - corner
    area = edge[0, 0] * edge[1, 1] - edge[0, 1] * edge[1, 0]
    if not area > 0:
        return False
    others = outline[left]
    others = others[~(others[:, None] == corner).all(2).any(1)]  # a corner met twice is no obstacle
    away = others[:, None] - corner
    inside = edge[:, 0] * away[..., 1] - edge[:, 1] * away[..., 0]
    return not bool((inside >= 0).all(1).any())
