"""Scenes to GLB and back, OBJ and PLY, and files that are not what they should be."""

import math
from pathlib import Path

import pytest
import torch
import trimesh
from PIL import Image
from trimesh.visual.material import PBRMaterial

import neurotex as nt
from neurotex.scene import to_image

OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"


@pytest.fixture
def graph(plate, torus) -> nt.Scene:
    """A root that carries nothing, two instances of a plate below it, a torus below one of them."""
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 6, 10)), "noise")
    torus.material = nt.Material((0.25, 0.5, 0.75), "paint")
    turned = torch.tensor([[0.0, -1, 0, 2], [1, 0, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]])
    half = torch.diag(torch.tensor([0.5, 0.5, 0.5, 1]))
    arm = nt.Node(plate, turned, [nt.Node(torus, half, name="ring")], "arm")
    return nt.Scene([nt.Node(None, turned, [nt.Node(plate, name="rest"), arm], "root")])


def _world(scene: nt.Scene) -> dict[str, tuple[torch.Tensor, nt.Mesh]]:
    return {node.name: (world, node.mesh) for _, node, world in scene.walk() if node.mesh is not None}


def test_a_scene_comes_back_from_glb(graph, tmp_path):
    path = tmp_path / "scene.glb"
    graph.save(path)
    loaded = nt.Scene.load(path)
    before, after = _world(graph), _world(loaded)
    assert before.keys() == after.keys()
    for name, (world, mesh) in before.items():
        found_world, found = after[name]
        torch.testing.assert_close(found_world, world, msg=name)
        torch.testing.assert_close(found.vertices, mesh.vertices)
        assert torch.equal(found.faces, mesh.faces)
        torch.testing.assert_close(found.normals, mesh.shading_normals(), atol=1e-6, rtol=0)
    assert after["rest"][1] is after["arm"][1]  # one mesh, two instances
    torch.testing.assert_close(after["rest"][1].uvs, before["rest"][1].uvs)
    pixels, expected = (w["rest"][1].material.base_color() for w in (after, before))
    assert float((pixels - expected).abs().max()) <= 0.5 / 255 + 1e-6
    color = after["ring"][1].material.base_color
    assert isinstance(color, nt.ConstantTexture)
    torch.testing.assert_close(color.color, torch.tensor([0.25, 0.5, 0.75]), atol=1 / 255, rtol=0)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.glb"]


def test_a_saved_scene_looks_the_same(graph, tmp_path):
    graph.save(tmp_path / "scene.glb")
    cameras, lights = nt.orbit(1, 9.0), [nt.Flash(60.0)]
    scenes = (graph, nt.Scene.load(tmp_path / "scene.glb"))
    images = [nt.render(nt.Scene(scene.nodes, cameras, lights), 48) for scene in scenes]
    assert float(images[0][:, 3].sum()) > 20
    torch.testing.assert_close(images[1], images[0], atol=0.01, rtol=0)


def test_what_is_saved_is_what_eval_shows(plate, tmp_path):
    step = nt.discrete.Levels(3, nt.discrete.Surrogate(2.0))
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 8, 8)).through(step))
    scene = nt.Scene(plate)
    scene.save(tmp_path / "scene.glb")
    assert scene.training
    assert step.training
    pixels = nt.Scene.load(tmp_path / "scene.glb").materials()[0].base_color()
    assert set((pixels * 255).round().int().unique().tolist()) == {0, 128, 255}


def test_names_that_repeat_or_hold_slashes_are_kept_apart(plate, torus, tmp_path):
    """All nodes have their place in the file, below their own parents."""
    nodes = []
    for k in (1.0, 2.0, 4.0):
        child = nt.Node(torus, nt.look_at(torch.tensor([0.0, 0, 10 * k])), name="a/b")
        nodes.append(nt.Node(plate, nt.look_at(torch.tensor([0.0, 0, k])), [child], "twin"))
    scene = nt.Scene([*nodes, nt.Node(plate, nt.look_at(torch.tensor([0.0, 0, 8.0])), name="twin_1")])
    scene.save(tmp_path / "scene.glb")
    loaded = nt.Scene.load(tmp_path / "scene.glb")
    depths = sorted(float(world[2, 3]) for world, _ in _world(loaded).values())
    assert depths == [1, 2, 4, 8, 11, 22, 44]
    assert len(loaded.meshes()) == 2


