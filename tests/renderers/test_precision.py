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


def _fit(scene: nt.Scene, parameters: object) -> nt.Fit:
    """Of a few steps to noise."""
    torch.manual_seed(3)
    views = nt.Views(list(scene.cameras), torch.rand(2, 4, *SIZE), [])
    return nt.Fit(scene, views, torch.optim.Adam(parameters, lr=0.05), steps=3)


@pytest.mark.parametrize("maps", [{}, GLOSSY], ids=["diffuse", "glossy"])
@pytest.mark.parametrize("estimator", [None, "straight_through", "surrogate"])
def test_a_fit_under_autocast_is_the_same_fit(plate, maps, estimator):
    """Bake, palette, lookup, light and loss compute as ever; only networks are rounded."""
    found = []
    for enabled in (False, True):
        torch.manual_seed(0)
        skin = nt.ImageTexture(torch.rand(3, 7, 5), trainable=True)
        texture = skin if estimator is None else skin.through(nt.discrete.Palette(4, estimator))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            history = _fit(_scene(plate, texture, **maps), texture.parameters()).run()
        found.append((history, skin.image.detach()))
    assert found[0][0] == found[1][0]
    assert len(set(found[0][0])) == 3
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize("kind", ["autocast", torch.bfloat16], ids=str)
def test_a_latent_is_fitted_through_a_network_in_half_precision(plate, tiny_generator, kind):
    latent = nt.Latent(tiny_generator, "skin").sample(seed=0)
    start = latent.value.detach().clone()
    scene = _scene(plate, nt.GeneratedTexture(tiny_generator, latent))
    full = _fit(scene, latent.parameters()).run()
    latent.bind(start)
    if kind == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            half = _fit(scene, latent.parameters()).run()
    else:
        tiny_generator.to(kind)
        half = _fit(scene, latent.parameters()).run()
    assert half[-1] < half[0]
    assert half == pytest.approx(full, rel=0.01)


def test_a_fit_of_float16_parameters_says_what_is_lost(plate, tiny_generator):
    """Adam divides by the root of squares that are 0 in float16."""
    latent = nt.Latent(tiny_generator, "skin").sample(seed=0).half()
    scene = _scene(plate, nt.GeneratedTexture(tiny_generator.half(), latent))
    with pytest.raises(nt.ArgumentError, match="optimizers lose small gradients in float16, give them bfloat16"):
        _fit(scene, latent.parameters()).run()


def test_spot_under_autocast(spot):
    """It was 39.6 dB while corners were projected in bfloat16; now nothing is rounded."""
    views = nt.Views.load(spot / "flash")
    scene = nt.Scene.load(spot / "cow.obj", cameras=views.cameras[:1], lights=views.lights[:1])
    expected = nt.render(scene, 64, grid=2)
    with torch.autocast("cpu", torch.bfloat16):
        found = nt.render(scene, 64, grid=2)
    assert torch.equal(found, expected)
    assert float(found[:, 3].mean()) > 0.1


# steps with every estimator that they take; what they give in other precisions than the image's own
STEPS = {
    "levels": lambda estimator: nt.discrete.Levels(4, estimator=estimator),
    "palette": lambda estimator: nt.discrete.Palette(
        torch.rand(4, 3, generator=torch.Generator().manual_seed(0)), estimator
    ),
    "bayer": lambda estimator: nt.discrete.Dither(2, "bayer", estimator=estimator),
    "jpeg": lambda estimator: nt.discrete.Jpeg(50, estimator=estimator),
    "blocks": lambda estimator: nt.discrete.BlockCompress("bc1", estimator),
}


@pytest.mark.parametrize("estimator", ["straight_through", "surrogate", "surrogate_gradient"])
@pytest.mark.parametrize("name", STEPS)
def test_discrete_steps_compute_in_float32_whatever_they_are_given(name, estimator):
    x = torch.rand(1, 3, 8, 8).bfloat16()
    step = STEPS[name](estimator)
    leaf = x.float().requires_grad_()
    expected = step(leaf)
    (slope,) = torch.autograd.grad(expected.square().sum(), leaf)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(step(leaf), expected, rtol=0, atol=0)
    half = x.requires_grad_()
    found = step(half)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert torch.equal(torch.autograd.grad(found.square().sum(), half)[0], slope.bfloat16())


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", RENDERERS)
def test_a_scene_made_in_inference_mode_is_drawn_and_is_refused_where_it_should_have_gradients(plate, name, inside):
    torch.manual_seed(0)
    expected = RENDERERS[name](_scene(plate)).detach()
    torch.manual_seed(0)
    with torch.inference_mode():
        scene = _scene(plate)
        if inside:
            assert torch.equal(RENDERERS[name](scene), expected)
    with torch.no_grad():
        assert torch.equal(RENDERERS[name](scene), expected)
    if name != "turntable":  # which never has gradients
        with pytest.raises(nt.SceneError, match=r"base_color.image was made in torch.inference_mode\(\)"):
            RENDERERS[name](scene)
    scene.materials()[0].requires_grad_(False)
    assert torch.equal(RENDERERS[name](scene), expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_what_needs_gradients_says_so_where_there_are_none(plate, tiny_generator, mode):
    latent = nt.Latent(tiny_generator, "skin").sample()
    fit = _fit(_scene(plate, nt.GeneratedTexture(tiny_generator, latent)), latent.parameters())
    with mode():
        with pytest.raises(nt.ArgumentError, match=r"a fit needs gradients: call it outside of torch.no_grad"):
            fit.run()
        with pytest.raises(nt.ArgumentError, match="a search for a latent needs gradients"):
            nt.fit.search_latent(fit, latent)
    assert len(fit.run()) == 3
