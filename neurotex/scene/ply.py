"""PLY files, ASCII and binary. After "The PLY polygon file format" (Turk, 1994)."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from .. import images
from ..errors import FileError, SceneError
from .corners import Corners, Part, by_first, same_points
from .material import Material
from .named_files import find_file
from .node import Node
from .polygons import triangulate
from .text_lines import decoded, parsed, shown
from .textures import ImageTexture

TYPES = {"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4"}
TYPES |= {"double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"}
TYPES |= {"float32": "f4", "float64": "f8"}
FORMATS = {"ascii": None, "binary_little_endian": "<", "binary_big_endian": ">"}
INDICES = ("vertex_indices", "vertex_index")
UVS = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"), ("texcoord_u", "texcoord_v"))
COLORS = (("red", "green", "blue", "alpha"), ("r", "g", "b", "a"))
COLORS += (("diffuse_red", "diffuse_green", "diffuse_blue", "diffuse_alpha"),)


@dataclass
class Property:
    name: str
    dtype: str  # numpy's, without byte order
    count_dtype: str | None = None  # of a list


@dataclass
class Element:
    name: str
    count: int
    properties: list[Property] = field(default_factory=list)


@dataclass
class Ragged:
    """The lists of one property, one behind the other, and their lengths."""

    values: np.ndarray
    counts: np.ndarray


def load(path: Path) -> list[Node]:
    """The root node of a PLY file: its polygons, with UVs and normals of vertices, or UVs of faces' corners.

    Images that a `comment TextureFile` names are their base colours. Colours of vertices are those of the mesh; colours
    of faces are a `FaceTexture` where there is neither. Raises FileError for a file that is cut off or not a PLY,
    SceneError for a point cloud.
    """
    elements, textures = _read(path)
    vertex, face = elements.get("vertex", {}), elements.get("face", {})
    if not all(axis in vertex for axis in "xyz"):
        raise SceneError("its vertices have no x, y and z: export it again.")
    points = np.stack([vertex[axis].astype(np.float64) for axis in "xyz"], 1)
    polygons = next((face[name] for name in INDICES if isinstance(face.get(name), Ragged)), None)
    if polygons is None or len(polygons.counts) == 0:
        if "tristrips" in elements:
            raise SceneError("it holds triangle strips: save it with plain faces (in MeshLab: open, export).")
        raise SceneError(
            f"it is a cloud of {len(points):,} points without faces: make a mesh of it first "
            "(in MeshLab: Screened Poisson)."
        )
    place, counts = polygons.values.astype(np.int64), polygons.counts
    uvs, uv = _uvs(vertex, face, place, counts)
    normals = _columns(vertex, ("nx", "ny", "nz"))
    kept = counts >= 3
    if not kept.any():
        raise SceneError("none of its faces has three corners: export it again.")
    if not kept.all():
        warnings.warn(f"{path}: {(~kept).sum()} faces have fewer than 3 corners and are left out.", stacklevel=2)
        corners = np.repeat(kept, counts)
        place, counts, uv = place[corners], counts[kept], None if uv is None else uv[corners]
    bad = np.flatnonzero((place < 0) | (place >= len(points)))
    if len(bad):
        number = np.searchsorted(np.cumsum(counts), bad[0], side="right")
        raise SceneError(
            f"its face {number} names vertex {place[bad[0]]}, but there are only {len(points)}: export it again."
        )
    triangles, of = triangulate(place, counts, points)
    if uv is not None and (uv < 0).any():
        without = np.minimum.reduceat(uv, np.cumsum(counts) - counts) < 0
        warnings.warn(f"{path}: {without.sum()} of {len(counts)} faces have no UVs: they are untextured.", stacklevel=2)
    worn = np.zeros(len(counts), np.int64)
    if len(textures) > 1 and isinstance(face.get("texnumber"), np.ndarray):
        worn = face["texnumber"].astype(np.int64)[kept]
    colors, paint = _encoded(vertex), _encoded(face)
    if colors is not None:
        light = images.srgb_to_linear(torch.from_numpy(colors[:, :3])).numpy()
        colors = np.concatenate([light, colors[:, 3:]], 1)
    if paint is not None:
        others = "textures" if textures and uv is not None else "those of vertices" if colors is not None else None
        if others is not None:
            warnings.warn(f"{path}: colours of faces are not used, since there are {others}.", stacklevel=2)
        paint = paint[kept, :3][of] if others is None else None
    first, part = by_first(worn)
    parts = [
        Part(path.name, _material(path, textures, int(worn[k]), uv is not None, colors is not None)) for k in first
    ]
    corners = Corners(
        points,
        place[triangles],
        uvs,
        None if uv is None else uv[triangles],
        normals,
        None if normals is None else place[triangles],
        colors,
        part=part[of],
        paint=paint,
    )
    nodes = [Node(mesh, name=mesh.name) for meshes in corners.meshes(parts) for mesh in meshes]
    for node in nodes:
        node.origin = corners.origin
    return nodes


def _material(path: Path, textures: list[tuple[bytes, int]], number: int, mapped: bool, colored: bool) -> Material:
    """The default, or of texture `number`, if there are UVs to look it up by."""
    plain = Material((1.0, 1.0, 1.0)) if colored else Material()  # colours are multiplied in
    if not textures or not 0 <= number < len(textures):
        return plain
    name, line = textures[number]
    where = f"{path}, line {line}"
    if not mapped:
        warnings.warn(f"{where}: '{shown(name)}' is not used, for there are no UVs.", stacklevel=2)
        return plain
    file = find_file(path.parent, name)
    if file is None:
        warnings.warn(f"{where}: '{shown(name)}' is missing: put it beside the PLY.", stacklevel=2)
        return plain
    try:
        picture = images.read(file, upright=False).to(3)
    except FileError as error:
        warnings.warn(f"{where}: {error}", stacklevel=2)
        return plain
    texels = picture.floats()
    return Material(ImageTexture(images.linear_to_srgb(texels) if picture.linear else texels), file.stem)


def _columns(element: dict, names: tuple[str, ...]) -> np.ndarray | None:
    """(n, names) float64, if the element has all of them."""
    columns = [column for name in names if isinstance(column := element.get(name), np.ndarray)]
    if len(columns) < len(names):
        return None
    return np.stack([column.astype(np.float64) for column in columns], 1)


def _uvs(vertex: dict, face: dict, place: np.ndarray, counts: np.ndarray) -> tuple:
    """UVs and the one of each corner: lists of faces, else those of vertices; None where there are neither."""
    lists = face.get("texcoord")
    if isinstance(lists, Ragged) and len(lists.values):
        whole = lists.counts == 2 * counts
        corners = np.repeat(whole, counts)
        flat = lists.values.astype(np.float64)[np.repeat(whole, lists.counts)].reshape(-1, 2)
        uv = np.full(len(place), -1)
        like, uv[corners] = same_points(flat)
        return flat[like], uv
    for names in UVS:
        found = _columns(vertex, names)
        if found is not None:
            return found, place
    return None, None


def _encoded(element: dict) -> np.ndarray | None:
    """Colours (n, 3), or with alpha (n, 4), in [0, 1], encoded for display, as the file has them."""
    for names in COLORS:
        for some in (names, names[:3]):
            found = _columns(element, some)
            if found is None:
                continue
            dtype = element[names[0]].dtype
            if dtype.kind in "iu":
                found /= np.iinfo(dtype).max
            elif len(found) and found[:, :3].max() > 1:  # as some write floats
                found /= 255
            return found.clip(0, 1)
    return None


def _read(path: Path) -> tuple[dict[str, dict], list[tuple[bytes, int]]]:
    """Every element's properties by name, and the textures that comments name, with their lines."""
    data = path.read_bytes()
    begin = 0
    while data[begin : begin + 1].isspace():  # as some begin
        begin += 1
    end = re.compile(rb"end_header[ \t]*(\r\n|\n|\r)").search(data)
    if data[begin : begin + 3] != b"ply" or end is None:
        raise FileError(f"{path} is not a PLY file, or is cut off in its header: export it again.")
    order, elements, textures = _header(path, re.split(rb"\r\n|\n|\r", data[begin : end.start()]))
    body = memoryview(data)[end.end() :]
    if order is None:
        stream = parsed(bytes(body), np.float64)
        if stream is None:
            raise FileError(f"{path}{_bad_line(data, end.end())}: not a number: repair the file or export it again.")
    else:
        stream = np.frombuffer(body, np.uint8)
    found: dict[str, dict] = {}
    at = 0
    for element in elements:
        if element.name == "face" and "vertex" in found and element.count == 0:
            continue
        try:
            found[element.name], at = _element(element, stream, at, order)
        except _CutOff:
            raise FileError(
                f"{path} is cut off: it says that it has {element.count} of '{shown(element.name)}', "
                "but ends before: get it again."
            ) from None
    return found, textures


