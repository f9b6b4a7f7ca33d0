"""What was optimised is what is exported: files of textures, alone and inside a GLB, hold the texels of the loop."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn

import neurotex as nt
from neurotex.discrete import BlockCompress, Dither, Jpeg, Levels, Palette, Step, Surrogate, Threshold
from neurotex.scene import encode_texture, load_texture, save_texture

MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/vnd-ms.dds": b"DDS "}
COLORS = torch.tensor([[0.1, 0.2, 0.3, 1.0], [0.9, 0.5, 0.1, 0.0], [0.4, 0.8, 0.6, 0.6]])

# step, channels of the texture, alpha_cutoff of the material, format of the embedded file
EXPORTED: dict[str, tuple[Callable[[], Step], int, float | None, str]] = {
    "2 levels": (lambda: Levels(2), 3, None, "PNG"),
    "3 levels": (lambda: Levels(3), 3, None, "PNG"),
    "16 levels": (lambda: Levels(16), 3, None, "PNG"),
    "levels of light": (lambda: Levels(5, linear=True), 3, None, "PNG"),
    "palette": (lambda: Palette(5), 3, None, "PNG"),
    "palette with alpha": (lambda: Palette(COLORS), 4, 0.5, "PNG"),
    "palette whose alpha counts not": (lambda: Palette(COLORS), 4, None, "PNG"),
    "floyd_steinberg": (lambda: Dither(2), 3, None, "PNG"),
    "floyd_steinberg to a palette": (lambda: Dither(palette=COLORS[:, :3]), 3, None, "PNG"),
    "bayer": (lambda: Dither(3, "bayer"), 3, None, "PNG"),
    "alpha of one bit": (lambda: Threshold(0.4, channel=3), 4, 0.5, "PNG"),
    "bc1": (lambda: BlockCompress("bc1"), 3, None, "DDS"),
    "bc1 with holes": (lambda: BlockCompress("bc1"), 4, 0.5, "DDS"),
    "bc3": (lambda: BlockCompress("bc3"), 4, 0.25, "DDS"),
    "jpeg": (lambda: Jpeg(60), 3, None, "JPEG"),
}


def _pixels(channels: int, height: int = 8, width: int = 12) -> Tensor:
    """Noise over a slope, as 8 bits hold it."""
    slope = torch.linspace(0.1, 0.9, width).expand(channels, height, width)
    return ((slope + 0.3 * torch.rand(channels, height, width) - 0.15).clamp(0, 1) * 255).round() / 255


def _scene(mesh: nt.Mesh, material: nt.Material | None = None) -> nt.Scene:
    if material is not None:
        mesh.material = material
    return nt.Scene(mesh, nt.orbit(2, 3.0, elevation=20.0), [nt.Flash(7.0)])


def _read(path: Path) -> tuple[dict, list[tuple[str, bytes]]]:
    """The JSON of a GLB, and its images as (media type, file), once what the specification asks for holds."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4s2I", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    chunks, place = [], 12
    while place < len(data):
        size, kind = struct.unpack_from("<I4s", data, place)
        assert size % 4 == 0
        chunks.append((kind, data[place + 8 : place + 8 + size]))
        place += 8 + size
    assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
    tree, binary = json.loads(chunks[0][1]), chunks[1][1]
    assert tree["buffers"] == [{"byteLength": len(binary)}]
    end = 0
    for view in tree["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] >= end
        end = view["byteOffset"] + view["byteLength"]
    assert end <= len(binary)
    images = []
    for image in tree.get("images", []):
        view = tree["bufferViews"][image["bufferView"]]
        content = binary[view["byteOffset"] :][: view["byteLength"]]
        assert content.startswith(MAGIC[image["mimeType"]])
        images.append((image["mimeType"], content))
    for texture in tree.get("textures", []):
        assert images[texture["source"]][0] in ("image/png", "image/jpeg")  # the core formats
        for name, extension in texture.get("extensions", {}).items():
            assert name in tree["extensionsUsed"]
            assert images[extension["source"]][0] == "image/vnd-ms.dds"
    assert "extensionsRequired" not in tree
    return tree, images


def _texels(content: bytes, mode: str) -> Tensor:
    with Image.open(io.BytesIO(content)) as image:
        return torch.tensor(list(image.convert(mode).tobytes())).view(image.height, image.width, -1).movedim(-1, 0)


@pytest.mark.filterwarnings("error:Palette images")
@pytest.mark.parametrize("name", EXPORTED)
def test_a_loaded_glb_renders_as_the_loop_did(plate, tmp_path, name):
    make, channels, cutoff, format = EXPORTED[name]
    step = make()
    source = nt.ImageTexture(_pixels(channels), trainable=True)
    scene = _scene(plate, nt.Material(source.through(step), alpha_cutoff=cutoff))
    with torch.no_grad():
        loop = nt.render(scene, 24)
        content, _ = step.encode(source.image)
        exact = (step.hard(source.image)[0] * 255).round().long()
    scene.save(tmp_path / "scene.glb")
    loaded = nt.Scene.load(tmp_path / "scene.glb", cameras=list(scene.cameras), lights=list(scene.lights))
    assert torch.equal(nt.render(loaded, 24), loop)
    assert float(loop[:, :3].max()) > 0.02

    tree, images = _read(tmp_path / "scene.glb")
    (material,), (texture,) = tree["materials"], tree["textures"]
    assert (material.get("alphaMode"), material.get("alphaCutoff")) == (cutoff and "MASK", cutoff)
    kinds = {"PNG": ["image/png"], "JPEG": ["image/jpeg"], "DDS": ["image/png", "image/vnd-ms.dds"]}
    assert [kind for kind, _ in images] == kinds[format]
    assert images[-1][1] == content  # the file of the step, byte for byte
    for _, file in images:
        assert torch.equal(_texels(file, ("RGB", "RGBA")[channels - 3]), exact)
    assert ("MSFT_texture_dds" in texture.get("extensions", {})) == (format == "DDS")


@pytest.mark.parametrize(
    ("step", "channels", "kind"),
    [
        (lambda: Palette(2), 3, (1, 3)),
        (lambda: Palette(12), 3, (4, 3)),
        (lambda: Palette(100), 3, (8, 3)),
        (lambda: Levels(4), 3, (8, 2)),
        (lambda: Threshold(0.5), 1, (1, 0)),
        (lambda: Levels(1000), 1, (16, 0)),
        (lambda: Threshold(0.5, channel=3), 4, (8, 6)),
        (lambda: nn.Identity(), 2, (8, 4)),
    ],
)
def test_a_png_has_the_bits_and_the_colours_of_its_step(step, channels, kind):
    content, suffix = encode_texture(nt.ImageTexture(_pixels(channels)).through(step()))
    assert suffix == ".png"
    assert struct.unpack_from("BB", content, 24) == kind  # bits; colour type: 0 grey, 2 RGB, 3 palette, 4 and 6 + alpha


FILES = [(make, channels) for make, channels, *_ in EXPORTED.values()] + [
    (lambda: BlockCompress("bc4"), 1),
    (lambda: BlockCompress("bc5"), 2),
    (lambda: Levels(1000), 1),
    (lambda: Threshold(0.5), 1),
    (lambda: Jpeg(50, subsampling="4:4:4"), 1),
    (lambda: Levels(7), 2),
]


@pytest.mark.parametrize(("make", "channels"), FILES)
@settings(max_examples=6)
@given(height=st.integers(1, 9), width=st.integers(1, 9), seed=st.integers(0, 1 << 20))
def test_a_saved_texture_comes_back_to_the_bit(tmp_path, make, channels, height, width, seed):
    torch.manual_seed(seed)
    texture = nt.ImageTexture(torch.rand(channels, height, width)).through(make())
    path = save_texture(texture, tmp_path / "skin.v2")
    assert path.name in ("skin.v2.png", "skin.v2.jpg", "skin.v2.dds")
    exact = texture.eval()()
    if isinstance(texture.step, Threshold):
        exact = (exact * 255).round() / 255  # the channels that pass
    found = load_texture(path)()
    if isinstance(texture.step, BlockCompress) and channels == 4 and bool((exact[:, 3] == 1).all()):
        exact = exact[:, : found.shape[1]]  # no hole, no alpha
    assert torch.equal(found, exact)


def test_only_the_last_step_counts():
    few = nt.ImageTexture(_pixels(3)).through(Levels(4))
    content, suffix = encode_texture(few.through(Jpeg(70)))
    assert (content, suffix) == Jpeg(70).encode(few())
    assert encode_texture(few.through(Jpeg(70)).through(Palette(3)))[1] == ".png"
    plain, suffix = encode_texture(few.through(nn.Identity()))
    assert suffix == ".png"
    assert torch.equal(_texels(plain, "RGB"), (few.eval()()[0] * 255).round().long())


def test_what_ships_is_exact_and_modes_are_left_alone():
    """Also of an estimator whose picture in the loop is another; what was in eval mode before stays so."""
    step = Levels(3, Surrogate(2.0))
    frozen = nn.Sequential(nn.Dropout(0.5)).eval()
    texture = nt.ImageTexture(_pixels(3), trainable=True).through(frozen).through(step)
    content, _ = encode_texture(texture)
    assert set(_texels(content, "RGB").unique().tolist()) == {0, 128, 255}
    assert step.training
    assert not frozen.training
    assert not frozen[0].training


def test_a_latent_can_be_given(tiny_generator, tmp_path):
    texture = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin")).through(Levels(5))
    z = torch.randn(1, 4)
    path = save_texture(texture, tmp_path / "skin", {"skin": z})
    assert torch.equal(load_texture(path)(), texture.eval()({"skin": z}))
    with pytest.raises(nt.SceneError, match="'skin' is unbound"):
        save_texture(texture, tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["skin.png"]


def test_more_than_8_bits_of_colours_are_said_to_be_lost(plate, tmp_path):
    texture = nt.ImageTexture(torch.rand(3, 4, 4)).through(Levels(1000))
    with pytest.warns(UserWarning, match=r"PNG file of 8 bits.*at most 256 levels"):
        _scene(plate, nt.Material(texture)).save(tmp_path / "scene.glb")
    found = nt.Scene.load(tmp_path / "scene.glb").materials()[0].base_color()
    torch.testing.assert_close(found, texture(), atol=0.5 / 255 + 1e-6, rtol=0)


class Quarter(Step):
    """A step whose file no viewer of glTF reads."""

    def hard(self, x: Tensor) -> Tensor:
        """A quarter of x, in whole bytes."""
        return (x * 63.75).round() / 255

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """Some file."""
        return b"quarter", ".qrt"


def test_a_file_that_is_not_gltfs_ships_alone_and_as_png_in_a_scene(plate, tmp_path):
    texture = nt.ImageTexture(_pixels(3)).through(Quarter())
    assert save_texture(texture, tmp_path / "skin").read_bytes() == b"quarter"
    _scene(plate, nt.Material(texture)).save(tmp_path / "scene.glb")
    assert torch.equal(nt.Scene.load(tmp_path / "scene.glb").materials()[0].base_color(), texture())


def test_an_encoder_that_is_no_step_is_left_alone():
    """Autoencoders have an `encode`, too."""
    module = nn.Identity()
    module.encode = lambda x: pytest.fail("this is not a step")
    assert encode_texture(nt.ImageTexture(_pixels(3)).through(module))[1] == ".png"


def test_blocks_of_odd_sides_are_embedded_as_png_only(plate, tmp_path):
    texture = nt.ImageTexture(_pixels(3, 6, 8)).through(BlockCompress("bc1"))
    _scene(plate, nt.Material(texture)).save(tmp_path / "scene.glb")
    tree, images = _read(tmp_path / "scene.glb")
    assert [kind for kind, _ in images] == ["image/png"]
    assert "extensionsUsed" not in tree
    assert torch.equal(nt.Scene.load(tmp_path / "scene.glb").materials()[0].base_color(), texture())


def test_all_maps_keep_what_their_steps_left(plate, tmp_path):
    """Normals in their own format; roughness and metallic share an image, which keeps the levels of both."""
    normal = nt.ImageTexture(_pixels(3)).through(Jpeg(80))
    roughness = nt.ImageTexture(_pixels(1)).through(Levels(3))
    metallic = nt.ImageTexture(_pixels(1)).through(Dither(2, "bayer"))
    color = nt.ImageTexture(_pixels(3)).through(Palette(4))
    material = nt.Material(color, roughness=roughness, metallic=metallic, normal=normal)
    _scene(plate, material).save(tmp_path / "scene.glb")
    _, images = _read(tmp_path / "scene.glb")
    assert sorted(kind for kind, _ in images) == ["image/jpeg", "image/png", "image/png"]
    assert ("image/jpeg", normal.step.encode(normal.source())[0]) in images
    (loaded,) = nt.Scene.load(tmp_path / "scene.glb").materials()
    for name, texture in material.maps().items():
        assert torch.equal(loaded.maps()[name](), texture()), name


class Counting(Levels):
    """Counts its files."""

    files = 0

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """As always."""
        self.files += 1
        return super().encode(x)


def test_what_is_shared_is_encoded_once_and_what_looks_alike_stays_apart(plate, torus, tmp_path):
    step = Counting(4)
    texture = nt.ImageTexture(_pixels(3)).through(step)
    material, twin = nt.Material(texture, "a"), nt.Material(texture, "a", normal=texture)
    other = nt.Mesh(plate.vertices, plate.faces, plate.uvs, material=twin, name="other")
    plate.material = torus.material = material
    nt.Scene([plate, torus, nt.Node(plate, name="again"), other]).save(tmp_path / "scene.glb")
    tree, images = _read(tmp_path / "scene.glb")
    assert (step.files, len(images), len(tree["textures"])) == (1, 1, 1)
    loaded = nt.Scene.load(tmp_path / "scene.glb")
    assert [material.name for material in loaded.materials()] == ["a", "a"]
    worn = {mesh.name: mesh.material for mesh in loaded.meshes()}
    assert worn["plate"] is worn["torus"]
    assert worn["other"].normal is not None


def test_a_scene_without_a_mesh_is_a_file_without_bytes(tmp_path):
    nt.Scene(nt.Node(name="empty")).save(tmp_path / "scene.glb")
    data = (tmp_path / "scene.glb").read_bytes()
    assert struct.unpack_from("<4s2I", data) == (b"glTF", 2, len(data))
    (length,) = struct.unpack_from("<I", data, 12)
    assert 20 + length == len(data)
    assert "materials" not in json.loads(data[20:])


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4), ("1", 1), ("P", 3), ("CMYK", 3)]
)
def test_an_image_keeps_its_channels(tmp_path, mode, channels):
    path = tmp_path / ("skin.jpg" if mode == "CMYK" else "skin.png")
    picture = Image.fromarray((_pixels(4) * 255).byte().movedim(0, -1).numpy()).convert("RGB").convert(mode)
    picture.save(path)
    found = load_texture(path)()
    assert found.shape == (1, channels, 8, 12)
    with Image.open(path) as image:
        shown = image.convert(("L", "LA", "RGB", "RGBA")[channels - 1])
        content = torch.tensor(list(shown.tobytes())).view(8, 12, channels).movedim(-1, 0)
    assert torch.equal((found[0] * 255).round().long(), content)


