"""Small glTF files, put together by hand: what a file says is what a test says."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CODES = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
UVS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)  # v runs down
FACES = np.array([0, 1, 2, 0, 2, 3], np.uint16)


class Gltf:
    """A growing tree of JSON and its one buffer."""

    def __init__(self, **tree: Any):
        self.tree: dict[str, Any] = {"asset": {"version": "2.0"}, **tree}
        self.data = bytearray()

    def add(self, kind: str, **item: Any) -> int:
        self.tree.setdefault(kind, []).append(item)
        return len(self.tree[kind]) - 1

    def view(self, content: bytes, **said: Any) -> int:
        self.data += bytes(-len(self.data) % 4)
        start = len(self.data)
        self.data += content
        return self.add("bufferViews", buffer=0, byteOffset=start, byteLength=len(content), **said)

    def accessor(self, rows: np.ndarray, **said: Any) -> int:
        rows = np.asarray(rows)
        said = {"componentType": CODES[rows.dtype.name], "count": len(rows), "type": TYPES[rows[0].size], **said}
        return self.add("accessors", bufferView=self.view(rows.tobytes()), **said)

    def image(self, pixels: np.ndarray, **said: Any) -> int:
        """An image of (h, w, c) bytes as PNG."""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return self.add("images", bufferView=self.view(file.getvalue()), mimeType="image/png", **said)

    def texture(self, pixels: np.ndarray, **sampler: Any) -> int:
        said = {"sampler": self.add("samplers", **sampler)} if sampler else {}
        return self.add("textures", source=self.image(pixels), **said)

    def mesh(self, attributes: dict[str, Any] | None = None, **primitive: Any) -> int:
        """A mesh of one primitive: the square, but for attributes that are given, as arrays or numbers of accessors."""
        arrays = {"POSITION": SQUARE, "TEXCOORD_0": UVS, **(attributes or {})}
        named = {k: v if isinstance(v, int) else self.accessor(v) for k, v in arrays.items() if v is not None}
        if "indices" not in primitive:
            primitive["indices"] = self.accessor(FACES)
        primitive = {k: v for k, v in primitive.items() if v is not None}
        return self.add("meshes", primitives=[{"attributes": named, **primitive}])

    def show(self, mesh: int, **node: Any) -> int:
        number = self.add("nodes", mesh=mesh, **node)
        self.tree.setdefault("scenes", [{"nodes": []}])[0]["nodes"].append(number)
        return number

    def write(self, path: Path) -> Path:
        if self.data and "buffers" not in self.tree:
            uri = {} if path.suffix == ".glb" else {"uri": "data:application/octet-stream;base64," + self._base64()}
            self.tree["buffers"] = [{"byteLength": len(self.data), **uri}]
        text = json.dumps(self.tree).encode()
        path.write_bytes(glb(text, bytes(self.data)) if path.suffix == ".glb" else text)
        return path

    def _base64(self) -> str:
        return base64.b64encode(bytes(self.data)).decode()


def glb(text: bytes, data: bytes) -> bytes:
    text, data = text + b" " * (-len(text) % 4), data + bytes(-len(data) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    return struct.pack("<4s2I", b"glTF", 2, 12 + len(body)) + body
