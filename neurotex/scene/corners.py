"""What mesh files hold, made into meshes: corners of faces that name a place, a UV and a normal each for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ..errors import SceneError
from .material import Material
from .mesh import Mesh, vertex_normals
from .origin import Origin, origin_near
from .textures import FaceTexture

HUGE = 3e38  # beyond single precision


@dataclass
class Part:
    """Faces that become a mesh of their own. `plain` gives the material of those among them that have no UVs."""

    name: str
    material: Material
    plain: Callable[[], Material] | None = None


@dataclass
class Corners:
    """Triangles. `place`, `uv`, `normal` (f, 3) index `points` (p, 3), `uvs` (t, 2), `normals` (n, 3); -1 is none.

    `colors` (p, 3 or 4) are linear; those of faces, `paint` (f, 3), encoded for display, and worn in place of
    materials. Faces of one `smoothing` group (f,) are shaded as one surface where they have no
    normals; those of group 0 are flat. Or it is (f, 3): corners of one place with the same number are.
    """

    points: np.ndarray
    place: np.ndarray
    uvs: np.ndarray | None = None
    uv: np.ndarray | None = None
    normals: np.ndarray | None = None
    normal: np.ndarray | None = None
    colors: np.ndarray | None = None
    smoothing: np.ndarray | None = None
    part: np.ndarray | None = None
    paint: np.ndarray | None = None
    origin: Origin = field(init=False)

    def __post_init__(self) -> None:
        used = np.zeros(len(self.points), bool)
        used[self.place] = True
        with np.errstate(invalid="ignore"):
            bad = used & ~(np.abs(self.points) < HUGE).all(1)
        if bad.any():
            raise SceneError(f"its vertex {np.flatnonzero(bad)[0]} is not finite, or too large: repair the mesh.")
        self.origin = origin_near(self.points if used.all() else self.points[used])

    def meshes(self, parts: list[Part]) -> list[list[Mesh]]:
        """The meshes of each part: of its faces with UVs, and of those without; vertices in the file's order.

        Positions are relative to `origin`. Where several meshes meet, or only some corners have normals, smooth ones
        are computed before the surface is cut up.
        """
        part = np.zeros(len(self.place), np.int64) if self.part is None else self.part
        without = np.ones(len(part), bool) if self.uv is None else np.any(self.uv < 0, axis=1)
        positions = self.points - np.array(self.origin)
        normal = self._given_normals()
        share = self._shared(normal)
        smooth = None
        cut = part.min() != part.max() or without.min() != without.max()
        if (normal is None and cut) or (normal is not None and (normal < 0).any()):
            smooth = self._smooth_normals(positions, share)
        meshes: list[list[Mesh]] = [[] for _ in parts]
        for k, each in enumerate(parts):
            for bare in (False, True):
                faces: slice | np.ndarray = slice(None)
                if cut:
                    faces = np.flatnonzero((part == k) & (without == bare))
                    if len(faces) == 0:
                        continue
                elif bare != without[0]:
                    continue
                meshes[k].append(self._mesh(each, faces, bare, positions, normal, share, smooth))
        return meshes

    def _mesh(self, part: Part, faces, bare: bool, positions, normal, share, smooth) -> Mesh:
        place = self.place[faces].reshape(-1)
        columns = [place]
        uvs, uv = (None, None) if bare else (self.uvs, self.uv)
        if uv is not None:
            columns.append(uv[faces].reshape(-1))
        if normal is not None:
            columns.append(normal[faces].reshape(-1) + 1)
        if share is not None:
            columns.append(share[faces].reshape(-1))
        first, inverse = distinct(*columns)
        normals = None
        if smooth is not None:
            normals = smooth[faces].reshape(-1, 3)[first]
        if normal is not None and self.normals is not None:
            own = normal[faces].reshape(-1)[first]
            given = self.normals[own]
            normals = given if normals is None else np.where((own < 0)[:, None], normals, given)
        material = part.material
        if bare and part.plain is not None and material.needs_uvs():
            material = part.plain()
        if self.paint is not None:
            material = Material(FaceTexture(_tensor(self.paint[faces])), part.name)
        return Mesh(
            _tensor(positions[place[first]]),
            torch.from_numpy(inverse.reshape(-1, 3).astype(np.int32)),
            None if uvs is None else _tensor(uvs[columns[1][first]]),
            None if normals is None else _tensor(normals),
            material,
            part.name,
            None if self.colors is None else _tensor(self.colors[place[first]]),
        )

    def _given_normals(self) -> np.ndarray | None:
        """`normal`, with -1 for those that point nowhere; `normals` are of unit length afterwards."""
        if self.normal is None or self.normals is None or len(self.normals) == 0 or (self.normal < 0).all():
            return None
        length = np.linalg.norm(self.normals, axis=1)
        bad = ~((length > 1e-12) & np.isfinite(length))
        scale = np.where(bad | (np.abs(length - 1) <= 1e-3), 1.0, length)  # rounded ones stay as they are written
        self.normals = self.normals / scale[:, None]
        normal = np.where(bad[self.normal], -1, self.normal) if bad.any() else self.normal
        return None if (normal < 0).all() else normal

    def _shared(self, normal: np.ndarray | None) -> np.ndarray | None:
        """A number for each corner: those of one place that have the same share a computed normal."""
        if self.smoothing is None or (self.smoothing.min() == self.smoothing.max() != 0):
            return None
        if self.smoothing.ndim == 2:
            return self.smoothing if normal is None else np.where(normal < 0, self.smoothing, 0)
        alone = self.smoothing.max() + 1 + np.arange(len(self.smoothing))
        share = np.broadcast_to(np.where(self.smoothing == 0, alone, self.smoothing)[:, None], self.place.shape)
        return share if normal is None else np.where(normal < 0, share, 0)

    def _smooth_normals(self, positions: np.ndarray, share: np.ndarray | None) -> np.ndarray:
        """(f, 3, 3): for each corner, of all faces around."""
        columns = [self.place.reshape(-1)] + ([] if share is None else [share.reshape(-1)])
        first, inverse = distinct(*columns)
        faces = torch.from_numpy(inverse.reshape(-1, 3))
        normals = vertex_normals(_tensor(positions[columns[0][first]]), faces)
        return normals.numpy()[inverse].reshape(-1, 3, 3)


def _tensor(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).to(torch.get_default_dtype())


def distinct(place: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of whole numbers from 0, sorted: a row like each distinct one, and the number of each row's.

    Most places have one UV and one normal, and need no sorting.
    """
    rows = np.arange(len(place))
    some = np.full(int(place.max()) + 1, -1)
    some[place] = rows  # a row of each place
    several = np.zeros(len(some), bool)
    for column in others:
        several[place[column[some[place]] != column]] = True
    count = (some >= 0).astype(np.int64)
    torn = np.flatnonzero(several[place])
    if len(torn):
        key = _combined([column[torn] for column in (place, *others)])
        _, inverse = np.unique(key, return_inverse=True)
        inverse = inverse.reshape(-1)
        owner = np.empty(int(inverse.max()) + 1, np.int64)
        owner[inverse] = place[torn]
        count[several] = np.bincount(owner, minlength=len(some))[several]
    number = (np.cumsum(count) - count)[place]
    if len(torn):
        number[torn] += (np.arange(len(owner)) - np.searchsorted(owner, owner))[inverse]
    like = np.empty(int(count.sum()), np.int64)
    like[number] = rows
    return like, number