class _CutOff(Exception):
    """The data ends before the header's counts are reached."""


def _header(path: Path, lines: list[bytes]) -> tuple[str | None, list[Element], list[tuple[bytes, int]]]:
    order, elements, textures = "", [], []
    for number, line in enumerate(lines, 1):
        words = [decoded(word) for word in line.split()]
        try:
            if words[:1] == ["format"]:
                order = FORMATS[words[1]]
            elif words[:1] == ["comment"] and words[1:2] and words[1].lower() == "texturefile":
                textures.append((re.split(rb"(?i)texturefile", line, maxsplit=1)[1][1:], number))
            elif words[:1] == ["element"]:
                elements.append(Element(words[1], int(words[2])))
                if elements[-1].count < 0:
                    raise ValueError
            elif words[:2] == ["property", "list"]:
                count, kind = TYPES[words[2]], TYPES[words[3]]
                if count[0] == "f":
                    raise ValueError
                elements[-1].properties.append(Property(words[4], kind, count))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(Property(words[2], TYPES[words[1]]))
            elif words and words[0] not in ("ply", "comment", "obj_info"):
                raise ValueError
        except (KeyError, IndexError, ValueError):
            raise FileError(f"{path}, line {number}: '{shown(line)}' is not understood: export it again.") from None
    if order == "":
        raise FileError(f"{path} does not say whether it is ASCII or binary: export it again.")
    return order, elements, textures


