"""Meshes with their textures, from neurotex to PyTorch3D and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...errors import ArgumentError, SceneError
from ...raster.sampler import Sampler
from ...scene import (
    ConstantTexture,
    FaceTexture,
    ImageTexture,
    Material,
    Mesh,
    Scene,
    SteppedTexture,
    Texture,
    VertexTexture,
)
from ...scene.check import check_maps_alone
from ...scene.graph import check_is_scene
from ...shading import srgb_to_linear
from . import installed, lookup
from .shaders import PADDINGS, corner_uvs
from .textures import GeneratedTexturesUV


class BaseColor(nn.Module):
    """The red, green and blue of a material's base colour, as light if `linear`, else sRGB-encoded as it is."""

    def __init__(self, material: str, linear: bool):
        super().__init__()
        self.material = material
        self.linear = linear

    def forward(self, encoded: Tensor) -> Float[Tensor, "1 3 h w"]:
        if encoded.ndim != 4 or encoded.shape[0] != 1 or encoded.shape[1] not in (3, 4):
            raise SceneError(
                f"material '{self.material}': base_color must be (1, 3 or 4, H, W), "
                f"but its node gives {tuple(encoded.shape)}."
            )
        return srgb_to_linear(encoded[:, :3]) if self.linear else encoded[:, :3]


def to_meshes(scene: Scene, *, linear: bool = False) -> Any:
    """The scene as PyTorch3D's Meshes: one mesh, all instances in world space, with their normals.

    Its textures are GeneratedTexturesUV of the materials' base colours, without alpha; other maps stay out. They are
    sRGB-encoded as in files, which is PyTorch3D's habit, or light itself if `linear`. Differentiable in vertices.
    Raises SceneError for materials that read their textures in different ways, as a mesh of PyTorch3D has but one,
    and for mip-mapped ones.
    """
    installed.require()
    from pytorch3d.structures import Meshes

    check_is_scene(scene)
    check_maps_alone(scene, "this translation for PyTorch3D")
    geometry = scene.geometry()
    wrap, sampling = _sampler(geometry.materials)
    faces, uvs = geometry.faces.long(), geometry.uvs
    if any(material.base_color.uv_transform is not None for material in geometry.materials):
        # a vertex belongs to one mesh, and so to one material
        uvs = uvs.index_copy(0, faces.flatten(), corner_uvs(geometry).flatten(0, 1))
    nodes: dict[Texture, Texture] = {}
    for material in geometry.materials:
        step = BaseColor(material.name, linear)
        nodes.setdefault(material.base_color, material.base_color.through(step))
    place = {texture: k for k, texture in enumerate(nodes)}
    worn = torch.tensor([place[material.base_color] for material in geometry.materials])
    maps, ids = [list(nodes.values())], [worn.to(faces.device)[geometry.face_material.long()]]
    skin = GeneratedTexturesUV(
        maps if len(nodes) > 1 else maps[0],
        [faces],
        [uvs],
        maps_ids=ids if len(nodes) > 1 else None,
        padding_mode=PADDINGS[wrap],
        align_corners=False,
        sampling_mode=sampling,
    )
    return Meshes([geometry.vertices], [faces], skin, verts_normals=[geometry.normals])


def _sampler(materials: Sequence[Material]) -> tuple[str, str]:
    """(wrap, filter) that all base colours share; constant ones have none."""
    first: Material | None = None
    for material in materials:
        texture = material.base_color
        if isinstance(texture, ConstantTexture):
            continue
        where = f"material '{material.name}': base_color is"
        if texture.sampler.mipmapped:
            raise SceneError(
                f"{where} filtered as '{texture.filter}', but PyTorch3D has no mip maps: make its filter 'bilinear', "
                "or draw it with neurotex.render."
            )
        first = first or material
        for what in ("wrap", "filter"):
            this, that = getattr(texture, what), getattr(first.base_color, what)
            if not isinstance(this, str):
                raise SceneError(
                    f"{where} wraps as {this} along u and v, but PyTorch3D reads both alike: give it one wrap, or draw "
                    "it with neurotex.render."
                )
            if this != that:
                raise SceneError(
                    f"{where} read with {what} '{this}', that of material '{first.name}' with '{that}', but a mesh of "
                    "PyTorch3D reads all its textures in one way: make them equal, or draw it with neurotex.render."
                )
    if first is None:
        return "repeat", "bilinear"
    wrap = first.base_color.wrap
    return wrap if isinstance(wrap, str) else wrap[0], first.base_color.filter


