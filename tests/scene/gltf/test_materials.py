"""Materials, textures and samplers of hand-made glTF files."""

import math

import numpy as np
import pytest
import torch

import neurotex as nt
from tests.scene.gltf.building import SQUARE, UVS, Gltf

PIXELS = np.random.default_rng(1).integers(0, 256, (4, 6, 4)).astype(np.uint8)
TEXELS = torch.tensor(PIXELS).movedim(-1, 0) / 255


def _scene(file: Gltf, folder, attributes=None, **material) -> nt.Scene:
    file.show(file.mesh(attributes, material=file.add("materials", name="paint", **material)))
    return nt.Scene.load(file.write(folder / "a.gltf"), cameras=nt.orbit(1, 3.0), lights=[nt.Flash(6.0)])


def _paint(file: Gltf, folder, attributes=None, **material) -> nt.Material:
    return _scene(file, folder, attributes, **material).materials()[0]


def _base(texture: int, **said) -> dict:
    return {"pbrMetallicRoughness": {"baseColorTexture": {"index": texture, **said}}}


@pytest.mark.parametrize(
    ("codes", "wrap"),
    [
        ({}, "repeat"),
        ({"wrapS": 33071, "wrapT": 33071}, "clamp"),
        ({"wrapS": 33648}, ("mirror", "repeat")),
        ({"wrapS": 10497, "wrapT": 33071}, ("repeat", "clamp")),
    ],
)
def test_wraps_are_those_of_the_sampler(tmp_path, codes, wrap):
    file = Gltf()
    assert _paint(file, tmp_path, **_base(file.texture(PIXELS, **codes))).base_color.wrap == wrap


@pytest.mark.parametrize(
    ("near", "far", "filter"),
    [
        (None, None, "bilinear"),
        (9729, 9987, "trilinear"),
        (None, 9985, "trilinear"),
        (9729, 9729, "bilinear"),
        (9728, 9986, "nearest"),
        (None, 9728, "nearest"),
        (9729, 9728, "bilinear"),
    ],
)
def test_filters_are_those_of_the_sampler(tmp_path, near, far, filter):
    file = Gltf()
    codes = {key: code for key, code in (("magFilter", near), ("minFilter", far)) if code is not None}
    assert _paint(file, tmp_path, **_base(file.texture(PIXELS, **codes))).base_color.filter == filter


def _moved(uvs: np.ndarray, offset=(0, 0), rotation=0.0, scale=(1, 1)) -> np.ndarray:
    """KHR_texture_transform as its text has it, v down: translation · rotation · scale."""
    cos, sin = math.cos(rotation), math.sin(rotation)
    return (uvs * scale) @ np.array([[cos, sin], [-sin, cos]]).T + offset


@pytest.mark.parametrize(
    "said", [{"offset": [0.25, 0.5]}, {"rotation": 0.6}, {"offset": [0.1, 0.3], "rotation": -1.1, "scale": [2, 0.5]}]
)
def test_a_texture_transform_moves_the_uvs(tmp_path, said):
    file = Gltf(extensionsRequired=["KHR_texture_transform"], extensionsUsed=["KHR_texture_transform"])
    texture = file.texture(PIXELS)
    (mesh,) = _scene(file, tmp_path, **_base(texture, extensions={"KHR_texture_transform": said})).meshes()
    moved = _moved(UVS, **said)
    torch.testing.assert_close(mesh.uvs, torch.tensor(np.stack([moved[:, 0], 1 - moved[:, 1]], 1)).float())
    assert mesh.material.base_color.uv_transform is None


def test_each_map_has_its_own_transform(tmp_path):
    """The picture is that of UVs moved for each map; frames of normals follow the normal map."""
    ways = {"base": {"scale": [2, 3], "offset": [0.1, 0.2]}, "rough": {"rotation": 0.5}, "normal": {"scale": [4, 4]}}
    file = Gltf(extensionsUsed=["KHR_texture_transform"])
    texture = file.texture(PIXELS)
    infos = {k: {"index": texture, "extensions": {"KHR_texture_transform": said}} for k, said in ways.items()}
    surface = {"baseColorTexture": infos["base"], "metallicRoughnessTexture": infos["rough"]}
    (mesh,) = _scene(file, tmp_path, pbrMetallicRoughness=surface, normalTexture=infos["normal"]).meshes()
    uv = torch.cat([mesh.uvs, torch.ones(4, 1)], 1)
    for name, way in (("base_color", "base"), ("roughness", "rough"), ("normal", "normal")):
        rows = mesh.material.maps()[name].uv_transform
        found = mesh.uvs if rows is None else uv @ torch.tensor(rows).T
        moved = _moved(UVS, **ways[way])
        torch.testing.assert_close(found, torch.tensor(np.stack([moved[:, 0], 1 - moved[:, 1]], 1)).float())
    assert mesh.material.normal.uv_transform is None


