"""Wavefront OBJ files. After the specification in "Advanced Visualizer Manual", appendix B1 (Alias|Wavefront, 1993)."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from ..errors import FileError, SceneError
from ..images.colour import srgb_to_linear
from .corners import HUGE, Corners, Part, by_first
from .mtl import PLACEMENT, Library, MtlMaterial
from .named_files import find_file
from .node import Node
from .polygons import triangulate
from .text_lines import Lines, count_words, parsed, shown

OTHERS = {b"p": "points", b"l": "lines", b"curv": "curves", b"surf": "surfaces"}
# what is read, and what changes nothing of a picture that shows triangles without shadows
READ = {b"v", b"vt", b"vn", b"f", b"fo", b"o", b"g", b"s", b"usemtl", b"mtllib"}
READ |= {b"bevel", b"c_interp", b"d_interp", b"lod", b"shadow_obj", b"trace_obj", b"ctech", b"stech", b"mg"}
# what the specification knows beyond, and how it is called
UNUSED: dict[bytes, str] = dict.fromkeys((b"p", b"l"), "points and lines are not rendered")
UNUSED |= dict.fromkeys(
    b"vp curv curv2 surf cstype deg bmat step parm trim hole scrv sp end con bsp bzp cdc cdp res".split(),
    "curves and free-form surfaces are not rendered: make a mesh of them",
)
UNUSED |= dict.fromkeys((b"usemap", b"maplib"), "texture maps by name are not used: give them in an MTL file")
UNUSED |= dict.fromkeys((b"call", b"csh"), "other files and programs are not called")


def load(path: Path) -> list[Node]:
    """The root nodes of an OBJ file: one for each object (`o`, or `g` where there is none), in the file's order.

    An object of several materials has a child for each. Corners with the same `v`, `vt` and `vn` are one vertex. Faces
    without `vt` are a mesh of their own, in the plain colour of their material. Without `vn`, a file that says nothing
    of smoothing groups is smooth. Materials are diffuse, unless the MTL has `Pr` or `map_Pr`. Curves and surfaces,
    lines and points are left out, which is said. Raises FileError, with the line, for what cannot be read.
    """
    return Reader(path).nodes()


class Reader:
    """An OBJ file being read."""

    def __init__(self, path: Path):
        self.path = path
        self.lines = Lines(path)
        self.v = self.lines.begins(b"v")
        self.f = np.sort(np.concatenate([self.lines.begins(b"f"), self.lines.begins(b"fo")]))
        if len(self.f) == 0:
            found = [what for word, what in OTHERS.items() if len(self.lines.begins(word))]
            holds = f", only {' and '.join(found)}" if found else ""
            raise SceneError(f"there is no triangle mesh in it{holds}: export one with faces.")

    def nodes(self) -> list[Node]:
        values, counts = self.lines.numbers(self.v, 1)
        points, rgb = self._points(values, counts)
        vt, vn = self.lines.begins(b"vt"), self.lines.begins(b"vn")
        self._say_unread(vt, vn)
        uvs, normals = self._columns(vt, 2, "vt"), self._columns(vn, 3, "vn")
        place, uv, normal, counts = self._faces({"v": self.v, "vt": vt, "vn": vn})
        kept = counts >= 3
        if not kept.all():
            line = int(self.f[np.flatnonzero(~kept)[0]])
            self._warn(line, f"{(~kept).sum()} faces have fewer than 3 corners and are left out, this one first")
            corners = np.repeat(kept, counts)
            place, uv, normal = place[corners], uv[corners], normal[corners]
            self.f, counts = self.f[kept], counts[kept]
            if len(self.f) == 0:
                raise SceneError("there is no triangle mesh in it: export one with faces.")
        self._check_finite(points, self.v, place, "v")
        self._check_finite(uvs, vt, uv, "vt")
        triangles, face = triangulate(place, counts, points)
        part, parts, sources, objects = self._parts(white=rgb is not None)
        self._say_untextured(uv, counts, part, parts)
        smoothing = self._smoothing()
        corners = Corners(
            points,
            place[triangles],
            None if (uv < 0).all() else self._placed(uvs, uv, np.repeat(part, counts), sources),
            None if (uv < 0).all() else uv[triangles],
            normals,
            None if (normal < 0).all() else normal[triangles],
            rgb,
            None if smoothing is None else smoothing[face],
            part[face],
        )
        return self._graph(corners, parts, objects)

    def _points(self, values: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """(n, 3) positions, and linear colours if any has one; the others are white.

        Colours are encoded for display, from 0 to 1; some programs write bytes. Those that are no numbers are white.
        """
        short = np.flatnonzero(counts < 3)
        if len(short):
            raise FileError(f"{self.lines.where(int(self.v[short[0]]))}: a vertex needs x, y and z: repair the file.")
        first = np.cumsum(counts) - counts
        points = values[first[:, None] + np.arange(3)]
        colored = counts >= 6
        if not colored.any():
            return points, None
        # of 7 numbers MeshLab means an alpha behind the colour
        colors = np.ones((len(points), 3))
        said = np.nan_to_num(values[first[colored, None] + np.arange(3, 6)], nan=1.0)
        colors[colored] = (said / 255 if said.max() > 1 else said).clip(0, 1)
        return points, srgb_to_linear(torch.from_numpy(colors)).numpy()

    def _columns(self, which: np.ndarray, columns: int, keyword: str) -> np.ndarray:
        """(n, columns) of `vt` or `vn` lines; a `vt` of one number has v = 0, as the specification says."""
        values, counts = self.lines.numbers(which, 2)
        short = np.flatnonzero(counts < (1 if keyword == "vt" else columns))
        if len(short):
            raise FileError(
                f"{self.lines.where(int(which[short[0]]))}: a {keyword} needs {columns} numbers: repair the file."
            )
        if len(counts) and (counts == counts[0]).all() and counts[0] >= columns:
            return values.reshape(len(counts), -1)[:, :columns]
        first = np.cumsum(counts) - counts
        column = np.arange(columns)
        there = column < counts[:, None]
        at = np.where(there, first[:, None] + column, 0)
        return np.where(there, values[at] if len(values) else 0.0, 0.0)

    def _faces(self, kinds: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For each corner of each face an index of each kind from 0, -1 for none; and how many corners each has."""
        body = self.lines.body(self.f, 1)
        skipped = np.flatnonzero(self.lines.bytes[self.lines.start[self.f] + 1] == ord("o"))
        text = body.tobytes()
        if len(skipped):  # "fo", as old files have it
            text = text.replace(b"o", b" ")
        if b"//" in text or re.search(rb"/\s", text):
            text = re.sub(rb"/(?=[/\s])", b"/0", text)
        body = np.frombuffer(text, np.uint8)
        words, counts = count_words(body)
        fields = 1 + np.diff(np.searchsorted(np.flatnonzero(body == ord("/")), np.append(words, len(body))))
        numbers = parsed(text.replace(b"/", b" "), np.int64)
        if numbers is None or len(numbers) != fields.sum() or (len(fields) and fields.max() > 3):
            self._refuse_face()
        first = np.cumsum(fields) - fields
        face = None
        found = []
        for k, (kind, given) in enumerate(kinds.items()):
            index = np.where(fields > k, numbers[np.minimum(first + k, len(numbers) - 1)], 0)
            if (index < 0).any():  # counted back from the last one before the face
                before = np.repeat(np.searchsorted(given, self.f), counts)
                index = np.where(index < 0, np.where(before + index >= 0, before + index + 1, -1), index)
            bad = (index > len(given)) | (index < 0)
            if kind == "v":
                bad |= index == 0
            if bad.any():
                corner = int(np.flatnonzero(bad)[0])
                face = np.searchsorted(np.cumsum(counts), corner, side="right")
                word = text[words[corner] :].split(maxsplit=1)[0]
                what = f"'{shown(word)}' names a {kind} that is not there, of {len(given)}"
                if kind == "v":
                    raise FileError(f"{self.lines.where(self.f[face])}: {what}: export it again.")
                self._warn(self.f[face], f"{what}; {int(bad.sum())} corners go without")
                index = np.where(bad, 0, index)
            found.append(index - 1)
        return (*found, counts)

    def _refuse_face(self) -> NoReturn:
        """Raise FileError for the first word of a face that is not one to three whole numbers between slashes."""
        for line in self.f:
            for word in self.lines.text(line).split(b"#", 1)[0].split()[1:]:
                if not re.fullmatch(rb"[+-]?\d+(/[+-]?\d*(/[+-]?\d*)?)?", word):
                    raise FileError(
                        f"{self.lines.where(line)}: '{shown(word)}' is no corner of a face: export it again."
                    )
        raise FileError(f"{self.path} has faces that cannot be read: export it again.")

    def _check_finite(self, values: np.ndarray, which: np.ndarray, index: np.ndarray, keyword: str) -> None:
        """Raise FileError if a corner uses numbers that are not finite, or beyond single precision."""
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(values) < HUGE).all(1) if len(values) else np.zeros(0, bool)
        if bad.any():
            bad = bad & np.isin(np.arange(len(values)), index)
            if bad.any():
                where = self.lines.where(int(which[np.flatnonzero(bad)[0]]))
                raise FileError(f"{where}: a {keyword} that is not finite, or too large: repair the mesh.")

    def _smoothing(self) -> np.ndarray | None:
        """The smoothing group of each face, 0 for none; None if the file says nothing of them."""
        which = self.lines.begins(b"s")
        if len(which) == 0:
            return None
        groups = {b"off": 0, b"0": 0, b"": 0}
        numbers = [groups.setdefault(self._name(line, 1).lower(), len(groups)) for line in which.tolist()]
        return np.array([0, *numbers])[np.searchsorted(which, self.f)]

    def _name(self, line: int | np.integer, skip: int) -> bytes:
        return self.lines.text(line)[skip:].strip()

    def _stated(self, keyword: bytes) -> tuple[np.ndarray, list[bytes], np.ndarray]:
        """Lines of a statement, its different values in order, and which of them each face has; -1 before the first."""
        which = self.lines.begins(keyword)
        names: dict[bytes, int] = {}
        numbers = [names.setdefault(self._name(line, len(keyword)), len(names)) for line in which.tolist()]
        return which, list(names), np.array([-1, *numbers])[np.searchsorted(which, self.f)]

    def _parts(self, white: bool) -> tuple[np.ndarray, list[Part], list[MtlMaterial], list[tuple[str, list[int]]]]:
        """The part of each face, the parts and what they wear, and for each object its name and its parts."""
        _, names, owner = self._stated(b"o")
        if not names:
            _, names, owner = self._stated(b"g")
        materials, worn = self._materials(white)
        first, part = by_first((owner + 1) * (worn.max() + 2) + worn + 1)
        objects: dict[int, list[int]] = {}
        for k, face in enumerate(first):
            objects.setdefault(int(owner[face]), []).append(k)
        parts, sources, found = [], [], []
        for face in first:
            name = shown(names[owner[face]]) if owner[face] >= 0 else ""
            several = len(objects[int(owner[face])]) > 1
            source = materials[int(worn[face])]
            sources.append(source)
            own = name or self.path.name
            parts.append(Part(source.material.name if several else own, source.material, source.plain))
        for k, members in objects.items():
            found.append((shown(names[k]) if k >= 0 else "", members))
        return part, parts, sources, found

    def _materials(self, white: bool) -> tuple[dict[int, MtlMaterial], np.ndarray]:
        """The materials that are worn, and the number of each face's; by default grey, or `white` below colours."""
        library = Library(self.path.parent)
        for line in self.lines.begins(b"mtllib").tolist():
            self._open(library, line)
        which, names, worn = self._stated(b"usemtl")
        materials: dict[int, MtlMaterial] = {}
        unknown: list[bytes] = []
        for number in np.unique(worn[np.concatenate([[True], np.diff(worn) != 0])]).tolist():
            name = names[number] if number >= 0 else b""
            found = library.find(name) if name else None
            if found is None and name:
                unknown.append(name)
            if found is None and not name and library.entries and len(names) == 0:
                listed = ", ".join(f"'{shown(entry)}'" for entry in list(library.entries)[:3])
                warnings.warn(
                    f"{self.path} has no usemtl, so that no face wears {listed}: add one before the faces.",
                    stacklevel=2,
                )
            materials[number] = found or MtlMaterial.default(shown(name) or "material", white)
        if unknown:
            line = next(line for line in which if self._name(line, 6) == unknown[0])
            more = f" (nor {len(unknown) - 1} others)" if len(unknown) > 1 else ""
            there = "in its MTL files" if library.entries else "for want of an MTL file"
            self._warn(line, f"there is no material '{shown(unknown[0])}'{more} {there}: its faces wear the default")
        return materials, worn

    def _open(self, library: Library, line: int) -> None:
        """Read what one `mtllib` names: one file, its name perhaps with blanks, or several."""
        text = self.lines.text(line)[len(b"mtllib") :]
        whole = find_file(self.path.parent, text[1:])
        names = [text] if whole else re.findall(rb"(?i)\S.*?\.mtl(?=\s|$)", text.strip()) or [text]
        for name in names:
            file = whole or find_file(self.path.parent, name)
            if file is None:
                self._warn(line, f"its material file '{shown(name)}' is missing: put it beside the OBJ")
            else:
                library.read(file)

    def _placed(self, uvs: np.ndarray, uv: np.ndarray, owner: np.ndarray, sources: list[MtlMaterial]) -> np.ndarray:
        """UVs with more behind them, as `-o` and `-s` of materials place their textures; makes `uv` name these."""
        for k, source in enumerate(sources):
            if source.placement != PLACEMENT:
                scale, offset = source.placement
                moved = (owner == k) & (uv >= 0)
                used, inverse = np.unique(uv[moved], return_inverse=True)
                uv[moved] = len(uvs) + inverse.reshape(-1)
                uvs = np.concatenate([uvs, uvs[used] * scale + offset])
        return uvs

    def _say_unread(self, *read: np.ndarray) -> None:
        """Warn of statements that are left out: each kind that the specification knows once, and all others once."""
        rest = np.ones(len(self.lines.start), bool)
        for which in (self.v, self.f, *read):
            rest[which] = False
        rest &= ~np.isin(self.lines.bytes[self.lines.start], (ord("#"), ord("\n")))
        said: set[str] = set()
        unknown: dict[bytes, int] = {}
        for line in np.flatnonzero(rest).tolist():
            word = self.lines.text(line).split(None, 1)[0]
            if word in UNUSED and UNUSED[word] not in said:
                said.add(UNUSED[word])
                self._warn(line, f"'{shown(word)}': {UNUSED[word]}")
            elif word not in UNUSED and word not in READ:
                unknown.setdefault(word, line)
        if unknown:
            word, line = next(iter(unknown.items()))
            more = f" (nor are {len(unknown) - 1} others)" if len(unknown) > 1 else ""
            self._warn(line, f"'{shown(word)}' is no keyword of OBJ files{more}: such lines are left out")

    def _say_untextured(self, uv, counts, part, parts) -> None:
        """Warn of faces without `vt` beside others that have it, or whose material has a texture."""
        first = np.cumsum(counts) - counts
        without = np.minimum.reduceat(uv, first) < 0
        mapped = np.zeros(len(parts), bool)
        mapped[part[~without]] = True
        mapped |= [each.material.needs_uvs() for each in parts]
        bare = without & mapped[part]
        if bare.any():
            line = int(self.f[np.flatnonzero(bare)[0]])
            self._warn(line, f"{bare.sum()} of {len(bare)} faces have no vt, this one first: they are untextured")

    def _warn(self, line: int | np.integer, what: str) -> None:
        warnings.warn(f"{self.lines.where(int(line))}: {what}.", stacklevel=2)

    def _graph(self, corners: Corners, parts: list[Part], objects: list[tuple[str, list[int]]]) -> list[Node]:
        nodes: list[Node] = []
        meshes = corners.meshes(parts)
        for name, members in objects:
            own = [Node(mesh, name=mesh.name) for k in members for mesh in meshes[k]]
            nodes += own if len(own) == 1 or not name else [Node(None, None, own, name)]
        for node in nodes:
            node.origin = corners.origin
        return nodes
