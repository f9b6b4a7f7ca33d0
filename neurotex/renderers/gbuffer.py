"""The G-buffer: what the samples of an image see, as a flat list in pixel order.

`render`, `bake` and `render_passes` share these steps; each knows only the one before:

    visibility   which face each sample sees, through cut-outs                       View.visible
    surface      where that is: position, normal, tangent, UV and its footprint      View.surface
    taps         which texels each map is read from there, with which weights        GBuffer.of, SceneMaps
    light        what gets there of each light, past what stands in its way          Lighting, Occluders
    radiance     what of it goes to the eye: per unit of albedo where surfaces       GBuffer.transport
                 are diffuse, else by what the maps say                              radiance
    image        samples of a pixel added up                                         PixelRows; direct, baked
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import raster
from ..geometry import transform
from ..raster.samples import Samples, gather_surface_unchecked
from ..raster.zbuffer import z_buffer_unchecked
from ..scene import Camera, Geometry
from ..shading.normal_map import face_tangents_unchecked
from .lighting import Illumination
from .maps import Key, Place, SceneMaps, cutoffs
from .shadows import Occluders
from .stage import Stage


@dataclass(frozen=True)
class Surface(Place):
    """Surface samples of some rows of a view. `normal` is interpolated, not of unit length; both sides are seen.

    `pixel` counts row-major from the first of these rows. `tangent` has (xyz, handedness) if there are normal maps,
    else no columns; `color` is the linear colour of the meshes, to be multiplied into base_color, and has no columns
    where all are white. `group` says which points of lights with an extent a sample looks at, if there are such.
    """

    pixel: Int[Tensor, "n"]
    face: Int[Tensor, "n"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]
    tangent: Float[Tensor, "n tangent_columns"]
    color: Float[Tensor, "n color_columns"]
    group: Int[Tensor, "n group_columns"]

    def some(self, which: Int[Tensor, "m"]) -> Surface:
        """Only these samples."""
        return self.moved(lambda tensor: tensor[which])

    def moved(self, move: Callable[[Tensor], Tensor]) -> Surface:
        """The same with `move` done to all tensors."""
        return Surface(**{name: move(tensor) for name, tensor in vars(self).items()})

    def tinted(self, value: Float[Tensor, "n channels"]) -> Float[Tensor, "n channels2"]:
        """A base colour, or the light on it, times the colour of the meshes."""
        return value * self.color if self.color.shape[1] else value


@dataclass(frozen=True)
class GBuffer:
    """Surface samples, and where they read their maps: all that neither textures nor lights decide.

    `visibility` is the share of each light that reaches each sample (see `Illumination`); None for all of it.
    """

    surface: Surface
    taps: dict[Key, raster.Taps]
    visibility: Float[Tensor, "n lights"] | None = None

    @classmethod
    def of(cls, surface: Surface, maps: SceneMaps) -> GBuffer:
        """Taps of all maps but alpha, which only visibility needs."""
        return cls(surface, maps.all_taps(surface))

    def moved(self, move: Callable[[Tensor], Tensor]) -> GBuffer:
        """The same with `move` done to all tensors."""
        taps = {key: raster.Taps(*map(move, vars(found).values())) for key, found in self.taps.items()}
        visibility = None if self.visibility is None else move(self.visibility)
        return replace(self, surface=self.surface.moved(move), taps=taps, visibility=visibility)

    def shadowed(self, occluders: Occluders, light: Illumination) -> GBuffer:
        """The same with what gets there of these lights."""
        where = self.surface
        place = (where.position, where.normal, where.face, where.group)
        return replace(self, visibility=occluders.visibility(*place, light))

    def transport(self, light: Illumination) -> Float[Tensor, "n channels"]:
        """Where surfaces are diffuse: radiance towards the eye per unit of what their maps say."""
        where = self.surface
        return where.tinted(light.diffuse(where.position, where.normal, self.visibility, where.group))

    def rows(self, maps: SceneMaps, light: Illumination, grid: int) -> PixelRows:
        """The pixels of diffuse surfaces as sums over texels of base colour; `grid` × `grid` samples make a pixel."""
        taps = self.taps[maps.keys["base_color"]]
        weight = taps.per_row(self.transport(light) / grid**2)
        pixel, first, count = pixel_runs(self.surface.pixel)
        return PixelRows(pixel, count, taps.first.index_select(0, first), taps.index, taps.weight, weight)


@dataclass(frozen=True)
class PixelRows:
    """The covered pixels of diffuse surfaces, which are linear in the texels of base colour.

    Pixel number p of the list is Σ over its rows r in `first[p] : first[p + 1]` of light_r · Σ over taps t of
    weight_rt · texel_rt, and `count` of its samples are covered.
    """

    pixel: Int[Tensor, "m"]
    count: Int[Tensor, "m"]
    first: Int[Tensor, "m_plus_1"]
    index: Int[Tensor, "rows taps"]
    weight: Float[Tensor, "rows taps"]
    light: Float[Tensor, "rows channels"]

    @property
    def bytes(self) -> int:
        """How much memory they take."""
        return sum(tensor.nbytes for tensor in vars(self).values())


def pixel_runs(pixel: Int[Tensor, "n"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m_plus_1"], Int[Tensor, "m"]]:
    """The covered pixels, where each one's samples begin, and how many they are."""
    pixel, count = pixel.unique_consecutive(return_counts=True)
    return pixel, torch.cat([count.new_zeros(1), count.cumsum(0)]), count


@dataclass(frozen=True)
class View:
    """A camera in front of a scene: everything that all rows of its image share."""

    stage: Stage
    camera: Camera
    size: tuple[int, int]
    grid: int
    screen: Float[Tensor, "v 4"]  # in samples, not pixels

    @classmethod
    def of(cls, stage: Stage, camera: Camera, size: tuple[int, int], grid: int) -> View:
        """The vertices as this camera sees them, `grid` × `grid` samples per pixel."""
        vertices = stage.geometry.vertices
        matrix = camera.screen_matrix(size).to(vertices)
        matrix = torch.cat([matrix[:2] * grid, matrix[2:]])
        return cls(stage, camera, size, grid, transform(vertices, matrix.T))

    @property
    def geometry(self) -> Geometry:
        """The scene's."""
        return self.stage.geometry

    @property
    def maps(self) -> SceneMaps:
        """The scene's."""
        return self.stage.maps

    @cached_property
    def light(self) -> Illumination:
        """The scene's lights as this camera finds them."""
        return self.stage.lights.at(self.camera)

    def gbuffer(self, top: int, rows: int) -> GBuffer:
        """What the samples of the image's rows [top, top + rows) see."""
        return GBuffer.of(self.surface(self.visible(top, rows), top), self.maps)

    def lit(self, found: GBuffer) -> GBuffer:
        """The same samples in the shadows that this camera sees."""
        return found.shadowed(self.stage.occluders, self.light)

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
        group = samples.pixel[:, None][:, :0]
        if self.stage.lights.groups > 1:
            _, first, count = pixel_runs(samples.pixel)
            number = torch.arange(len(samples.pixel), device=group.device) - torch.repeat_interleave(first[:-1], count)
            group = number[:, None] % self.stage.lights.groups
        return Surface(**self._place(samples), **own, tangent=tangent, color=color, group=group)

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
