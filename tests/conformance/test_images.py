"""The preset against PyTorch3D: images and their gradients to texture and vertices, from what its scenes were made of.

Its images are met as they are. Its gradients to vertices are not all derivatives of its images: two slips, which the
package does not share, are put in for the comparison (`_FaceNormals`, `_cross`), and where rounding is all that is
recorded there is nothing to compare (`_well_conditioned`).
"""

import math

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d.blend import Blend
from neurotex.compat.pytorch3d.clipping import _cross as clipping_cross
from neurotex.compat.pytorch3d.conventions import camera_to_world
from neurotex.compat.pytorch3d.fragments import Fragments, rasterize
from neurotex.compat.pytorch3d.phong import PhongLight, PhongMaterial, area_normals, face_normals
from neurotex.compat.pytorch3d.places import pixel_centres
from neurotex.compat.pytorch3d.shaders import Lookup, Surface, render_phong, shade
from tests.conformance.golden import Golden


def _light(meta: dict) -> PhongLight:
    names = {"ambient_color": "ambient", "diffuse_color": "diffuse", "specular_color": "specular"}
    colors = {names[key]: _row(value) for key, value in meta.items() if key in names}
    if meta["kind"] == "ambient":
        return PhongLight.everywhere(*colors.values())
    if meta["kind"] == "point":
        return PhongLight.at(_row(meta.get("location", (0, 1, 0))), **colors)
    return PhongLight.towards(_row(meta.get("direction", (0, 1, 0))), **colors)


def _material(meta: dict) -> PhongMaterial:
    values = {key.removesuffix("_color"): value for key, value in meta.items()}
    return PhongMaterial(**{key: value if key == "shininess" else _row(value) for key, value in values.items()})


def _blend(meta: dict, camera: dict) -> Blend:
    """The depths between which nearness is measured are the camera's clipping planes."""
    renamed = {"background" if key == "background_color" else key: value for key, value in meta.items()}
    planes = {key: camera[key] for key in ("znear", "zfar") if key in camera}
    return Blend(**{**planes, **renamed})


def _row(value: list) -> Tensor:
    """PyTorch3D takes (3,) and (1, 3) alike."""
    return torch.tensor(value, dtype=torch.float32).view(-1)


def _recorded(scene: Golden) -> Fragments:
    return Fragments(*(scene.data[key][None] for key in ("pix_to_face", "zbuf", "bary_coords", "dists")))


def _image(scene: Golden, fragments: Fragments, vertices: Tensor, texture: Tensor) -> Tensor:
    """(H, W, 4), as recorded."""
    data, meta = scene.data, scene.meta
    faces = data["faces"]
    corners = vertices[faces]
    wears = torch.zeros(len(faces), dtype=torch.int64)
    surface = Surface(corners, area_normals(corners, faces), data["verts_uvs"][data["faces_uvs"]], wears)
    image = shade(
        fragments,
        surface,
        [(texture.permute(2, 0, 1), Lookup(**meta.get("texture", {})))],
        -(data["R"] @ data["T"])[None],
        **_options(scene),
    )
    return image[0].movedim(0, -1)


def _options(scene: Golden) -> dict:
    meta = scene.meta
    return {
        "shading": {"silhouette": "soft_silhouette"}.get(meta["shader"], meta["shader"]),
        "light": _light(meta.get("light", {"kind": "point"})),
        "material": _material(meta.get("material", {})),
        "blend": _blend(meta.get("blend", {}), meta["camera"]),
    }


def _share(image: Tensor, expected: Tensor) -> float:
    """Of pixels within 1e-3 in all channels."""
    return float(((image - expected).abs().amax(-1) <= 1e-3).float().mean())


def _error(ours: Tensor, expected: Tensor) -> float:
    """Relative distance; where nothing is expected, ours alone."""
    norm = float(expected.norm())
    return float((ours - expected).norm()) / (norm if norm > 0 else 1.0)


def _gradient(scene: Golden, image: Tensor, leaf: Tensor) -> Tensor:
    """Of the recorded (image * probe).sum(); zero where the image does not depend on the leaf."""
    return torch.autograd.grad((image * scene.data["probe"]).sum() + 0 * leaf.sum(), leaf, retain_graph=True)[0]


