"""The drop-ins for PyTorch3D's rasteriser and renderer: on stand-ins, against what it recorded, and beside itself.

Goldens are made by tests/golden/plugins/record_rasterizer.py.
"""

# Over 400 lines: one class after the other is held to PyTorch3D's, on the same stand-ins

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

import neurotex as nt
from neurotex.compat.pytorch3d import rasterizer as drop_in
from neurotex.compat.pytorch3d.rasterizer import (
    FastMeshRasterizer,
    FastMeshRenderer,
    rasterize_meshes,
    shade_covered,
)
from neurotex.errors import ArgumentError

RECORDED = sorted((Path(__file__).parents[2] / "golden" / "plugins").glob("rasterizer_*.npz"))
NAMES = ("pix_to_face", "zbuf", "bary_coords", "dists")


class StandInMeshes:
    """What is asked of PyTorch3D's Meshes, for lists of vertices and faces."""

    device = torch.device("cpu")

    def __init__(self, vertices: list[Tensor], faces: list[Tensor]) -> None:
        self.vertices, self.faces = vertices, faces

    def __len__(self) -> int:
        return len(self.vertices)

    def verts_packed(self) -> Tensor:
        return torch.cat([torch.zeros(0, 3), *self.vertices]) if not self.vertices else torch.cat(self.vertices)

    def faces_packed(self) -> Tensor:
        before, out = 0, [torch.zeros(0, 3, dtype=torch.int64)]
        for vertices, faces in zip(self.vertices, self.faces, strict=True):
            out.append(faces + before)
            before += len(vertices)
        return torch.cat(out)

    def num_faces_per_mesh(self) -> Tensor:
        return torch.tensor([len(faces) for faces in self.faces], dtype=torch.int64)

    def mesh_to_faces_packed_first_idx(self) -> Tensor:
        return self.num_faces_per_mesh().cumsum(0) - self.num_faces_per_mesh()

    def verts_padded(self) -> Tensor:
        return torch.nn.utils.rnn.pad_sequence(self.vertices, batch_first=True)

    def update_padded(self, padded: Tensor) -> "StandInMeshes":
        return StandInMeshes([row[: len(v)] for row, v in zip(padded, self.vertices, strict=True)], self.faces)


class StandInTransform:
    """PyTorch3D's Transform3d: points are rows, multiplied by matrices (N, 4, 4) and divided by what comes fourth."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def compose(self, other: "StandInTransform") -> "StandInTransform":
        return StandInTransform(self.matrix @ other.matrix)

    def transform_points(self, points: Tensor, eps: float | None = None) -> Tensor:
        out = torch.nn.functional.pad(points, (0, 1), value=1.0) @ self.matrix
        w = out[..., 3:]
        if eps is not None:
            w = torch.where(w < 0, -1.0, 1.0) * w.abs().clamp_min(eps)
        return out[..., :3] / w


class StandInCameras:
    """What is asked of PyTorch3D's cameras; those without `matrix` are like its fisheyes, which have none."""

    device = torch.device("cpu")

    def __init__(self, view: Tensor, project: Tensor, *, perspective=True, znear=1.0, matrix=True) -> None:
        self.view, self.project, self.perspective, self.znear, self.matrix = view, project, perspective, znear, matrix

    def __len__(self) -> int:
        return len(self.view)

    def is_perspective(self) -> bool:
        return self.perspective

    def get_znear(self) -> Any:
        return self.znear

    def get_world_to_view_transform(self, **kwargs: Any) -> StandInTransform:
        return StandInTransform(kwargs.get("view", self.view))

    def get_projection_transform(self, **_: Any) -> StandInTransform:
        if not self.matrix:
            raise NotImplementedError
        return StandInTransform(self.project)

    def get_ndc_camera_transform(self, **_: Any) -> StandInTransform:
        return StandInTransform(torch.eye(4, dtype=self.view.dtype).expand_as(self.view))

    def transform_points(self, points: Tensor, eps: float | None = None) -> Tensor:
        return StandInTransform(self.view @ self.project).transform_points(points, eps)


def _settings(**given: Any) -> SimpleNamespace:
    """PyTorch3D's RasterizationSettings, its defaults where nothing else is given."""
    defaults = {"image_size": 256, "blur_radius": 0.0, "faces_per_pixel": 1, "perspective_correct": None}
    others = {"clip_barycentric_coords": None, "z_clip_value": None, "cull_backfaces": False, "cull_to_frustum": False}
    return SimpleNamespace(**{**defaults, **others, **given})


def _recorded(path: Path) -> tuple[dict[str, Tensor], dict]:
    with np.load(path) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}, json.loads(str(file["meta"]))


