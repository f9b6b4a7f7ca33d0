"""Cameras, meshes, lights and materials, from neurotex to PyTorch3D and back.

How their cameras' spaces lie to ours is told in `neurotex.scene.conventions`. Their NDC has +X to the left and +Y up,
and the image's shorter side spans [−1, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...errors import ArgumentError, SceneError
from ...raster.textures import MIPMAPPED
from ...scene import (
    Camera,
    ConstantTexture,
    FaceTexture,
    ImageTexture,
    Material,
    Mesh,
    OrthographicCamera,
    PerspectiveCamera,
    PinholeCamera,
    Scene,
    SteppedTexture,
    Texture,
    VertexTexture,
    resolution,
)
from ...scene.check import check_maps_alone
from ...scene.conventions import camera_to_world, rotation_and_translation
from ...shading import PhongLight, PhongMaterial, srgb_to_linear
from ..phong import PADDINGS, corner_uvs
from . import installed
from .textures import GeneratedTexturesUV

TERMS = ("ambient", "diffuse", "specular")  # of Phong's lights and materials
NEAR = 1e-3  # scene units, of cameras that have none
ROUNDING = 1e-5  # of a calibration matrix's entries, as a share of its focal lengths


def to_camera(camera: Camera, size: int | tuple[int, int]) -> Any:
    """PyTorch3D's camera, a batch of one, in NDC, that takes the same picture of (height, width) pixels.

    A PerspectiveCameras, or an OrthographicCameras. It has no znear: set a rasteriser's `z_clip_value` to our `near`.
    Raises ArgumentError for cameras of a user's own.
    """
    installed.require()
    from pytorch3d.renderer import OrthographicCameras, PerspectiveCameras

    kind = OrthographicCameras if isinstance(camera, OrthographicCamera) else PerspectiveCameras
    rotation, translation = rotation_and_translation(camera.transform[None])
    focal, principal = (values[None].to(rotation) for values in ndc_lens(camera, resolution(size)))
    return kind(focal, principal, rotation, translation, device=rotation.device)


def ndc_lens(camera: Camera, size: tuple[int, int]) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Focal lengths (scales of an orthographic camera) and principal point in PyTorch3D's NDC, float64."""
    if not isinstance(camera, PerspectiveCamera | PinholeCamera | OrthographicCamera):
        raise ArgumentError(
            f"a {type(camera).__name__} has no counterpart in PyTorch3D: give a PerspectiveCamera, a PinholeCamera or "
            "an OrthographicCamera."
        )
    height, width = size
    matrix = camera.intrinsics(height, width)
    # pixels are (fx x + cx, cy − fy y) of a point (x, y), over its depth −z in perspective: then a column holds −c
    center = matrix[:2, 3] if isinstance(camera, OrthographicCamera) else -matrix[:2, 2]
    focal = matrix.diagonal()[:2] * matrix.new_tensor([1, -1])
    principal = matrix.new_tensor([width / 2, height / 2]) - center
    half = min(size) / 2
    return focal / half, principal / half


def from_cameras(cameras: Any, size: int | tuple[int, int]) -> list[PinholeCamera | OrthographicCamera]:
    """neurotex cameras that take the pictures of (height, width) pixels of a batch of PyTorch3D's.

    FoVPerspectiveCameras and PerspectiveCameras become PinholeCamera, FoVOrthographicCameras and OrthographicCameras
    OrthographicCamera, whether given in NDC or in screen space (of `size`, if they have no image_size), by numbers or
    by a matrix K. `near` is where PyTorch3D's rasteriser cuts by default: half of the smallest znear of perspective
    cameras that have one. No gradient goes through. Raises ArgumentError for other cameras and what ours cannot hold.
    """
    installed.require()
    from pytorch3d.renderer import (
        FoVOrthographicCameras,
        FoVPerspectiveCameras,
        OrthographicCameras,
        PerspectiveCameras,
    )

    size, name = resolution(size), type(cameras).__name__
    if not isinstance(
        cameras, FoVPerspectiveCameras | PerspectiveCameras | FoVOrthographicCameras | OrthographicCameras
    ):
        raise ArgumentError(
            f"{name} cannot become neurotex cameras, which are perspective or orthographic: undistort its images, and "
            "give PerspectiveCameras."
        )
    own_size = {} if cameras.get_image_size() is not None else {"image_size": size}
    projection = cameras.get_projection_transform().compose(cameras.get_ndc_camera_transform(**own_size))
    matrices = projection.get_matrix().detach().transpose(1, 2).double().cpu()  # theirs act on rows
    transforms = camera_to_world(cameras.R.detach(), cameras.T.detach())
    parallel = not cameras.is_perspective()
    near = NEAR if parallel or cameras.get_znear() is None else float(torch.as_tensor(cameras.get_znear()).min()) / 2
    pairs = enumerate(zip(matrices, transforms, strict=True))
    return [_from_ndc(f"number {n} of these {name}", *pair, parallel, size, near) for n, pair in pairs]


