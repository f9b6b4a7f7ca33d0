"""A glTF file taken apart: its JSON, and the bytes that this refers to. After glTF 2.0, sections 3.6 and 4.4."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from ...errors import SceneError
from ...images import contents
from ...images.read import shown
from .remarks import Remarks
from .values import Item, parse

MAGIC, JSON, BINARY = b"glTF", b"JSON", b"BIN\0"
EXTERNAL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # a scheme; one letter is a drive of Windows

# all that they say is heeded
READ = (
    *("KHR_texture_transform", "KHR_mesh_quantization", "KHR_materials_emissive_strength"),
    *("EXT_texture_webp", "MSFT_texture_dds"),
)
# nothing that is drawn changes, or what does not know them finds the same elsewhere in the file
HARMLESS = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_xmp", "KHR_xmp_json_ld")
# without them surfaces look otherwise, but lie where they lie: that is said
OPTIONAL = (
    "KHR_materials_unlit",
    "KHR_materials_pbrSpecularGlossiness",
    "KHR_materials_variants",
    "KHR_lights_punctual",
)


class Document:
    """The JSON `tree` of a file, its lists by name, and the bytes of buffers and buffer views."""

    def __init__(self, path: Path):
        self.path = path
        self.tree, self._binary = _take_apart(contents(path))
        self.remarks = Remarks(path)
        self._check()
        self._lists: dict[str, list[Item]] = {}
        self._buffers: dict[int, memoryview] = {}

    def all(self, kind: str) -> list[Item]:
        """One of the lists at the top of the file, as "meshes"."""
        if kind not in self._lists:
            self._lists[kind] = self.tree.items(kind)
        return self._lists[kind]

    def pick(self, item: Item, key: str, kind: str) -> Item | None:
        """What `item` refers to by an index into a list; None if it does not."""
        index = item.index(key, len(self.all(kind)), kind, None)
        return None if index is None else self.all(kind)[index]

    def view(self, number: int) -> tuple[memoryview, int]:
        """The bytes of a buffer view, and the distance of its elements, 0 where they lie side by side."""
        view = self.all("bufferViews")[number]
        index = view.index("buffer", len(self.all("buffers")), "buffers")
        offset, length = view.whole("byteOffset", 0), view.whole("byteLength")
        data = self._buffer(index, view)
        if offset + length > len(data):
            raise SceneError(
                f"{view.where} ends at byte {shown(offset + length, 30)} of a buffer of {len(data)}: export it again."
            )
        return data[offset : offset + length], view.whole("byteStride", 0)

    def data(self, uri: str) -> bytes:
        """The bytes that a URI stands for: of a data URI, or of a file beside this one. FileError, SceneError."""
        if uri.startswith("data:"):
            return _decoded(uri)
        return contents(self.place(uri))

    def place(self, uri: str) -> Path:
        """The file that a URI names, beside this one. SceneError for one that is elsewhere."""
        if EXTERNAL.match(uri):
            raise SceneError(f"'{shown(uri, 80)}' is not in a file beside it: download it, and give its name there.")
        decoded = unquote(uri)
        plain, escaped = self.path.parent / uri, self.path.parent / decoded
        # some exporters write names as they are
        return plain if "\0" in decoded or (decoded != uri and not _there(escaped) and _there(plain)) else escaped

    def _buffer(self, number: int, view: Item) -> memoryview:
        if number not in self._buffers:
            buffer = self.all("buffers")[number]
            uri, length = buffer.text("uri", None), buffer.whole("byteLength")
            if uri is not None:
                data = self.data(uri)
            elif number == 0 and self._binary is not None:
                data = self._binary
            elif view.extension("EXT_meshopt_compression") is not None:
                raise needed("EXT_meshopt_compression")
            else:
                raise SceneError(f"{buffer.where} has no data: it may be cut off, export it again.")
            if len(data) < length:
                raise SceneError(
                    f"{buffer.where} is cut off: it has {len(data)} of {shown(length, 30)} bytes; get it again."
                )
            self._buffers[number] = memoryview(data)[:length]
        return self._buffers[number]

    @property
    def front(self) -> str:
        """Where the model looks: glTF's +Z, unless we wrote the file and have said otherwise."""
        extras = self.tree.item("asset").get("extras")
        return "-Z" if isinstance(extras, dict) and extras.get("front") == "-Z" else "+Z"

    def _check(self) -> None:
        asset = self.tree.item("asset")
        version = asset.text("minVersion", asset.text("version", "2.0"))
        if not version.startswith("2."):
            raise SceneError(f"it is of glTF '{shown(version, 20)}', but 2.0 is read here: export it as glTF 2.0.")
        for name in self.tree.texts("extensionsRequired"):
            if name not in (*READ, *OPTIONAL):
                raise needed(name)
        for name in self.tree.texts("extensionsUsed"):
            if name not in (*READ, *HARMLESS):
                self.remarks.unused("the file", name)


def needed(extension: str) -> SceneError:
    """The error of a file that cannot be read without an extension."""
    compressed = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu")
    remedy = "export it without compression" if extension in compressed else "export it without"
    return SceneError(f"it needs {shown(extension, 60)}, which is not read here: {remedy}.")


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _take_apart(data: bytes) -> tuple[Item, bytes | None]:
    """The JSON of a .gltf or .glb file, whatever its name, and the binary chunk, if there is one."""
    if not data.startswith(MAGIC):
        return parse(_text(data)), None
    if len(data) < 20:
        raise SceneError("it is cut off in its header: get it again.")
    version, total, length, kind = struct.unpack_from("<3I4s", data, 4)
    if version != 2:
        raise SceneError(f"it is of glTF {version}, but 2.0 is read here: export it as glTF 2.0.")
    if kind != JSON or 20 + length > total:
        raise SceneError("its JSON part is cut off, or damaged: get it again.")
    if total > len(data):
        raise SceneError(
            f"it is cut off, or damaged: its header speaks of {total} bytes, it has {len(data)}; get it again."
        )
    tree, start = parse(_text(data[20 : 20 + length])), 20 + length
    while start + 8 <= total:
        length, kind = struct.unpack_from("<I4s", data, start)
        if start + 8 + length > total:
            raise SceneError("its binary part is cut off, or damaged: get it again.")
        if kind == BINARY:
            return tree, data[start + 8 : start + 8 + length]
        start += 8 + length  # of a kind that is not known, which is left alone
    return tree, None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SceneError(f"it is not a text file in UTF-8 (byte {error.start}): export it again.") from None


def _decoded(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma:
        raise SceneError(f"'{shown(uri, 40)}' is no data: export it again.")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(unquote(body) if "%" in body else body, validate=True)
    except (binascii.Error, ValueError):
        raise SceneError(f"'{shown(uri, 40)}' is no base64, or cut off: export it again.") from None