def _through_glb(plate: nt.Mesh, path: Path, **material: object) -> nt.Material:
    """A plate with a trimesh material, written by trimesh and read by us."""
    visual = trimesh.visual.TextureVisuals(plate.uvs.numpy(), material=PBRMaterial(**material))
    mesh = trimesh.Trimesh(plate.vertices.numpy(), plate.faces.numpy(), visual=visual, process=False)
    (path / "plate.glb").write_bytes(trimesh.exchange.gltf.export_glb(trimesh.Scene(mesh)))
    return nt.Scene.load(path / "plate.glb").materials()[0]


def _random_image(mode: str, size: tuple[int, int] = (5, 3)) -> tuple[Image.Image, torch.Tensor]:
    pixels = torch.randint(0, 256, (len(mode), *reversed(size)), dtype=torch.uint8)
    return Image.fromarray(pixels.movedim(0, -1).numpy()), pixels / 255


@pytest.mark.parametrize("factors", [{}, {"roughnessFactor": 1.0, "metallicFactor": 0.0}])
def test_a_gltf_without_a_word_about_roughness_is_diffuse(plate, tmp_path, factors):
    material = _through_glb(plate, tmp_path, baseColorFactor=[255, 0, 0, 255], **factors)
    assert list(material.maps()) == ["base_color"]
    assert material.alpha_cutoff is None


@pytest.mark.parametrize(
    ("factors", "roughness", "metallic"),
    [
        ({"roughnessFactor": 0.25}, 0.25, 1.0),  # glTF's default is a metal
        ({"metallicFactor": 0.5}, 1.0, 0.5),
        ({"roughnessFactor": 0.5, "metallicFactor": 0.0}, 0.5, 0.0),
    ],
)
def test_factors_of_a_gltf_are_taken(plate, tmp_path, factors, roughness, metallic):
    material = _through_glb(plate, tmp_path, **factors)
    assert float(material.roughness.color) == roughness
    assert float(material.metallic.color) == metallic


def test_textures_of_a_gltf_are_taken(plate, tmp_path):
    """Roughness is green, metallic blue, each times its factor; normals as they are; all of them linear."""
    (mixed, values), (bumps, normal) = _random_image("RGB"), _random_image("RGB", (2, 7))
    given = {"metallicRoughnessTexture": mixed, "normalTexture": bumps, "roughnessFactor": 0.5}
    material = _through_glb(plate, tmp_path, **given)
    torch.testing.assert_close(material.roughness()[0, 0], 0.5 * values[1])
    torch.testing.assert_close(material.metallic()[0, 0], values[2])
    torch.testing.assert_close(material.normal()[0], normal)
    dielectric = _through_glb(plate, tmp_path, metallicFactor=0.0, **given)
    assert isinstance(dielectric.metallic, nt.ConstantTexture)


def test_a_mask_of_a_gltf_cuts_out(plate, tmp_path):
    image, pixels = _random_image("RGBA")
    masked = _through_glb(
        plate, tmp_path, baseColorTexture=image, alphaMode="MASK", alphaCutoff=0.25, baseColorFactor=[255, 255, 255, 51]
    )
    assert masked.alpha_cutoff == 0.25
    torch.testing.assert_close(masked.base_color()[0, :3], pixels[:3])
    torch.testing.assert_close(masked.base_color()[0, 3], pixels[3] * 0.2)
    assert _through_glb(plate, tmp_path, baseColorTexture=image, alphaMode="MASK").alpha_cutoff == 0.5
    opaque = _through_glb(plate, tmp_path, baseColorTexture=image, alphaMode="OPAQUE")
    assert opaque.alpha_cutoff is None
    assert opaque.base_color().shape[1] == 3


def test_what_of_a_gltf_is_not_used_is_said(plate, tmp_path):
    image, _ = _random_image("RGBA")
    with pytest.warns(UserWarning, match="occlusionTexture, alphaMode BLEND not used"):
        _through_glb(plate, tmp_path, occlusionTexture=image, alphaMode="BLEND")


