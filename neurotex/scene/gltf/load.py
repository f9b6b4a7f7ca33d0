"""A glTF file → nodes of a scene."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import SceneError
from ..material import Material
from ..mesh import Mesh
from ..node import DEEPEST, Node
from ..origin import origin_near
from . import nodes, primitives
from .document import Document
from .materials import IDENTITY, Materials, Worn
from .primitives import Primitive
from .values import Item


def load(path: Path) -> list[Node]:
    """The root nodes of the scene that a glTF or GLB file shows, in the pose of its nodes, morphed by default weights.

    A glTF material is a metallic-roughness surface if the file gives a factor or a texture for that; what it leaves
    out is then 1, as glTF has it. A material without any, or with the factors of the roughest dielectric (roughness
    1, metallic 0, as many exporters write for a plain colour), is diffuse. All are seen from both sides.

    A mesh of several primitives becomes as many child nodes. Warns, once, of all that is not used. Raises SceneError
    and FileError, in one sentence, for what cannot be read.
    """
    document = Document(Path(path))
    roots = _Builder(document).roots()
    document.remarks.say(stacklevel=4)
    return roots


class _Builder:
    """Makes meshes, each once however many nodes carry it, and hangs nodes into one another."""

    def __init__(self, document: Document):
        self.document = document
        self.materials = Materials(document)
        self._shared = primitives.shared(document)
        self._meshes: dict[tuple, list[Mesh]] = {}

    def roots(self) -> list[Node]:
        document, remarks = self.document, self.document.remarks
        places = nodes.places(document)
        worlds = {place.number: place.world for place in places}
        made: dict[int, Node] = {}
        hung: dict[int, nodes.Place] = {}  # where nodes come to hang
        roots: list[tuple[Node, np.ndarray]] = []
        boxes: list[np.ndarray] = []  # corners, in the world
        for place in places:
            item = place.item
            name = item.text("name", None) or f"node{place.number}"
            mesh, skin = document.pick(item, "mesh", "meshes"), document.pick(item, "skin", "skins")
            if "camera" in item:
                remarks.unused("the file", "cameras")
            parent, transform, depth = place.parent, place.transform, 0
            if parent is not None:
                depth = hung[parent].depth + 1
                if depth == DEEPEST:  # beside its parent: modules within modules end where Python's recursion does
                    remarks.unused("the file", f"nesting beyond {DEEPEST} nodes, which lie where they lay,")
                    parent, transform, depth = hung[parent].parent, hung[parent].transform @ transform, depth - 1
            hung[place.number] = replace(place, parent=parent, transform=transform, depth=depth)
            node = made[place.number] = Node(None, _matrix(transform, item), name=name)
            if parent is None:
                roots.append((node, transform))
            else:
                made[parent].nodes.append(node)
            if mesh is None:
                continue
            if skin is None:
                _carry(node, self._of(mesh, item))
                boxes += [_box(each, place.world) for each in self._of(mesh, item)]
            else:  # a skin's mesh lies in the world, wherever its node is
                matrices = nodes.joints(document, skin, worlds)
                rest = Node(name=f"{name} skinned")
                _carry(rest, self._of(mesh, item, matrices))
                roots.append((rest, np.eye(4)))
                boxes += [_box(each, np.eye(4)) for each in self._of(mesh, item, matrices)]
        if document.all("animations"):
            remarks.unused("the file", "animations")
        if not any(self._meshes.values()):
            raise SceneError("there is no triangle mesh in it: export one with faces.")
        origin = origin_near(np.concatenate(boxes))
        for node, transform in roots:
            place = node.transform.new_tensor(transform[:3, 3] - origin)  # a difference in double precision
            node.transform[:3, 3] = place
            node.origin = origin
            node.front = document.front
        return [node for node, _ in roots]

    def _of(self, mesh: Item, node: Item, matrices: np.ndarray | None = None) -> list[Mesh]:
        """The meshes of a node, one for each primitive."""
        weights = node.numbers("weights", None, mesh.numbers("weights", None, []))
        key = (mesh.where, tuple(weights), None if matrices is None else node.where)
        if key not in self._meshes:
            name = mesh.text("name", None) or mesh.where
            read = [primitives.read(self.document, item, weights, self._shared) for item in mesh.items("primitives")]
            found = [primitive for primitive in read if primitive is not None]
            names = [name] if len(found) == 1 else [f"{name}_{k}" for k in range(len(found))]
            self._meshes[key] = [self._mesh(*pair, matrices) for pair in zip(names, found, strict=True)]
        return self._meshes[key]

    def _mesh(self, name: str, primitive: Primitive, matrices: np.ndarray | None) -> Mesh:
        attributes, item = primitive.attributes, primitive.item
        if matrices is not None:
            attributes = nodes.skinned(attributes, matrices, item.where)
        colors = attributes.get("COLOR_0")
        if colors is not None and not bool((colors != 1).any()):
            colors = None  # all white
        sets = frozenset(int(name[9:]) for name in attributes if name.startswith("TEXCOORD_") and name[9:].isdigit())
        number = item.index("material", len(self.document.all("materials")), "materials", None)
        worn = Worn(Material(), None, IDENTITY) if number is None else self.materials.wear(number, sets, item.where)
        # without a texture the first set is kept, for what the mesh may wear later
        coordinates = min(sets, default=None) if worn.coordinates is None else worn.coordinates
        uvs = None if coordinates is None else _uvs(attributes[f"TEXCOORD_{coordinates}"], worn.transform)
        normals = attributes.get("NORMAL")
        return Mesh(
            _tensor(attributes["POSITION"]),
            torch.from_numpy(primitive.faces.astype(np.int32)),
            uvs,
            None if normals is None else _tensor(normals),
            worn.material,
            name,
            None if colors is None else _tensor(colors.clip(0, 1)),
        )


def _carry(node: Node, meshes: list[Mesh]) -> None:
    """Put meshes on a node; several become its children, as a node carries one."""
    if len(meshes) == 1:
        node.mesh = meshes[0]
    else:
        node.nodes.extend(Node(mesh, name=mesh.name) for mesh in meshes)


def _box(mesh: Mesh, world: np.ndarray) -> np.ndarray:
    """(8, 3): corners of a box around a mesh, in the world."""
    low, high = (bound.double().numpy() for bound in mesh.vertices.aminmax(dim=0))
    corners = np.stack(np.meshgrid(*np.stack([low, high], 1), indexing="ij"), -1).reshape(-1, 3)
    with np.errstate(all="ignore"):
        return corners @ world[:3, :3].T + world[:3, 3]


def _uvs(rows: np.ndarray, transform: np.ndarray) -> Tensor:
    """UVs with v up, after a transform of such."""
    up = np.stack([rows[:, 0], 1 - rows[:, 1]], 1)
    if transform is not IDENTITY and not np.array_equal(transform, IDENTITY):
        up = up @ transform[:2, :2].T + transform[:2, 2]
    return _tensor(up)


def _matrix(transform: np.ndarray, item: Item) -> Tensor:
    with np.errstate(all="ignore"):
        if not np.isfinite(transform).all() or float(np.abs(transform).max()) > np.finfo(np.float32).max:
            raise SceneError(f"{item.where} has a transform too large to be drawn: export it again.")
    return torch.tensor(transform, dtype=torch.get_default_dtype())


def _tensor(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).to(torch.get_default_dtype())