def _scene(name: str = "blur", **settings: Any) -> tuple[StandInMeshes, FastMeshRasterizer]:
    """The recorded meshes, their vertices leaves, and a rasteriser with the recorded cameras."""
    data, meta = _recorded(next(path for path in RECORDED if path.stem == f"rasterizer_{name}"))
    vertices = data["vertices"].split(data["counts"][:, 0].tolist())
    faces = (data["faces"].long()).split(data["counts"][:, 1].tolist())
    meshes = StandInMeshes([v.clone().requires_grad_() for v in vertices], list(faces))
    cameras = StandInCameras(data["view"], data["project"], perspective=meta["perspective"], znear=meta["znear"])
    return meshes, FastMeshRasterizer(cameras, _settings(**{**meta["settings"], **settings}))


def _probe(values: Tensor) -> Tensor:
    return (torch.arange(values.numel()).mul(0.7).cos().view(values.shape) * values).sum()


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_fragments_and_their_gradients_are_those_recorded(path):
    data, _ = _recorded(path)
    meshes, rasterizer = _scene(path.stem.removeprefix("rasterizer_"))
    seen = rasterizer(meshes)
    covered = data["pix_to_face"] >= 0
    assert int(covered[..., 0].flatten(1).sum(1).min()) > 5  # something is seen in every image
    assert torch.equal(seen.pix_to_face, data["pix_to_face"].long())
    for name in NAMES[1:]:
        torch.testing.assert_close(getattr(seen, name), data[name], rtol=1e-4, atol=1e-5)
    if "grad" in data:
        sum(_probe(getattr(seen, name)) for name in NAMES[1:]).backward()
        grad = torch.cat([each.grad for each in meshes.vertices])
        torch.testing.assert_close(grad, data["grad"], rtol=1e-3, atol=1e-4 * float(data["grad"].abs().max()))


def test_recorded_cases_are_there():
    assert len(RECORDED) == 6
    assert sum(path.stat().st_size for path in RECORDED) < 150_000


def _triangles(*shifts: tuple[float, float]) -> Tensor:
    """Triangles of PyTorch3D's NDC, within 0.4 of (x, y) each, the first the nearest."""
    return torch.stack([FRUSTUM[0] + torch.tensor([x, y, 0.1 * k]) for k, (x, y) in enumerate(shifts)])


def _mesh_of(corners: Tensor) -> StandInMeshes:
    return StandInMeshes([corners.reshape(-1, 3)], [torch.arange(3 * len(corners)).view(-1, 3)])


def test_x_points_left_and_rows_go_down():
    seen = rasterize_meshes(_mesh_of(_triangles((0.5, 0.5))), image_size=(10, 10), faces_per_pixel=1)[0][0, ..., 0]
    y, x = (seen >= 0).nonzero(as_tuple=True)
    assert int(x.max()) < 5
    assert int(y.max()) < 5


FRUSTUM = torch.tensor(
    [
        [[-0.4, -0.4, 2.0], [0.4, -0.3, 2.2], [0.0, 0.4, 2.4]],
        [[1.2, 1.2, 1.9], [-0.5, 0.2, 2.1], [0.5, -0.5, 2.1]],  # seen, but its first corner is beyond
        [[0.2, 0.2, 1.8], [1.5, 1.1, 2.0], [0.5, -0.9, 2.0]],  # the second
        [[-0.9, 0.3, 2.3], [-0.2, -0.4, 2.2], [1.2, 1.3, 2.5]],  # only the third, which is not asked
        [[1.1, -0.4, 1.5], [1.9, -0.3, 1.6], [1.5, 0.4, 1.7]],  # beyond 1 to the left, but seen in a wide image
        [[-1.1, -0.4, 2.5], [-1.9, -1.3, 2.6], [-1.5, 0.4, 2.7]],
    ]
)


def test_faces_are_culled_by_corners_and_have_no_gradient():
    kept = [0, 3, 4, 5]
    corners = FRUSTUM.clone().requires_grad_()
    plain = rasterize_meshes(_mesh_of(corners), image_size=(20, 40), faces_per_pixel=2)
    culled = rasterize_meshes(_mesh_of(corners), image_size=(20, 40), faces_per_pixel=2, cull_to_frustum=True)
    assert plain[0].unique().tolist() == [-1, 0, 1, 2, 3, 4, 5]
    assert culled[0].unique().tolist() == [-1, *kept]
    alone = rasterize_meshes(_mesh_of(corners[kept]), image_size=(20, 40), faces_per_pixel=2)
    assert torch.equal(culled[0], torch.tensor([*kept, -1])[alone[0]])
    assert all(map(torch.equal, culled[1:], alone[1:]))
    (grad,) = torch.autograd.grad(sum(_probe(values) for values in culled[1:]), corners)
    assert bool((grad[[1, 2]] == 0).all())
    assert bool((grad[kept] != 0).any(-1).all())