def same_points(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of points (n, dim): one row like each different point, in order of appearance, and the number of each row's."""
    number = np.zeros(len(points), np.int64)
    for column in (points + 0.0).T:  # -0 is 0
        _, value = np.unique(column, return_inverse=True)
        _, number = np.unique(number * (len(points) + 1) + value.reshape(-1), return_inverse=True)
        number = number.reshape(-1)
    first = np.full(int(number.max()) + 1 if len(number) else 0, len(points))
    np.minimum.at(first, number, np.arange(len(points)))
    order = np.argsort(first)
    return first[order], np.argsort(order)[number]


def by_first(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row in which each different number first stands, in order, and which of them each row has."""
    begin = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])  # of runs
    _, first, inverse = np.unique(values[begin], return_index=True, return_inverse=True)
    order = np.argsort(first)
    number = np.argsort(order)[inverse.reshape(-1)]
    return begin[first[order]], np.repeat(number, np.diff(begin, append=len(values)))


def _combined(columns: list[np.ndarray]) -> np.ndarray:
    """One number for each row, in the same order."""
    key = columns[0].astype(np.int64)
    for column in columns[1:]:
        span = int(column.max()) + 1
        if int(key.max()) >= 2**62 // span:
            key = np.unique(key, return_inverse=True)[1].reshape(-1)
        key = key * span + column
    return key
