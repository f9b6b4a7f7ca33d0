"""Meshes and materials in Mitsuba's words.

One mesh per material. Mitsuba reads row 0 of a bitmap at v = 0, ours is the picture's top at v = 1: meshes get 1 − v,
as from Mitsuba's own OBJ reader. Lambert is its `diffuse`, metallic-roughness is `bsdf`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import SceneError
from ...scene import Geometry, Material, Scene, Texture
from ...scene.check import check_maps_alone
from ...scene.textures import UVTransform
from ...shading import face_tangents
from ...shading.albedo import MIN_ROUGHNESS
from .bound import bitmap
from .bsdf import register
from .draw import at_least_two

# where the maps of a material lie below its mesh, by kind of surface; `brdf_0` is the side of `twosided`
DIFFUSE = {"base_color": "brdf_0.reflectance.data"}
MIRRORED = 1e-4  # share of a surface that rounding may turn over: slivers at a sphere's poles
GLOSSY = {name: f"brdf_0.{name}.data" for name in ("base_color", "roughness", "metallic")}


def surfaces(mi: Any, scene: Scene, values: Sequence[Mapping[str, Float[Tensor, "1 _ _ _"]]]) -> dict[str, Any]:
    """The scene's meshes, one per material, by the names "surface_0", "surface_1", …

    `values` are those of the materials' maps, see `Material.values`. Raises SceneError for a material that Mitsuba
    cannot express; warns where it filters otherwise.
    """
    check_maps_alone(scene, "our translation for Mitsuba")
    geometry = scene.geometry()
    for k, material in enumerate(geometry.materials):
        _check(material, geometry, k)
    _warn_of_filters(geometry.materials)
    found = {}
    for k, (material, maps) in enumerate(zip(geometry.materials, values, strict=True)):
        bsdf = mi.load_dict(_bsdf(mi, material, textures(maps)))
        found[f"surface_{k}"] = _mesh(mi, f"surface_{k}", bsdf, geometry, k)
    return found


def textures(maps: Mapping[str, Float[Tensor, "1 _ _ _"]]) -> dict[str, Float[Tensor, "_ _ _"]]:
    """A material's values as Mitsuba has them in memory."""
    found = {name: bitmap(value, name == "base_color") for name, value in maps.items()}
    if "roughness" in found:  # as everywhere in neurotex
        found["roughness"] = found["roughness"].clamp_min(MIN_ROUGHNESS)
    return found


def keys(material: Material, number: int) -> dict[str, str]:
    """Where `mi.traverse` of the scene has the maps of material `number`, by their names."""
    places = DIFFUSE if material.roughness is None else GLOSSY
    path = f"surface_{number}.bsdf"
    if material.normal is None:
        return {name: f"{path}.{place}" for name, place in places.items()}
    below = {name: f"{path}.nested_bsdf.{place}" for name, place in places.items()}
    return {**below, "normal": f"{path}.normalmap.data"}


def _check(material: Material, geometry: Geometry, number: int) -> None:
    if material.alpha_cutoff is not None:
        raise SceneError(
            f"material '{material.name}' has an alpha_cutoff, which Mitsuba has no counterpart for: leave it out and "
            "cut the mesh, or use neurotex.render."
        )
    if material.emissive is not None:
        raise SceneError(
            f"material '{material.name}' is emissive, which in Mitsuba is a lamp that shines on everything: leave it "
            "out, or use neurotex.render."
        )
    for name, texture in material.maps().items():
        if not isinstance(texture.wrap, str):
            raise SceneError(
                f"material '{material.name}': {name} wraps as {texture.wrap} along u and v, but Mitsuba wraps both "
                "alike: give it one wrap, or use neurotex.render."
            )
    if material.normal is None:
        return
    if _mirrored(geometry, number) > MIRRORED:
        raise SceneError(
            f"material '{material.name}' has a normal map on faces whose UVs are mirrored, which Mitsuba would turn "
            "the wrong way: unwrap them without mirroring, or use neurotex.render."
        )