def test_the_set_of_uvs_is_the_one_that_is_named(tmp_path):
    other = np.float32([[0.5, 0.5], [0.75, 0.5], [0.75, 0.25], [0.5, 0.25]])
    file = Gltf()
    attributes = {"TEXCOORD_1": other}
    (mesh,) = _scene(file, tmp_path, attributes, **_base(file.texture(PIXELS), texCoord=1)).meshes()
    torch.testing.assert_close(mesh.uvs, torch.tensor(other) * torch.tensor([1, -1]) + torch.tensor([0, 1]))
    file = Gltf(extensionsUsed=["KHR_texture_transform"])
    base = _base(file.texture(PIXELS), extensions={"KHR_texture_transform": {"texCoord": 1}})
    assert torch.equal(_scene(file, tmp_path, attributes, **base).meshes()[0].uvs, mesh.uvs)


def test_maps_of_other_uvs_are_said_to_be_left_out(tmp_path):
    file = Gltf()
    texture = file.texture(PIXELS)
    base = _base(texture) | {"normalTexture": {"index": texture, "texCoord": 1}}
    with pytest.warns(UserWarning, match="material 'paint': normalTexture by TEXCOORD_1 beside TEXCOORD_0 not used"):
        assert list(_paint(file, tmp_path, {"TEXCOORD_1": UVS}, **base).maps()) == ["base_color"]


def test_a_mesh_without_uvs_wears_the_factor_and_that_is_said(tmp_path):
    file = Gltf()
    surface = {"baseColorTexture": {"index": file.texture(PIXELS)}, "baseColorFactor": [1, 0, 0, 1]}
    with pytest.warns(
        UserWarning, match=r"meshes\[0\]\.primitives\[0\] has no TEXCOORD_0, so material 'paint' shows no"
    ):
        scene = _scene(file, tmp_path, {"TEXCOORD_0": None}, pbrMetallicRoughness=surface)
    torch.testing.assert_close(scene.materials()[0].base_color.color, torch.tensor([1.0, 0, 0]))
    assert float(nt.render(scene, 16)[:, 0].sum()) > 0


def test_a_material_is_one_node_for_all_its_meshes(tmp_path):
    file = Gltf()
    texture = file.texture(PIXELS)
    numbers = [file.add("materials", **_base(texture)) for _ in range(2)]
    for number in (*numbers, numbers[0]):
        file.show(file.mesh(material=number))
    scene = nt.Scene.load(file.write(tmp_path / "a.glb"))
    assert len(scene.meshes()) == 3
    assert len(scene.materials()) == 2
    assert len({material.base_color for material in scene.materials()}) == 1  # the image is kept once, too


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0, -2.0])
def test_the_scale_of_normals_is_applied(tmp_path, scale):
    file = Gltf()
    normal = _paint(file, tmp_path, normalTexture={"index": file.texture(PIXELS[..., :3]), "scale": scale}).normal()
    expected = (2 * TEXELS[:3] - 1) * torch.tensor([scale, scale, 1])[:, None, None]
    assert 0 <= float(normal.min()) <= float(normal.max()) <= 1
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(unit(2 * normal[0] - 1, dim=0), unit(expected, dim=0), atol=1e-5, rtol=0)


def test_16_bits_of_an_image_are_kept_and_pictures_are_not_turned(tmp_path):
    import io

    from PIL import Image

    deep = np.random.default_rng(2).integers(0, 65536, (3, 5)).astype(np.uint16)
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right: for photographs, not for textures
    Image.fromarray(deep).save(stream, "PNG", exif=exif)
    file = Gltf()
    image = file.add("images", bufferView=file.view(stream.getvalue()), mimeType="image/png")
    texture = file.add("textures", source=image)
    found = _paint(file, tmp_path, pbrMetallicRoughness={"metallicRoughnessTexture": {"index": texture}}).roughness()
    torch.testing.assert_close(found[0, 0], torch.tensor(deep.astype(np.float32) / 65535))


def test_a_cutoff_above_one_cuts_everything(tmp_path):
    file = Gltf()
    scene = _scene(file, tmp_path, alphaMode="MASK", alphaCutoff=1.5, **_base(file.texture(PIXELS)))
    assert scene.materials()[0].alpha_cutoff == 1.5
    assert float(nt.render(scene, 16).abs().max()) == 0
    scene.save(tmp_path / "b.glb")
    assert nt.Scene.load(tmp_path / "b.glb").materials()[0].alpha_cutoff == 1.5
    file = Gltf()
    assert _paint(file, tmp_path, alphaMode="MASK", alphaCutoff=0).alpha_cutoff is None


