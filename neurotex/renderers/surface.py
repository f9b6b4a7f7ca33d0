"""What a camera sees, as a flat list of surface samples in pixel order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry import transform
from ..raster.samples import Samples, gather_surface_unchecked
from ..raster.zbuffer import z_buffer_unchecked
from ..scene import Camera, Geometry
from ..shading.normal_map import face_tangents_unchecked
from .maps import Place, SceneMaps, cutoffs

SAMPLE_BYTES = 256  # what rendering keeps per sample at most, roughly: attributes, taps, light, colour


@dataclass(frozen=True)
class Surface(Place):
    """Surface samples of some rows of a view. `normal` is interpolated, not of unit length; both sides are seen.

    `pixel` counts row-major from the first of these rows. `tangent` has (xyz, handedness) if there are normal maps,
    else no columns; `color` is the linear colour of the meshes, to be multiplied into base_color, and has no columns
    where all are white.
    """

    pixel: Int[Tensor, "n"]
    face: Int[Tensor, "n"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    tangent: Float[Tensor, "n tangent_columns"]
    color: Float[Tensor, "n color_columns"]

    def some(self, which: Int[Tensor, "m"]) -> Surface:
        """Only these samples."""
        return Surface(**{name: tensor[which] for name, tensor in vars(self).items()})

    def tinted(self, value: Float[Tensor, "n channels"]) -> Float[Tensor, "n channels2"]:
        """A base colour, or the light on it, times the colour of the meshes."""
        return value * self.color if self.color.shape[1] else value


@dataclass(frozen=True)
class View:
    """A camera in front of a scene: everything that all rows of its image share."""

    geometry: Geometry
    maps: SceneMaps
    camera: Camera
    size: tuple[int, int]
    grid: int
    screen: Float[Tensor, "v 4"]  # in samples, not pixels

    @classmethod
    def of(cls, geometry: Geometry, maps: SceneMaps, camera: Camera, size: tuple[int, int], grid: int) -> View:
        """The vertices as this camera sees them, `grid` × `grid` samples per pixel."""
        matrix = camera.screen_matrix(size).to(geometry.vertices)
        matrix = matrix * matrix.new_tensor([grid, grid, 1, 1])[:, None]
        return cls(geometry, maps, camera, size, grid, transform(geometry.vertices, matrix.T))

    @property
    def eye(self) -> Float[Tensor, "4"]:
        """The camera's, homogeneous, in the precision of the geometry."""
        return self.camera.eye.to(self.geometry.vertices)

    def visible(self, top: int, rows: int) -> Int[Tensor, "height width"]:
        """The face that each sample of the image's rows [top, top + rows) sees, −1 for none; through cut-outs."""
        size = (rows * self.grid, self.size[1] * self.grid)
        where = (self.screen, self.geometry.faces, size, self.camera.near_plane(self.geometry.radius))
        ids, depth = z_buffer_unchecked(*where, top=top * self.grid)
        cut = cutoffs(self.maps.materials, self.screen.detach())
        while cut is not None:
            through = self._cut_out(ids, top, cut)
            if not bool(through.any()):
                break
            # look behind what was cut, and only there
            behind, depth = z_buffer_unchecked(*where, top=top * self.grid, beyond=depth.where(through, torch.inf))
            ids = torch.where(through, behind, ids)
        return ids

    @torch.no_grad()
    def _cut_out(self, ids: Tensor, top: int, cut: Float[Tensor, "materials"]) -> Tensor:
        """Where the face that is seen is cut out there."""
        face_cut = cut[self.geometry.face_material.long()]
        asked = (ids >= 0) & (face_cut[ids.clamp_min(0).long()] > 0)
        alpha = self.geometry.colors[:, 3:]
        samples = self._gather(ids.where(asked, -1), torch.cat([self.geometry.uvs, alpha], 1), top, 1)
        found = self.maps.data("alpha", self.maps.taps("alpha", Place(**self._place(samples))))[:, 0]
        gone = found * samples.values[:, 2:].prod(1) < face_cut[samples.face]
        return torch.zeros_like(asked).view(-1).index_fill_(0, samples.pixel[gone], True).view(ids.shape)

    def surface(self, ids: Int[Tensor, "height width"], top: int) -> Surface:
        """The samples that see a face, from `visible`."""
        geometry = self.geometry
        attributes = torch.cat([geometry.uvs, geometry.vertices, geometry.normals, geometry.colors[:, :3]], dim=1)
        samples = self._gather(ids, attributes, top, self.grid)
        _, position, normal, color = samples.values.tensor_split([2, 5, 8], dim=1)
        tangent = position[:, :0]
        if "normal" in self.maps.planes:
            frames = face_tangents_unchecked(geometry.vertices, geometry.uvs, geometry.faces, geometry.normals)
            tangent = frames[samples.face]
        own = {"pixel": samples.pixel, "face": samples.face, "position": position, "normal": normal}
        return Surface(**self._place(samples), **own, tangent=tangent, color=color)

    def _gather(self, ids: Tensor, attributes: Tensor, top: int, grid: int) -> Samples:
        """The samples that see a face, `grid` × `grid` of them a pixel; UVs come first among the attributes."""
        where = (ids, self.screen, self.geometry.faces, attributes, grid, 2 * self.maps.mipmapped, top * self.grid)
        return gather_surface_unchecked(*where, barycentrics=self.maps.on_mesh)

    def _place(self, samples: Samples) -> dict[str, Tensor]:
        """Where samples read maps: the fields of `Place`."""
        material = self.geometry.face_material.index_select(0, samples.face)
        element = samples.face.new_empty((len(material), 0))
        if self.maps.on_mesh:
            element = self.geometry.elements(samples.face)
        where = {"uv": samples.values[:, :2], "duv": samples.derivatives}
        return {"material": material, **where, "element": element, "barycentrics": samples.barycentrics}

    @property
    def bytes(self) -> int:
        """What rendering all of it at once may need."""
        return self.size[0] * self.size[1] * self.grid**2 * SAMPLE_BYTES

    def strips(self, budget: int) -> list[tuple[int, int]]:
        """Rows of the image as (top, rows), so many at a time that their samples fit into `budget` bytes."""
        rows = max(1, min(self.size[0], budget * self.size[0] // self.bytes))
        return [(top, min(rows, self.size[0] - top)) for top in range(0, self.size[0], rows)]
