"""Primitives: triangles out of attributes and indices. After glTF 2.0, sections 3.7.2 and 3.7.3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ...errors import SceneError
from . import accessors
from .document import Document, needed
from .values import Item

MODES = ("points", "lines", "line loops", "line strips", "triangles", "triangle strips", "triangle fans")
TRIANGLES, STRIP, FAN = 4, 5, 6
COLUMNS = {"POSITION": (3,), "NORMAL": (3,), "TEXCOORD": (2,), "COLOR": (3, 4), "JOINTS": (4,), "WEIGHTS": (4,)}


@dataclass
class Primitive:
    """The arrays of one primitive, by the names of glTF's attributes, a row for each vertex; v still runs down."""

    item: Item
    faces: np.ndarray
    """(faces, 3) int64."""
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    """Floats of 32 bits, but JOINTS_n, which are whole."""


def read(
    document: Document, item: Item, weights: Sequence[float], shared: frozenset[int] = frozenset()
) -> Primitive | None:
    """A primitive with its morph targets blended by `weights`; None, and a remark, for one that has no triangles.

    Of arrays that are `shared` with others it keeps its own vertices alone, if they are few.
    Tangents are not read: normal maps are turned by UVs (`neurotex.shading.normal_map`).
    """
    mode = item.whole("mode", TRIANGLES)
    if mode >= len(MODES):
        raise item.wrong("mode", f"one of 0 to {len(MODES) - 1}")
    if mode < TRIANGLES:
        document.remarks.unused("the file", MODES[mode])
        return None
    named = item.item("attributes")
    if "POSITION" not in named:
        document.remarks.unused("the file", "meshes without positions")
        return None
    wanted = ["POSITION", "NORMAL", "COLOR_0"] + [name for name in named if name.startswith("TEXCOORD_")]
    wanted += [name for name in named if name.startswith(("JOINTS_", "WEIGHTS_"))]
    attributes = {name: _attribute(document, item, named, name) for name in wanted if name in named}
    count = len(attributes["POSITION"])
    for name, rows in attributes.items():
        if len(rows) != count:
            raise SceneError(f"{item.where} has {len(rows)} rows of {name} for {count} vertices: export it again.")
    faces = _triangles(_indices(document, item, count), mode)
    if len(faces) == 0:
        document.remarks.unused("the file", "meshes without triangles")
        return None
    _morph(document, item, attributes, weights)
    if "NORMAL" in attributes:
        attributes["NORMAL"] = _unit(attributes["NORMAL"])
    found = Primitive(item, faces, attributes)
    return _compact(found) if named.whole("POSITION") in shared else found


def _attribute(document: Document, owner: Item, named: Item, name: str) -> np.ndarray:
    number = named.index(name, len(document.all("accessors")), "accessors")
    accessor = document.all("accessors")[number]
    empty = "bufferView" not in accessor and "sparse" not in accessor
    if empty and owner.extension("KHR_draco_mesh_compression") is not None:
        raise needed("KHR_draco_mesh_compression")
    rows, columns = accessors.read(document, number), COLUMNS[name.split("_")[0]]
    if rows.shape[1] not in columns:
        raise SceneError(
            f"{named.where}.{name} has {rows.shape[1]} numbers for a vertex, not {columns[0]}: export it again."
        )
    return rows.astype(np.int64) if name.startswith("JOINTS_") else rows.astype(np.float32)


def _indices(document: Document, item: Item, count: int) -> np.ndarray:
    """The vertex of each corner."""
    number = item.index("indices", len(document.all("accessors")), "accessors", None)
    if number is None:
        return np.arange(count)
    rows = accessors.read(document, number)
    if rows.dtype.kind != "u" or rows.shape[1] != 1:
        raise SceneError(f"{item.where}.indices are not whole numbers, one for each corner: export it again.")
    if int(rows.max()) >= count:
        raise SceneError(
            f"{item.where} has a face with vertex index {rows.max()}, but {count} vertices: export it again."
        )
    return rows[:, 0].astype(np.int64)


def _triangles(corners: np.ndarray, mode: int) -> np.ndarray:
    """(faces, 3). What is left over of a list is dropped; so are a strip's faces that only lead to the next ones."""
    if mode == TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    first = np.arange(max(len(corners) - 2, 0))
    odd = first % 2
    places = (first, first + 1 + odd, first + 2 - odd) if mode == STRIP else (first + 1, first + 2, 0 * first)
    faces = corners[np.stack(places, 1)]
    return faces[(faces != np.roll(faces, 1, axis=1)).all(1)]


def _morph(document: Document, item: Item, attributes: dict[str, np.ndarray], weights: Sequence[float]) -> None:
    targets = item.items("targets")
    if not targets:
        return
    document.remarks.unused("the file", "morph targets beyond their default weights")
    for target, weight in zip(targets, weights, strict=False):
        for name in attributes.keys() & {"POSITION", "NORMAL", *(n for n in attributes if n.startswith("TEXCOORD_"))}:
            if weight and name in target:
                moved = _attribute(document, item, target, name)
                if len(moved) != len(attributes[name]):
                    raise SceneError(f"{target.where} has {len(moved)} rows of {name}: export it again.")
                attributes[name] = attributes[name] + np.float32(weight) * moved


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; those that are so up to rounding stay as they are, and zeros stay zeros."""
    length = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    scale = np.where((np.abs(length - 1) < 1e-5) | (length == 0), 1, length)
    return (rows / scale).astype(np.float32)


def shared(document: Document) -> frozenset[int]:
    """The accessors of positions that several primitives share."""
    uses: Counter[int] = Counter()
    for mesh in document.all("meshes"):
        for item in mesh.items("primitives"):
            uses[item.item("attributes").whole("POSITION", -1)] += 1
    return frozenset(number for number, count in uses.items() if count > 1)


def _compact(primitive: Primitive) -> Primitive:
    """Without the vertices of others, if fewer than half are its own."""
    used = np.zeros(len(primitive.attributes["POSITION"]), bool)
    used[primitive.faces] = True
    if 2 * np.count_nonzero(used) >= len(used):
        return primitive
    number = np.cumsum(used) - 1
    rows = {name: values[used] for name, values in primitive.attributes.items()}
    return Primitive(primitive.item, number[primitive.faces], rows)