def test_what_is_not_rendered_is_one_warning(tmp_path):
    names = ["KHR_materials_unlit", "KHR_materials_specular", "KHR_lights_punctual", "KHR_draco_mesh_compression"]
    file = Gltf(extensionsUsed=names, cameras=[{"type": "perspective"}])
    file.add("nodes", camera=0)
    file.tree["scenes"] = [{"nodes": [0]}]
    colours = np.random.default_rng(0).random((4, 4), np.float32)
    with pytest.warns(UserWarning, match="not used") as said:
        _scene(file, tmp_path, {"COLOR_0": colours}, alphaMode="BLEND", occlusionTexture={"index": 0})
    (message,) = [str(warning.message) for warning in said]
    for what in (*names[:3], "cameras", "material 'paint': occlusionTexture, alphaMode BLEND"):
        assert what in message
    assert names[3] not in message  # the file has the same without it


@pytest.mark.parametrize(
    "name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_texture_basisu", "ACME_cloth"]
)
def test_required_extensions_that_are_not_known_are_refused_by_name(tmp_path, name):
    file = Gltf(extensionsRequired=[name], extensionsUsed=[name])
    with pytest.raises(nt.FileError, match=rf"a\.gltf: it needs {name}.*: export it without"):
        _scene(file, tmp_path)


def test_compressed_meshes_without_a_fallback_are_refused_by_name(tmp_path):
    file = Gltf(extensionsUsed=["KHR_draco_mesh_compression"])
    empty = file.add("accessors", componentType=5126, count=4, type="VEC3")
    file.show(file.mesh({"POSITION": empty}, extensions={"KHR_draco_mesh_compression": {"bufferView": 0}}))
    with pytest.raises(nt.FileError, match="needs KHR_draco_mesh_compression"):
        nt.Scene.load(file.write(tmp_path / "a.gltf"))
    file = Gltf(extensionsUsed=["EXT_meshopt_compression"], buffers=[{"byteLength": 48}])
    view = {"buffer": 0, "byteLength": 48, "extensions": {"EXT_meshopt_compression": {}}}
    number = file.add("accessors", bufferView=file.add("bufferViews", **view), componentType=5126, count=4, type="VEC3")
    file.tree["meshes"] = [{"primitives": [{"attributes": {"POSITION": number}}]}]
    file.show(0)
    with pytest.raises(nt.FileError, match="needs EXT_meshopt_compression"):
        nt.Scene.load(file.write(tmp_path / "a.gltf"))


def _image_of(file: Gltf, **image) -> dict:
    texture = file.add("textures", source=file.add("images", **image))
    surface = {"baseColorTexture": {"index": texture}, "baseColorFactor": [0.2, 0.4, 0.6, 1], "metallicFactor": 0}
    return {"pbrMetallicRoughness": surface}


@pytest.mark.parametrize(
    ("image", "match"),
    [
        ({"uri": "skin.png"}, "skin.png does not exist"),
        ({"uri": "https://example.org/skin.png"}, "'https://example.org/skin.png' is not in a file beside it"),
        ({"uri": "data:image/png;base64,iVBORw0KGgo="}, r"images\[0\] cannot be read as an image"),
        ({"uri": "data:image/png;base64,%%%"}, "is no base64"),
        ({"uri": "noise.png"}, "noise.png cannot be read as an image"),
        ({"uri": "a\0b"}, "does not exist"),
        ({"uri": "x" * 5000}, "does not exist"),
    ],
)
def test_a_missing_or_broken_image_is_said_with_what_is_shown(tmp_path, image, match):
    (tmp_path / "noise.png").write_bytes(bytes(range(200)))
    file = Gltf()
    with pytest.warns(
        UserWarning, match=rf"a\.gltf: .*{match}.*, material 'paint' shows its plain factor \(0\.2, 0\.4, 0\.6\)"
    ):
        material = _paint(file, tmp_path, **_image_of(file, **image))
    colour = nt.shading.srgb_to_linear(material.base_color.color)
    torch.testing.assert_close(colour, torch.tensor([0.2, 0.4, 0.6]), atol=1e-6, rtol=0)