def test_culling_and_cutting_go_together():
    corners = FRUSTUM.clone().requires_grad_()
    modes = {"cull_to_frustum": True, "z_clip_value": 2.1, "perspective_correct": True}
    values = rasterize_meshes(_mesh_of(corners), (20, 40), **modes)
    assert values[0].unique().tolist() == [-1, 0, 3, 5]
    assert float(values[1].detach()[values[0] >= 0].min()) > 2.09
    (grad,) = torch.autograd.grad(sum(_probe(each) for each in values[1:]), corners)
    assert bool(grad.isfinite().all())
    assert bool((grad[[1, 2, 4]] == 0).all())


def test_meshes_without_faces_and_batches_without_meshes():
    one = _triangles((0, 0)).reshape(-1, 3)
    faces, none = torch.tensor([[0, 1, 2]]), torch.zeros(0, 3, dtype=torch.int64)
    meshes = StandInMeshes([one, one[:0], one, one], [faces, none, faces, none])
    pix, zbuf, bary, dists = rasterize_meshes(meshes, 8, faces_per_pixel=3, z_clip_value=0.5, cull_to_frustum=True)
    assert [each.unique().tolist() for each in pix] == [[-1, 0], [-1], [-1, 1], [-1]]
    for values in (zbuf, bary, dists):
        assert bool((values[[1, 3]] == -1).all())
        assert torch.equal(values[0], values[2])
    for clip in (None, 0.5):
        empty = rasterize_meshes(StandInMeshes([], []), (4, 6), faces_per_pixel=3, z_clip_value=clip)
        assert [tuple(values.shape) for values in empty] == [(0, 4, 6, 3), (0, 4, 6, 3), (0, 4, 6, 3, 3), (0, 4, 6, 3)]
    nobody = FastMeshRasterizer(StandInCameras(torch.eye(4)[None], torch.eye(4)[None]), _settings(image_size=4))
    assert nobody(StandInMeshes([], [])).bary_coords.shape == (0, 4, 4, 1, 3)
    assert nobody(StandInMeshes([one[:0]] * 2, [none] * 2)).pix_to_face.flatten().tolist() == [-1] * 32


def test_doubles_stay_doubles_and_gradients_are_those_of_finite_differences():
    corners = _triangles((0, 0), (0.3, 0.2)).double()
    corners = (corners + 0.03 * torch.randn(corners.shape).double()).requires_grad_()  # no pixel lies between two edges

    def seen(corners: Tensor) -> tuple:
        modes = {"perspective_correct": True, "clip_barycentric_coords": True, "cull_to_frustum": True}
        values = rasterize_meshes(_mesh_of(corners), (7, 8), 0, 2, z_clip_value=2.05, **modes)
        found = values[0] >= 0
        assert int(found.sum()) > 5
        return tuple(value[found] for value in values[1:])

    assert gradcheck(seen, (corners,))


def test_images_that_are_none_are_refused():
    meshes = _mesh_of(_triangles((0, 0)))
    for size in (0, (8, -1), (8, 8, 8), (8.0, 8.0)):
        with pytest.raises(ArgumentError, match="image_size is"):
            rasterize_meshes(meshes, size)


def test_settings_that_are_none_follow_from_the_camera(monkeypatch):
    taken = {}

    def spy(meshes: Any, **given: Any) -> tuple:
        taken.update(given)
        return rasterize_meshes(meshes, **given)

    monkeypatch.setattr(drop_in, "rasterize_meshes", spy)
    meshes, rasterizer = _scene(blur_radius=0.0)
    project = rasterizer.cameras.project

    def inferred(znear: Any = None, perspective: bool = True, **settings: Any) -> tuple:
        cameras = StandInCameras(rasterizer.cameras.view, project, perspective=perspective, znear=znear)
        rasterizer(meshes, cameras=cameras, raster_settings=_settings(image_size=8, **settings))
        return taken["perspective_correct"], taken["z_clip_value"], taken["clip_barycentric_coords"]

    assert inferred() == (True, None, False)
    assert inferred(1.0) == (True, 0.5, False)
    assert inferred(torch.tensor([0.5, 0.25, 0.75])) == (True, 0.125, False)
    assert inferred(1.0, perspective=False) == (False, None, False)
    assert inferred(1.0, perspective_correct=False) == (False, None, False)
    assert inferred(1.0, blur_radius=1e-3) == (True, 0.5, True)
    assert inferred(1.0, blur_radius=1e-3, clip_barycentric_coords=False, z_clip_value=0.25) == (True, 0.25, False)