def _element(element: Element, stream: np.ndarray, at: int, order: str | None) -> tuple[dict, int]:
    """An element's properties, and where the next one begins. `stream` is numbers (ASCII), or bytes."""
    if all(each.count_dtype is None for each in element.properties):
        lengths: dict[int, int] = {}
    else:  # mostly all lists are as long as the first; else they are walked through
        lengths = _first_lengths(element, stream, at, order)
    fields = []
    for k, each in enumerate(element.properties):
        if each.count_dtype is not None:
            fields.append((f"n{k}", _unit(each.count_dtype, order)))
        fields.append((f"p{k}", _unit(each.dtype, order), *([(lengths[k],)] if k in lengths else [])))
    dtype = np.dtype(fields)
    size = dtype.itemsize if order is not None else dtype.itemsize // 8
    if size and element.count > (len(stream) - at) // size:
        if not lengths:
            raise _CutOff
        return _walk(element, stream, at, order)
    stop = at + size * element.count
    if size == 0:
        return {}, at
    rows = np.frombuffer(stream[at:stop].tobytes(), dtype)
    if any((rows[f"n{k}"] != length).any() for k, length in lengths.items()):
        return _walk(element, stream, at, order)
    found: dict = {}
    for k, each in enumerate(element.properties):
        values = rows[f"p{k}"]
        if order is None:
            values = _typed(values, each)
        if k in lengths:
            found[each.name] = Ragged(values.reshape(-1), np.full(len(rows), lengths[k]))
        else:
            found[each.name] = values
    return found, stop


