"""Binary glTF as it is written: a growing tree of JSON, and growing bytes. After glTF 2.0, sections 3.6 and 4.4."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

COMPONENTS = {"float32": 5126, "uint16": 5123, "uint32": 5125}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
VERTICES, INDICES = 34962, 34963  # ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER


class Glb:
    """The `tree` of a file, its JSON, and the bytes that this refers to."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {"asset": {"version": "2.0", "generator": "neurotex"}}
        self._binary = bytearray()

    def add(self, kind: str, item: dict) -> int:
        """Append to one of the tree's lists, and return the item's index there."""
        items = self.tree.setdefault(kind, [])
        items.append(item)
        return len(items) - 1

    def add_image(self, content: bytes, mime: str) -> int:
        """Embed an image file byte for byte, and return its index."""
        return self.add("images", {"bufferView": self._add_view(content), "mimeType": mime})

    def add_vertices(self, rows: np.ndarray, bounds: bool = False) -> int:
        """An accessor of floats, a row for each vertex; with `bounds` it says in which box they lie."""
        rows = np.ascontiguousarray(rows, "<f4")
        said = {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()} if bounds else {}
        return self._add_accessor(rows, VERTICES, said)

    def add_indices(self, faces: np.ndarray) -> int:
        """An accessor of the corners of triangles."""
        short = int(faces.max()) < 0xFFFF  # the largest number of a type is not to be used
        return self._add_accessor(np.ascontiguousarray(faces.reshape(-1, 1), "<u2" if short else "<u4"), INDICES, {})

    def use_extension(self, name: str) -> None:
        """Say that the file has something of an extension, which readers may ignore."""
        used = self.tree.setdefault("extensionsUsed", [])
        if name not in used:
            used.append(name)

    def __bytes__(self) -> bytes:
        """The file: a header of 12 bytes, and two chunks, each with a header of 8 and as many bytes as 4 divides."""
        if self._binary:
            self.tree["buffers"] = [{"byteLength": len(self._binary)}]
        text = json.dumps(self.tree, separators=(",", ":")).encode()
        chunks = [(b"JSON", text + b" " * (-len(text) % 4)), (b"BIN\0", bytes(self._binary))]
        body = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks if data)
        return struct.pack("<4s2I", b"glTF", 2, 12 + len(body)) + body

    def _add_accessor(self, rows: np.ndarray, target: int, said: dict) -> int:
        view = self._add_view(rows.tobytes(), target=target)
        kind = {"componentType": COMPONENTS[rows.dtype.name], "count": len(rows), "type": TYPES[rows.shape[1]]}
        return self.add("accessors", {"bufferView": view, **kind, **said})

    def _add_view(self, content: bytes, **said: int) -> int:
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content), **said}
        self._binary += content + bytes(-len(content) % 4)
        return self.add("bufferViews", view)
