"""Scene files in and out, through trimesh."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import trimesh
from PIL import Image
from torch import Tensor

from .. import storage
from ..errors import ArgumentError, FileError, NeurotexError, SceneError
from ..shading import linear_to_srgb, srgb_to_linear
from .graph import Node
from .latent import Evaluation
from .material import Material
from .mesh import Mesh
from .textures import ConstantTexture, ImageTexture, Texture

if TYPE_CHECKING:
    from .graph import Scene

FORMATS = (".obj", ".ply", ".glb", ".gltf")


def load_nodes(path: str | Path) -> list[Node]:
    """The root nodes of an OBJ, PLY, GLB or glTF file."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ArgumentError(f"{path} is not a scene file that can be read: give one of {', '.join(FORMATS)}.")
    if not path.is_file():
        raise FileError(f"{path} does not exist: check the path.")
    try:
        # as written: trimesh's own clean-up would merge and reorder vertices
        loaded = trimesh.load_scene(path, process=False)
    except Exception as error:  # trimesh's parsers raise whatever they stumble upon
        raise FileError(f"{path} cannot be read as a scene ({_reason(error)}): check or export it again.") from None
    try:
        materials: dict[int, Material] = {}
        meshes = {
            name: _mesh(name, geometry, materials)
            for name, geometry in loaded.geometry.items()
            if isinstance(geometry, trimesh.Trimesh)
        }
        if not meshes:
            raise SceneError("there is no triangle mesh in it: export one with faces.")
        return _children(loaded, loaded.graph.base_frame, meshes)
    except NeurotexError as error:
        raise FileError(f"{path}: {error}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, IndexError):
        return f"a face names a vertex that is not there, {error}"
    if isinstance(error, ImportError):  # trimesh guesses the encoding of what should be text, with a package of its own
        return "it is not a text file"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _children(loaded: trimesh.Scene, parent: str, meshes: dict[str, Mesh]) -> list[Node]:
    nodes = []
    for name in loaded.graph.transforms.children.get(parent, []):
        edge = loaded.graph.transforms.edge_data[(parent, name)]
        transform = torch.from_numpy(np.asarray(edge.get("matrix", np.eye(4)), np.float32))
        mesh = meshes.get(edge.get("geometry"))
        nodes.append(Node(mesh, transform, _children(loaded, name, meshes), str(name)))
    return nodes


def _mesh(name: str, geometry: trimesh.Trimesh, materials: dict[int, Material]) -> Mesh:
    visual = geometry.visual
    uvs, material = None, None
    if isinstance(visual, trimesh.visual.TextureVisuals):
        if visual.uv is not None and len(visual.uv) == len(geometry.vertices):
            uvs = torch.tensor(np.asarray(visual.uv), dtype=torch.float32)[:, :2]
        if visual.material is not None:
            key = id(visual.material)
            if key not in materials:
                materials[key] = _material(visual.material)
            material = materials[key]
    elif visual.kind in ("vertex", "face"):
        warnings.warn(f"mesh '{name}': vertex and face colours are not used; give it a material.", stacklevel=2)
    # only normals that the file holds: trimesh would compute missing ones its own way
    normals = geometry._cache["vertex_normals"]
    return Mesh(
        torch.tensor(np.asarray(geometry.vertices), dtype=torch.float32),
        torch.tensor(np.asarray(geometry.faces), dtype=torch.int32),
        uvs,
        None if normals is None else torch.tensor(np.asarray(normals), dtype=torch.float32),
        material,
        name,
    )


def _material(source: trimesh.visual.material.Material) -> Material:
    """Base colour of an OBJ or glTF material; its linear factor is folded into the texture."""
    name = str(source.name or "material")
    if isinstance(source, trimesh.visual.material.PBRMaterial):
        image, factor = source.baseColorTexture, source.baseColorFactor
        ignored = ("metallicRoughnessTexture", "normalTexture", "emissiveTexture", "occlusionTexture")
        dropped = [attribute for attribute in ignored if getattr(source, attribute, None) is not None]
        if dropped:
            warnings.warn(f"material '{name}': {', '.join(dropped)} not used, surfaces are diffuse.", stacklevel=2)
    else:
        image = getattr(source, "image", None)
        factor = None if image is not None else getattr(source, "diffuse", None)
    linear = torch.ones(3)
    if factor is not None:
        values = np.asarray(factor)
        scale = 255.0 if values.dtype == np.uint8 else 1.0
        linear = torch.tensor(values[:3] / scale, dtype=torch.float32)
    if not isinstance(source, trimesh.visual.material.PBRMaterial):
        linear = srgb_to_linear(linear)  # OBJ's Kd is a display colour; glTF's factor is linear
    if image is None:
        return Material(ConstantTexture(linear_to_srgb(linear)), name)
    pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).movedim(-1, 0).float() / 255
    if not bool((linear == 1).all()):
        pixels = linear_to_srgb(srgb_to_linear(pixels) * linear[:, None, None])
    return Material(ImageTexture(pixels), name)