def from_meshes(meshes: Any) -> list[Mesh]:
    """neurotex meshes from PyTorch3D's: one for each of the batch, or, where it has several maps, for each map.

    A vertex of ours has one UV: there is one for every pair (vertex, UV). Normals are theirs, given or as they make
    them; set `normals` to None for ours. The maps of a TexturesUV become an ImageTexture, trainable if they require a
    gradient; a GeneratedTexturesUV's nodes stay, without the step that `to_meshes` adds; a TexturesVertex becomes a
    VertexTexture and a TexturesAtlas a FaceTexture. Values are taken to be
    sRGB-encoded, a fourth channel to be alpha. UVs move where textures were read with `align_corners`, so that the
    picture stays; where zeros or reflections are seen beyond a map, it goes through a step that adds them.
    Differentiable in vertices and normals. Raises ArgumentError for other textures, by name.
    """
    installed.require()
    from pytorch3d.renderer import TexturesAtlas, TexturesVertex
    from pytorch3d.structures import Meshes

    if not isinstance(meshes, Meshes):
        raise ArgumentError(
            f"meshes of neurotex are made from PyTorch3D's Meshes, not from a {type(meshes).__name__}: it draws "
            "triangles alone."
        )
    found: list[Mesh] = []
    for number in range(len(meshes)):
        vertices, faces = meshes.verts_list()[number], meshes.faces_list()[number]
        normals = meshes.verts_normals_list()[number]
        if meshes.textures is None:
            found.append(Mesh(vertices, faces, normals=normals, name=f"mesh{number}"))
        elif isinstance(meshes.textures, TexturesVertex | TexturesAtlas):
            material = Material(_on_mesh(number, meshes.textures, vertices, faces), name=f"mesh{number}")
            found.append(Mesh(vertices, faces, normals=normals, material=material, name=f"mesh{number}"))
        else:
            found += _textured(number, vertices, faces, normals, meshes.textures)
    return found


def _on_mesh(number: int, textures: Any, vertices: Tensor, faces: Tensor) -> Texture:
    """A TexturesVertex or TexturesAtlas of mesh `number` of a batch as a node."""
    from pytorch3d.renderer import TexturesVertex

    if isinstance(textures, TexturesVertex):
        values, count, kind = textures.verts_features_list()[number], len(vertices), VertexTexture
    else:
        values, count, kind = textures.atlas_list()[number], len(faces), FaceTexture
    if values.shape[-1] not in (3, 4) or len(values) != count:
        raise ArgumentError(
            f"mesh{number} has {tuple(values.shape)} colours for {count}, but a base colour is red, green and blue, or "
            "these and alpha, for each: give so many."
        )
    return kind(values, trainable=values.requires_grad)


def _textured(number: int, vertices: Tensor, faces: Tensor, normals: Tensor, textures: Any) -> list[Mesh]:
    """One mesh for each map of mesh `number` of a batch."""
    maps, ids = _maps(number, textures)
    faces_uvs, uvs = textures.faces_uvs_list()[number], textures.verts_uvs_list()[number]
    found = []
    for k, image in enumerate(maps):
        where = slice(None) if ids is None else (ids[: len(faces)] == k).nonzero()[:, 0]
        # negative ones, which load_obj gives faces without UVs, count from the end
        corners = torch.stack([faces[where], faces_uvs[where] % len(uvs)], -1)
        if ids is not None and len(corners) == 0:
            continue  # a map that nobody wears
        pairs, index = corners.view(-1, 2).unique(dim=0, return_inverse=True)
        name = f"mesh{number}" if len(maps) == 1 else f"mesh{number}.{k}"
        texture, uv = _texture(name, image, uvs[pairs[:, 1]], textures)
        vertex = pairs[:, 0]
        found.append(
            Mesh(vertices[vertex], index.view(-1, 3), uv, normals[vertex], Material(texture, name=name), name=name)
        )
    return found


