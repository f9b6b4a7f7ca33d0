"""What stands between lights and surfaces: one factor, samples × lights, between visibility and the light loop.

A ray leaves each sample for each light that casts shadows, and the light gets there if it meets nothing before: no
face of a mesh that casts shadows, from either side, but for what its material cuts out. A sample's own face does not
shadow it (see `neurotex.geometry.Rays`). As all visibility it is a discrete question, without a gradient; what a light
sheds where it arrives stays differentiable in everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.op import transformed
from ..geometry import dot
from ..geometry.crossings import blocked, met
from ..scene import Geometry
from ..shading.lights import scaled, towards
from ..shading.sides import turned
from .lighting import Illumination
from .maps import Place, SceneMaps, cutoffs

SHORT = 0.999  # of the way to a light: it may lie on a surface, which is not in its own way


@dataclass(frozen=True)
class Occluders:
    """The faces that light does not pass, in the order of the scene's; those that let it through have no area.

    `cut` are those whose material may cut them out, None where there are none: `cutoff` says below which alpha, and
    `maps` what that is; `uvs_alpha` are UVs and, if there is one, the alpha of the vertices, and `elements` is there if
    texels lie on meshes. `bumpy` says whether maps turn normals.
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    cut: Int[Tensor, "f 3"] | None
    cutoff: Float[Tensor, "f"]
    uvs_alpha: Float[Tensor, "v columns"]
    face_material: Int[Tensor, "f"]
    elements: Int[Tensor, "f 4"] | None
    maps: SceneMaps
    bumpy: bool

    @classmethod
    def of(cls, geometry: Geometry, maps: SceneMaps) -> Occluders:
        """Those of a scene. Nothing is prepared before the first ray."""
        cut, solid = cutoffs(maps.materials, geometry.vertices.detach()), geometry.face_casts
        cutoff = geometry.vertices.new_zeros(len(solid))
        if cut is not None:
            cutoff = cut[geometry.face_material.long()]
            solid = solid & (cutoff == 0)
        return cls(
            geometry.vertices.detach(),
            _only(geometry.faces, solid),
            None if cut is None else _only(geometry.faces, geometry.face_casts & (cutoff > 0)),
            cutoff,
            torch.cat([geometry.uvs, geometry.colors[:, 3:]], 1).detach(),
            geometry.face_material,
            geometry.elements(torch.arange(len(solid), device=solid.device)) if maps.on_mesh else None,
            maps.alone("alpha"),
            "normal" in maps.planes,
        )

    def moved(self, move: Callable[[Tensor], Tensor]) -> Occluders:
        """The same with `move` done to all tensors."""
        tensors = {name: move(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors, maps=self.maps.moved(move))

    @torch.no_grad()
    def visibility(
        self,
        position: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"],
        face: Int[Tensor, "n"],
        group: Int[Tensor, "n _"],
        light: Illumination,
    ) -> Float[Tensor, "n columns"] | None:
        """The share of each light that reaches surface samples, as `Illumination` has it; None where all of them do.

        `normal` is the interpolated one, of any length. Light from behind counts as arriving: surfaces are dark there.
        """
        if not any(light.shadowing):
            return None
        facing = turned(normal, towards(scaled(light.eye), position))

        def shares(k: int, *samples: Tensor) -> Tensor:
            pairs = zip(scaled(light.sources(k)), light.shadowing, strict=True)
            return torch.stack([self._share(point, casts, *samples) for point, casts in pairs], 1)

        return light.by_group(group, shares, position, facing, face)

    def _share(self, point: Tensor, casts: bool, position: Tensor, facing: Tensor, face: Tensor) -> Tensor:
        share = torch.ones_like(position[:, 0])
        if not casts:
            return share
        way = towards(point, position)
        if self.bumpy or transformed():  # what a map makes of the normal depends on textures
            return self.passes(position, way, point, face).to(share)
        lit = (dot(facing, way) > 0).nonzero()[:, 0]
        some = self.passes(position[lit], way[lit], point, face[lit])
        return share.index_copy(0, lit, some.to(share))

    def passes(
        self, origin: Float[Tensor, "n 3"], way: Float[Tensor, "n 3"], point: Float[Tensor, "4"], face: Int[Tensor, "n"]
    ) -> Bool[Tensor, "n"]:
        """Whether light gets along `way`, from a homogeneous `point`, to where rays leave faces."""
        far = torch.where(point[3] == 0, torch.inf, SHORT).expand(len(origin))
        clear = ~blocked(self.vertices, self.faces, origin, way, far, face)
        if self.cut is None:
            return clear
        left = clear.nonzero()[:, 0]
        through = self._through(self.cut, origin[left], way[left], far[left], face[left])
        return clear.index_copy(0, left, through)

    def _through(self, cut: Tensor, origin: Tensor, way: Tensor, reach: Tensor, face: Tensor) -> Bool[Tensor, "n"]:
        """Whether rays meet nothing but holes of faces that are cut out in part: from each hole they go on."""
        clear = torch.ones_like(face, dtype=torch.bool)
        number = torch.arange(len(face), device=face.device)
        while len(number):
            hits = met(self.vertices, cut, origin, way, reach, face)
            some = (hits.face >= 0).nonzero()[:, 0]
            face, place = hits.face[some], hits.barycentrics[some].to(origin)
            hole = self._alpha(face.long(), place) < self.cutoff[face.long()]
            clear = clear.index_fill(0, number[some[~hole]], False)
            some, face, place = some[hole], face[hole], place[hole]
            origin = (self.vertices[cut[face.long()].long()] * place[:, :, None]).sum(1)
            number, way, reach = number[some], way[some], reach[some] - hits.distance[some].to(reach)
        return clear

    def _alpha(self, face: Int[Tensor, "n"], place: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        assert self.cut is not None
        values = (self.uvs_alpha[self.cut[face].long()] * place[:, :, None]).sum(1)
        flat = values.new_zeros((len(face), 2 * self.maps.mipmapped, 2))  # a ray has no width
        element = face.new_empty((len(face), 0)) if self.elements is None else self.elements[face]
        where = Place(self.face_material[face], values[:, :2], flat, element, place)
        alpha = self.maps.data("alpha", self.maps.taps("alpha", where))[:, 0]
        return alpha * values[:, 2:].prod(1)


def _only(faces: Int[Tensor, "f 3"], which: Bool[Tensor, "f"]) -> Int[Tensor, "f 3"]:
    return faces.where(which[:, None], 0)