MATERIALS = {
    "numbers": {"base_color": (0.2, 0.4, 0.6), "roughness": 0.3, "metallic": 0.7},
    "roughness": {"base_color": torch.rand(3, 4, 4), "roughness": torch.rand(1, 6, 4), "metallic": 0.25},
    "metallic": {"roughness": 0.25, "metallic": torch.rand(1, 4, 6)},
    "both": {"roughness": torch.rand(1, 4, 6), "metallic": torch.rand(1, 4, 6), "normal": torch.rand(3, 5, 5)},
    "one normal": {"normal": (0.5, 0.5, 1.0)},
    "cut out": {"base_color": torch.rand(4, 4, 4), "alpha_cutoff": 0.75, "roughness": 1.0, "metallic": 1.0},
    "one alpha": {"base_color": (0.2, 0.4, 0.6, 0.8), "alpha_cutoff": 0.25},
}


@pytest.mark.parametrize("name", MATERIALS)
def test_a_material_comes_back_from_glb(plate, tmp_path, name):
    plate.material = nt.Material(name=name, **MATERIALS[name])
    nt.Scene(plate).save(tmp_path / "plate.glb")
    found = nt.Scene.load(tmp_path / "plate.glb").materials()[0]
    assert found.name == name
    assert found.alpha_cutoff == plate.material.alpha_cutoff
    assert found.maps().keys() == plate.material.maps().keys()
    for what, texture in plate.material.maps().items():
        value = found.maps()[what]()
        torch.testing.assert_close(value, texture().expand_as(value), atol=0.01, rtol=0, msg=what)


def test_roughness_and_metallic_of_two_sizes_share_the_larger(plate, tmp_path):
    coarse = torch.rand(1, 2, 2)
    plate.material = nt.Material(roughness=torch.rand(1, 4, 3), metallic=coarse)
    nt.Scene(plate).save(tmp_path / "plate.glb")
    found = nt.Scene.load(tmp_path / "plate.glb").materials()[0]
    torch.testing.assert_close(found.roughness(), plate.material.roughness(), atol=0.003, rtol=0)
    assert found.metallic().shape[2:] == (4, 3)
    torch.testing.assert_close(found.metallic()[0, 0, 0, 0], coarse[0, 0, 0], atol=0.003, rtol=0)


def test_an_obj_keeps_its_order_uvs_and_texture(tmp_path):
    Image.new("RGB", (2, 2), (255, 0, 51)).save(tmp_path / "paint.png")
    (tmp_path / "quad.mtl").write_text("newmtl m\nKd 0.5 0.5 0.5\nmap_Kd paint.png\n")
    (tmp_path / "quad.obj").write_text("mtllib quad.mtl\nusemtl m\n" + OBJ)
    (mesh,) = nt.Scene.load(tmp_path / "quad.obj").meshes()
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.uvs.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert mesh.normals is None
    torch.testing.assert_close(mesh.material.base_color()[0, :, 0, 0], torch.tensor([1, 0, 0.2]))


def test_an_objs_plain_colour_is_kept_as_displayed(tmp_path):
    (tmp_path / "quad.mtl").write_text("newmtl m\nKd 0.2 0.4 0.6\n")
    (tmp_path / "quad.obj").write_text("mtllib quad.mtl\nusemtl m\n" + OBJ)
    color = nt.Scene.load(tmp_path / "quad.obj").materials()[0].base_color.color
    torch.testing.assert_close(color, torch.tensor([0.2, 0.4, 0.6]), atol=0.5 / 255, rtol=0)


def test_an_objs_own_normals_are_kept(tmp_path):
    (tmp_path / "one.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0.6 0 0.8\nf 1//1 2//1 3//1\n")
    (mesh,) = nt.Scene.load(tmp_path / "one.obj").meshes()
    torch.testing.assert_close(mesh.shading_normals(), torch.tensor([[0.6, 0, 0.8]]).expand(3, 3))


def test_an_obj_without_uvs_renders_with_a_colour_but_not_with_a_texture(tmp_path):
    (tmp_path / "bare.obj").write_text("v -1 -1 0\nv 1 -1 0\nv 0 1 0\nf 1 2 3\n")
    view = {"cameras": nt.orbit(1, 4.0), "lights": [nt.Flash(7.0)]}
    scene = nt.Scene.load(tmp_path / "bare.obj", **view)
    assert scene.meshes()[0].uvs is None
    assert float(nt.render(scene, 16)[:, :3].sum()) > 0
    textured = nt.Scene.load(tmp_path / "bare.obj", nt.Material(torch.rand(3, 4, 4)), **view)
    with pytest.raises(nt.SceneError, match="no UVs"):
        nt.render(textured, 16)


