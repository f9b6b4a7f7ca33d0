"""glTF and GLB files, read through trimesh."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
import trimesh
from PIL import Image
from torch import Tensor
from trimesh.visual.material import PBRMaterial

from ..errors import FileError, SceneError
from ..shading import linear_to_srgb, srgb_to_linear
from .graph import Node
from .material import Material
from .mesh import Mesh
from .shipping import pixels
from .textures import ConstantTexture, ImageTexture, Texture


def load(path: Path) -> list[Node]:
    """The root nodes of a glTF or GLB file.

    A glTF material is a metallic-roughness surface if the file gives a factor or a texture for that; what it leaves
    out is then 1, as glTF has it. A material without any, or with the factors of the roughest dielectric (roughness
    1, metallic 0, as many exporters write for a plain colour), is diffuse.
    """
    try:
        # as written: trimesh's own clean-up would merge and reorder vertices
        loaded = trimesh.load_scene(path, process=False)
    except Exception as error:  # trimesh's parsers raise whatever they stumble upon
        raise FileError(f"{path} cannot be read as a scene ({_reason(error)}): check or export it again.") from None
    materials: dict[int, Material] = {}
    meshes = {
        name: _mesh(name, geometry, materials)
        for name, geometry in loaded.geometry.items()
        if isinstance(geometry, trimesh.Trimesh)
    }
    if not meshes:
        raise SceneError("there is no triangle mesh in it: export one with faces.")
    return _children(loaded, loaded.graph.base_frame, meshes)


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
    """A material of an OBJ or glTF file; the linear factor of its base colour is folded into the texture."""
    name = str(source.name or "material")
    if isinstance(source, PBRMaterial):
        return _physical(name, source)
    image = getattr(source, "image", None)
    diffuse = None if image is not None else getattr(source, "diffuse", None)
    # OBJ's Kd is a display colour; glTF's factor is linear
    return Material(_base_color(image, srgb_to_linear(_factor(diffuse)[:3]), "RGB"), name)


def _physical(name: str, source: PBRMaterial) -> Material:
    """A glTF material: its maps, and how it is cut out; see `load` for when it is diffuse.

    trimesh hands on no normalTexture.scale and no sampler: the scale is 1, and textures repeat.
    """
    ignored = ("emissiveTexture", "occlusionTexture")
    dropped = [attribute for attribute in ignored if getattr(source, attribute) is not None]
    if source.alphaMode == "BLEND":
        dropped.append("alphaMode BLEND")
    if dropped:
        warnings.warn(f"material '{name}': {', '.join(dropped)} not used.", stacklevel=2)
    masked = source.alphaMode == "MASK"
    cutoff = 0.5 if source.alphaCutoff is None else source.alphaCutoff  # glTF's default
    masked = masked and cutoff > 0  # at 0 nothing is cut
    factor = _factor(source.baseColorFactor)
    base_color = _base_color(source.baseColorTexture, factor if masked else factor[:3], "RGBA" if masked else "RGB")
    normal = None if source.normalTexture is None else pixels(source.normalTexture, "RGB")
    common = {"normal": normal, "alpha_cutoff": cutoff if masked else None}
    factors = (source.roughnessFactor, source.metallicFactor)
    image = source.metallicRoughnessTexture
    if image is None and factors in ((None, None), (1.0, 0.0)):
        return Material(base_color, name, **common)
    roughness, metallic = (1.0 if factor is None else factor for factor in factors)  # glTF's defaults
    if image is None:
        return Material(base_color, name, roughness=roughness, metallic=metallic, **common)
    _, green, blue = pixels(image, "RGB")
    maps = {"roughness": roughness * green[None], "metallic": metallic * blue[None] if metallic else 0.0}
    return Material(base_color, name, **maps, **common)


def _factor(values: np.ndarray | None) -> Tensor:
    """Four linear factors in [0, 1]; trimesh keeps them as bytes or as floats."""
    if values is None:
        return torch.ones(4)
    values = np.asarray(values)
    factor = torch.tensor(values / (255.0 if values.dtype == np.uint8 else 1.0), dtype=torch.float32)
    return torch.cat([factor, torch.ones(4)])[:4] if len(factor) == 3 else factor


def _base_color(image: Image.Image | None, factor: Tensor, mode: str) -> Texture:
    """Texture of an image times linear factors, alpha last if there are four."""
    if image is None:
        return ConstantTexture(torch.cat([linear_to_srgb(factor[:3]), factor[3:]]))
    texels = pixels(image, mode)
    if not bool((factor == 1).all()):
        color = linear_to_srgb(srgb_to_linear(texels[:3]) * factor[:3, None, None])
        texels = torch.cat([color, texels[3:] * factor[3:, None, None]])
    return ImageTexture(texels)