@pytest.fixture
def scene(golden_scene: Golden) -> Golden:
    missing = {"texture", "image", "probe", "grad_texture", "grad_verts", "dists"} - golden_scene.data.keys()
    if missing:
        pytest.skip(f"{golden_scene.name} holds no {', '.join(sorted(missing))}")
    return golden_scene


class _FaceNormals(torch.autograd.Function):
    """Normals of faces with PyTorch3D's gradient, which has a slip of the pen.

    In ∂n_y / ∂v1_z, for n = c / |c| and a, b the edges v1 − v0 and v2 − v0, it reads
    (b_x − c_x (b_x c_y − b_y c_x) / |c|²) / |c| where c_y belongs before the bracket (face_areas_normals_cpu.cpp).
    """

    @staticmethod
    def forward(ctx, corners: Tensor) -> Tensor:
        ctx.save_for_backward(corners)
        return face_normals(corners)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        (corners,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = corners.detach().requires_grad_()
            (out,) = torch.autograd.grad(face_normals(leaf), leaf, grad)
        b = corners[:, 2] - corners[:, 0]
        c = torch.linalg.cross(corners[:, 1] - corners[:, 0], b)
        bracket = b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]
        out[:, 1, 2] += (c[:, 1] - c[:, 0]) * bracket / c.norm(dim=1).clamp_min(1e-6) ** 3 * grad[:, 1]
        return out


def _cross(corners: Tensor, alone: Tensor, near: float, perspective: bool) -> tuple[Tensor, Tensor]:
    """Where edges meet the near plane, with PyTorch3D's gradient: it takes the second one's place for a constant.

    That weight, w3 in its clip.py, is detached, and the point's x and y are still divided by the depth of the plane,
    which the point then leaves as corners move.
    """
    points, weights = clipping_cross(corners, alone, near, perspective)
    share = weights[:, 4].detach()
    flat, depth = corners.split([2, 1], -1)
    if perspective:
        flat = flat * depth / near
    last = (share[:, :, None] * torch.cat([flat, depth], -1)).sum(1)
    last = points[:, 4].detach() + (last - last.detach())
    return torch.cat([points[:, :4], last[:, None]], 1), torch.cat([weights[:, :4], share[:, None]], 1)


def _well_conditioned(scene: Golden) -> Tensor:
    """Vertices (V,) at which the recorded gradient is more than rounding.

    Outside of a face, where blur reaches, the denominator of its perspective coordinates, Σ b_i z_j z_k, may be 0 or
    less. PyTorch3D clamps it to 1e-8 and clips the coordinates after that. The gradient of clipped coordinates to the
    denominator is 0, but comes out as a difference of equal terms, divided by 1e-16: noise many times the signal. The
    same formula in float64 gives our gradient.
    """
    data = scene.data
    good = torch.ones(len(data["verts"]), dtype=torch.bool)
    if scene.raster_settings["perspective_correct"]:
        corners = scene.corners(data["verts"].double())
        row, column, layer = (data["pix_to_face"] >= 0).nonzero(as_tuple=True)
        face = data["pix_to_face"][row, column, layer]
        x, y = pixel_centres(scene.size, corners)
        # b, the edge functions, times depths of the other corners: as affine functions, in double
        flat, depth = corners[face].split([2, 1], -1)
        offset = flat - torch.stack([x[column], y[row]], -1)[:, None]
        following, last = offset.roll(-1, 1), offset.roll(-2, 1)
        edges = following[..., 0] * last[..., 1] - following[..., 1] * last[..., 0]
        area = edges.sum(1) + 1e-8
        denominator = (edges * (depth.roll(-1, 1) * depth.roll(-2, 1))[..., 0]).sum(1) / area
        good[data["faces"][face[denominator < 1e-8]]] = False
    return good


