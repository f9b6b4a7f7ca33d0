"""The tree of nodes: transforms, instances, skins. After glTF 2.0, sections 3.5 and 3.7.3."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import SceneError
from . import accessors
from .document import Document
from .values import Item


@dataclass(frozen=True)
class Place:
    """A node of the file in the scene: its own transform and that to the world, (4, 4) float64, and its parent."""

    item: Item
    number: int
    parent: int | None
    transform: np.ndarray
    world: np.ndarray
    depth: int = 0
    """How many nodes it lies within, once it hangs in the scene."""


def places(document: Document) -> list[Place]:
    """The nodes of the scene that the file shows, parents first, depth first. Raises SceneError unless it is a tree."""
    nodes = document.all("nodes")
    stack: list[tuple[int, Place | None]] = [(root, None) for root in reversed(_roots(document))]
    found: list[Place] = []
    seen: set[int] = set()
    while stack:
        number, parent = stack.pop()
        item = nodes[number]
        if number in seen:
            raise SceneError(f"{item.where} is the child of several nodes, or of itself: export it again.")
        seen.add(number)
        transform = _transform(item)
        with np.errstate(all="ignore"):
            world = transform if parent is None else parent.world @ transform
        place = Place(item, number, parent and parent.number, transform, world)
        found.append(place)
        stack += [(child, place) for child in reversed(item.indices("children", len(nodes), "nodes"))]
    return found


def joints(document: Document, skin: Item, worlds: dict[int, np.ndarray]) -> np.ndarray:
    """What takes a vertex at rest to the world for each joint of a skin, (joints, 4, 4)."""
    numbers = skin.indices("joints", len(document.all("nodes")), "nodes")
    if not numbers or not set(numbers) <= worlds.keys():
        raise SceneError(f"{skin.where}.joints are not nodes of the scene: export it again.")
    bound = np.eye(4)
    index = skin.index("inverseBindMatrices", len(document.all("accessors")), "accessors", None)
    if index is not None:
        rows = accessors.read(document, index)
        if rows.shape[1] != 16 or len(rows) < len(numbers):
            raise SceneError(f"{skin.where}.inverseBindMatrices are not a matrix for each joint: export it again.")
        bound = rows[: len(numbers)].reshape(-1, 4, 4).transpose(0, 2, 1).astype(np.float64)
    return np.stack([worlds[number] for number in numbers]) @ bound


def skinned(attributes: dict[str, np.ndarray], matrices: np.ndarray, where: str) -> dict[str, np.ndarray]:
    """Positions and normals in the world, each vertex moved by its joints."""
    total = np.zeros((len(attributes["POSITION"]), 4, 4))
    sum_of_weights = np.zeros(len(total))
    for k in range(4):
        index, weight = attributes.get(f"JOINTS_{k}"), attributes.get(f"WEIGHTS_{k}")
        if index is None or weight is None:
            continue
        if int(index.max()) >= len(matrices) or int(index.min()) < 0:
            raise SceneError(f"{where} is moved by joint {index.max()} of {len(matrices)}: export it again.")
        for c in range(4):
            total += weight[:, c, None, None] * matrices[index[:, c]]
            sum_of_weights += weight[:, c]
    free = sum_of_weights == 0
    total[free] = np.eye(4)
    total[~free] /= sum_of_weights[~free, None, None]
    moved = dict(attributes)
    position = np.concatenate([attributes["POSITION"], np.ones((len(total), 1))], 1)
    moved["POSITION"] = np.einsum("nij,nj->ni", total, position)[:, :3].astype(np.float32)
    if "NORMAL" in attributes:
        linear = total[:, :3, :3]
        cofactor = np.stack([np.cross(linear[:, (i + 1) % 3], linear[:, (i + 2) % 3]) for i in range(3)], 1)
        normal = np.einsum("nij,nj->ni", cofactor, attributes["NORMAL"])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        moved["NORMAL"] = (normal / np.where(length > 0, length, 1)).astype(np.float32)
    return moved


def _roots(document: Document) -> list[int]:
    """The roots of the default scene, of the first one, or of a file without scenes."""
    nodes, scenes = document.all("nodes"), document.all("scenes")
    if not scenes:
        children = {child for node in nodes for child in node.indices("children", len(nodes), "nodes")}
        return [number for number in range(len(nodes)) if number not in children]
    chosen = document.tree.index("scene", len(scenes), "scenes", 0)
    if len(scenes) > 1:
        document.remarks.unused("the file", f"scenes other than number {chosen}")
    return scenes[chosen].indices("nodes", len(nodes), "nodes")


def _transform(item: Item) -> np.ndarray:
    matrix = item.numbers("matrix", 16, None)
    if matrix is not None:
        return np.array(matrix).reshape(4, 4).T
    x, y, z, w = item.numbers("rotation", 4, [0.0, 0.0, 0.0, 1.0])
    length = float(np.linalg.norm([x, y, z, w]))
    if not 0 < length < np.inf:
        raise item.wrong("rotation", "a rotation")
    x, y, z, w = (value / length for value in (x, y, z, w))
    # rotation matrix of a unit quaternion
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    out = np.eye(4)
    out[:3, :3] = turn * item.numbers("scale", 3, [1.0, 1.0, 1.0])
    out[:3, 3] = item.numbers("translation", 3, [0.0, 0.0, 0.0])
    return out