def test_cameras_without_a_matrix_and_cameras_moved_for_one_call():
    meshes, rasterizer = _scene()
    cameras = rasterizer.cameras
    bent = StandInCameras(cameras.view, cameras.project, matrix=False)
    for one, other in zip(_values(rasterizer(meshes)), _values(rasterizer(meshes, cameras=bent)), strict=True):
        torch.testing.assert_close(one, other)
    turned = rasterizer(meshes, view=cameras.view.roll(1, 0))
    moved = rasterizer(meshes, cameras=StandInCameras(cameras.view.roll(1, 0), cameras.project))
    assert all(map(torch.equal, _values(turned), _values(moved)))
    assert not torch.equal(turned.pix_to_face, rasterizer(meshes).pix_to_face)
    depth = rasterizer.transform(meshes).verts_padded()[..., 2]
    view = cameras.get_world_to_view_transform().transform_points(meshes.verts_padded())[..., 2]
    torch.testing.assert_close(depth[0, : len(meshes.vertices[0])], view[0, : len(meshes.vertices[0])])


def _values(fragments: Any) -> list[Tensor]:
    return [getattr(fragments, name) for name in NAMES]


def test_gradients_reach_cameras():
    meshes, rasterizer = _scene()
    rasterizer.cameras.view.requires_grad_()
    _probe(rasterizer(meshes).zbuf).backward()
    assert bool((rasterizer.cameras.view.grad.flatten(1) != 0).any(1).all())


def test_what_does_not_fit_together_is_said():
    meshes, rasterizer = _scene()
    view, project = rasterizer.cameras.view, rasterizer.cameras.project
    with pytest.raises(ArgumentError, match="2 cameras for 3 meshes"):
        rasterizer(meshes, cameras=StandInCameras(view[:2], project[:2]))
    with pytest.raises(ArgumentError, match="Cameras must be specified"):
        rasterizer(meshes, cameras=None)
    elsewhere = StandInCameras(view, project)
    elsewhere.device = torch.device("meta")
    with pytest.raises(ArgumentError, match=r"cameras are on meta, but the meshes on cpu.*cameras\.to"):
        rasterizer(meshes, cameras=elsewhere)
    cloud = SimpleNamespace(points_packed=lambda: torch.zeros(5, 3))
    for draw in (rasterizer, rasterize_meshes):
        with pytest.raises(ArgumentError, match="draws PyTorch3D's Meshes, not a SimpleNamespace: point clouds"):
            draw(cloud)
    with pytest.raises(ArgumentError, match="not through a PerspectiveCamera: to_camera"):
        rasterizer(meshes, cameras=nt.PerspectiveCamera(torch.eye(4)))
    with pytest.raises(ArgumentError, match="but raster_settings is a dict"):
        rasterizer(meshes, raster_settings={})
    assert len(rasterizer(meshes, cameras=StandInCameras(view[:1], project[:1])).pix_to_face) == 3


class Toy(torch.nn.Module):
    """Layers weighted by a learned share, over a background: (N, H, W, channels). Keeps the fragments it was given."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.background = torch.nn.Parameter(torch.linspace(0.2, 0.9, channels))
        self.given: list[Any] = []

    def forward(self, fragments: Any, meshes: Any, gain: float = 1.0) -> Tensor:
        self.given.append(fragments)
        seen = (fragments.pix_to_face >= 0)[..., None]
        brightness = fragments.zbuf[..., None] + fragments.dists[..., None] + fragments.bary_coords[..., :1]
        corner = meshes.verts_packed()[meshes.faces_packed()].sum(1)[fragments.pix_to_face, :1]
        weight = torch.softmax(torch.where(seen, -fragments.zbuf[..., None], -1e3), -2) * seen
        colour = (weight * brightness * corner.sin() * gain).sum(-2)
        return colour * self.background.square() + (1 - weight.sum(-2)) * self.background


class Pointwise(Toy):
    pointwise = True


class Blurred(Toy):
    """A shader that looks at neighbours."""

    def forward(self, *given: Any, **kwargs: Any) -> Tensor:
        return super().forward(*given, **kwargs).unfold(1, 3, 1).mean(-1)


def _both(shader: Toy, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """The shader's image by the renderer, and as it makes it of the whole frame."""
    meshes, rasterizer = _scene()
    image = FastMeshRenderer(rasterizer, shader)(meshes, **kwargs)
    return image, shader(rasterizer(meshes), meshes, **kwargs)


