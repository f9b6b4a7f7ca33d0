"""Scenes far away and tiny ones are as sharp as others."""

import json
import math
import warnings

import pytest
import torch
import trimesh
from PIL import Image

import neurotex as nt
from tests import tiny

UTM = (448_261.25, 5_411_932.75, 130.5)


@pytest.fixture
def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(2)


def _obj(path, ball: trimesh.Trimesh, scale: float = 1.0, shift: tuple = (0, 0, 0)):
    corners = [[scale * float(x) + offset for x, offset in zip(v, shift, strict=True)] for v in ball.vertices]
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in corners] + [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in ball.faces]
    path.write_text("\n".join(lines) + "\n")
    return path


def _views(folder, scale: float = 1.0, shift: tuple = (0, 0, 0)) -> nt.Views:
    """Two cameras around a ball of radius `scale` at `shift`, in a transforms.json."""
    folder.mkdir(exist_ok=True)
    frames = []
    for k, camera in enumerate(nt.orbit(3, 3.0)[1:]):
        Image.new("RGBA", (32, 32)).save(folder / f"{k}.png")
        matrix = camera.transform.double()
        matrix[:3, 3] = scale * matrix[:3, 3] + torch.tensor(shift, dtype=torch.float64)
        frames.append({"file_path": f"{k}.png", "transform_matrix": matrix.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": math.radians(45), "frames": frames}))
    return nt.Views.load(folder)


def _quiet(path, cameras: list, **more) -> nt.Scene:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nt.Scene.load(path, cameras=cameras, lights=nt.AmbientLight(1.0), **more)


@pytest.fixture
def near(ball, tmp_path) -> torch.Tensor:
    return nt.render(_quiet(_obj(tmp_path / "near.obj", ball), _views(tmp_path / "near").cameras), 48)


def test_a_scene_in_survey_coordinates_is_rendered_as_one_at_home(ball, tmp_path, near):
    path = _obj(tmp_path / "far.obj", ball, shift=UTM)
    scene = _quiet(path, _views(tmp_path / "far", shift=UTM).cameras)
    assert max(abs(a - b) for a, b in zip(scene.origin, UTM, strict=True)) <= 1
    assert [camera.origin for camera in scene.cameras] == [scene.origin] * 2
    torch.testing.assert_close(nt.render(scene, 48), near, atol=2e-3, rtol=0)
    assert 0.3 < float(near[:, 3].mean()) < 0.7


@pytest.mark.parametrize("scale", [1e-6, 1e3])
def test_a_tiny_and_a_huge_scene_are_rendered_alike(ball, tmp_path, near, scale):
    scene = _quiet(_obj(tmp_path / "it.obj", ball, scale), _views(tmp_path / "views", scale).cameras)
    assert scene.origin == (0, 0, 0)
    torch.testing.assert_close(nt.render(scene, 48), near, atol=2e-3, rtol=0)


@pytest.mark.parametrize("scale", [1e-10, 1e-7, 1e7])
@pytest.mark.parametrize("maps", [{}, {"roughness": 0.3, "metallic": 0.5}], ids=["diffuse", "glossy"])
def test_lamps_shine_on_a_scene_of_any_size_as_on_others(scale, maps):
    """1 / d² of a lamp 1e-7 away is 1e14; bakes and the gradient by vertices know that, too."""

    def scene(scale: float) -> tuple[nt.Scene, torch.Tensor]:
        box = tiny.box()
        vertices = (box.vertices * scale).requires_grad_()
        lights = [nt.Flash(7.0 * scale**2), nt.PointLight([2 * scale, 3 * scale, scale], 5.0 * scale**2)]
        mesh = nt.Mesh(vertices.detach(), box.faces, material=nt.Material((0.8, 0.5, 0.2), **maps))
        mesh.vertices = vertices
        return nt.Scene(mesh, nt.orbit(2, 3.0 * scale), lights), vertices

    (one, corners), (other, moved) = scene(1.0), scene(scale)
    images = nt.render(one, 24), nt.render(other, 24)
    assert float(images[0].detach()[:, :3].max()) > 0.1
    torch.testing.assert_close(images[1], images[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(nt.bake(other, 24)(), images[1], rtol=1e-4, atol=1e-5)
    for image in images:
        image[:, :3].sum().backward()
    torch.testing.assert_close(moved.grad * scale, corners.grad, rtol=1e-2, atol=1e-2)


def test_a_scene_too_small_for_squares_of_its_distances_is_refused():
    scene = nt.Scene(nt.Mesh(1e-14 * tiny.box().vertices, tiny.box().faces), nt.orbit(1, 3e-14), nt.Flash(7.0))
    with pytest.raises(nt.SceneError, match="scene and camera lie within 1e-11 of the origin: scale them up"):
        nt.render(scene, 8)


def test_that_coordinates_were_moved_is_said(ball, tmp_path):
    path = _obj(tmp_path / "far.obj", ball, shift=UTM)
    with pytest.warns(UserWarning, match=r"far\.obj is so far from the origin .* relative to \(448262, 5\.41193e\+06"):
        scene = nt.Scene.load(path)
    center, radius = scene.bounds()
    assert float(center.norm()) < 2
    assert radius == pytest.approx(1, abs=1e-3)


def test_a_scene_saved_lies_where_it_was(ball, tmp_path, near):
    cameras = _views(tmp_path / "far", shift=UTM).cameras
    scene = _quiet(_obj(tmp_path / "far.obj", ball, shift=UTM), cameras)
    scene.save(tmp_path / "saved.glb")
    bounds = trimesh.load_scene(tmp_path / "saved.glb").bounds
    assert ((bounds[0] + bounds[1]) / 2).tolist() == pytest.approx(UTM, abs=0.02)
    again = _quiet(tmp_path / "saved.glb", cameras)
    torch.testing.assert_close(nt.render(again, 48), near, atol=2e-3, rtol=0)


def test_cameras_move_with_the_scene_that_they_are_given_to(ball, tmp_path):
    """To a mesh at home, too, where they see nothing; and the scene that they are taken from says so."""
    cameras = _views(tmp_path / "far", shift=UTM).cameras
    far = _quiet(_obj(tmp_path / "far.obj", ball, shift=UTM), cameras)
    home = _quiet(_obj(tmp_path / "home.obj", ball), cameras)
    assert float(nt.render(home, 48)[:, 3].max()) == 0
    with pytest.raises(nt.SceneError, match=r"camera 0 .* another origin"):
        nt.render(far, 48)


def test_what_is_made_by_hand_is_in_the_scenes_own_coordinates(ball, tmp_path, near):
    far = _quiet(_obj(tmp_path / "far.obj", ball, shift=UTM), [])
    center, _ = far.bounds()
    cameras = nt.orbit(3, 3.0, target=center)[1:]
    scene = nt.Scene(list(far.nodes), cameras, nt.AmbientLight(1.0))
    torch.testing.assert_close(nt.render(scene, 48), near, atol=0.05, rtol=0)


def test_a_node_above_those_of_a_file_takes_their_origin(ball, tmp_path, near):
    far = _quiet(_obj(tmp_path / "far.obj", ball, shift=UTM), [])
    turn = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    x, y, z = far.origin
    node = nt.Node(None, turn, list(far.nodes), "above")
    assert node.origin == (-y, x, z)
    turned = _views(tmp_path / "turned", shift=(-UTM[1], UTM[0], UTM[2]))
    image = nt.render(nt.Scene(node, turned.cameras, nt.AmbientLight(1.0)), 48)
    assert float(image[:, 3].mean()) == pytest.approx(float(near[:, 3].mean()), abs=2e-3)


def test_the_near_plane_is_as_given_or_by_the_scenes_size():
    assert nt.PerspectiveCamera().near_plane(5.0) == 1e-3
    assert nt.PerspectiveCamera().near_plane(1e-6) == pytest.approx(1e-9)
    assert nt.PerspectiveCamera(near=0.25).near_plane(1e-6) == 0.25