def _mirrored(geometry: Geometry, number: int) -> float:
    """The share of a material's surface whose UVs run the other way round than the surface, seen from outside."""
    vertices, faces = geometry.vertices.detach(), geometry.faces[geometry.face_material == number]
    hand = face_tangents(vertices, geometry.uvs, faces, geometry.normals.detach())[:, 3]
    corner = vertices[faces.long()]
    area = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]).norm(dim=1)
    return float(area[hand < 0].sum() / area.sum())


def _warn_of_filters(materials: Sequence[Material]) -> None:
    mipmapped = {
        m.name: t.filter for m in materials for t in m.maps().values() if t.filter not in ("nearest", "bilinear")
    }
    if mipmapped:
        name, kind = next(iter(mipmapped.items()))
        warnings.warn(
            f"Mitsuba has no mip maps: textures such as that of material '{name}', with the filter '{kind}', are read "
            "bilinearly; many samples per pixel do what mip maps do.",
            stacklevel=2,
        )


def _bsdf(mi: Any, material: Material, data: Mapping[str, Float[Tensor, "_ _ _"]]) -> dict[str, Any]:
    maps = {name: _bitmap(mi, texture, data[name]) for name, texture in material.maps().items()}
    normal = maps.pop("normal", None)
    if material.roughness is None:
        one_side = {"type": "diffuse", "reflectance": maps["base_color"]}
    else:
        one_side = {"type": register(mi), **maps}
    bsdf = {"type": "twosided", "bsdf": one_side}
    return bsdf if normal is None else {"type": "normalmap", "normalmap": normal, "bsdf": bsdf}


def _bitmap(mi: Any, texture: Texture, data: Float[Tensor, "h w c"]) -> dict[str, Any]:
    nearest = texture.filter == "nearest"
    pixels = mi.TensorXf(at_least_two(data.detach()).clone())
    return {
        "type": "bitmap",
        "raw": True,
        "data": pixels,
        "filter_type": "nearest" if nearest else "bilinear",
        "wrap_mode": texture.wrap,
        "to_uv": _to_uv(mi, texture.uv_transform),
    }


def _to_uv(mi: Any, transform: UVTransform | None) -> Any:
    """A `uv_transform` where v runs down."""
    if transform is None:
        return mi.ScalarTransform3f()
    flip = torch.tensor([[1.0, 0, 0], [0, -1, 1], [0, 0, 1]], dtype=torch.float64)
    ours = torch.tensor([*transform, (0.0, 0.0, 1.0)], dtype=torch.float64)
    return mi.ScalarTransform3f((flip @ ours @ flip).tolist())


def _mesh(mi: Any, name: str, bsdf: Any, geometry: Geometry, number: int) -> Any:
    faces = geometry.faces[geometry.face_material == number].long()
    used, faces = faces.unique(return_inverse=True)
    props = mi.Properties()
    props["bsdf"] = bsdf
    arrays = {"has_vertex_normals": True, "has_vertex_texcoords": True}
    mesh = mi.Mesh(name, len(used), len(faces), props=props, **arrays)
    params = mi.traverse(mesh)
    uvs = geometry.uvs[used] * geometry.uvs.new_tensor([1, -1]) + geometry.uvs.new_tensor([0, 1])
    params["vertex_positions"] = mi.Float(_flat(geometry.vertices[used]))
    params["vertex_texcoords"] = mi.Float(_flat(uvs))
    params["faces"] = mi.UInt32(_flat(faces).int())
    params.update()
    # by themselves, since new positions bring new normals
    params["vertex_normals"] = mi.Float(_flat(geometry.normals[used]))
    params.update()
    return mesh


def _flat(values: Tensor) -> Tensor:
    values = values.detach().reshape(-1).clone()
    return values.float() if values.is_floating_point() else values