@pytest.mark.parametrize("channels", [1, 4])
def test_a_pointwise_shader_sees_covered_pixels_and_makes_the_same_image(channels):
    shader = Pointwise(channels)
    meshes, rasterizer = _scene(faces_per_pixel=12)
    renderer = FastMeshRenderer(rasterizer, shader)
    image, fragments = renderer(meshes), rasterizer(meshes)
    covered = fragments.pix_to_face[..., 0] >= 0
    most, deepest = int(covered.flatten(1).sum(1).max()), int((fragments.pix_to_face >= 0).sum(-1).max())
    assert 0 < most < 13 * 20
    assert 2 < deepest < 12
    (given,) = shader.given
    assert given.bary_coords.shape == (3, 1, most + 1, deepest, 3)
    assert bool((given.pix_to_face[:, 0, -1] == -1).all())
    assert type(given) is type(fragments)

    whole = shader(fragments, meshes)
    torch.testing.assert_close(image, whole, rtol=1e-6, atol=1e-6)
    leaves = [*meshes.vertices, shader.background]
    expected = torch.autograd.grad(_probe(whole), leaves)
    for ours, theirs in zip(torch.autograd.grad(_probe(image), leaves), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5 * float(theirs.abs().max()))


def test_the_image_of_a_list_passes_gradcheck_twice():
    lists = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    pixel, place = torch.tensor([1, 2, 9, 13, 15]), torch.tensor([0, 1, 4, 5, 6])

    def image(lists: Tensor) -> Tensor:
        return drop_in._Unlist.apply(lists, pixel, place, 2, 4)

    assert torch.equal(image(lists)[0, 0, :, 0], lists[0, [3, 0, 1, 3], 0])
    assert gradcheck(image, (lists,))
    assert torch.autograd.gradgradcheck(lambda x: image(x).square(), (lists,))


def test_arguments_reach_rasteriser_and_shader():
    meshes, rasterizer = _scene()
    seen = []
    renderer = FastMeshRenderer(lambda meshes, **given: seen.append(given) or rasterizer(meshes), Pointwise())
    assert not torch.equal(renderer(meshes, gain=2.0), renderer(meshes))
    assert seen == [{"gain": 2.0}, {}]


def test_shaders_that_look_at_neighbours_are_found_out():
    meshes, rasterizer = _scene()
    for shader, sides in ((Blurred(), [13, 1, 13]), (Toy(), [13, 1, 1])):
        renderer = FastMeshRenderer(rasterizer, shader)
        nowhere = StandInMeshes([v + 100 for v in meshes.vertices], meshes.faces)
        renderer(nowhere)  # a frame that tells nothing
        del shader.given[:]
        image = renderer(meshes)
        torch.testing.assert_close(renderer(meshes), image, rtol=1e-6, atol=1e-6)
        assert [each.pix_to_face.shape[1] for each in shader.given] == sides


def test_shaders_that_make_no_image_of_a_list_have_frames():
    for made in (lambda image: [image], lambda image: image[..., 0] if image.shape[1] > 1 else image, None):

        class Odd(Toy):
            def forward(self, fragments: Any, meshes: Any, made=made) -> Any:
                image = super().forward(fragments, meshes)
                return made(image) if made else image.view(3, 13, 20, 4)

        meshes, rasterizer = _scene()
        renderer = FastMeshRenderer(rasterizer, Odd())
        first, second = renderer(meshes), renderer(meshes)
        assert renderer.shader.given[-1].pix_to_face.shape[1] == 13
        torch.testing.assert_close(first, second)


def test_a_shader_says_what_it_is():
    shader = Toy()
    shader.pointwise = False
    image, whole = _both(shader)
    assert torch.equal(image, whole)
    assert [each.pix_to_face.shape[1] for each in shader.given] == [13, 13]


def test_a_picture_as_background_needs_frames():
    class OnPicture(Pointwise):
        def forward(self, fragments: Any, meshes: Any, blend_params: Any = None) -> Tensor:
            return super().forward(fragments, meshes) + blend_params.background_color

    image, whole = _both(OnPicture(), blend_params=SimpleNamespace(background_color=torch.rand(13, 20, 4)))
    assert torch.equal(image, whole)


