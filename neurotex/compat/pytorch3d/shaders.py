"""PyTorch3D's shaders as a preset: the images that its HardPhong-, SoftPhong-, HardFlat- and SoftSilhouetteShader make.

Textures are used as they are, without decoding sRGB, lights have no fall-off, and the eye is the camera's position in
orthographic views, too: that is how PyTorch3D renders, and what this preset is for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core.memory import memory_for
from ...core.precision import uncast
from ...discrete.visibility import Visibility
from ...errors import ArgumentError, SceneError
from ...geometry import transform
from ...raster.mesh_taps import cell_on_face
from ...raster.sampler import ON_MESH
from ...renderers.direct import described
from ...renderers.maps import uv_transforms
from ...scene import Camera, Evaluation, Geometry, Latent, Latents, Scene, resolution
from ...scene.check import check_cameras, check_meshes_plain
from ...scene.graph import check_is_scene
from ...scene.latent import by_name, check_names
from .blend import Blend, hard_rgb_blend, sigmoid_alpha_blend, softmax_rgb_blend
from .fragments import Fragments, rasterize
from .interpolation import interpolate_at
from .lookup import sample_texture
from .phong import PhongLight, PhongMaterial, area_normals, face_normals
from .phong import phong as light_surface

TINY = 1e-6  # scene units
PADDINGS = {"repeat": "repeat", "clamp": "border", "mirror": "reflection"}  # of `lookup`, by our wraps
SHADINGS = ("hard_phong", "soft_phong", "hard_flat", "soft_silhouette")


@dataclass(frozen=True)
class Lookup:
    """How a texture is read; see `lookup.sample_texture`. The defaults are those of PyTorch3D's TexturesUV.

    `align_corners` puts UVs 0 and 1 at the centres of the outermost texels, `padding_mode` ("border", "zeros",
    "reflection" or "repeat") says what lies outside, and `sampling_mode` is "bilinear" or "nearest".
    """

    align_corners: bool = True
    padding_mode: str = "border"
    sampling_mode: str = "bilinear"


@dataclass(frozen=True)
class Surface:
    """What faces carry at their corners, in world space, and the number of the texture that each wears.

    `elements` has a face's number in its own mesh and those of its vertices there, for textures that lie on the mesh.
    """

    positions: Float[Tensor, "faces 3 3"]
    normals: Float[Tensor, "faces 3 3"]
    uvs: Float[Tensor, "faces 3 2"]
    texture: Int[Tensor, "faces"]
    elements: Int[Tensor, "faces 4"] | None = None


# A texture's value, and how it is read: by UV, or by where a point lies on its "face" or between its "vertex" and two
Painted = tuple[Float[Tensor, "3 _ _"], Lookup | str]


# 12 parameters: what PyTorch3D divides among rasterizer, shader, lights, materials and blending
def render_phong(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    shading: str = "hard_phong",
    faces_per_pixel: int = 1,
    blur_radius: float = 0.0,
    cull_backfaces: bool = False,
    light: PhongLight | Sequence[PhongLight] | None = None,
    material: PhongMaterial | Sequence[PhongMaterial] | None = None,
    blend: Blend | None = None,
    lookup: Lookup | None = None,
    visibility: Visibility | None = None,
    latents: Latents | None = None,
) -> Float[Tensor, "views 4 h w"]:
    """Render every camera of the scene as PyTorch3D would: (views, 4, H, W), colours over the background, and alpha.

    `size` is the side of a square image or (height, width), pixels. `light` (in place of the scene's lights),
    `material` and `blend` default to PyTorch3D's own values, `lookup` to bilinear with aligned corners, outside [0, 1]
    as each texture node wraps. An image has one light and one material: a sequence has one for each view. Faces are cut
    at a camera's `near`; where it is None, those that reach behind the eye are left out, as PyTorch3D does. The soft
    shadings want several `faces_per_pixel` and a `blur_radius` (squared NDC units): log(1 / 1e-4 − 1) · sigma takes in
    all that a soft silhouette shows.

    `visibility` decides in the shading's place which layer shows, by any estimator: as soft layers, at random, or with
    the hard z-test's picture, to the bit, and the gradient of soft layers. It asks for layers and a blur radius as a
    soft shading does. Of `blend`, sigma and the background hold for it, and its own temperature instead of gamma.

    Vertex normals are PyTorch3D's: weighted by area, and smooth across UV seams, whatever normals the meshes bring. Of
    materials, base colours alone are used, without their alpha; those on vertices and faces are PyTorch3D's
    TexturesVertex and TexturesAtlas. Each texture node is evaluated once, none for a
    silhouette. `latents` gives values to latents by name. Differentiable in textures, latents, weights and vertices;
    with a soft shading, or as `visibility` says, through visibility, too. `cull_backfaces` leaves out faces that are
    seen from behind. ArgumentError for arguments of other kinds, and for sequences of other lengths than there are
    views.
    """
    size = resolution(size)
    check_is_scene(scene)
    check_cameras(scene)
    check_meshes_plain(scene, "Phong's shading")
    views = len(scene.cameras)
    lit = zip(
        for_views("light", light, PhongLight, views, "from_lights makes them of PyTorch3D's lights"),
        for_views("material", material, PhongMaterial, views, "from_materials makes them of PyTorch3D's Materials"),
        strict=True,
    )
    if not isinstance(blend, Blend | None):
        raise ArgumentError(f"blend is a neurotex.Blend, not a {type(blend).__name__}: give it the same numbers.")
    what, remedy = described(scene, size), "turn down size or faces_per_pixel, or give fewer cameras"
    with memory_for(f"a render of {what}, {faces_per_pixel} faces to a pixel,", remedy):
        geometry = scene.geometry()
        if shading == "soft_silhouette":
            check_names(by_name(latents), [part.name for part in scene.modules() if isinstance(part, Latent)])
            textures = []
        else:
            textures = scene_textures(scene, latents, lookup)
        with uncast(geometry.vertices.device):
            corners = geometry.vertices[geometry.faces.long()]
            normals = area_normals(corners, scene.welded()[geometry.faces.long()])
            uvs = corner_uvs(geometry)
            everywhere = torch.arange(len(corners), device=corners.device)
            surface = Surface(corners, normals, uvs, geometry.face_material, geometry.elements(everywhere))
            images = []
            for camera, (its_light, its_material) in zip(scene.cameras, lit, strict=True):
                ndc = ndc_corners(geometry, camera, size)
                modes = {
                    "perspective_correct": bool(camera.eye[3]),
                    "cull_backfaces": cull_backfaces,
                    "near": camera.near,
                }
                fragments = rasterize(ndc, size, faces_per_pixel=faces_per_pixel, blur_radius=blur_radius, **modes)
                if visibility is not None and blur_radius > 0:
                    fragments = with_first_layer(fragments, rasterize(ndc, size, **modes))
                look = {"light": its_light, "material": its_material, "blend": blend, "visibility": visibility}
                eye = camera.position[None].to(corners)
                images.append(shade(fragments, surface, textures, eye, shading=shading, **look))
            return torch.cat(images)


def listed(what: str, given: Any, kind: type, remedy: str) -> list:
    """One thing of a kind or a sequence of such as a list; raises ArgumentError with the remedy for others."""
    members = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    wrong = next((member for member in members if not isinstance(member, kind)), None)
    if wrong is not None or not members:
        found = f"a {type(wrong).__name__}" if members else "an empty sequence"
        raise ArgumentError(f"{what} is a neurotex {kind.__name__}, or a sequence of them, not {found}: {remedy}.")
    return members


def for_views(what: str, given: Any, kind: type, views: int, remedy: str) -> list:
    """What each view is drawn with: None, one for all, or one for each."""
    if given is None:
        return [None] * views
    members = listed(what, given, kind, remedy)
    if len(members) not in (1, views):
        raise ArgumentError(
            f"{what}: {len(members)} are given for {views} view{'s' * (views != 1)}, but in PyTorch3D's shading an "
            "image has one: give one, or one for each view; neurotex.render adds up a scene's lights."
        )
    return members * (views if len(members) == 1 else 1)


# 9 parameters: what a shader of PyTorch3D's holds, and is called with
def shade(
    fragments: Fragments,
    surface: Surface,
    textures: Sequence[Painted],
    eye: Float[Tensor, "images 3"],
    *,
    shading: str = "hard_phong",
    light: PhongLight | None = None,
    material: PhongMaterial | None = None,
    blend: Blend | None = None,
    visibility: Visibility | None = None,
) -> Float[Tensor, "images 4 h w"]:
    """Fragments to images: look up, light, blend. `pix_to_face` indexes the faces of `surface`.

    `eye` is where each image's camera stands. Only covered layers are shaded, and only the first one where a hard
    z-test asks for no more; `visibility` asks for all, see `render_phong`. Differentiable in fragments, surface,
    textures, light and material.
    """
    if shading not in SHADINGS:
        raise ArgumentError(f"shading '{shading}' is unknown: choose one of {', '.join(SHADINGS)}.")
    light, material, blend = light or PhongLight(), material or PhongMaterial(), blend or Blend()
    images, height, width, layers = fragments.pix_to_face.shape
    layers = 1 if shading.startswith("hard") and visibility is None else layers
    faces = fragments.pix_to_face[..., :layers].reshape(-1, layers)
    pixel = (faces >= 0).any(1).nonzero()[:, 0]
    faces = faces[pixel]
    covered = faces >= 0
    zbuf, dists, bary = (
        values[..., :layers, :].reshape(-1, layers, values.shape[-1]).index_select(0, pixel)
        for values in (fragments.zbuf[..., None], fragments.dists[..., None], fragments.bary_coords)
    )
    zbuf, dists = zbuf[..., 0], dists[..., 0]
    if shading == "soft_silhouette":
        background = bary.new_ones(3)
        colors = background.expand(*covered.shape, 3)
    else:
        background = torch.as_tensor(blend.background).to(bary)
        layer = covered.flatten().nonzero()[:, 0]
        face, bary = faces.flatten()[layer], bary.flatten(0, 1).index_select(0, layer)
        eyes = eye if images == 1 else eye[pixel // (height * width)].repeat_interleave(covered.sum(1), 0)
        where = Points(face, bary, shading == "hard_flat")
        values = _radiance(where, surface, textures, eyes, light, material)
        colors = values.new_zeros((covered.numel(), 3)).index_copy(0, layer, values).view(*covered.shape, 3)
    if visibility is not None:
        odds = torch.where(covered, -dists / blend.sigma, -torch.inf)
        rgba = _over(background, colors, visibility(torch.stack([zbuf, odds], 1)[..., None])[..., 0])
    elif shading == "soft_silhouette":
        rgba = sigmoid_alpha_blend(colors, covered, dists, blend)
    elif shading == "soft_phong":
        rgba = softmax_rgb_blend(colors, covered, dists, zbuf, blend)
    else:
        rgba = hard_rgb_blend(colors, covered, blend)
    empty = torch.cat([background, background.new_zeros(1)]).expand(images * height * width, 4)
    return empty.clone().index_copy(0, pixel, rgba).view(images, height, width, 4).movedim(-1, 1)


def with_first_layer(blurred: Fragments, seen: Fragments) -> Fragments:
    """One layer more, in front: what each pixel's centre sees exactly, `seen`, without blur and of one layer.

    With blur, places on faces are rounded otherwise, and the layers of a pixel may all lie beside it. The same face is
    taken out of the `blurred` layers, and no other one that covers the pixel is nearer by a rounding.
    """
    again = (blurred.pix_to_face == seen.pix_to_face) & (seen.pix_to_face >= 0)
    rounded = (seen.pix_to_face >= 0) & blurred.dists.signbit() & (blurred.zbuf < seen.zbuf)
    zbuf = torch.where(rounded, seen.zbuf.detach(), blurred.zbuf)
    return Fragments(
        torch.cat([seen.pix_to_face, torch.where(again, -1, blurred.pix_to_face)], -1),
        torch.cat([seen.zbuf, zbuf], -1),
        torch.cat([seen.bary_coords, blurred.bary_coords], -2),
        torch.cat([seen.dists, blurred.dists], -1),
    )


def _over(
    background: Float[Tensor, "3"], colors: Float[Tensor, "*pixels k 3"], weights: Float[Tensor, "*pixels k"]
) -> Float[Tensor, "*pixels 4"]:
    """Weighted layers over the background, and how much of it they leave as alpha."""
    alpha = weights.sum(-1, keepdim=True)
    rgb = (weights[..., None, :] @ colors)[..., 0, :] + (1 - alpha) * background
    return torch.cat([rgb, alpha], -1)


class Points(NamedTuple):
    """Points of faces, by barycentric coordinates; `flat` lights each as the middle of its face is lit."""

    face: Int[Tensor, "n"]
    bary: Float[Tensor, "n 3"]
    flat: bool = False

    def some(self, which: Int[Tensor, "m"]) -> Points:
        """Only these."""
        return Points(self.face[which], self.bary.index_select(0, which), self.flat)


def _radiance(
    points: Points,
    surface: Surface,
    textures: Sequence[Painted],
    eye: Tensor,
    light: PhongLight,
    material: PhongMaterial,
) -> Float[Tensor, "n 3"]:
    """What points send to the eye."""
    face, bary, flat = points
    if flat:
        centers = torch.cat([surface.positions.mean(1), face_normals(surface.positions)], -1)
        place = centers.index_select(0, face)
    else:
        place = interpolate_at(face, bary, torch.cat([surface.positions, surface.normals], -1))
    position, normal = place.split(3, -1)
    lit, highlight = light_surface(position, normal, eye, light, material)
    texels = _texels(points, surface, textures)
    return lit * texels + highlight


def _texels(points: Points, surface: Surface, textures: Sequence[Painted]) -> Float[Tensor, "n 3"]:
    """Each point's colour in the texture that it wears."""
    if len(textures) == 1:
        return _read(points, surface, *textures[0])
    texture = surface.texture[points.face]
    order, parts = [], []
    for number, painted in enumerate(textures):
        order.append((texture == number).nonzero()[:, 0])
        parts.append(_read(points.some(order[-1]), surface, *painted))
    return points.bary.new_zeros((len(texture), 3)).index_copy(0, torch.cat(order), torch.cat(parts))


def _read(points: Points, surface: Surface, image: Tensor, how: Lookup | str) -> Float[Tensor, "n 3"]:
    """What points show of one texture."""
    face, bary, _ = points
    image = image.to(bary)
    if isinstance(how, Lookup):
        return sample_texture(image, interpolate_at(face, bary, surface.uvs), **vars(how))
    if surface.elements is None:
        raise ArgumentError(f"a '{how}' texture needs the `elements` of the surface that wears it.")
    own = surface.elements[face].long()
    if how == "vertex":
        return (bary[:, None] @ image[:, :, 0].T[own[:, 1:]])[:, 0]
    cells = image.shape[2]
    return image[:, own[:, 0], cell_on_face(bary, torch.full_like(face, cells))].T


def scene_textures(scene: Scene, latents: Latents | None, lookup: Lookup | None = None) -> list[Painted]:
    """Each material's base colour without alpha, and how it is read: on its mesh, by `lookup`, or as its node wraps."""
    textures = []
    with Evaluation(latents) as evaluation:
        for material in scene.materials():
            node, value = material.base_color, material.values(evaluation)["base_color"]
            wrap = node.wrap
            if node.filter in ON_MESH:
                for mesh in scene.meshes():
                    if mesh.material is material:
                        mesh.check_texels("base_color", tuple(value.shape))
                how = node.filter
            elif lookup is not None:
                how = lookup
            elif isinstance(wrap, str) and wrap in PADDINGS:
                how = Lookup(padding_mode=PADDINGS[wrap])
            else:
                raise SceneError(
                    f"material '{material.name}': base_color wraps as {wrap} along u and v, but Phong's shading reads "
                    "both alike: give one wrap, or draw it with neurotex.render."
                )
            textures.append((value[0, :3], how))
    return textures


def corner_uvs(geometry: Geometry) -> Float[Tensor, "faces 3 2"]:
    """Where the corners of all faces lie in the base colours of their materials."""
    uvs = geometry.uvs[geometry.faces.long()]
    rows = uv_transforms([material.base_color.uv_transform for material in geometry.materials], uvs)
    if rows is None:
        return uvs
    linear, offset = rows[geometry.face_material.long()].split([2, 1], -1)
    return uvs @ linear.mT + offset.mT


def ndc_corners(geometry: Geometry, camera: Camera, size: tuple[int, int]) -> Float[Tensor, "faces 3 3"]:
    """Corners of all faces as the camera sees them: x to the right, y up, the shorter side of the image spans [−1, 1].

    The third coordinate is depth. A vertex in the plane of the eye has no image: it is moved before it by TINY.
    """
    height, width = size
    matrix = camera.screen_matrix(size).to(geometry.vertices)
    screen = transform(geometry.vertices, matrix.T)
    in_plane = screen[:, 3:].abs() < TINY
    w, depth = torch.where(in_plane, TINY, screen[:, 3:]), screen[:, 2:3]
    if camera.near is not None:  # its faces are cut, not left out
        depth = torch.where(in_plane, TINY, depth)
    half = min(height, width) / 2
    ndc = (screen[:, :2] / w - screen.new_tensor([width / 2, height / 2])) / screen.new_tensor([half, -half])
    return torch.cat([ndc, depth], -1)[geometry.faces.long()]