def _from_ndc(
    what: str,
    matrix: Float[Tensor, "4 4"],
    transform: Float[Tensor, "4 4"],
    parallel: bool,
    size: tuple[int, int],
    near: float,
) -> PinholeCamera | OrthographicCamera:
    """Our camera with this projection from PyTorch3D's view space to its NDC, both as columns."""
    (fx, fy), least = matrix.diagonal()[:2].tolist(), ROUNDING * float(matrix[0, 0].abs())
    if not (fx > 0 and fy > 0):
        raise ArgumentError(f"{what} has focal lengths {fx:g} and {fy:g}, but only those above 0 make a picture.")
    column = 3 if parallel else 2
    odd = matrix[:2].clone()
    odd[:, column] = 0
    odd[[0, 1], [0, 1]] = 0
    last = matrix.new_tensor([0, 0, 0, 1] if parallel else [0, 0, 1, 0])
    if bool((odd.abs() > least).any()) or not torch.allclose(matrix[3], last):
        raise ArgumentError(
            f"{what} has a skewed or oblique projection, which no neurotex camera has: leave only focal lengths and "
            "principal points in its K."
        )
    height, width = size
    half = min(size) / 2
    x, y = matrix[:2, column].tolist()
    if not parallel:
        return PinholeCamera(
            transform, (fx * half, fy * half), (width / 2 - x * half, height / 2 - y * half), size, near
        )
    if abs(fx - fy) > least:
        raise ArgumentError(
            f"{what} is orthographic with pixels that are not square ({fx:g} by {fy:g}), but those of a neurotex "
            "OrthographicCamera are: give both axes one scale, and stretch the image."
        )
    # ours looks at the middle of its image: a principal point elsewhere moves it, to the right and down
    aside = transform[:3, :2] @ transform.new_tensor([x / fx, -y / fx])
    moved = torch.cat([transform[:, :3], transform[:, 3:] + torch.nn.functional.pad(aside, (0, 1))[:, None]], 1)
    return OrthographicCamera(moved, height / min(size) / fx, near)


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
        if texture.filter in MIPMAPPED:
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
    return ("repeat", "bilinear") if first is None else (first.base_color.wrap, first.base_color.filter)


def from_meshes(meshes: Any) -> list[Mesh]:
    """neurotex meshes from PyTorch3D's: one for each of the batch, or, where it has several maps, for each map.

    A vertex of ours has one UV: there is one for every pair (vertex, UV). Normals are theirs, given or as they make
    them; set `normals` to None for ours. The maps of a TexturesUV become an ImageTexture, trainable if they require a
    gradient; a GeneratedTexturesUV's nodes stay, without the step that `to_meshes` adds; a TexturesVertex becomes a
    VertexTexture and a TexturesAtlas a FaceTexture. Values are taken to be
    sRGB-encoded, a fourth channel to be alpha. UVs move where textures were read with `align_corners`, so that the
    picture stays. Differentiable in vertices and normals. Raises ArgumentError for other textures, by name.
    """
    installed.require()
    from pytorch3d.renderer import TexturesAtlas, TexturesVertex

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