def test_frames_of_nothing_and_full_frames():
    meshes, rasterizer = _scene()
    shader = Pointwise()
    renderer = FastMeshRenderer(rasterizer, shader)
    nowhere = StandInMeshes([v + 100 for v in meshes.vertices], meshes.faces)
    image = renderer(nowhere)
    assert torch.equal(image, shader.background.detach().expand(3, 13, 20, 4))
    none = SimpleNamespace(pix_to_face=torch.zeros(0, 4, 5, 1, dtype=torch.int64))
    assert FastMeshRenderer(lambda _: none, lambda fragments, _: fragments.pix_to_face)(None).shape == (0, 4, 5, 1)
    large = _mesh_of(torch.tensor([[[-9.0, -9, 1], [9, -9, 2], [0, 9, 3]]]))
    fragments = drop_in.Fragments(*rasterize_meshes(large, (3, 4), faces_per_pixel=1))
    assert bool((fragments.pix_to_face == 0).all())
    torch.testing.assert_close(shade_covered(shader, fragments, large), shader(fragments, large))
    assert shader.given[-2].pix_to_face.shape == (1, 1, 13, 1)


def test_fragments_without_distances():
    meshes, rasterizer = _scene(faces_per_pixel=1)
    if drop_in.Fragments is drop_in.raster.Fragments:
        pytest.skip("our own fragments always have distances; those of PyTorch3D, which is absent, may not")
    fragments = dataclasses.replace(rasterizer(meshes), dists=None)
    image = shade_covered(lambda given, _: given.zbuf + (given.dists is None), fragments, meshes)
    assert torch.equal(image, fragments.zbuf + 1)


def test_renderer_and_rasteriser_move_what_they_hold():
    moved = []
    part = SimpleNamespace(to=lambda device: moved.append(device) or part)
    assert FastMeshRasterizer(None, _settings()).to("cpu").cameras is None
    renderer = FastMeshRenderer(FastMeshRasterizer(part, _settings()), part)
    assert renderer.to("cpu") is renderer
    assert moved == ["cpu", "cpu"]


# Beside the real thing -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def p3d() -> SimpleNamespace:
    """PyTorch3D's names."""
    reason = "PyTorch3D is not installed, or not for this torch"
    renderer = pytest.importorskip("pytorch3d.renderer", reason=reason, exc_type=ImportError)
    from pytorch3d.renderer import mesh
    from pytorch3d.renderer.fisheyecameras import FishEyeCameras
    from pytorch3d.renderer.mesh import shader
    from pytorch3d.structures import Meshes

    names = {**vars(shader), **vars(mesh), **vars(renderer)}
    return SimpleNamespace(**{**names, "FishEyeCameras": FishEyeCameras, "Meshes": Meshes, "shader": shader})


def _real_meshes(p3d: SimpleNamespace, grad: bool = False) -> tuple[Any, list[Tensor]]:
    """The recorded meshes with random colours, as PyTorch3D's."""
    stand_in, _ = _scene()
    vertices = [v.detach().clone().requires_grad_(grad) for v in stand_in.vertices]
    return p3d.Meshes(vertices, stand_in.faces), vertices


def _assert_equal(one: Any, other: Any) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