def test_grey_of_16_bits_is_scaled_not_cut_off_in_a_scene(plate, tmp_path):
    grey = nt.ImageTexture(torch.rand(1, 4, 4)).through(Levels(1 << 16))
    content, _ = encode_texture(grey)
    (tmp_path / "grey.mtl").write_text("newmtl m\nmap_Kd grey.png\n")
    (tmp_path / "grey.png").write_bytes(content)
    corners = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\n"
    (tmp_path / "grey.obj").write_text(f"mtllib grey.mtl\nusemtl m\n{corners}f 1/1 2/2 3/3\n")
    found = nt.Scene.load(tmp_path / "grey.obj").materials()[0].base_color()
    torch.testing.assert_close(found, grey().expand(-1, 3, -1, -1), atol=0.5 / 255 + 1e-6, rtol=0)


@pytest.mark.parametrize("name", ["skin.png", "skin.JPG", "folder", ""])
def test_a_name_with_an_ending_of_its_own_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(nt.ArgumentError, match="without its ending"):
        save_texture(nt.ImageTexture(_pixels(3)), tmp_path / name)


def test_a_texture_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(nt.FileError, match="nowhere"):
        save_texture(nt.ImageTexture(_pixels(3)), tmp_path / "nowhere" / "skin")
    path = save_texture(nt.ImageTexture(_pixels(3)), tmp_path / "skin")
    before = path.read_bytes()
    with pytest.raises(nt.ArgumentError, match="1 to 4 channels"):
        save_texture(nt.ImageTexture(_pixels(5)), tmp_path / "skin")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", [Palette(4), Jpeg(50), BlockCompress("bc1")])
def test_a_file_that_is_cut_off_is_refused_by_name(tmp_path, step):
    path = save_texture(nt.ImageTexture(_pixels(3, 16, 16)).through(step), tmp_path / "skin")
    whole = path.read_bytes()
    for size in (0, 3, 20, 100, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(nt.FileError, match=path.name):
            load_texture(path)


def test_what_is_no_texture_file_is_refused(tmp_path):
    with pytest.raises(nt.ArgumentError, match=r"skin\.exr.*\.png, \.jpg"):
        load_texture(tmp_path / "skin.exr")
    with pytest.raises(nt.FileError, match=r"gone\.png does not exist"):
        load_texture(tmp_path / "gone.png")
