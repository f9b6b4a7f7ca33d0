"""Scenes written as binary glTF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...core import storage
from ...errors import ArgumentError, SceneError
from ...geometry import unit
from ...shading import face_tangents
from ...shading.normal_map import perpendicular
from ..export import shown_as_exported
from ..latent import Evaluation
from ..mesh import Mesh
from ..origin import NOWHERE, Origin
from .glb import Glb
from .write_materials import MaterialWriter, uv_base

if TYPE_CHECKING:
    from ..graph import Scene
    from ..node import Node

ORTHOGONAL = 1e-5  # cosines between a matrix's columns that rounding leaves


def save(scene: Scene, path: str | Path) -> None:
    """Write the graph, instances shared, with every texture as `eval()` shows it, in the format of its last step.

    Samplers are written, too; "anisotropic", which glTF has no name for, as "trilinear". Raises SceneError for what
    glTF cannot hold.
    """
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise ArgumentError(f"{path} must end in .glb: a scene is saved as binary glTF.")
    content = to_bytes(scene)
    with storage.replacing(path) as temporary:
        temporary.write_bytes(content)


def to_bytes(scene: Scene) -> bytes:
    """What `save` writes."""
    with shown_as_exported(scene):
        return bytes(_written(scene))


def _written(scene: Scene) -> Glb:
    glb = Glb()
    write = MaterialWriter(glb, Evaluation())
    materials = {material: glb.add("materials", write(material)) for material in scene.materials()}
    meshes = {mesh: glb.add("meshes", _mesh(glb, mesh, materials[mesh.material], write)) for mesh in scene.meshes()}
    names = _Names()
    roots: list[int] = []
    stack = [(node, roots) for node in reversed(scene.nodes)]
    while stack:
        node, siblings = stack.pop()
        first, last = _nodes(glb, node, names, scene.origin if siblings is roots else NOWHERE)
        if node.mesh is not None:
            last["mesh"] = meshes[node.mesh]
        siblings.append(first)
        if len(node.nodes):
            stack += [(child, last.setdefault("children", [])) for child in reversed(node.nodes)]
    if scene.front != "+Z":
        glb.tree["asset"]["extras"] = {"front": scene.front}  # glTF would have it turned, and away from its cameras
    glb.tree |= {"scene": 0, "scenes": [{"nodes": roots} if roots else {}]}
    return glb


class _Names:
    """Names of nodes, which programs take for unique."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def free(self, name: str) -> str:
        """`name`, or the first of name_1, name_2, … that is not taken."""
        found, number = name, self._next.get(name, 0)
        while found in self._next:
            number += 1
            found = f"{name}_{number}"
        self._next |= {name: number, found: 0} if found != name else {name: 0}
        return found


def _nodes(glb: Glb, node: Node, names: _Names, origin: Origin) -> tuple[int, dict]:
    """A node as one of glTF, or two, one in the other, where its transform shears: (number of the first, the last).

    glTF has rotations and scales alone. Any matrix is U · S · Vᵀ: a rotation and a scale of what is rotated by Vᵀ.
    """
    matrix = node.transform.detach().double().cpu().numpy().copy()
    matrix[:3, 3] += origin
    last: dict = {"name": names.free(node.name)}
    if _shears(matrix[:3, :3]):
        u, s, vt = np.linalg.svd(matrix[:3, :3])
        if np.linalg.det(vt) < 0:
            u[:, 2], vt[2] = -u[:, 2], -vt[2]
        first = {"name": names.free(f"{node.name} sheared"), **_transform(u * s, matrix[:3, 3])}
        last |= _transform(vt, np.zeros(3))
        number = glb.add("nodes", first)
        first["children"] = [glb.add("nodes", last)]
        return number, last
    last |= _transform(matrix[:3, :3], matrix[:3, 3])
    return glb.add("nodes", last), last


def _shears(linear: np.ndarray) -> bool:
    length = np.linalg.norm(linear, axis=0)
    cosines = linear.T @ linear / np.maximum(np.outer(length, length), 1e-300)
    return bool(np.abs(cosines - np.diag(np.diag(cosines))).max() > ORTHOGONAL)


