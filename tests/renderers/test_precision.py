"""Half precision, autocast and a default of doubles: geometry is in float32 or better, textures in what they like."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

import neurotex as nt

HALVES = (torch.float16, torch.bfloat16)
SIZE = (12, 10)
GLOSSY = {"roughness": 0.4, "metallic": 0.3}
RENDERERS: dict[str, Callable[[nt.Scene], Tensor]] = {
    "render": lambda scene: nt.render(scene, SIZE, grid=2),
    "antialiased": lambda scene: nt.render(scene, SIZE, grid=2, antialias=True),
    "strips": lambda scene: nt.render(scene, SIZE, grid=2, budget=1),
    "baked": lambda scene: nt.bake(scene, SIZE, grid=2)(),
    "passes": lambda scene: _floats(nt.render_passes(scene, SIZE)),
    "turntable": lambda scene: nt.turntable(scene, 12, 2),
    "soft_phong": lambda scene: nt.render_phong(scene, SIZE, shading="soft_phong", faces_per_pixel=2, blur_radius=1e-3),
    "visibility": lambda scene: nt.render_phong(
        scene, SIZE, faces_per_pixel=2, blur_radius=1e-3, visibility=nt.discrete.Visibility("surrogate")
    ),
}


def _floats(passes: nt.renderers.Passes) -> Tensor:
    return torch.cat([image for image in vars(passes).values() if image.is_floating_point()], 1)


def _scene(plate: nt.Mesh, texture: nt.scene.Texture | None = None, **maps: object) -> nt.Scene:
    skin = nt.ImageTexture(torch.rand(3, 7, 5), trainable=True) if texture is None else texture
    plate.material = nt.Material(skin, **maps)
    lights = [nt.Flash((5.0, 4.0, 3.0)), nt.EnvironmentLight(torch.rand(3, 4, 8), 0.3)]
    cameras = [nt.PerspectiveCamera(nt.look_at(torch.tensor([0.7 * k, 0.4, 2.8]))) for k in range(2)]
    return nt.Scene(plate, cameras, lights)


@pytest.fixture(autouse=True)
def _single() -> Iterator[None]:
    """The tests say themselves what is in another precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", RENDERERS)
@pytest.mark.parametrize("maps", [{}, GLOSSY], ids=["diffuse", "glossy"])
def test_autocast_changes_nothing_but_the_generator(plate, name, maps, dtype):
    scene = _scene(plate, **maps)
    image = scene.materials()[0].base_color.image
    expected = RENDERERS[name](scene)
    with torch.autocast("cpu", dtype):
        found = RENDERERS[name](scene)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    if found.requires_grad:
        probe = torch.rand_like(found)
        ours, wanted = (torch.autograd.grad((x * probe).sum(), image)[0] for x in (found, expected))
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_gradients_to_vertices_cameras_and_lights_are_not_rounded_by_autocast(plate, dtype):
    scene = _scene(plate, **GLOSSY)
    leaves = [plate.vertices, scene.nodes[0].transform, scene.cameras[0].transform, scene.lights[0].intensity]
    leaves = [tensor.requires_grad_() for tensor in leaves]
    probe = torch.rand(2, 4, *SIZE)
    expected = torch.autograd.grad((nt.render(scene, SIZE, grid=2) * probe).sum(), leaves)
    with torch.autocast("cpu", dtype):
        loss = (nt.render(scene, SIZE, grid=2) * probe).sum()
    found = torch.autograd.grad(loss, leaves)  # outside, as torch asks
    for ours, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float64], ids=str)
