"""Triangle meshes."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import SceneError
from ..geometry import unit
from ..raster.sampler import ON_MESH
from .kept import Kept
from .material import Material

UNWRAP = "unwrap it (in Blender: UV > Smart UV Project) and export again"


class Mesh(nn.Module):
    """Triangles with one material. To draw a mesh several times, give the same Mesh to several nodes.

    `vertices` (V, 3), `faces` (F, 3) int, `uvs` (V, 2) or None, `normals` (V, 3) unit vectors or None. As in glTF
    every vertex has one UV and one normal: a vertex on a UV seam is there twice. Without `normals` the mesh is shaded
    smoothly, with `vertex_normals` of its vertices. `colors`, (V, 3) or with alpha (V, 4), are glTF's COLOR_0: linear,
    interpolated over faces, and multiplied into the material's base_color. They belong to the mesh as its vertices do:
    `render` is differentiable in them, `bake` freezes them. Colours that are the material itself, to be trained or
    passed through steps, are a `VertexTexture`. Without `cast_shadows` light passes through the mesh.

    Raises SceneError for arrays of another shape or kind, an empty mesh, vertices that are not finite and faces that
    point outside the vertex list.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    uvs: Float[Tensor, "v 2"] | None
    normals: Float[Tensor, "v 3"] | None
    colors: Float[Tensor, "v channels"] | None

    # 8 parameters: two say where the surface is, the others have defaults
    def __init__(
        self,
        vertices: Float[Tensor, "v 3"],
        faces: Int[Tensor, "f 3"],
        uvs: Float[Tensor, "v 2"] | None = None,
        normals: Float[Tensor, "v 3"] | None = None,
        material: Material | None = None,
        name: str = "mesh",
        colors: Float[Tensor, "v channels"] | None = None,
        cast_shadows: bool = True,
    ):
        super().__init__()
        self.name = name
        self.cast_shadows = bool(cast_shadows)
        self._check_arrays(vertices, faces, uvs, normals, colors)
        if material is not None and not isinstance(material, Material):
            raise SceneError(f"mesh '{name}' wears a {type(material).__name__}: give neurotex.Material(...).")
        self.register_buffer("vertices", vertices)
        self.register_buffer("faces", faces)
        self.register_buffer("uvs", uvs)
        self.register_buffer("normals", normals)
        self.register_buffer("colors", colors)
        self.material = Material() if material is None else material
        self._smooth = Kept()
        self._finite = Kept()
        self.check()
        self.faces = faces.to(torch.int32)  # checked before: an index beyond 32 bits would come out as another one

    def _check_arrays(self, vertices: Any, faces: object, uvs: object, normals: object, colors: object) -> None:
        arrays = {"vertices": (vertices, (3,)), "faces": (faces, (3,))}
        optional = {"uvs": (uvs, (2,)), "normals": (normals, (3,)), "colors": (colors, (3, 4))}
        for what, (array, columns) in (arrays | optional).items():
            where = f"mesh '{self.name}' has {what}"
            if array is None and what in optional:
                continue
            if not isinstance(array, Tensor):
                raise SceneError(f"{where} in a {type(array).__name__}: give a tensor, as from torch.as_tensor.")
            if array.ndim != 2 or array.shape[1] not in columns:
                remedy = "cut polygons into triangles" if what == "faces" else "drop or add columns"
                raise SceneError(
                    f"{where} of shape {tuple(array.shape)}, not (…, {' or '.join(map(str, columns))}): {remedy}."
                )
            kinds = (torch.int16, torch.int32, torch.int64) if what == "faces" else (torch.float32, torch.float64)
            if array.dtype not in kinds:
                raise SceneError(f"{where} of {array.dtype}: make it {' or '.join(map(str, kinds[-2:]))}.")
            if what in optional and len(array) != len(vertices):
                raise SceneError(f"{where} for {len(array)} of {len(vertices)} vertices: give every vertex its own.")

    def check(self) -> None:
        """Raise SceneError for arrays that are not finite, and for faces that point outside the vertex list."""
        where = f"mesh '{self.name}'"
        if len(self.faces) == 0 or len(self.vertices) == 0:
            raise SceneError(
                f"{where} is empty: it has {len(self.vertices)} vertices and {len(self.faces)} faces; check its export."
            )
        for what in ("vertices", "uvs", "normals", "colors"):
            tensor = getattr(self, what)
            if tensor is not None and not bool(tensor.isfinite().all()):
                bad = int((~tensor.isfinite().all(1)).nonzero()[0])
                raise SceneError(f"{where} has {what} that are not finite, first at index {bad}: repair the mesh.")
        self.check_faces()

    def check_faces(self) -> None:
        """Raise SceneError unless the arrays belong together and faces name vertices, as they are now.

        Renderers ask before every render, since arrays may have changed in place, and a kernel would read beyond them.
        """
        where = f"mesh '{self.name}'"
        self._check_arrays(self.vertices, self.faces, self.uvs, self.normals, self.colors)
        if len(self.faces) == 0:
            raise SceneError(f"{where} is empty: it has {len(self.vertices)} vertices and no faces; check its export.")
        low, high = torch.stack(self.faces.aminmax()).tolist()  # read together: a GPU is waited for once
        if low < 0 or high >= len(self.vertices):
            bad = high if high >= len(self.vertices) else low
            raise SceneError(
                f"{where} has a face with vertex index {bad}, but only {len(self.vertices)} vertices: export it again."
            )

    def check_normals(self) -> None:
        """Raise SceneError for normals that are not finite; looked at only once they have changed."""
        normals = self.normals
        if normals is not None and not self._finite(lambda: bool(normals.isfinite().all()), normals):
            raise SceneError(f"mesh '{self.name}' has normals that are not finite: repair them, or drop them.")

    def check_texels(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise SceneError unless a map of the material, whose value has this shape, has texels for this mesh."""
        kind = self.material.maps()[name].filter
        if kind not in ON_MESH:
            return
        rows, columns = shape[2:]
        want = len(self.vertices) if kind == "vertex" else len(self.faces)
        if rows != want or (columns != 1 if kind == "vertex" else math.isqrt(columns) ** 2 != columns):
            given = f"{rows}" if columns == 1 else f"{rows} x {columns}"
            plural = {"vertex": "vertices", "face": "faces"}[kind]
            raise SceneError(
                f"mesh '{self.name}' has {want:,} {plural}, but the {name} of its material '{self.material.name}' has "
                f"texels for {given}: give {'one for each' if kind == 'vertex' else 'each one, or R x R of them'}."
            )

    def unwrapped(self, where: str = "") -> Float[Tensor, "v 2"]:
        """The UVs; SceneError, which names the mesh and `where` it is, where there are none."""
        if self.uvs is None:
            raise SceneError(f"{where}{': ' if where else ''}mesh '{self.name}' has no UVs for its texture: {UNWRAP}.")
        return self.uvs

    def check_uvs(self, where: str = "") -> None:
        """Raise SceneError, which names the mesh and `where` it is, if the material needs UVs and there are none."""
        if self.uvs is None and self.material.needs_uvs():
            self.unwrapped(where)

    def shading_normals(self) -> Float[Tensor, "v 3"]:
        """The normals given, or smooth ones of the current vertices, kept until these change."""
        if self.normals is not None:
            return self.normals
        if torch.is_grad_enabled() and self.vertices.requires_grad:
            return vertex_normals(self.vertices, self.faces)
        return self._smooth(lambda: vertex_normals(self.vertices.detach(), self.faces), self.vertices, self.faces)

    def extra_repr(self) -> str:
        uvs = "" if self.uvs is not None else ", no UVs"
        colors = "" if self.colors is None else ", colours"
        return f"'{self.name}', {len(self.vertices)} vertices, {len(self.faces)} faces{uvs}{colors}"


def vertex_normals(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "v 3"]:
    """Unit normals at vertices: the normals of the faces around, weighted by their angles (Thürmer, Wüthrich 1998).

    Faces meet smoothly where they share a vertex *index*; a UV seam, where vertices are doubled, stays a crease,
    as in Mitsuba. Degenerate faces count nothing; a vertex without a proper face has the normal (0, 0, 0).
    """
    corner = vertices[faces.long()]
    # of unit length first: the product of two edges may be beyond single precision where each of them is not
    edges = [unit(corner[:, (i + 1) % 3] - corner[:, i]) for i in range(3)]
    normal = unit(torch.linalg.cross(edges[0], edges[1]))
    total = torch.zeros_like(vertices)
    for i in range(3):
        u, v = edges[i], -edges[(i + 2) % 3]
        # Kahan's angle: exact near 0 and π, where the arc cosine loses half its digits
        angle = 2 * torch.atan2((u - v).norm(dim=-1), (u + v).norm(dim=-1))
        total = total.index_add(0, faces[:, i].long(), normal * angle[:, None])
    return unit(total)


def coincidence(points: Float[Tensor, "n 3"]) -> Int[Tensor, "n"]:
    """Numbers from 0, equal for equal points: sorted by z, y and x, equal points are neighbours."""
    order = torch.arange(len(points), device=points.device)
    for axis in (2, 1, 0):
        order = order[points[order, axis].sort(stable=True).indices]
    moved = (points[order].diff(dim=0) != 0).any(1)
    return torch.empty_like(order).index_copy(0, order, torch.cat([moved.new_zeros(1), moved]).cumsum(0))