def test_recorded_fragments_are_shaded_as_recorded(scene):
    """Shading by itself: no pixel is left out, whatever the rasteriser does."""
    texture = scene.data["texture"].clone().requires_grad_()
    image = _image(scene, _recorded(scene), scene.data["verts"], texture)
    torch.testing.assert_close(image.detach(), scene.data["image"], atol=1e-4, rtol=0)
    assert _error(_gradient(scene, image, texture), scene.data["grad_texture"]) <= 1e-4


def test_images_and_gradients_are_pytorch3ds(scene, monkeypatch):
    monkeypatch.setattr("neurotex.compat.pytorch3d.shaders.face_normals", _FaceNormals.apply)
    monkeypatch.setattr("neurotex.compat.pytorch3d.clipping._cross", _cross)
    vertices, texture = (scene.data[key].clone().requires_grad_() for key in ("verts", "texture"))
    fragments = rasterize(scene.corners(vertices), scene.size, **scene.raster_settings)
    image = _image(scene, fragments, vertices, texture)
    assert _share(image.detach(), scene.data["image"]) >= 0.999
    assert _error(_gradient(scene, image, texture), scene.data["grad_texture"]) <= 1e-3
    to_vertices, good = _gradient(scene, image, vertices), _well_conditioned(scene)
    assert bool(to_vertices.isfinite().all())
    assert _error(to_vertices[good], scene.data["grad_verts"][good]) <= 1e-2


def _ours(scene: Golden) -> nt.Scene:
    """The same as a scene of ours: a vertex for every pair of position and UV, and one of our cameras."""
    data, settings = scene.data, scene.meta["camera"]
    corners = torch.stack([data["faces"], data["faces_uvs"]], -1).flatten(0, 1)
    pairs, corner = corners.unique(dim=0, return_inverse=True)
    mesh = nt.Mesh(data["verts"][pairs[:, 0]], corner.view(-1, 3), data["verts_uvs"][pairs[:, 1]])
    mesh.material = nt.Material(nt.ImageTexture(data["texture"].permute(2, 0, 1)))
    transform, half = camera_to_world(data["R"], data["T"]), min(scene.size) / 2
    height, width = scene.size
    near = scene.raster_settings["near"] or 1e-3
    if settings["kind"] == "fov_orthographic":
        camera = nt.OrthographicCamera(transform, height / 2 / half / settings.get("scale", 1.0), near)
    else:  # all of them as a pinhole: PyTorch3D's angle of view spans the shorter side
        focal = settings.get("focal") or 1 / math.tan(math.radians(settings.get("fov", 60.0)) / 2)
        x, y = settings.get("principal", (0.0, 0.0))
        center = (width / 2 - half * x, height / 2 - half * y)
        camera = nt.PinholeCamera(transform, (focal * half, focal * half), center, (height, width), near)
    return nt.Scene(mesh, camera)


def test_our_scenes_are_rendered_as_pytorch3d_renders_its_own(scene):
    settings, camera = scene.meta["settings"], scene.meta["camera"]
    if camera.get("aspect_ratio", 1) != 1 or any(isinstance(camera.get(key), list) for key in ("focal", "scale")):
        pytest.skip("our cameras have square pixels")
    if {settings.get("perspective_correct"), settings.get("clip_barycentric_coords")} != {None}:
        pytest.skip("our renderer does not ask for these settings")
    near, nearest = scene.raster_settings["near"], float(scene.corners(scene.data["verts"])[..., 2].min())
    if near is None and nearest < 1e-3:
        pytest.skip("our cameras cut faces that reach behind the eye; here they are left out")
    if near is not None and nearest < near and scene.raster_settings["blur_radius"] > 0:
        pytest.skip("our cameras project with other roundings, which decide the seam of blurred faces cut in two")
    image = render_phong(
        _ours(scene),
        scene.size,
        faces_per_pixel=scene.raster_settings["faces_per_pixel"],
        blur_radius=scene.raster_settings["blur_radius"],
        cull_backfaces=scene.raster_settings["cull_backfaces"],
        lookup=Lookup(**scene.meta.get("texture", {})),
        **_options(scene),
    )
    assert _share(image[0].movedim(0, -1), scene.data["image"]) >= 0.999