def _transform(linear: np.ndarray, offset: np.ndarray) -> dict:
    """A transform that does not shear, as it is; one that is flat as the rotation and scale that it does not tell."""
    if np.array_equal(linear, np.eye(3)) and not offset.any():
        return {}
    length = np.linalg.norm(linear, axis=0)
    if length.min() > 1e-6 * length.max():
        return {"matrix": np.block([[linear, offset[:, None]], [np.eye(4)[3:]]]).T.flatten().tolist()}
    # the rotation that is nearest to the columns of unit length; those that are 0 find their place
    u, _, vt = np.linalg.svd(linear / np.where(length > 0, length, 1))
    turn, least = u @ vt, int(length.argmin())
    turn[:, least] *= np.sign(np.linalg.det(turn))
    return {"translation": offset.tolist(), "rotation": _quaternion(turn), "scale": length.tolist()}


def _quaternion(turn: np.ndarray) -> list[float]:
    """(x, y, z, w) of a rotation: the eigenvector of 4 q qᵀ − 1, whose entries are sums of the matrix's."""
    (a, b, c), (d, e, f), (g, h, i) = turn.tolist()
    outer = [
        [a - e - i, b + d, c + g, h - f],
        [0, e - a - i, f + h, c - g],
        [0, 0, i - a - e, d - b],
        [0, 0, 0, a + e + i],
    ]
    return np.linalg.eigh(np.array(outer), "U").eigenvectors[:, -1].tolist()


def _mesh(glb: Glb, mesh: Mesh, material: int, write: MaterialWriter) -> dict:
    mesh.check()
    face = None
    if mesh.material.base_color.filter == "face":  # glTF has colours at vertices
        mesh, face = write.parted(mesh)
    faces, vertices = _array(mesh.faces), _array(mesh.vertices).astype(np.float32)
    if not np.isfinite(vertices).all():
        raise SceneError(f"mesh '{mesh.name}' has vertices beyond glTF's 32 bits: scale it.")
    normals = _unit(_array(mesh.shading_normals()))
    attributes = {"POSITION": glb.add_vertices(vertices, bounds=True), "NORMAL": glb.add_vertices(normals)}
    uvs = None if mesh.uvs is None else _array(mesh.uvs)
    mesh.check_uvs()
    if uvs is None and mesh.material.normal is not None:  # one value, but glTF has it as a texture
        uvs = np.zeros((len(vertices), 2))
    if uvs is not None:
        base = uv_base(mesh.material)
        if not np.array_equal(base, np.eye(3)):
            uvs = uvs @ np.linalg.inv(base)[:2, :2].T
        attributes["TEXCOORD_0"] = glb.add_vertices(uvs * [1, -1] + [0, 1])
    if mesh.material.normal is not None:
        attributes["TANGENT"] = glb.add_vertices(_tangents(mesh, normals))
    colors = write.vertex_colors(mesh, face)
    if colors is not None:
        attributes["COLOR_0"] = glb.add_vertices(colors)
    primitive = {"attributes": attributes, "indices": glb.add_indices(faces), "material": material}
    return {"name": mesh.name, "primitives": [primitive]}


def _unit(normals: np.ndarray) -> np.ndarray:
    """Of length 1, as glTF wants them; those of vertices without a face, which are 0, become +Y."""
    given = torch.from_numpy(normals).double()
    return unit(given, given.new_tensor([0.0, 1.0, 0.0]).expand_as(given), shortest=0.0).numpy()


def _tangents(mesh: Mesh, normals: np.ndarray) -> np.ndarray:
    """Along u at each vertex, and the handedness: the means of the frames in which we read normal maps."""
    faces, normal = mesh.faces.cpu().long(), torch.from_numpy(normals)
    vertices = mesh.vertices.detach().double().cpu()
    uvs = vertices.new_zeros(len(vertices), 2) if mesh.uvs is None else mesh.uvs.detach().double().cpu()
    frames = face_tangents(vertices, uvs, faces, normal)
    total = frames.new_zeros(len(normal), 4)
    for corner in faces.unbind(1):
        total.index_add_(0, corner, frames)
    along = total[:, :3] - normal * (normal * total[:, :3]).sum(1, keepdim=True)
    length = along.norm(dim=1, keepdim=True)
    along = torch.where(length > 1e-6, along / length.clamp_min(1e-6), perpendicular(normal))
    return torch.cat([along, torch.where(total[:, 3:] < 0, -1.0, 1.0).to(along)], 1).numpy()


def _array(values: Tensor) -> np.ndarray:
    values = values.detach().cpu()
    return (values.double() if values.is_floating_point() else values).numpy()