def test_files_beside_it_are_found(tmp_path):
    from PIL import Image

    (tmp_path / "maps").mkdir()
    (tmp_path / "scene").mkdir()
    for name in ("maps/red paint.png", "scene/50%25.png", "maps/ä.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    for uri in ("../maps/red%20paint.png", "../maps/red paint.png", "50%25.png", "../maps/%C3%A4.png", "../maps/ä.png"):
        file = Gltf()
        found = _paint(file, tmp_path / "scene", **_image_of(file, uri=uri))
        assert found.base_color().shape[2:] == (4, 6)


def test_factors_out_of_range_are_cut_off_and_said(tmp_path):
    file = Gltf()
    surface = {"baseColorFactor": [2, 0.5, 0, 1], "roughnessFactor": -1}
    with pytest.warns(UserWarning, match="baseColorFactor outside of .*roughnessFactor outside of"):
        material = _paint(file, tmp_path, pbrMetallicRoughness=surface)
    assert float(material.base_color.color[0]) == pytest.approx(1)
    assert float(material.roughness.color) == 0


def test_the_older_specular_model_shows_its_colours(tmp_path):
    name = "KHR_materials_pbrSpecularGlossiness"
    file = Gltf(extensionsUsed=[name])
    said = {"diffuseTexture": {"index": file.texture(PIXELS)}, "diffuseFactor": [1, 1, 1, 1]}
    with pytest.warns(UserWarning, match=f"{name} not used"):
        material = _paint(file, tmp_path, extensions={name: said})
    assert list(material.maps()) == ["base_color"]
    torch.testing.assert_close(material.base_color()[0], TEXELS[:3])


def test_webp_and_dds_are_read_where_there_is_nothing_else(tmp_path):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(PIXELS[..., :3]).save(stream, "WEBP", lossless=True)
    file = Gltf(extensionsUsed=["EXT_texture_webp"], extensionsRequired=["EXT_texture_webp"])
    image = file.add("images", bufferView=file.view(stream.getvalue()), mimeType="image/webp")
    texture = file.add("textures", extensions={"EXT_texture_webp": {"source": image}})
    torch.testing.assert_close(_paint(file, tmp_path, **_base(texture)).base_color()[0], TEXELS[:3])


def test_pictures_of_strips_without_normals_are_those_of_their_triangles(tmp_path):
    file = Gltf()
    order = file.accessor(np.array([0, 1, 3, 2], np.uint8))
    base = {"material": file.add("materials", **_base(file.texture(PIXELS)))}
    file.show(file.mesh(indices=order, mode=5, **base))
    other = Gltf()
    base = {"material": other.add("materials", **_base(other.texture(PIXELS)))}
    other.show(other.mesh({"POSITION": SQUARE}, **base))
    images = [
        nt.render(nt.Scene.load(f.write(tmp_path / "a.glb"), cameras=nt.orbit(1, 3.0), lights=[nt.Flash(6.0)]), 32)
        for f in (file, other)
    ]
    torch.testing.assert_close(*images, atol=1e-5, rtol=0)
    assert float(images[0][:, 3].mean()) > 0.2


def test_what_shines_by_itself_is_read_and_written(tmp_path):
    file = Gltf()
    texture = file.texture(PIXELS)
    material = {"emissiveTexture": {"index": texture}, "emissiveFactor": [1.0, 0.5, 0.25]}
    scene = _scene(file, tmp_path, **material)
    light = nt.shading.srgb_to_linear(TEXELS[:3]) * torch.tensor([1.0, 0.5, 0.25])[:, None, None]
    found = scene.materials()[0].emissive
    torch.testing.assert_close(found()[0], nt.shading.linear_to_srgb(light), atol=1e-6, rtol=0)
    scene.save(tmp_path / "b.glb")
    again = nt.Scene.load(tmp_path / "b.glb").materials()[0].emissive
    torch.testing.assert_close(again(), found(), atol=0.5001 / 255, rtol=0)

    strength = {"extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 0.5}}}
    plain = _paint(Gltf(), tmp_path, emissiveFactor=[1.0, 0.5, 0.0], **strength)
    torch.testing.assert_close(nt.shading.srgb_to_linear(plain.emissive().flatten()), torch.tensor([0.5, 0.25, 0.0]))
    assert _paint(Gltf(), tmp_path).emissive is None
    dark = Gltf()
    assert (
        _paint(dark, tmp_path, emissiveTexture={"index": dark.texture(PIXELS)}).emissive is None
    )  # glTF's factor is 0
    strength["extensions"]["KHR_materials_emissive_strength"]["emissiveStrength"] = 4.0
    with pytest.warns(UserWarning, match="brighter than white"):
        _paint(Gltf(), tmp_path, emissiveFactor=[1.0, 0.5, 0.0], **strength)