class Framed(nn.Module):
    """A map within a frame of zeros, one texel wide: clamped, it shows zeros all around."""

    def forward(self, value: Tensor) -> Float[Tensor, "n c h w"]:
        return torch.nn.functional.pad(value, (1, 1, 1, 1))


class Unfolded(nn.Module):
    """A map and its mirror images to the right and above, without their common texels: repeated, it is reflected there.

    The mirrors go through the centres of the outermost texels.
    """

    def forward(self, value: Tensor) -> Float[Tensor, "n c h w"]:
        value = torch.cat([value, value[..., 1:-1].flip(-1)], -1)
        return torch.cat([value[..., 1:-1, :].flip(-2), value], -2)


def _texture(
    what: str, image: Tensor | Texture, uv: Float[Tensor, "n 2"], textures: Any
) -> tuple[Texture, Float[Tensor, "n 2"]]:
    """A map as a texture node, and the UVs with which it gives the picture that PyTorch3D's does."""
    padding, sampling, align = textures.padding_mode, textures.sampling_mode, textures.align_corners
    if padding not in lookup.PADDINGS or sampling not in lookup.SAMPLINGS:
        raise ArgumentError(
            f"{what} reads its map with padding_mode '{padding}' and sampling_mode '{sampling}', but neurotex with "
            f"{', '.join(lookup.PADDINGS)}, and {' or '.join(lookup.SAMPLINGS)}: use these."
        )
    wrap = {padding: wrap for wrap, padding in PADDINGS.items()}.get(padding, "clamp")
    # with align_corners 0 and 1 are the centres of the outermost texels; ours are their outer edges
    seen_beyond = not (align and bool(((uv >= 0) & (uv <= 1)).all()))
    step = None
    if align or padding == "zeros":
        with torch.no_grad():
            height, width = image.shape[:2] if isinstance(image, Tensor) else image().shape[2:]
        side = uv.new_tensor([width, height])
        place = uv * (side - 1) + 0.5 if align else uv * side
        if seen_beyond and padding == "zeros":
            step, place, side = Framed(), place + 1, side + 2
        elif seen_beyond and wrap == "mirror":
            step, wrap, side = Unfolded(), "repeat", (2 * side - 2).clamp_min(1)
        elif seen_beyond and wrap == "repeat":
            raise ArgumentError(
                f"{what} repeats its map with align_corners, so that its border texels lie on each other: use "
                "align_corners=False."
            )
        uv = place / side
    if isinstance(image, Tensor):
        if image.shape[-1] not in (3, 4):
            raise ArgumentError(
                f"{what} has a map of {image.shape[-1]} channels, but a base colour is red, green and blue, or these "
                "and alpha: give it 3."
            )
        image = ImageTexture(image.movedim(-1, 0), wrap, image.requires_grad, sampling)
    elif isinstance(image, SteppedTexture) and isinstance(image.step, BaseColor):
        image = image.source
    other = image.filter != sampling or image.uv_transform is not None or (seen_beyond and image.wrap != wrap)
    if step is not None or (other and not isinstance(image, ConstantTexture)):
        image = image.through(step or nn.Identity())  # the same node, read in another way
        image.sampler, image.uv_transform = Sampler.of(wrap, sampling), None
    return image, uv


def _maps(number: int, textures: Any) -> tuple[Sequence[Tensor | Texture], Int[Tensor, "faces"] | None]:
    """The maps of mesh `number` of a batch, and which of them each face wears, if there are several."""
    if isinstance(textures, GeneratedTexturesUV):
        return textures.worn(number)
    from pytorch3d.renderer import TexturesUV

    if not isinstance(textures, TexturesUV):
        raise ArgumentError(
            f"mesh{number} wears {type(textures).__name__}, but neurotex paints with maps alone: unwrap the mesh, bake "
            "its colours into an image, and give TexturesUV."
        )
    maps, ids = textures.maps_list()[number], textures.maps_ids_list()
    return ([maps], None) if ids is None else (list(maps), ids[number])