def _typed(values: np.ndarray, of: Property) -> np.ndarray:
    """Numbers of text in the type that the header says; whole ones in lists, which may be indices beyond it, wide."""
    if of.dtype[0] == "f":
        return values.astype(of.dtype)
    whole = values.astype(np.int64)
    if of.count_dtype is not None:
        return whole
    return whole.clip(np.iinfo(of.dtype).min, np.iinfo(of.dtype).max).astype(of.dtype)


def _unit(dtype: str, order: str | None) -> str:
    return "f8" if order is None else order + dtype


def _first_lengths(element: Element, stream: np.ndarray, at: int, order: str | None) -> dict[int, int]:
    """The lengths of the lists in an element's first row, by the number of the property."""
    if element.count == 0:
        return {k: 0 for k, each in enumerate(element.properties) if each.count_dtype is not None}
    _, _, counts = _offsets(element, stream, at, order, 1)
    return {k: int(values[0]) for k, values in counts.items()}


def _offsets(element: Element, stream: np.ndarray, at: int, order: str | None, rows: int) -> tuple:
    """Where each row's properties begin: the end of all, {property: [offsets]}, {property: [lengths of lists]}."""
    data = stream.tolist() if order is None else stream.tobytes()
    plan = []
    for k, each in enumerate(element.properties):
        width = 1 if order is None else int(each.dtype[1])
        counter = None if each.count_dtype is None else (1 if order is None else int(each.count_dtype[1]))
        plan.append((k, width, counter, each.count_dtype is not None and each.count_dtype[0] == "i"))
    offsets: dict[int, list[int]] = {k: [] for k, *_ in plan}
    counts: dict[int, list[int]] = {k: [] for k, _, counter, _ in plan if counter is not None}
    byteorder = "big" if order == ">" else "little"
    end = len(data)
    for _ in range(rows):
        for k, width, counter, signed in plan:
            if counter is None:
                offsets[k].append(at)
                at += width
                continue
            if at + counter > end:
                raise _CutOff
            if order is None:
                number = data[at]
                count = int(number) if 0 <= number <= end else -1
            else:
                count = (
                    data[at]
                    if counter == 1 and not signed
                    else int.from_bytes(data[at : at + counter], byteorder, signed=signed)
                )
            if count < 0:
                raise _CutOff
            offsets[k].append(at + counter)
            counts[k].append(count)
            at += counter + count * width
        if at > end:
            raise _CutOff
    return at, offsets, counts


def _walk(element: Element, stream: np.ndarray, at: int, order: str | None) -> tuple[dict, int]:
    """`_element` of lists of several lengths."""
    stop, offsets, counts = _offsets(element, stream, at, order, element.count)
    found: dict = {}
    for k, each in enumerate(element.properties):
        lengths = np.array(counts[k]) if k in counts else np.ones(element.count, np.int64)
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        begin = np.repeat(np.array(offsets[k], np.int64), lengths)
        if order is None:
            values = stream[begin + within]
            values = _typed(values, each)
        else:
            width = int(each.dtype[1])
            values = stream[(begin + within * width)[:, None] + np.arange(width)].reshape(-1).view(order + each.dtype)
        found[each.name] = Ragged(values, lengths) if k in counts else values
    return found, stop


def _bad_line(data: bytes, begin: int) -> str:
    """The first line, in words, that holds what is no number."""
    number = data.count(b"\n", 0, begin) + 1
    for k, line in enumerate(data[begin:].split(b"\n")):
        if parsed(line, np.float64) is None:
            return f", line {number + k}"
    return ""
