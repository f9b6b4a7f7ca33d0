"""The maps of a scene's materials, each kind as one flat list of texels that all surface samples read."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import pad

from .. import raster, shading
from ..raster.mesh_taps import MeshPoints, surface_taps_unchecked
from ..raster.resolve import resolve_unchecked
from ..raster.texels import take_texels_unchecked
from ..scene import Evaluation, Latents, Material, Scene
from ..scene.map_kinds import MAPS
from ..scene.textures import UVTransform

# as a map's, and that of the alpha of base_color, which is looked up by itself
NEUTRAL = {**{name: kind.neutral for name, kind in MAPS.items()}, "alpha": (1.0,)}
PLAINLY = ("repeat", "bilinear", None)  # how what stands in for a texture is read
IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # of UVs

Key = tuple  # of shapes and samplers: maps that share it share their taps


@dataclass(frozen=True)
class Place:
    """Where samples read the maps of their material: by UV, or on the mesh itself.

    `duv` is ∂(u, v)/∂(x, y) per sample step if a map needs it, else it has no columns. `element` and `barycentrics` are
    those of `raster.MeshPoints`, and have no columns if no map asks for them.
    """

    material: Int[Tensor, "n"]
    uv: Float[Tensor, "n 2"]
    duv: Float[Tensor, "n columns 2"]
    element: Int[Tensor, "n elements"]
    barycentrics: Float[Tensor, "n corners"]


class SceneMaps:
    """All maps of a scene, evaluated once. Values by name: those of `MAPS`, colours still encoded, and alpha.

    A kind that no material has is left out. Textures of any float type are read in the precision of `like`; nodes are
    evaluated in their own, and as autocast says.
    """

    def __init__(self, scene: Scene, latents: Latents | None, like: Tensor):
        self.materials = scene.materials()
        self.planes: dict[str, list[Tensor]] = {}
        self.keys: dict[str, Key] = {}
        self._layouts: dict[str, raster.TexelLayout] = {}
        with Evaluation(latents) as evaluation:
            values = [
                {name: value.to(like.dtype) for name, value in material.values(evaluation).items()}
                for material in self.materials
            ]
        _check_texels(scene, dict(zip(self.materials, values, strict=True)))
        for material, maps in zip(self.materials, values, strict=True):
            if material.alpha_cutoff is not None:
                maps["base_color"], maps["alpha"] = maps["base_color"].split([3, 1], dim=1)
        for name, neutral in NEUTRAL.items():
            found = [maps.get(name) for maps in values]
            if any(plane is not None for plane in found):
                self.planes[name] = [
                    like.new_tensor(neutral)[None, :, None, None] if plane is None else plane for plane in found
                ]
                self.keys[name] = self._key(name, values)

    def _key(self, name: str, values: list[dict[str, Tensor]]) -> Key:
        source = "base_color" if name == "alpha" else name
        pairs = zip(self.materials, values, strict=True)
        textures = [material.maps()[source] if name in maps else None for material, maps in pairs]
        shapes = tuple(tuple(plane.shape[2:]) for plane in self.planes[name])
        return shapes, *zip(*(PLAINLY if texture is None else texture.reading for texture in textures), strict=True)

    def layout(self, name: str) -> raster.TexelLayout:
        """Where each material's map lies in the list."""
        if name not in self._layouts:
            self._layouts[name] = _layout(self.keys[name], self.planes[name][0].device)
        return self._layouts[name]

    def layouts(self) -> dict[str, raster.TexelLayout]:
        """All of them, for `lay_out`."""
        return {name: self.layout(name) for name in self.planes}

    def lay_out(self, layouts: Mapping[str, raster.TexelLayout]) -> None:
        """Take layouts that other maps with the same keys have made: torch's compiler need not see them made."""
        self._layouts.update(layouts)

    def alone(self, name: str) -> SceneMaps:
        """Nothing but one kind, as it is now and without gradients; no map where no material has it."""
        other = copy.copy(self)
        there = {name} & set(self.planes)
        other.planes = {name: [plane.detach() for plane in self.planes[name]] for name in there}
        other.keys, other._layouts = {name: self.keys[name] for name in there}, {}
        return other

    def moved(self, move: Callable[[Tensor], Tensor]) -> SceneMaps:
        """The same with `move` done to all maps."""
        other = copy.copy(self)
        other.planes = {name: [move(plane) for plane in planes] for name, planes in self.planes.items()}
        other._layouts = {}
        return other

    @property
    def mipmapped(self) -> bool:
        """Whether lookups need the derivatives of UV."""
        return any(self.layout(name).mipmapped for name in self.planes)

    @property
    def linear(self) -> bool:
        """Whether the image is linear in the albedo: all surfaces are diffuse and no map turns their normals."""
        return set(self.planes) <= {"base_color", "alpha"}

    @property
    def on_mesh(self) -> bool:
        """Whether lookups need the place on the mesh."""
        return any(self.layout(name).on_mesh for name in self.planes)

    def taps(self, name: str, where: Place) -> raster.Taps:
        """Which texels of a kind the samples read."""
        uv, duv, points = where.uv, where.duv, MeshPoints(where.element, where.barycentrics)
        rows = uv_transforms(self.keys[name][-1], uv)
        if rows is not None:
            linear, offset = rows[where.material.long()].split([2, 1], -1)
            uv = (linear @ uv[:, :, None] + offset)[:, :, 0]
            duv = linear @ duv if duv.shape[1] else duv
        return surface_taps_unchecked(uv, duv, points, where.material, self.layout(name))

    def all_taps(self, where: Place) -> dict[Key, raster.Taps]:
        """Taps of all kinds but alpha, which only visibility needs; each way to read them once."""
        names = {key: name for name, key in self.keys.items() if name != "alpha"}
        return {key: self.taps(name, where) for key, name in names.items()}

    def albedo(self, seen: Int[Tensor, "m"] | None = None) -> Float[Tensor, "m 4"]:
        """Base colours as linear light, the fourth channel 0; all texels, or those `seen`."""
        planes, layout = self.planes["base_color"], self.layout("base_color")
        if layout.mipmapped:  # levels are averages of light, so all of it is decoded first
            texels = raster.flatten_maps([shading.srgb_to_linear(plane[0]) for plane in planes], layout)
            return pad(texels if seen is None else texels[seen], (0, 1))
        flat = planes[0][0].flatten(1) if len(planes) == 1 else torch.cat([plane[0].flatten(1) for plane in planes], 1)
        if seen is None:
            return take_texels_unchecked(shading.srgb_to_linear(flat), torch.arange(layout.total, device=flat.device))
        return shading.srgb_to_linear(take_texels_unchecked(flat, seen))

    def texels(self) -> dict[str, Float[Tensor, "_ 4"]]:
        """All maps but alpha as lists of texels: colours as linear light, the others as they are."""
        return {name: self.albedo() if name == "base_color" else self._data(name) for name in self._seen()}

    def look_up(self, texels: Mapping[str, Tensor], taps: Mapping[Key, raster.Taps]) -> dict[str, Float[Tensor, "n _"]]:
        """What samples find in `texels()`."""
        return {name: self._gather(name, texels[name], taps[self.keys[name]]) for name in self._seen()}

    def values(self, taps: Mapping[Key, raster.Taps]) -> dict[str, Float[Tensor, "n _"]]:
        """What samples find in all maps but alpha."""
        return self.look_up(self.texels(), taps)

    def data(self, name: str, taps: raster.Taps) -> Float[Tensor, "n c"]:
        """What samples find in one map."""
        return self._gather(name, self._data(name), taps)

    def _seen(self) -> list[str]:
        return [name for name in self.keys if name != "alpha"]

    def _data(self, name: str) -> Float[Tensor, "texels 4"]:
        planes = self.planes[name]
        if name in MAPS and MAPS[name].encoded:  # levels are averages of light
            planes = [shading.srgb_to_linear(plane) for plane in planes]
        texels = raster.flatten_maps([plane[0] for plane in planes], self.layout(name))
        return pad(texels, (0, 4 - texels.shape[1]))

    def _gather(self, name: str, texels: Float[Tensor, "texels 4"], taps: raster.Taps) -> Float[Tensor, "n c"]:
        one = taps.weight.new_ones(1, 1).expand(len(taps.index), 1)
        found = resolve_unchecked(texels, taps.first, taps.index, taps.weight, one)
        return found[:, : len(NEUTRAL[name])]


def uv_transforms(transforms: Sequence[UVTransform | None], like: Tensor) -> Float[Tensor, "textures 2 3"] | None:
    """Each texture's `uv_transform`; None if none of them has one."""
    if all(transform is None for transform in transforms):
        return None
    return like.new_tensor([transform or IDENTITY for transform in transforms])


def _check_texels(scene: Scene, values: Mapping[Material, Mapping[str, Tensor]]) -> None:
    """Maps whose texels lie on a mesh have as many as it has vertices or faces."""
    for mesh in scene.meshes():
        for name, value in values[mesh.material].items():
            mesh.check_texels(name, tuple(value.shape))


@lru_cache(maxsize=64)
def _layout(key: Key, device: torch.device) -> raster.TexelLayout:
    shapes, wraps, filters, _ = key
    return raster.TexelLayout.of(shapes, wraps, device, filters)


def cutoffs(materials: list[Material], like: Tensor) -> Float[Tensor, "materials"] | None:
    """Where each material's alpha cuts, 0 for those that are never cut; None if there are no others."""
    if all(material.alpha_cutoff is None for material in materials):
        return None
    return like.new_tensor([material.alpha_cutoff or 0.0 for material in materials])