def to_image(texture: Tensor) -> Image.Image:
    """An 8-bit image of a texture or rendered picture (3 or 4, H, W) in [0, 1]."""
    pixels = (texture.detach().clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
    return Image.fromarray(pixels)


@torch.no_grad()
def save_glb(scene: Scene, path: str | Path) -> None:
    """Write the graph, instances shared, with every texture evaluated in eval mode."""
    path = Path(path)
    if path.suffix.lower() != ".glb":
        raise ArgumentError(f"{path} must end in .glb: a scene is saved as binary glTF.")
    training = scene.training
    scene.eval()
    try:
        evaluation = Evaluation()
        materials = {material: _pbr(material, evaluation) for material in scene.materials()}
    finally:
        scene.train(training)
    out = trimesh.Scene()
    written: dict[Mesh, str] = {}
    names: dict[str, str] = {}  # a node's path → its unique name in the file
    for place, node, _ in scene.walk():
        unique = _free_name(node.name, out.graph.nodes)
        parent = names.get(place.removesuffix(f"/{node.name}"), out.graph.base_frame)
        names[place] = unique
        matrix = node.transform.double().cpu().numpy()
        if node.mesh is None:
            out.graph.update(frame_from=parent, frame_to=unique, matrix=matrix)
        elif node.mesh in written:
            out.graph.update(frame_from=parent, frame_to=unique, matrix=matrix, geometry=written[node.mesh])
        else:
            geometry = _geometry(node.mesh, materials[node.mesh.material])
            out.add_geometry(geometry, unique, node.mesh.name, parent_node_name=parent, transform=matrix)
            written[node.mesh] = out.graph[unique][1]
    with storage.replacing(path) as temporary:
        temporary.write_bytes(trimesh.exchange.gltf.export_glb(out, include_normals=True))


def _free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or the first of name_1, name_2, … that is not taken."""
    return next(n for n in (name, *(f"{name}_{k}" for k in range(1, len(taken) + 1))) if n not in taken)


def _geometry(mesh: Mesh, material: trimesh.visual.material.PBRMaterial) -> trimesh.Trimesh:
    uv = None if mesh.uvs is None else mesh.uvs.double().cpu().numpy()
    return trimesh.Trimesh(
        mesh.vertices.double().cpu().numpy(),
        mesh.faces.cpu().numpy(),
        vertex_normals=mesh.shading_normals().double().cpu().numpy(),
        visual=trimesh.visual.TextureVisuals(uv=uv, material=material),
        process=False,
    )


def _pbr(material: Material, evaluation: Evaluation) -> trimesh.visual.material.PBRMaterial:
    common = {"name": material.name, "metallicFactor": 0.0, "roughnessFactor": 1.0, "doubleSided": True}
    texture: Texture = material.base_color
    value = evaluation(texture)[0]
    if isinstance(texture, ConstantTexture):
        factor = [*srgb_to_linear(value.flatten()).tolist(), 1.0]
        return trimesh.visual.material.PBRMaterial(baseColorFactor=factor, **common)
    return trimesh.visual.material.PBRMaterial(baseColorTexture=to_image(value), **common)
