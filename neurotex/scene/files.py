"""Scene files, read by the reader that their ending names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import ArgumentError, FileError, NeurotexError
from . import gltf, obj
from .graph import Node

READERS: dict[str, Callable[[Path], list[Node]]] = {
    ".obj": obj.load,
    ".ply": obj.load,
    ".glb": gltf.load,
    ".gltf": gltf.load,
}


def load_nodes(path: str | Path) -> list[Node]:
    """The root nodes of an OBJ, PLY, GLB or glTF file.

    Raises ArgumentError for other kinds of files, and FileError, with the file's name, for what cannot be read.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ArgumentError(f"{path} is not a scene file that can be read: give one of {', '.join(READERS)}.")
    if not path.is_file():
        raise FileError(f"{path} does not exist: check the path.")
    try:
        return read(path)
    except FileError:
        raise
    except NeurotexError as error:
        raise FileError(f"{path}: {error}") from None
