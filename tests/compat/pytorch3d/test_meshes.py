"""Meshes with their textures there and back: the same pictures, and what is refused."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d import (
    from_cameras,
    from_lights,
    from_materials,
    from_meshes,
    sample_texture,
    to_camera,
    to_lights,
    to_materials,
    to_meshes,
)
from neurotex.compat.pytorch3d import meshes as translation
from neurotex.compat.pytorch3d.meshes import BaseColor
from neurotex.compat.pytorch3d.shaders import PADDINGS
from neurotex.compat.pytorch3d.textures import GeneratedTexturesUV
from neurotex.errors import MissingError
from neurotex.scene import SteppedTexture
from tests.compat.pytorch3d.theirs import render_theirs


def test_conversions_need_pytorch3d(scene, monkeypatch):
    monkeypatch.setattr(translation.installed, "require", lambda: (_ for _ in ()).throw(MissingError("not here")))
    nothing = SimpleNamespace()
    for call in (
        lambda: to_camera(scene.cameras[0], 8),
        lambda: from_cameras(nothing, 8),
        lambda: to_meshes(scene),
        lambda: from_meshes(nothing),
        lambda: to_lights(nt.PhongLight()),
        lambda: from_lights(nothing),
        lambda: to_materials(nt.PhongMaterial()),
        lambda: from_materials(nothing),
    ):
        with pytest.raises(MissingError):
            call()


def test_base_colours_lose_alpha_and_become_light():
    encoded = torch.rand(1, 4, 3, 5)
    assert torch.equal(BaseColor("paint", linear=False)(encoded), encoded[:, :3])
    assert torch.equal(BaseColor("paint", linear=True)(encoded), nt.shading.srgb_to_linear(encoded[:, :3]))
    with pytest.raises(nt.SceneError, match=r"material 'paint': base_color must be .* gives \(1, 1, 3, 5\)"):
        BaseColor("paint", linear=True)(encoded[:, :1])


def test_textures_that_are_read_in_different_ways_are_refused():
    repeat, clamp = (nt.Material(nt.ImageTexture(torch.rand(3, 2, 2), wrap), wrap) for wrap in ("repeat", "clamp"))
    near = nt.Material(nt.ImageTexture(torch.rand(3, 2, 2), filter="nearest"), "near")
    mip = nt.Material(nt.ImageTexture(torch.rand(3, 2, 2), filter="trilinear"), "mip")
    plain = nt.Material((0.1, 0.2, 0.3))
    assert translation._sampler([plain, clamp, plain]) == ("clamp", "bilinear")
    assert translation._sampler([near]) == ("repeat", "nearest")
    assert translation._sampler([plain]) == ("repeat", "bilinear")
    for materials, message in (
        ([plain, repeat, clamp], "'clamp': base_color is read with wrap 'clamp', that of material 'repeat'"),
        ([repeat, near], "'near': base_color is read with filter 'nearest'"),
        ([mip], "'mip': base_color is filtered as 'trilinear'"),
    ):
        with pytest.raises(nt.SceneError, match=f"{message}.*neurotex.render"):
            translation._sampler(materials)


def _reading(**other: object) -> SimpleNamespace:
    """How a TexturesUV is read, with its defaults."""
    return SimpleNamespace(**{"padding_mode": "border", "align_corners": True, "sampling_mode": "bilinear", **other})


def test_aligned_corners_move_uvs_by_half_a_texel():
    uv, image = torch.rand(20, 2), torch.rand(4, 6, 3)
    theirs = sample_texture(image.movedim(-1, 0), uv)
    texture, moved = translation._texture("mesh0", image, uv, _reading())
    assert (texture.wrap, texture.filter) == ("clamp", "bilinear")
    ours = sample_texture(texture()[0], moved, align_corners=False)
    torch.testing.assert_close(ours, theirs)
    far = torch.rand(20, 2) * 3 - 1
    _, moved = translation._texture("mesh0", image, far, _reading())
    torch.testing.assert_close(
        sample_texture(texture()[0], moved, align_corners=False),
        sample_texture(image.movedim(-1, 0), far),
    )
    same, stays = translation._texture("mesh0", image, uv, _reading(align_corners=False))
    assert stays is uv
    assert torch.equal(same(), texture())


def _looked_up(texture: nt.Texture, uv: Tensor) -> Tensor:
    """The colours that `neurotex.render` finds there."""
    image = texture()[0]
    layout = nt.raster.TexelLayout.of([image.shape[1:]], [texture.wrap])
    index, weight = nt.raster.bilinear_taps(uv, torch.zeros(len(uv), dtype=torch.int64), layout)
    return (image.flatten(1).T[index.long()] * weight[:, :, None]).sum(1)


@pytest.mark.parametrize("side", [(4, 6), (1, 5), (2, 2), (1, 1)])
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "reflection", "border", "repeat"])
def test_what_lies_beyond_a_map_comes_along(padding, align, side):
    image, uv = torch.rand(*side, 3), torch.rand(200, 2) * 5 - 2
    how = {"padding_mode": padding, "align_corners": align}
    if padding == "repeat" and align:
        with pytest.raises(nt.ArgumentError, match="mesh0 repeats its map with align_corners"):
            translation._texture("mesh0", image, uv, _reading(**how))
        return
    texture, moved = translation._texture("mesh0", image, uv, _reading(**how))
    wanted = sample_texture(image.movedim(-1, 0), uv, **how)
    torch.testing.assert_close(_looked_up(texture, moved), wanted, atol=1e-5, rtol=0)


def test_maps_with_something_beyond_stay_nodes(tiny_generator):
    latent = nt.Latent(tiny_generator).bind(torch.randn(4))
    node, uv = nt.GeneratedTexture(tiny_generator, latent), torch.rand(50, 2) * 3 - 1
    for padding in ("zeros", "reflection"):
        texture, _ = translation._texture("mesh0", node, uv, _reading(padding_mode=padding))
        assert texture.source is node
        (grad,) = torch.autograd.grad(texture().square().sum(), latent.value)
        assert bool(grad.any())
    trainable = torch.rand(4, 4, 3, requires_grad=True)
    texture, _ = translation._texture("mesh0", trainable, uv, _reading(padding_mode="zeros"))
    assert isinstance(texture.source.image, torch.nn.Parameter)


def test_reflected_maps_are_mirrored_ones():
    image, uv = torch.rand(4, 6, 3), torch.rand(50, 2) * 4 - 2
    how = {"padding_mode": "reflection", "align_corners": False}
    texture, same = translation._texture("mesh0", image, uv, _reading(**how))
    assert texture.wrap == "mirror"
    layout = nt.raster.TexelLayout.of([(4, 6)], ["mirror"])
    index, weight = nt.raster.bilinear_taps(same, torch.zeros(50, dtype=torch.int64), layout)
    ours = (image.view(-1, 3)[index.long()] * weight[:, :, None]).sum(1)
    torch.testing.assert_close(ours, sample_texture(image.movedim(-1, 0), uv, **how))


def test_nodes_stay_what_they_are_and_are_read_as_textures_say(tiny_generator):
    latent = nt.Latent(tiny_generator).bind(torch.randn(4))
    node, uv = nt.GeneratedTexture(tiny_generator, latent), torch.rand(5, 2)
    assert translation._texture("mesh0", node, uv, _reading())[0] is node  # nothing is seen beyond the borders
    stepped = node.through(BaseColor("paint", linear=True))
    repeat = _reading(align_corners=False, padding_mode="repeat")
    assert translation._texture("mesh0", stepped, uv, repeat)[0] is node
    for how in ({"align_corners": False}, {"sampling_mode": "nearest"}):
        other, _ = translation._texture("mesh0", node, uv, _reading(**how))
        assert isinstance(other, SteppedTexture)
        assert other.source is node
        assert (other.wrap, other.filter) == ("clamp", how.get("sampling_mode", "bilinear"))
        assert torch.equal(other(), node())
    constant = nt.ConstantTexture((0.1, 0.2, 0.3))
    assert translation._texture("mesh0", constant, uv, _reading(align_corners=False))[0] is constant


def test_vertices_are_doubled_where_uvs_differ_and_meshes_split_by_map(plate):
    """Two triangles with an edge in common, whose UVs there are the same, or not, as they wear the same map, or two."""
    normals, faces = torch.randn(4, 3), plate.faces.long()
    node, image = nt.ImageTexture(torch.rand(3, 2, 2), "clamp"), torch.rand(5, 6, 3)
    uvs, faces_uvs = torch.rand(5, 2), torch.tensor([[4, 1, 0], [4, 0, -3]])
    apart = faces_uvs.clone()
    apart[1, 0] = 3
    for own, count in ((faces_uvs, 4), (apart, 5)):
        (mesh,) = translation._textured(0, plate.vertices, faces, normals, GeneratedTexturesUV(node, [own], [uvs]))
        assert len(mesh.vertices) == count
        assert mesh.material.base_color is node
        assert torch.equal(mesh.vertices[mesh.faces.long()], plate.vertices[faces])
        assert torch.equal(mesh.normals[mesh.faces.long()], normals[faces])
        torch.testing.assert_close(mesh.uvs[mesh.faces.long()], uvs[own] / 2 + 0.25)
    ids = [torch.tensor([2, 0])]
    two = GeneratedTexturesUV([[node, node, image]], [apart], [uvs], maps_ids=ids, align_corners=False)
    second, first = translation._textured(0, plate.vertices, faces, normals, two)
    assert [mesh.name for mesh in (second, first)] == ["mesh0.0", "mesh0.2"]
    assert torch.equal(first.vertices[first.faces.long()], plate.vertices[faces[:1]])
    assert torch.equal(second.uvs[second.faces.long()], uvs[apart[1:]])
    assert second.material.base_color is node
    assert torch.equal(first.material.base_color(), image.movedim(-1, 0)[None])


def test_maps_that_cannot_be_base_colours_are_refused():
    image, uv = torch.rand(4, 6, 3), torch.rand(5, 2) * 2
    for message, picture, how in (
        ("padding_mode 'wrapped'.*border, zeros, reflection, repeat", image, {"padding_mode": "wrapped"}),
        ("sampling_mode 'bicubic'.*bilinear or nearest", image, {"sampling_mode": "bicubic"}),
        ("repeats its map with align_corners", image, {"padding_mode": "repeat"}),
        ("map of 1 channels", image[..., :1], {}),
        ("map of 7 channels", torch.rand(2, 2, 7), {}),
    ):
        with pytest.raises(nt.ArgumentError, match=f"mesh2.*{message}"):
            translation._texture("mesh2", picture, uv, _reading(**how))


def _dressed(torus, plate, tiny_generator, wrap: str) -> nt.Scene:
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").bind(2 * torch.randn(4)), wrap)
    torus.material, plate.material = nt.Material(skin), nt.Material(nt.ImageTexture(torch.rand(4, 5, 7), wrap))
    slanted = torch.tensor([[0.5, 0.2, 0.1, 0.2], [0, 0.6, -0.3, -0.9], [0.2, 0.3, 0.9, -0.4], [0, 0, 0, 1.0]])
    plain = nt.Mesh(plate.vertices - 1, plate.faces, material=nt.Material((0.3, 0.5, 0.8)))
    return nt.Scene([torus, nt.Node(plate, slanted), plain], nt.orbit(2, 4.1, elevation=25.0), nt.Flash(9.0))


@pytest.mark.parametrize("wrap", ["repeat", "clamp"])
@pytest.mark.parametrize("linear", [False, True])
def test_scenes_come_back_as_the_same_picture(pytorch3d, torus, plate, tiny_generator, wrap, linear):
    scene = _dressed(torus, plate, tiny_generator, wrap)
    meshes = to_meshes(scene, linear=linear)
    assert len(meshes) == 1
    geometry = scene.geometry()
    assert torch.equal(meshes.verts_packed(), geometry.vertices)
    assert torch.equal(meshes.verts_normals_packed(), geometry.normals)
    back = from_meshes(meshes)
    assert len(back) == 3
    again = nt.Scene(back, scene.cameras, scene.lights)
    torch.testing.assert_close(nt.render(again, 40), nt.render(scene, 40), atol=2e-5, rtol=0)
    assert [mesh.material.base_color for mesh in back] == [material.base_color for material in scene.materials()]


def test_maps_are_encoded_as_in_files_or_light(pytorch3d, plate):
    plate.material = nt.Material(nt.ImageTexture(torch.rand(4, 5, 7)))
    scene, pixels = nt.Scene(plate), plate.material.base_color.image[0, :3]
    for linear, wanted in ((False, pixels), (True, nt.shading.srgb_to_linear(pixels))):
        assert torch.equal(to_meshes(scene, linear=linear).textures.maps_padded()[0], wanted.movedim(0, -1))


@pytest.mark.parametrize("padding", ["border", "zeros", "reflection"])
@pytest.mark.parametrize("align", [True, False])
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_their_meshes_are_drawn_by_us_as_by_them(pytorch3d, torus, plate, align, sampling, padding):
    """A batch of two with maps of their own, UVs numbered apart from vertices, in unlit colours."""
    structures = pytest.importorskip("pytorch3d.structures")
    vertices, faces = [torus.vertices, plate.vertices], [torus.faces.long(), plate.faces.long()]
    order = torch.randperm(len(torus.uvs))
    uvs = [torus.uvs[order] / 3, plate.uvs * 1.4 - 0.2]
    faces_uvs = [order.argsort()[faces[0]], faces[1]]
    maps = [torch.rand(6, 9, 3), torch.rand(6, 9, 3, requires_grad=True)]
    reading = {"align_corners": align, "sampling_mode": sampling, "padding_mode": padding}
    textures = pytorch3d.TexturesUV(maps, faces_uvs, uvs, **reading)
    meshes = structures.Meshes(vertices, faces, textures)
    cameras = pytorch3d.FoVPerspectiveCameras(
        *(0.02, 100, 1, 50), R=torch.eye(3)[None], T=torch.tensor([[0.1, 0.2, 4]])
    )
    lights = pytorch3d.AmbientLights()
    theirs = render_theirs(pytorch3d, meshes, cameras, lights=lights)
    back = from_meshes(meshes)
    assert [len(list(mesh.material.parameters())) for mesh in back] == [0, 1]
    camera, light = from_cameras(cameras, 40), from_lights(lights)
    for mesh, image in zip(back, theirs, strict=True):
        lookup = nt.Lookup(False, PADDINGS[mesh.material.base_color.wrap], sampling)
        ours = nt.render_phong(nt.Scene(mesh, camera), 40, light=light, lookup=lookup)[0]
        # a texel's border may lie a rounding beside where it did
        assert float(((ours - image).abs() > 1e-4).float().mean()) < (1e-3 if sampling == "nearest" else 1e-9)


def test_meshes_bring_normals_and_go_without_textures(pytorch3d, torus, plate):
    structures = pytest.importorskip("pytorch3d.structures")
    vertices = torus.vertices.clone().requires_grad_()
    bare = structures.Meshes([vertices, plate.vertices], [torus.faces.long(), plate.faces.long()])
    first, second = from_meshes(bare)
    assert first.uvs is None
    assert isinstance(first.material.base_color, nt.ConstantTexture)
    torch.testing.assert_close(first.normals, bare.verts_normals_list()[0])
    assert torch.equal(second.vertices, plate.vertices)
    assert bool(torch.autograd.grad(first.vertices.square().sum() + first.normals[:, 0].sum(), vertices)[0].any())
    normals = torch.randn_like(plate.vertices)
    given = structures.Meshes([plate.vertices], [plate.faces.long()], verts_normals=[normals])
    assert torch.equal(from_meshes(given)[0].normals, normals)


def test_features_that_are_no_colours_are_refused_by_name(pytorch3d, plate):
    structures = pytest.importorskip("pytorch3d.structures")
    for textures in (
        pytorch3d.TexturesVertex(torch.rand(1, 4, 5)),
        pytorch3d.TexturesAtlas(torch.rand(1, 2, 4, 4, 1)),
    ):
        meshes = structures.Meshes([plate.vertices], [plate.faces.long()], textures)
        with pytest.raises(nt.ArgumentError, match=r"mesh0 has \(.*\) colours for \d, but a base colour is"):
            from_meshes(meshes)


def test_point_clouds_are_refused(pytorch3d, unchecked):
    structures = pytest.importorskip("pytorch3d.structures")
    cloud = structures.Pointclouds([torch.rand(5, 3)])
    with pytest.raises(nt.ArgumentError, match="Meshes, not from a Pointclouds"):
        from_meshes(cloud)
    with pytest.raises(nt.ArgumentError, match="a neurotex Scene, not a Pointclouds"):
        to_meshes(cloud)
    with pytest.raises(nt.ArgumentError, match="a neurotex Scene, not a Pointclouds"):
        nt.render_phong(cloud)


def test_colours_of_vertices_and_atlases_become_nodes(pytorch3d):
    from pytorch3d.renderer import TexturesAtlas, TexturesVertex
    from pytorch3d.structures import Meshes

    vertices, faces = torch.rand(4, 3), torch.tensor([[0, 1, 2], [0, 2, 3]])
    colors, atlas = torch.rand(1, 4, 3, requires_grad=True), torch.rand(1, 2, 3, 3, 3)
    (mesh,) = from_meshes(Meshes([vertices], [faces], TexturesVertex(colors)))
    found = mesh.material.base_color
    assert isinstance(found, nt.VertexTexture)
    assert isinstance(found.image, torch.nn.Parameter)
    assert torch.equal(found()[0, :, :, 0].T, colors[0])
    (mesh,) = from_meshes(Meshes([vertices], [faces], TexturesAtlas(atlas)))
    cameras = pytorch3d.PerspectiveCameras(1.9, T=torch.tensor([[0.0, 0, 3]]))
    for textures in (TexturesVertex(colors.detach()), TexturesAtlas(atlas)):
        meshes, lights = Meshes([vertices], [faces], textures), pytorch3d.PointLights(location=((1.0, 2, 0),))
        theirs = render_theirs(pytorch3d, meshes, cameras, lights=lights)
        ours = nt.render_phong(nt.Scene(from_meshes(meshes), from_cameras(cameras, 40)), 40, light=from_lights(lights))
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert isinstance(mesh.material.base_color, nt.FaceTexture)
    assert torch.equal(mesh.material.base_color()[0].movedim(0, -1), atlas[0].flatten(1, 2))
