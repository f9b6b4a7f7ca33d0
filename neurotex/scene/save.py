"""Scenes written as binary glTF; trimesh lays out the nodes and the geometry."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import trimesh
from trimesh.visual.material import PBRMaterial

from .. import storage
from ..errors import ArgumentError
from .glb import Glb, MaterialWriter
from .latent import Evaluation
from .material import Material
from .mesh import Mesh
from .shipping import shown_as_shipped

if TYPE_CHECKING:
    from .graph import Scene


def save_glb(scene: Scene, path: str | Path) -> None:
    """Write the graph, instances shared, with every texture as `eval()` shows it, in the format of its last step.

    trimesh writes all but the materials: it would encode images again, and unify what looks alike.
    """
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise ArgumentError(f"{path} must end in .glb: a scene is saved as binary glTF.")
    materials = scene.materials()
    with shown_as_shipped(scene):
        glb = Glb(_graph(scene, {material: str(k) for k, material in enumerate(materials)}))
        write = MaterialWriter(glb, Evaluation())
        written = [write(material) for material in materials]
    if written:
        glb.tree["materials"] = [written[int(numbered["name"])] for numbered in glb.tree["materials"]]
    with storage.replacing(path) as temporary:
        temporary.write_bytes(bytes(glb))


def _graph(scene: Scene, names: dict[Material, str]) -> bytes:
    """A GLB of nodes and geometry, whose materials are nothing but these names."""
    materials = {material: PBRMaterial(name=name) for material, name in names.items()}
    out = trimesh.Scene()
    written: dict[Mesh, str] = {}
    places: dict[str, str] = {}  # a node's path → its unique name in the file
    for place, node, _ in scene.walk():
        unique = _free_name(node.name, out.graph.nodes)
        parent = places.get(place.removesuffix(f"/{node.name}"), out.graph.base_frame)
        places[place] = unique
        matrix = node.transform.double().cpu().numpy()
        if node.mesh is None:
            out.graph.update(frame_from=parent, frame_to=unique, matrix=matrix)
        elif node.mesh in written:
            out.graph.update(frame_from=parent, frame_to=unique, matrix=matrix, geometry=written[node.mesh])
        else:
            geometry = _geometry(node.mesh, materials[node.mesh.material])
            out.add_geometry(geometry, unique, node.mesh.name, parent_node_name=parent, transform=matrix)
            written[node.mesh] = out.graph[unique][1]
    return trimesh.exchange.gltf.export_glb(out, include_normals=True)


def _free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or the first of name_1, name_2, … that is not taken."""
    return next(n for n in (name, *(f"{name}_{k}" for k in range(1, len(taken) + 1))) if n not in taken)


def _geometry(mesh: Mesh, material: PBRMaterial) -> trimesh.Trimesh:
    uv = None if mesh.uvs is None else mesh.uvs.double().cpu().numpy()
    return trimesh.Trimesh(
        mesh.vertices.double().cpu().numpy(),
        mesh.faces.cpu().numpy(),
        vertex_normals=mesh.shading_normals().double().cpu().numpy(),
        visual=trimesh.visual.TextureVisuals(uv=uv, material=material),
        process=False,
    )