PLY = "ply\nformat ascii 1.0\nelement vertex 3\n{}element face 1\nproperty list uchar int vertex_indices\nend_header\n"


def test_a_ply_is_read_with_its_vertex_colours(tmp_path):
    columns = "".join(f"property float {c}\n" for c in "xyz")
    (tmp_path / "plain.ply").write_text(PLY.format(columns) + "0 0 0\n1 0 0\n0 2 0\n3 0 1 2\n")
    (mesh,) = nt.Scene.load(tmp_path / "plain.ply").meshes()
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    columns += "".join(f"property uchar {c}\n" for c in ("red", "green", "blue"))
    (tmp_path / "dyed.ply").write_text(PLY.format(columns) + "0 0 0 255 0 9\n1 0 0 9 9 9\n0 2 0 9 9 9\n3 0 1 2\n")
    (mesh,) = nt.Scene.load(tmp_path / "dyed.ply").meshes()
    nine = float(nt.shading.srgb_to_linear(torch.tensor(9 / 255)))
    torch.testing.assert_close(mesh.colors[:2], torch.tensor([[1.0, 0, nine], [nine] * 3]))
    assert mesh.material.base_color().flatten().tolist() == [1.0, 1.0, 1.0]


def test_a_material_given_replaces_those_of_the_file(graph, tmp_path):
    graph.save(tmp_path / "scene.glb")
    material = nt.Material((1.0, 0.0, 0.0))
    assert nt.Scene.load(tmp_path / "scene.glb", material).materials() == [material]


def _bad_files(tmp_path) -> dict[str, bytes]:
    nt.Scene(nt.Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2]]))).save(tmp_path / "good.glb")
    glb = (tmp_path / "good.glb").read_bytes()
    return {
        "cut.glb": glb[: len(glb) // 2],
        "header.glb": glb[:10],
        "empty.glb": b"",
        "noise.glb": bytes(range(256)) * 8,
        "empty.obj": b"",
        "words.obj": b"this is no mesh\n",
        "points.obj": b"v 0 0 0\nv 1 0 0\n",
        "index.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n",
        "nan.obj": b"v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n",
        "inf.obj": b"v 0 0 0\nv inf 0 0\nv 0 1 0\nf 1 2 3\n",
        "cut.ply": PLY.format("property float x\nproperty float y\nproperty float z\n").encode()[:60],
        "empty.ply": b"",
        "list.gltf": b"[]",
        "cut.gltf": b'{"asset": ',
    }


NAMES = (
    "cut.glb header.glb empty.glb noise.glb empty.obj words.obj points.obj "
    "index.obj nan.obj inf.obj cut.ply empty.ply list.gltf cut.gltf"
)


@pytest.mark.parametrize("name", NAMES.split())
def test_a_bad_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(_bad_files(tmp_path)[name])
    with pytest.raises(nt.FileError, match=name):
        nt.Scene.load(tmp_path / name)


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(nt.FileError, match=r"gone\.obj does not exist"):
        nt.Scene.load(tmp_path / "gone.obj")
    with pytest.raises(nt.ArgumentError, match=r"scene\.blend.*\.obj, \.ply, \.glb"):
        nt.Scene.load(tmp_path / "scene.blend")
    with pytest.raises(nt.ArgumentError, match=r"\.glb"):
        nt.Scene(nt.Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2]]))).save(tmp_path / "scene.obj")


def test_a_scene_that_cannot_be_written_says_where(plate, tmp_path):
    with pytest.raises(nt.FileError, match="nowhere"):
        nt.Scene(plate).save(tmp_path / "nowhere" / "scene.glb")


def test_an_image_is_eight_bits_clipped():
    image = to_image(torch.tensor([[[-1.0, 0.5]], [[0, 1]], [[2, 0.2]]]))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [(0, 0, 255), (128, 255, 51)]


def test_spot_has_its_faces_uvs_and_texture(spot):
    (mesh,) = nt.Scene.load(spot / "cow.obj").meshes()
    assert (len(mesh.faces), len(mesh.vertices)) == (5856, 3225)
    assert mesh.material.base_color().shape[2:] == Image.open(spot / "cow_texture.png").size[::-1]
    assert math.isfinite(float(mesh.uvs.sum()))