@pytest.mark.parametrize("name", RENDERERS)
def test_a_texture_of_any_float_type_is_read_in_the_precision_of_the_geometry(plate, name, dtype):
    scene = _scene(plate, roughness=nt.ImageTexture(torch.rand(1, 3, 3)), normal=torch.rand(3, 4, 4))
    scene.materials()[0].to(dtype)
    held = scene.materials()[0].base_color.image
    assert held.dtype == dtype
    found = RENDERERS[name](scene)
    assert found.dtype == torch.float32
    if found.requires_grad:
        found.sum().backward()
        assert held.grad.dtype == dtype
        assert bool(held.grad.any())
    scene.materials()[0].float()
    assert torch.equal(RENDERERS[name](scene), found) or dtype == torch.float64


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_generator_in_half_precision(plate, tiny_generator, dtype, tmp_path):
    latent = nt.Latent(tiny_generator, "skin").sample()
    scene = _scene(plate, nt.GeneratedTexture(tiny_generator, latent))
    full = nt.render(scene, SIZE)
    tiny_generator.to(dtype)
    for name, draw in RENDERERS.items():
        image = draw(scene)
        assert image.dtype == torch.float32, name
        assert not image.requires_grad or bool(torch.autograd.grad(image.sum(), latent.value)[0].any())
    torch.testing.assert_close(nt.render(scene, SIZE), full, atol=0.02, rtol=0)
    latent.to(dtype)
    torch.testing.assert_close(nt.render(scene, SIZE), full, atol=0.02, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(nt.render(scene, SIZE), full, atol=0.03, rtol=0)
    scene.save(tmp_path / "half.glb")
    again = nt.Scene.load(tmp_path / "half.glb").materials()[0].base_color()
    torch.testing.assert_close(again, scene.materials()[0].base_color().float(), atol=0.6 / 255, rtol=0)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_half_texture_ships_as_the_nearest_bytes(dtype):
    values = (torch.arange(256).view(1, 16, 16) / 255).expand(3, -1, -1).to(dtype)
    texture = nt.scene.ImageTexture(values)
    texture.to(dtype)
    data, _ = nt.scene.encode_texture(texture)
    exact, _ = nt.scene.encode_texture(nt.ImageTexture(values.float()))
    assert data == exact


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_environments_in_half_precision(plate, dtype):
    scene = _scene(plate, **GLOSSY)
    expected = nt.render(scene, SIZE)
    scene.lights.to(dtype)
    found = nt.render(scene, SIZE)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)
    assert torch.equal(nt.bake(scene, SIZE)(), nt.bake(scene, SIZE)())


def test_what_is_in_several_precisions_is_drawn_in_the_widest_of_its_meshes(plate):
    scene = _scene(plate)
    expected = nt.render(scene.double(), SIZE)
    scene.float()
    scene.cameras.double()
    scene.nodes[0].transform = scene.nodes[0].transform.double()
    assert nt.render(scene, SIZE).dtype == torch.float32
    torch.testing.assert_close(nt.render(scene, SIZE), expected.float(), atol=1e-5, rtol=0)
    plate.vertices = plate.vertices.double()
    for name, draw in RENDERERS.items():
        assert draw(scene).dtype == torch.float64, name
    torch.testing.assert_close(nt.render(scene, SIZE), expected, atol=1e-6, rtol=0)


@pytest.fixture
def doubles() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_doubles_may_be_the_default(doubles, tmp_path, tiny_generator, plate):
    plate.double()
    _scene(plate).save(tmp_path / "scene.glb")
    tiny_generator.double()
    latent = nt.Latent(tiny_generator, "skin").sample(seed=0)
    maps = nt.GeneratedTexture(tiny_generator, latent).maps()
    paint = maps["base_color"].through(nt.discrete.Palette(4, estimator="straight_through"))
    cameras = nt.orbit(2, 3.0)
    sky = nt.EnvironmentLight(torch.rand(3, 4, 8))
    for maps in ({}, GLOSSY):
        material = nt.Material(base_color=paint, **maps)
        scene = nt.Scene.load(tmp_path / "scene.glb", material, cameras, lights=[nt.Flash(7.0), sky])
        for name, draw in RENDERERS.items():
            image = draw(scene)
            assert image.dtype in (torch.float32, torch.float64), name
            if image.requires_grad:
                image.sum().backward()
        views = nt.Views(cameras, nt.render(scene, SIZE).detach(), [])
        nt.losses.photometric(nt.render(scene, SIZE), views.images).backward()
        fit = nt.Fit(scene, views, torch.optim.Adam(latent.parameters(), lr=0.05), steps=2)
        assert len(fit.run()) == 2
        scene.save(tmp_path / "again.glb")
