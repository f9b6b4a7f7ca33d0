import copy
import math

import pytest
import torch

import neurotex as nt
from neurotex.scene import resolution


def _move(x: float = 0, y: float = 0, z: float = 0, scale: float = 1) -> torch.Tensor:
    out = torch.diag(torch.tensor([scale, scale, scale, 1.0]))
    out[:3, 3] = torch.tensor([x, y, z])
    return out


TURN = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # a quarter around Z


def test_transforms_compose_from_the_root(plate):
    leaf = nt.Node(plate, _move(x=1), name="leaf")
    scene = nt.Scene([nt.Node(transform=_move(y=2), children=[nt.Node(None, TURN, [leaf], "arm")], name="root")])
    paths = {path: world for path, _, world in scene.walk()}
    assert list(paths) == ["/root", "/root/arm", "/root/arm/leaf"]
    assert torch.equal(paths["/root/arm/leaf"], _move(y=2) @ TURN @ _move(x=1))
    corner = scene.geometry().vertices[0]  # (-1, -1, 0) → (0, -1, 0) → (1, 0, 0) → (1, 2, 0)
    torch.testing.assert_close(corner, torch.tensor([1.0, 2, 0]))


def test_geometry_lists_every_instance(plate, torus):
    torus.material = plate.material
    nodes = [nt.Node(plate), nt.Node(plate, _move(z=1)), nt.Node(torus)]
    geometry = nt.Scene(nodes).geometry()
    assert len(geometry.vertices) == 8 + len(torus.vertices)
    assert int(geometry.faces[2:4].min()) == 4
    assert int(geometry.faces[4:].min()) == 8
    assert int(geometry.faces.max()) == len(geometry.vertices) - 1
    assert len(geometry.materials) == 1
    assert bool((geometry.face_material == 0).all())


def test_normals_turn_with_the_inverse_transpose_even_in_a_mirror(plate):
    squeeze = torch.diag(torch.tensor([1.0, 1, -0.1, 1])) @ TURN
    tilted = nt.Mesh(plate.vertices, plate.faces, normals=torch.tensor([[0.6, 0, 0.8]]).expand(4, 3))
    normal = nt.Scene(nt.Node(tilted, squeeze)).geometry().normals[0]
    expected = torch.linalg.inv(squeeze[:3, :3]).T @ torch.tensor([0.6, 0, 0.8])
    torch.testing.assert_close(normal / normal.norm(), expected / expected.norm())


def test_instances_share_their_mesh_and_the_state_survives(plate):
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 4), trainable=True))

    def build() -> nt.Scene:
        return nt.Scene(
            [nt.Node(plate, name="a"), nt.Node(plate, _move(x=3), name="b")], nt.orbit(1, 5.0), nt.Flash(2.0)
        )

    scene = build()
    assert len(list(scene.parameters())) == 1
    assert scene.meshes() == [plate]
    state = {key: value.clone() for key, value in scene.state_dict().items()}
    with torch.no_grad():
        plate.material.base_color.image.zero_()
        scene.nodes[1].transform.zero_()
    scene.load_state_dict(state)
    assert torch.equal(scene.nodes[1].transform, _move(x=3))
    assert torch.equal(plate.material.base_color.image, state["nodes.0.mesh.material.base_color.image"])


def test_a_scene_moves_as_a_whole(scene):
    scene.double()
    geometry = scene.geometry()
    assert geometry.vertices.dtype == scene.cameras[0].transform.dtype == torch.float64
    assert geometry.faces.dtype == torch.int32


def test_one_mesh_node_camera_or_light_needs_no_list(plate):
    scene = nt.Scene(plate, nt.PerspectiveCamera(), nt.Flash(1.0))
    assert (len(scene.nodes), len(scene.cameras), len(scene.lights)) == (1, 1, 1)
    assert len(nt.Scene(nt.Node(plate)).nodes) == 1


def test_bounds_hold_everything(plate):
    center, radius = nt.Scene([nt.Node(plate, _move(x=5, scale=2))]).bounds()
    torch.testing.assert_close(center, torch.tensor([5.0, 0, 0]))
    assert math.isclose(radius, 2 * math.sqrt(2), rel_tol=1e-6)


def test_a_texture_without_uvs_is_refused_by_path(plate):
    plate.uvs = None
    plate.material = nt.Material(torch.rand(3, 2, 2))
    with pytest.raises(nt.SceneError, match=r"'/root/bare'.*unwrap"):
        nt.Scene(nt.Node(children=[nt.Node(plate, name="bare")], name="root")).geometry()


def test_a_scene_without_a_mesh_is_refused():
    with pytest.raises(nt.SceneError, match="no mesh"):
        nt.Scene(nt.Node()).geometry()


def test_a_node_needs_a_finite_transform():
    with pytest.raises(nt.SceneError, match="'arm'"):
        nt.Node(transform=torch.full((4, 4), math.nan), name="arm")


def test_sizes_are_one_number_or_two():
    assert resolution(7) == (7, 7)
    assert resolution((3, 5)) == (3, 5)


@pytest.mark.parametrize("size", [0, -1, (0, 4), (4, -2)])
def test_other_sizes_are_refused(size):
    with pytest.raises(nt.ArgumentError, match="at least 1"):
        resolution(size)


def test_the_same_nodes_before_other_cameras_under_other_lights(scene):
    cameras, light = nt.orbit(3, 2.5, elevation=10.0), nt.DirectionalLight((0.0, -1.0, -1.0), 2.0)
    other = scene.replace(cameras=cameras, lights=light)
    assert list(other.nodes) == list(scene.nodes)
    assert (len(scene.cameras), len(other.cameras)) == (2, 3)
    assert list(other.lights) == [light]
    assert list(scene.replace(lights=light).cameras) == list(scene.cameras)
    expected = nt.render(nt.Scene(list(scene.nodes), cameras, light), 16)
    assert torch.equal(nt.render(scene, 16, cameras=cameras, lights=light), expected)
    passes = nt.render_passes(scene, 16, cameras=cameras)
    assert torch.equal(passes.depth, nt.render_passes(other, 16).depth)
    assert len(scene.cameras) == 2


def test_the_same_nodes_in_other_materials(scene):
    """What is not replaced is shared, an instance stays one, and nothing of the scene that was there has changed."""
    before = {name: module for name, module in scene.named_modules()}
    picture = nt.render(scene, 16)
    (old, *_), red = scene.materials(), nt.ConstantTexture((1.0, 0.0, 0.0))
    other = scene.replace(materials={old: old.replace(base_color=red)}, cameras=nt.orbit(1, 2.5))
    assert other.materials()[0].base_color is red
    assert len(other.meshes()) == len(scene.meshes())
    assert [path for path, *_ in other.walk()] == [path for path, *_ in scene.walk()]
    for mine, theirs in zip(scene.meshes(), other.meshes(), strict=True):
        assert (mine.vertices is theirs.vertices, mine.name) == (True, theirs.name)
    assert {name: module for name, module in scene.named_modules()} == before
    assert torch.equal(nt.render(scene, 16), picture)
    expected = copy.deepcopy(scene)
    expected.materials()[0].base_color = red
    assert torch.equal(nt.render(other, 16), nt.render(expected, 16, cameras=list(other.cameras)))
    with pytest.raises(nt.ArgumentError, match="'new' is not worn in this scene"):
        scene.replace(materials={nt.Material(name="new"): old})
