"""Taps of textures whose texels lie on the mesh itself: on its vertices, or on cells of its faces. No UVs are needed.

Such a texel is found by where a point lies on its face instead of by UV; all that follows is the same.

- "vertex": texel v belongs to vertex v. A point reads those of its face's corners, weighted by its barycentric
  coordinates.
- "face": row f of the texture belongs to face f, and has R² texels. A point reads the one whose triangle it lies in, of
  the R² equal ones that the face is cut into, numbered as in PyTorch3D's TexturesAtlas.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from ..core import checked
from ..errors import ArgumentError
from .layout import TexelLayout
from .sampler import ON_MESH
from .textures import Taps, taps_unchecked


@dataclass(frozen=True)
class MeshPoints:
    """Where points lie on their meshes.

    `element` has the number of a point's face in its own mesh, then those of its three vertices; `barycentrics` say
    where on the face it is. Both have no columns if no texture asks for them.
    """

    element: Int[Tensor, "n face_and_vertices"]
    barycentrics: Float[Tensor, "n corners"]

    def some(self, which: Int[Tensor, "m"]) -> MeshPoints:
        """Only these points."""
        return MeshPoints(self.element[which], self.barycentrics[which])


@checked.door()
def surface_taps(
    uv: Float[Tensor, "n 2"],
    duv: Float[Tensor, "n columns 2"],
    points: MeshPoints,
    texture: Int[Tensor, "n"],
    layout: TexelLayout,
) -> Taps:
    """`taps` of points in textures of all kinds, those that lie on the mesh included.

    Weights of "vertex" textures are differentiable in the barycentric coordinates. Those of "face" textures are 1:
    which cell a point lies in is a discrete step. `layout` is of all textures, in which `texture` counts.
    """
    checked.indices("texture", texture, len(layout.first), "texture")
    _check_points(points, texture, layout)
    return surface_taps_unchecked(uv, duv, points, texture, layout)


def _check_points(points: MeshPoints, texture: Int[Tensor, "n"], layout: TexelLayout) -> None:
    """ArgumentError unless points on textures that lie on the mesh have a texel there."""
    for kind in ON_MESH:
        numbers = [k for k, name in enumerate(layout.filters) if name == kind]
        if numbers and (points.element.shape[1:] != (4,) or points.barycentrics.shape[1:] != (3,)):
            raise ArgumentError(f"a '{kind}' texture needs to know where points lie on the mesh, (n, 4) and (n, 3).")
        for number in numbers:
            own = points.element[texture == number]
            own = own[:, 1:] if kind == "vertex" else own[:, :1]
            checked.indices("element", own, int(layout.shape[number, 0]), f"{kind} texel")


def surface_taps_unchecked(
    uv: Float[Tensor, "n 2"],
    duv: Float[Tensor, "n columns 2"],
    points: MeshPoints,
    texture: Int[Tensor, "n"],
    layout: TexelLayout,
) -> Taps:
    """`surface_taps` of textures, faces and vertices that exist."""
    kinds = [kind for kind in ON_MESH if kind in layout.filters]
    if not kinds:
        return taps_unchecked(uv, duv, texture, layout)
    if len(set(layout.filters)) == 1:
        return Taps(torch.arange(len(uv) + 1, device=uv.device), *_mesh_taps(points, texture, layout, kinds[0]))
    found = taps_unchecked(uv, duv, texture, layout.by_uv())
    index, weight = found.index, found.weight
    for kind in kinds:
        of_kind = torch.tensor([name == kind for name in layout.filters], device=texture.device)
        which = of_kind[texture.long()].nonzero()[:, 0]
        own_index, own_weight = _mesh_taps(points.some(which), texture[which], layout, kind)
        rows, spare = found.first[which], index.shape[1] - own_index.shape[1]
        index = index.index_copy(0, rows, torch.cat([own_index, own_index[:, :1].expand(-1, spare)], 1))
        weight = weight.index_copy(0, rows, pad(own_weight, (0, spare)))
    return Taps(found.first, index, weight)


def _mesh_taps(
    points: MeshPoints, texture: Tensor, layout: TexelLayout, kind: str
) -> tuple[Int[Tensor, "n taps"], Float[Tensor, "n taps"]]:
    texture = texture.long()
    first = layout.first[texture]
    if kind == "vertex":
        return (first[:, None] + points.element[:, 1:]).int(), points.barycentrics
    width = layout.shape[texture, 1]
    index = first + points.element[:, 0] * width + cell_on_face(points.barycentrics, width)
    return index.int()[:, None], torch.ones_like(points.barycentrics[:, :1])


def cell_on_face(barycentrics: Float[Tensor, "n 3"], count: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """Which of the `count` = R² cells of its face each point lies in: R · row + column, row and column from 0 to R − 1.

    The first two coordinates times R lie in a square of the grid, below or above its diagonal. Those above are the
    squares that are left over, counted from the other end.
    """
    side = count.double().sqrt().round().long()[:, None]
    place = barycentrics.detach()[:, :2] * side
    low = place.long().clamp_min(0).minimum(side - 1)
    above = ((place - low).sum(1) > 1)[:, None]
    column, row = torch.where(above, side - 1 - low, low).unbind(1)
    return row * side[:, 0] + column