SETTINGS = [
    {},
    {"blur_radius": 0.01, "faces_per_pixel": 4, "clip_barycentric_coords": True},
    {"perspective_correct": True, "cull_backfaces": True, "image_size": (17, 9)},
    {"z_clip_value": 1.9, "perspective_correct": True, "faces_per_pixel": 3, "blur_radius": 1e-3},
    {"z_clip_value": 2.1, "cull_to_frustum": True, "image_size": [9, 21]},
    {"cull_to_frustum": True, "bin_size": 0, "max_faces_per_bin": 100, "faces_per_pixel": 2},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_function_beside_its_original(p3d, settings):
    meshes, _ = _real_meshes(p3d)
    cameras = p3d.FoVPerspectiveCameras(T=torch.tensor([[0.2, -0.1, 2.4]]))
    meshes = p3d.MeshRasterizer(cameras).transform(meshes)
    settings = {"image_size": 16, **settings}
    _assert_equal(rasterize_meshes(meshes, **settings), p3d.rasterize_meshes(meshes, **settings))


def _cameras(p3d: SimpleNamespace, kind: str, R: Tensor, T: Tensor) -> Any:
    if kind == "screen":
        sides = torch.tensor([[15, 22]]).expand(len(R), 2)
        focal, centre = torch.tensor([[14.0, 15]]), torch.tensor([[10.0, 8]])
        return p3d.PerspectiveCameras(focal, centre, R=R, T=T, in_ndc=False, image_size=sides)
    if kind == "FishEye":
        R, T = R[:1], T[:1]  # it projects several meshes by one camera only
        params = {f"{name}_params": torch.full((len(R), n), 0.01) for name, n in (("radial", 6), ("tangential", 2))}
        params |= {"thin_prism_params": torch.full((len(R), 4), 0.01), "principal_point": torch.zeros(len(R), 2)}
        return p3d.FishEyeCameras(torch.ones(len(R), 1), R=R, T=T, world_coordinates=True, **params)
    return getattr(p3d, f"{kind}Cameras")(R=R, T=T)


KINDS = ("FoVPerspective", "FoVOrthographic", "Perspective", "Orthographic", "FishEye", "screen")
SOFT_AND_CULLED = {"blur_radius": 1e-3, "faces_per_pixel": 3, "cull_to_frustum": True}


@pytest.mark.parametrize("settings", [{}, SOFT_AND_CULLED], ids=["hard", "soft"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_rasteriser_beside_its_original(p3d, kind, settings):
    R, T = p3d.look_at_view_transform([2.7, 2.2, 2.4], [10.0, -25, 40], [20.0, 130, 250])
    settings = p3d.RasterizationSettings(image_size=(15, 22), **settings)
    found = []
    for rasterizer in (FastMeshRasterizer, p3d.MeshRasterizer):
        meshes, vertices = _real_meshes(p3d, grad=True)
        R, T = R.detach().clone().requires_grad_(), T.detach().clone().requires_grad_()
        fragments = rasterizer(_cameras(p3d, kind, R, T), settings)(meshes)
        sum(_probe(values) for values in _values(fragments)[1:]).backward()
        found.append((fragments, [R.grad, T.grad, *(v.grad for v in vertices)]))
    (ours, our_grads), (theirs, their_grads) = found
    assert type(ours) is type(theirs)
    assert int((ours.pix_to_face >= 0).sum()) > 30
    _assert_equal(_values(ours), _values(theirs))
    for one, other in zip(our_grads, their_grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("points", [0, 3])
def test_meshes_of_nothing_are_empty_images(p3d, count, points):
    """PyTorch3D's function gives none at all of meshes without faces, and its rasteriser an error of torch.cat."""
    faces = torch.zeros(0, 3, dtype=torch.int64)
    meshes = p3d.Meshes([torch.rand(points, 3)] * count, [faces] * count)
    theirs = p3d.rasterize_meshes(meshes, (5, 4), faces_per_pixel=2)
    for settings in ({}, SOFT_AND_CULLED):
        settings = p3d.RasterizationSettings(**{"image_size": (5, 4), **settings, "faces_per_pixel": 2})
        ours = FastMeshRasterizer(p3d.FoVPerspectiveCameras(), settings)(meshes)
        for one, other in zip(_values(ours), theirs, strict=True):
            assert (one.dtype, one.shape) == (other.dtype, (count, *other.shape[1:]))
            assert bool((one == -1).all())


def test_point_clouds_are_refused(p3d):
    from pytorch3d.structures import Pointclouds

    cloud, rasterizer = Pointclouds([torch.rand(5, 3)]), FastMeshRasterizer(p3d.FoVPerspectiveCameras())
    for draw in (rasterizer, FastMeshRenderer(rasterizer, p3d.HardPhongShader())):
        with pytest.raises(ArgumentError, match="not a Pointclouds: point clouds are for its PointsRasterizer"):
            draw(cloud)


def test_both_are_instances_of_what_they_stand_for(p3d):
    renderer = FastMeshRenderer(FastMeshRasterizer(), p3d.HardPhongShader())
    assert isinstance(renderer, p3d.MeshRenderer)
    assert isinstance(renderer.rasterizer, p3d.MeshRasterizer)
    assert renderer.rasterizer.raster_settings == p3d.RasterizationSettings()
    assert renderer.to(torch.device("cpu")) is renderer


def test_meshes_on_another_device_are_left_to_the_original(p3d, monkeypatch):
    monkeypatch.setattr(p3d.MeshRasterizer, "forward", lambda self, meshes, **given: (meshes.device.type, given))
    meshes, _ = _real_meshes(p3d)
    cameras = p3d.FoVPerspectiveCameras()
    meshes.device = cameras.device = torch.device("meta")
    assert FastMeshRasterizer(cameras)(meshes, eps=1e-3) == ("meta", {"eps": 1e-3})


def _textured(p3d: SimpleNamespace, texture: str) -> tuple[Any, list[Tensor]]:
    """The recorded meshes with one kind of texture; and what has gradients: vertices and texture."""
    meshes, vertices = _real_meshes(p3d, grad=True)
    count, faces = meshes.num_verts_per_mesh().tolist(), meshes.faces_list()
    if texture == "TexturesUV":
        values = torch.rand(3, 6, 5, 3, requires_grad=True)
        meshes.textures = p3d.TexturesUV(values, faces, [torch.rand(n, 2) for n in count])
        return meshes, [*vertices, values]
    shapes = [(n, 3) for n in count] if texture == "TexturesVertex" else [(len(f), 2, 2, 3) for f in faces]
    values = [torch.rand(shape, requires_grad=True) for shape in shapes]
    meshes.textures = getattr(p3d, texture)(values)
    return meshes, [*vertices, *values]


SHADERS = ("HardPhong", "SoftPhong", "HardFlat", "SoftSilhouette", "HardDepth", "SoftDepth")
CASES = [(name, texture) for name in SHADERS for texture in ("TexturesUV", "TexturesVertex", "TexturesAtlas")]


@pytest.mark.parametrize(
    ("name", "texture"), [*CASES, ("HardGouraud", "TexturesVertex"), ("SoftGouraud", "TexturesVertex")]
)
def test_the_renderer_beside_its_original(p3d, name, texture):
    R, T = p3d.look_at_view_transform([2.7, 2.2, 2.4], [10.0, -25, 40], [20.0, 130, 250])
    cameras = p3d.FoVPerspectiveCameras(R=R, T=T)
    if "Depth" in name:  # these take one zfar only
        cameras.zfar = 20.0
    lights = p3d.PointLights(location=torch.tensor([[1.0, 2, 3], [0, 3, -1], [-2, 0, 2]]))
    blend = p3d.BlendParams(sigma=1e-3, gamma=1e-2, background_color=torch.tensor([0.2, 0.5, 0.7], requires_grad=True))
    shader = getattr(p3d, f"{name}Shader")
    shader = shader(blend) if "Silhouette" in name else shader(cameras=cameras, lights=lights, blend_params=blend)
    blurred = {"blur_radius": 3e-3, "faces_per_pixel": 30} if "Soft" in name else {}
    settings = p3d.RasterizationSettings(image_size=(18, 26), **blurred)
    meshes, leaves = _textured(p3d, texture)
    images, grads = [], []
    for renderer in (
        FastMeshRenderer(FastMeshRasterizer(cameras, settings), shader),
        p3d.MeshRenderer(p3d.MeshRasterizer(cameras, settings), shader),
    ):
        images.append(renderer(meshes))
        wanted = [*leaves, blend.background_color]
        grads.append(torch.autograd.grad(_probe(images[-1]), wanted, retain_graph=True, allow_unused=True))
    assert images[0].shape == images[1].shape
    torch.testing.assert_close(*images, rtol=1e-6, atol=1e-6)
    for ours, theirs in zip(*grads, strict=True):
        assert (ours is None) == (theirs is None)
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * float(theirs.abs().max()) + 1e-7)


def test_shaders_of_pytorch3d_are_known_by_class(p3d):
    known = {name for name, kind in vars(p3d.shader).items() if isinstance(kind, type) and name.endswith("Shader")}
    assert known - drop_in.POINTWISE == {"SplatterPhongShader"}
    assert known >= drop_in.POINTWISE
    cameras, settings = (
        p3d.FoVPerspectiveCameras(T=torch.tensor([[0, 0, 3.0]])),
        p3d.RasterizationSettings(image_size=16),
    )
    blend = p3d.BlendParams(sigma=0.5)
    meshes, _ = _textured(p3d, "TexturesVertex")
    images = [
        renderer(rasterizer(cameras, settings), p3d.SplatterPhongShader(cameras=cameras, blend_params=blend))(meshes)
        for renderer, rasterizer in (
            (FastMeshRenderer, FastMeshRasterizer),
            (p3d.MeshRenderer, p3d.MeshRasterizer),
        )
    ]
    assert torch.equal(*images)


def test_a_subclass_of_a_known_shader_is_tried(p3d):
    class Shifted(p3d.HardPhongShader):
        def forward(self, fragments: Any, meshes: Any, **kwargs: Any) -> Tensor:
            image = super().forward(fragments, meshes, **kwargs)
            return image + image.roll(1, 2)

    cameras = p3d.FoVPerspectiveCameras(T=torch.tensor([[0, 0, 3.0]]))
    meshes, _ = _textured(p3d, "TexturesVertex")
    rasterizer = FastMeshRasterizer(cameras, p3d.RasterizationSettings(image_size=16))
    for shader, pointwise in ((Shifted, False), (type("Same", (p3d.HardPhongShader,), {}), True)):
        shader = shader(cameras=cameras)
        renderer = FastMeshRenderer(rasterizer, shader)
        for _ in range(2):
            torch.testing.assert_close(
                renderer(meshes), p3d.MeshRenderer(rasterizer, shader)(meshes), rtol=0, atol=1e-6
            )
        assert renderer._tried == (shader, pointwise)
