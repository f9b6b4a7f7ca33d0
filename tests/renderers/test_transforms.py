"""A render is a pure function of its latents: under torch.func, torch.compile and torch.export, and in batches."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacfwd, jvp, vmap

import neurotex as nt
from neurotex.generators.stylegan2 import StyleGAN2
from neurotex.renderers.gbuffer import View

SIZE = (9, 8)


def _tile() -> torch.nn.Module:
    return nt.generators.MaterialGenerator(16, latent_dim=4, style_dim=8, widths=(6, 4), substances=4).eval()


def _style() -> torch.nn.Module:
    network = StyleGAN2(
        16, z_dim=4, w_dim=4, channel_base=64, channel_max=8, mapping_kwargs={"num_layers": 2}, noise="const"
    )
    # colours inside of [0, 1]: at their ends a texture's gradient depends on where the loss would go
    return nt.generators.wrap(torch.nn.Sequential(network, torch.nn.Tanh()), 4)


GENERATORS = {"tile": _tile, "stylegan2": _style}
MATERIALS = {
    "diffuse": {},
    "glossy": {"roughness": 0.4, "metallic": 0.3},
}
WAYS = ("render", "baked")


def _scene(plate: nt.Mesh, torus: nt.Mesh, generator: str = "tile", material: str = "diffuse", **latent) -> nt.Scene:
    """A generated plate before a constant torus that is diffuse, in double precision; latent 'skin' is unbound."""
    made = GENERATORS[generator]().requires_grad_(False)
    skin = nt.GeneratedTexture(made, nt.Latent(made, "skin", **latent))
    plate.material = nt.Material(skin, "skin", **MATERIALS[material])
    torus.material = nt.Material((0.7, 0.4, 0.2), "ring")
    nodes = [plate, nt.Node(torus, nt.look_at(torch.tensor([0.3, 0.2, -0.8])))]
    return nt.Scene(nodes, nt.orbit(2, 3.5, elevation=30.0), [nt.Flash(7.0), nt.AmbientLight(0.2)]).double()


def _drawn(scene: nt.Scene, way: str) -> Callable[[Tensor], Tensor]:
    """From a value of the latent to the image."""
    if way == "render":
        return lambda z: nt.render(scene, SIZE, grid=2, latents={"skin": z})
    baked = nt.bake(scene, SIZE, grid=2)
    return lambda z: baked({"skin": z})


CASES = [("tile", material, way) for material in MATERIALS for way in WAYS]
CASES += [("stylegan2", "diffuse", "render"), ("stylegan2", "glossy", "baked")]


@pytest.fixture(params=CASES, ids="-".join)
def draw(request, plate, torus) -> Callable[[Tensor], Tensor]:
    generator, material, way = request.param
    return _drawn(_scene(plate, torus, generator, material), way)


def _draws(n: int) -> Tensor:
    return torch.randn(n, 1, 4, dtype=torch.float64)


def test_grad_is_what_backward_gives(draw):
    z, probe = _draws(1)[0], torch.rand(2, 4, *SIZE, dtype=torch.float64)
    leaf = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad((draw(leaf) * probe).sum(), leaf)
    assert bool(expected.any())
    torch.testing.assert_close(grad(lambda z: (draw(z) * probe).sum())(z), expected, atol=1e-12, rtol=0)


def test_vmap_is_a_loop(draw):
    several, probe = _draws(3), torch.rand(2, 4, *SIZE, dtype=torch.float64)
    torch.testing.assert_close(vmap(draw)(several), torch.stack([draw(z) for z in several]), atol=1e-12, rtol=0)
    slope = grad(lambda z: (draw(z) * probe).sum())
    torch.testing.assert_close(vmap(slope)(several), torch.stack([slope(z) for z in several]), atol=1e-12, rtol=0)


def test_forward_mode_is_a_finite_difference(draw):
    z, direction = _draws(2)
    image, tangent = jvp(draw, (z,), (direction,))
    assert torch.equal(image, draw(z))
    step = 1e-6
    difference = (draw(z + step * direction) - draw(z - step * direction)) / (2 * step)
    assert float(difference.abs().max()) > 0.01
    torch.testing.assert_close(tangent, difference, atol=1e-7, rtol=0)
    assert not bool(tangent[:, 3].any())  # coverage is no matter of textures


@pytest.mark.parametrize("material", MATERIALS)
def test_second_derivatives_are_symmetric(plate, torus, material):
    draw, z = _drawn(_scene(plate, torus, material=material), "baked"), _draws(1)[0]
    hessian = jacfwd(grad(lambda z: draw(z).square().sum()))(z).view(4, 4)
    assert float(hessian.abs().max()) > 1e-3
    torch.testing.assert_close(hessian, hessian.T, atol=1e-10, rtol=0)


@pytest.mark.parametrize("options", [{"budget": 1}, {"antialias": True}], ids=["strips", "antialias"])
def test_other_ways_through_the_renderer(plate, torus, options):
    scene = _scene(plate, torus, material="glossy")
    several, probe = _draws(2), torch.rand(2, 4, *SIZE, dtype=torch.float64)

    def loss(z: Tensor) -> Tensor:
        return (nt.render(scene, SIZE, grid=2, latents={"skin": z}, **options) * probe).sum()

    leaf = several.clone().requires_grad_()
    (expected,) = torch.autograd.grad(sum(loss(z) for z in leaf), leaf)
    torch.testing.assert_close(vmap(grad(loss))(several), expected, atol=1e-12, rtol=0)


def test_forward_mode_to_vertices_is_refused(plate, torus):
    scene = _scene(plate, torus)
    z, vertices = _draws(1)[0], plate.vertices

    def draw(moved: Tensor) -> Tensor:
        plate.vertices = moved
        return nt.render(scene, SIZE, grid=2, latents={"skin": z})

    with pytest.raises((nt.ArgumentError, NotImplementedError), match="forward"):
        jvp(draw, (vertices,), (torch.ones_like(vertices),))


# -- torch's compiler and files ---------------------------------------------------------------------------------------


def test_a_baked_scene_compiles_whole():
    script = Path(__file__).with_name("compiled_scenes.py")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["diffuse", "glossy"]


@pytest.mark.parametrize(("generator", "material"), [("stylegan2", "diffuse"), ("tile", "glossy")])
def test_a_baked_scene_is_a_file_of_its_own(tmp_path, plate, torus, generator, material):
    scene = _scene(plate, torus, generator, material)
    baked, z, other = nt.bake(scene, SIZE, grid=2), *_draws(2)
    program = torch.export.export(baked, ({"skin": z},))
    torch.export.save(program, tmp_path / "scene.pt2")
    expected = baked({"skin": other})
    with torch.no_grad():  # the file has weights of its own
        for parameter in scene.parameters():
            parameter.zero_()
    again = torch.export.load(tmp_path / "scene.pt2").module()
    torch.testing.assert_close(again({"skin": other}), expected, atol=1e-12, rtol=0)


# -- batches ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("way", WAYS)
def test_a_batch_puts_a_dimension_in_front(plate, torus, material, way):
    draw = _drawn(_scene(plate, torus, material=material, batch="people"), way)
    several = _draws(8)[:, 0].requires_grad_()
    images = draw(several)
    assert images.shape == (8, 2, 4, *SIZE)
    assert draw(several[:1]).shape == (1, 2, 4, *SIZE)
    loop = torch.stack([draw(z)[0] for z in several])
    torch.testing.assert_close(images, loop, atol=1e-12, rtol=0)
    ours, expected = (torch.autograd.grad(image.square().sum(), several)[0] for image in (images, loop))
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_a_bound_batch_is_drawn_as_it_is(plate, torus):
    scene = _scene(plate, torus, batch="people")
    latent = plate.material.base_color.latent
    latent.bind(_draws(3)[:, 0])
    image = nt.render(scene, SIZE, grid=2)
    assert image.shape == (3, 2, 4, *SIZE)
    image.sum().backward()
    assert bool(latent.value.grad.any(1).all())
    assert nt.bake(scene, SIZE, grid=2).pixels().shape[::2] == (3, 3)
    with pytest.raises(nt.SceneError, match="latent 'skin' holds 3 values"):
        plate.material.base_color()


def _two(plate: nt.Mesh, torus: nt.Mesh, batch: str) -> nt.Scene:
    scene = _scene(plate, torus, batch="people")
    made = _tile().double()
    torus.material = nt.Material(nt.GeneratedTexture(made, nt.Latent(made, "hair", batch=batch)), "ring")
    return scene


def test_latents_of_one_batch_go_together(plate, torus):
    scene = _two(plate, torus, "people")
    skin, hair = _draws(6)[:, 0].split(3)
    images = nt.render(scene, SIZE, grid=2, latents={"skin": skin, "hair": hair})
    for k in range(3):
        alone = nt.render(scene, SIZE, grid=2, latents={"skin": skin[k], "hair": hair[k]})
        torch.testing.assert_close(images[k], alone[0], atol=1e-12, rtol=0)
    with pytest.raises(nt.SceneError, match=r"'skin' and 'hair' share the batch 'people', but have 3 and 2 values"):
        nt.render(scene, SIZE, latents={"skin": skin, "hair": hair[:2]})


def test_every_value_of_one_batch_meets_every_value_of_another(plate, torus):
    scene = _two(plate, torus, "styles")
    skin, hair = _draws(3)[:, 0], _draws(2)[:, 0]
    images = nt.render(scene, SIZE, grid=2, latents={"skin": skin, "hair": hair})
    assert images.shape == (3, 2, 2, 4, *SIZE)
    alone = nt.render(scene, SIZE, grid=2, latents={"skin": skin[2], "hair": hair[1]})
    torch.testing.assert_close(images[2, 1], alone[0, 0], atol=1e-12, rtol=0)
    assert scene.check(SIZE).image == ("people", "styles", 2, 4, *SIZE)


def test_geometry_is_worked_out_once_for_a_batch(plate, torus, monkeypatch):
    scene, calls = _scene(plate, torus, batch="people"), []
    once = View.visible
    monkeypatch.setattr(View, "visible", lambda *args: calls.append(args) or once(*args))
    nt.render(scene, SIZE, grid=2, latents={"skin": _draws(5)[:, 0]})
    assert len(calls) == 2  # cameras


def test_cut_outs_are_drawn_one_after_the_other(plate, torus):
    class Holes(torch.nn.Module):
        latent_shape = (4,)

        def forward(self, z: Tensor) -> Tensor:
            return torch.tanh(z[:, [0, 1, 2, 3]].repeat(1, 16).view(-1, 4, 4, 4).transpose(1, 3))

    scene = _scene(plate, torus)
    skin = nt.GeneratedTexture(Holes(), nt.Latent((4,), "skin", batch="people"))
    plate.material = nt.Material(skin, alpha_cutoff=0.5)
    several = _draws(3)[:, 0]
    several[:2, 3] = torch.tensor([1.0, -1.0])  # alpha above a half, and below
    images = nt.render(scene, SIZE, grid=2, latents={"skin": several})
    assert float(images[0, :, 3].sum()) > float(images[1, :, 3].sum())
    torch.testing.assert_close(images[1], nt.render(scene, SIZE, grid=2, latents={"skin": several[1]})[0])
