"""What a camera sees, as a flat list of surface samples in pixel order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..geometry import transform
from ..raster.samples import gather_surface_unchecked
from ..raster.zbuffer import z_buffer_unchecked
from ..scene import Camera, Geometry
from ..shading.normal_map import face_tangents_unchecked
from .maps import SceneMaps, cutoffs

SAMPLE_BYTES = 256  # what rendering keeps per sample at most, roughly: attributes, taps, light, colour


@dataclass(frozen=True)
class Surface:
    """Surface samples of some rows of a view. `normal` is interpolated, not of unit length; both sides are seen.

    `pixel` counts row-major from the first of these rows. `duv` is ∂(u, v)/∂(x, y) per sample step if a map needs it,
    else it has no columns; `tangent` has (xyz, handedness) if there are normal maps, else no columns.
    """

    pixel: Int[Tensor, "n"]
    face: Int[Tensor, "n"]
    material: Int[Tensor, "n"]
    uv: Float[Tensor, "n 2"]
    duv: Float[Tensor, "n columns 2"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    tangent: Float[Tensor, "n tangent_columns"]

    def some(self, which: Int[Tensor, "m"]) -> Surface:
        """Only these samples."""
        return Surface(**{name: tensor[which] for name, tensor in vars(self).items()})


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
        samples = gather_surface_unchecked(
            ids.where(asked, -1),
            self.screen,
            self.geometry.faces,
            self.geometry.uvs,
            1,
            2 * self.maps.mipmapped,
            top * self.grid,
        )
        material = self.geometry.face_material[samples.face]
        taps = self.maps.taps("alpha", samples.values, samples.derivatives, material)
        gone = self.maps.data("alpha", taps)[:, 0] < face_cut[samples.face]
        return torch.zeros_like(asked).view(-1).index_fill_(0, samples.pixel[gone], True).view(ids.shape)

    def surface(self, ids: Int[Tensor, "height width"], top: int) -> Surface:
        """The samples that see a face, from `visible`."""
        geometry = self.geometry
        attributes = torch.cat([geometry.uvs, geometry.vertices, geometry.normals], dim=1)
        samples = gather_surface_unchecked(
            ids, self.screen, geometry.faces, attributes, self.grid, 2 * self.maps.mipmapped, top * self.grid
        )
        uv, position, normal = samples.values.split([2, 3, 3], dim=1)
        tangent = uv[:, :0]
        if "normal" in self.maps.planes:
            frames = face_tangents_unchecked(geometry.vertices, geometry.uvs, geometry.faces, geometry.normals)
            tangent = frames[samples.face]
        material = geometry.face_material.index_select(0, samples.face)
        return Surface(samples.pixel, samples.face, material, uv, samples.derivatives, position, normal, tangent)

    @property
    def bytes(self) -> int:
        """What rendering all of it at once may need."""
        return self.size[0] * self.size[1] * self.grid**2 * SAMPLE_BYTES

    def strips(self, budget: int) -> list[tuple[int, int]]:
        """Rows of the image as (top, rows), so many at a time that their samples fit into `budget` bytes."""
        rows = max(1, min(self.size[0], budget * self.size[0] // self.bytes))
        return [(top, min(rows, self.size[0] - top)) for top in range(0, self.size[0], rows)]