def _texture(
    what: str, image: Tensor | Texture, uv: Float[Tensor, "n 2"], textures: Any
) -> tuple[Texture, Float[Tensor, "n 2"]]:
    """A map as a texture node, and the UVs with which it gives the picture that PyTorch3D's does."""
    wraps = {padding: wrap for wrap, padding in PADDINGS.items()}
    if textures.padding_mode not in wraps:
        raise ArgumentError(
            f"{what} shows '{textures.padding_mode}' outside of its map, but neurotex's textures are clamped, "
            "mirrored or repeated: use padding_mode='border'."
        )
    wrap, sampling = wraps[textures.padding_mode], textures.sampling_mode
    within = bool(((uv >= 0) & (uv <= 1)).all())
    if textures.align_corners:
        # 0 and 1 are the centres of the outermost texels there, their outer edges here
        if wrap != "clamp" and not within:
            how = "repeats" if wrap == "repeat" else "reflects"
            raise ArgumentError(
                f"{what} {how} its map with align_corners, so that its border texels lie on each other: use "
                "align_corners=False."
            )
        with torch.no_grad():
            height, width = image.shape[:2] if isinstance(image, Tensor) else image().shape[2:]
        side = uv.new_tensor([width, height])
        uv = (uv * (side - 1) + 0.5) / side
    if isinstance(image, Tensor):
        if image.shape[-1] not in (3, 4):
            raise ArgumentError(
                f"{what} has a map of {image.shape[-1]} channels, but a base colour is red, green and blue, or these "
                "and alpha: give it 3."
            )
        return ImageTexture(image.movedim(-1, 0), wrap, image.requires_grad, sampling), uv
    if isinstance(image, SteppedTexture) and isinstance(image.step, BaseColor):
        image = image.source
    seen_beyond = not (within and textures.align_corners)
    other = image.filter != sampling or (seen_beyond and image.wrap != wrap)
    if other and not isinstance(image, ConstantTexture):
        image = image.through(nn.Identity())  # the same node, read in another way
        image.wrap, image.filter = wrap, sampling
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


def to_lights(light: PhongLight) -> Any:
    """PointLights, DirectionalLights or AmbientLights, a batch of one, with which PyTorch3D shades as `light` does."""
    installed.require()
    from pytorch3d.renderer import AmbientLights, DirectionalLights, PointLights

    device = torch.as_tensor(light.point).device
    point = _row(light.point, device)
    colors = {f"{term}_color": _row(getattr(light, term), device) for term in TERMS}
    if not bool(point.any()):
        return AmbientLights(ambient_color=colors["ambient_color"], device=device)
    if float(point.detach()[0, 3]) == 0:
        return DirectionalLights(direction=point[:, :3], device=device, **colors)
    return PointLights(location=point[:, :3] / point[:, 3:], device=device, **colors)


def from_lights(lights: Any, index: int = 0) -> PhongLight:
    """Number `index` of a batch of PointLights, DirectionalLights or AmbientLights, for `render_phong`.

    Gradients go through. Raises ArgumentError for other lights, by name.
    """
    installed.require()
    from pytorch3d.renderer import AmbientLights, DirectionalLights, PointLights

    if isinstance(lights, AmbientLights):
        return PhongLight.everywhere(lights.ambient_color[index])
    if not isinstance(lights, PointLights | DirectionalLights):
        raise ArgumentError(
            f"{type(lights).__name__} cannot become a PhongLight: give PointLights, DirectionalLights or AmbientLights."
        )
    colors = {term: getattr(lights, f"{term}_color")[index] for term in TERMS}
    if isinstance(lights, PointLights):
        return PhongLight.at(lights.location[index], **colors)
    return PhongLight.towards(lights.direction[index], **colors)


def to_materials(material: PhongMaterial) -> Any:
    """PyTorch3D's Materials, a batch of one."""
    installed.require()
    from pytorch3d.renderer import Materials

    device = torch.as_tensor(material.diffuse).device
    colors = {f"{term}_color": _row(getattr(material, term), device) for term in TERMS}
    return Materials(shininess=_row(material.shininess, device), device=device, **colors)


def from_materials(materials: Any, index: int = 0) -> PhongMaterial:
    """Number `index` of a batch of PyTorch3D's Materials, for `render_phong`."""
    installed.require()
    colors = {term: getattr(materials, f"{term}_color")[index] for term in TERMS}
    return PhongMaterial(**colors, shininess=materials.shininess[index])


def _row(values: float | Sequence[float] | Tensor, device: torch.device) -> Float[Tensor, "1 *numbers"]:
    """A batch of one, in the precision that PyTorch3D shades in."""
    return torch.as_tensor(values).to(device, torch.float32)[None]
