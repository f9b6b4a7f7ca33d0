"""Scene files, read by the reader that their ending names."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from ..errors import ArgumentError, FileError, NeurotexError
from . import gltf, obj, ply, stl
from .node import Node
from .origin import NOWHERE, common_origin

READERS: dict[str, Callable[[Path], list[Node]]] = {
    ".obj": obj.load,
    ".ply": ply.load,
    ".glb": gltf.load,
    ".gltf": gltf.load,
    ".stl": stl.load,
}

# what reads other files of meshes, and writes one of the above
OTHERS = {
    **dict.fromkeys((".off", ".3mf", ".wrl", ".ctm"), "MeshLab"),
    **dict.fromkeys((".blend", ".dae", ".fbx", ".usd", ".usda", ".usdc", ".usdz", ".abc", ".3ds", ".x3d"), "Blender"),
}


def load_nodes(path: str | Path) -> list[Node]:
    """The root nodes of an OBJ, PLY, STL, GLB or glTF file.

    Raises ArgumentError for other kinds of files, and FileError, with the file's name, for what cannot be read.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        other = OTHERS.get(path.suffix.lower())
        remedy = "give one of" if other is None else f"{other} reads it, save it there as one of"
        raise ArgumentError(f"{path} is not a scene file that can be read: {remedy} {', '.join(READERS)}.")
    if not path.is_file():
        raise FileError(f"{path} does not exist: check the path.")
    try:
        nodes = read(path)
    except FileError:
        raise
    except NeurotexError as error:
        raise FileError(f"{path}: {error}") from None
    if read is not gltf.load:
        for node in nodes:
            node.front = "-Z"
    origin = common_origin(nodes)
    if origin not in (None, NOWHERE):
        place = ", ".join(f"{coordinate:g}" for coordinate in origin)
        warnings.warn(
            f"{path} is so far from the origin that its coordinates are told relative to ({place}): see Scene.origin. "
            "Cameras of Views are moved along, those made by hand are to be placed there.",
            stacklevel=3,
        )
    return nodes
