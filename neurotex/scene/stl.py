"""STL files, ASCII and binary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import FileError, SceneError
from .corners import Corners, Part, same_points
from .material import Material
from .node import Node
from .text_lines import Lines

HEADER, FACET = 84, 50  # bytes
CREASE = 30.0  # degrees


def load(path: Path) -> list[Node]:
    """The root node of an STL file. Corners in one place are one vertex where its facets meet at less than 30 degrees.

    The file has neither UVs nor colours, and no word of which edges are sharp; normals are computed.
    """
    corners = _corners(path)
    like, place = same_points(corners)
    points, place = corners[like], place.reshape(-1, 3)
    surface = Corners(points, place, smoothing=smooth_fans(points, place, CREASE))
    ((mesh,),) = surface.meshes([Part(path.name, Material())])
    node = Node(mesh, name=mesh.name)
    node.origin = surface.origin
    return [node]


def _corners(path: Path) -> np.ndarray:
    """(3 · facets, 3) float64."""
    data = path.read_bytes()
    facets = int.from_bytes(data[HEADER - 4 : HEADER], "little") if len(data) >= HEADER else 0
    if data[:5].lower() == b"solid" and len(data) != HEADER + FACET * facets:
        lines = Lines(path)
        which = lines.begins(b"vertex") if b"vertex" in data else lines.begins(b"VERTEX")
        values, counts = lines.numbers(which, len(b"vertex"))
        wrong = np.flatnonzero(counts != 3)
        if len(wrong):
            raise FileError(f"{lines.where(int(which[wrong[0]]))}: a vertex needs x, y and z: repair the file.")
        if b"endsolid" not in data.lower():
            raise FileError(f"{path} is cut off: it has no endsolid; get it again.")
        if len(which) == 0 or len(which) % 3:
            raise SceneError(f"it has {len(which)} corners, which are no whole triangles: export it again.")
        return values.reshape(-1, 3)
    if len(data) < HEADER or len(data) < HEADER + FACET * facets:
        raise FileError(
            f"{path} is not an STL file, or is cut off: it has {len(data)} bytes, but {facets} facets take "
            f"{HEADER + FACET * facets}: get it again."
        )
    if facets == 0:
        raise SceneError("there is no facet in it: export it again.")
    rows = np.frombuffer(
        data, np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")]), facets, HEADER
    )
    return rows["corners"].reshape(-1, 3).astype(np.float64)


def smooth_fans(points: np.ndarray, place: np.ndarray, degrees: float) -> np.ndarray:
    """(f, 3): a number for each corner, the same for those of one place that edges flatter than `degrees` connect."""
    corner = points[place]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.where(length > 0, length, 1)
    begin, end = place.reshape(-1), np.roll(place, -1, 1).reshape(-1)
    low, high = np.minimum(begin, end), np.maximum(begin, end)
    order = np.lexsort([high, low])
    meet = (np.diff(low[order]) == 0) & (np.diff(high[order]) == 0)
    one, two = order[:-1][meet], order[1:][meet]  # edges: of the corners that they begin at
    flat = (normal[one // 3] * normal[two // 3]).sum(1) > np.cos(np.radians(degrees))
    one, two = one[flat], two[flat]
    one_end, two_end = one - one % 3 + (one + 1) % 3, two - two % 3 + (two + 1) % 3
    turned = begin[one] == end[two]  # as edges of neighbours are, if both faces are wound alike
    pairs = np.concatenate(
        [np.stack([one, np.where(turned, two_end, two)]), np.stack([one_end, np.where(turned, two, two_end)])], 1
    )
    label = np.arange(len(begin))
    while True:
        least = np.minimum(label[pairs[0]], label[pairs[1]])
        new = label.copy()
        np.minimum.at(new, pairs[0], least)
        np.minimum.at(new, pairs[1], least)
        new = new[new]
        if np.array_equal(new, label):
            return label.reshape(-1, 3)
        label = new
