"""Lights with an extent, environments and what they leave dark, against what can be integrated by hand."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.shading.environment import directions

FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def quad(corner: tuple, u: tuple, v: tuple, **more: object) -> nt.Mesh:
    o, u, v = (torch.tensor(x, dtype=torch.get_default_dtype()) for x in (corner, u, v))
    uvs = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    return nt.Mesh(torch.stack([o, o + u, o + u + v, o + v]), FACES, uvs, **more)


WHITE = nt.Material((1.0, 1.0, 1.0))
DOWN = nt.look_at(torch.tensor([0.0, 0.5, 0]), torch.zeros(3), torch.tensor([0.0, 0, -1]))


def floor(material: nt.Material = WHITE) -> nt.Mesh:
    return quad((-9.0, 0, 9), (18.0, 0, 0), (0.0, 0, -18), material=material)


def seen(scene: nt.Scene, size: int = 8, half: float = 1e-3) -> torch.Tensor:
    """The mean radiance of a small piece of what lies below the origin."""
    return nt.render(scene, size, cameras=nt.OrthographicCamera(DOWN, half))[0, :3].mean((1, 2))


def test_a_ball_of_light_sheds_what_its_solid_angle_does():
    for place, radius in (((0.0, 3.0, 0.0), 1.0), ((1.5, 2.0, -0.5), 0.7)):
        distance = math.dist(place, (0, 0, 0))
        irradiance = 2.0 * math.pi * (radius / distance) ** 2 * place[1] / distance
        scene = nt.Scene(floor(), lights=nt.SphereLight(place, radius, 2.0)).double()
        torch.testing.assert_close(seen(scene), torch.full((3,), irradiance / math.pi).double(), rtol=1.2e-2, atol=0)


def _form_factor(a: float, b: float) -> float:
    """Of a rectangle a x b, in distances, whose corner is right above a small parallel face (Howell, B-3)."""
    x, y = math.sqrt(1 + a * a), math.sqrt(1 + b * b)
    return (a / x * math.atan(b / x) + b / y * math.atan(a / y)) / (2 * math.pi)


def test_a_rectangle_of_light_sheds_what_its_form_factor_says():
    light = nt.RectangleLight((0.4, 2.0, 0.6), (0.8, 0, 0), (0.0, 0, 1.2), (3.0, 2.0, 1.0))
    expected = light.intensity.double() * _form_factor(0.4, 0.6)
    torch.testing.assert_close(seen(nt.Scene(floor(), lights=light).double()), expected, rtol=2e-3, atol=0)
    away = nt.RectangleLight((0.4, 2.0, 0.6), (0.0, 0, 1.2), (0.8, 0, 0), 3.0)  # shines upwards
    assert float(seen(nt.Scene(floor(), lights=away)).max()) == 0.0


@pytest.mark.parametrize("maps", [{}, {"roughness": 0.9}], ids=["diffuse", "glossy"])
def test_half_a_light_behind_a_screen_is_half_the_light(maps):
    light = nt.RectangleLight((0.0, 2.0, 0.0), (1.0, 0, 0), (0.0, 0, 1.0), 3.0)
    material = nt.Material((0.8, 0.8, 0.8), **maps)
    free = seen(nt.Scene(floor(material), lights=light))
    screen = quad((0.0, 1.0, -5), (5.0, 0, 0), (0.0, 0, 10))
    half = seen(nt.Scene([floor(material), screen], lights=light))
    assert float(half.mean()) == pytest.approx(float(free.mean()) / 2, rel=0.01)
    light.cast_shadows = False
    torch.testing.assert_close(seen(nt.Scene([floor(material), screen], lights=light)), free)


def walled() -> nt.Scene:
    """A wall as high as it is far from the origin, and long: it hides (1 - cos 45°) / 2 of the cosine-weighted sky."""
    return nt.Scene([floor(), quad((1.0, 0, -60), (0.0, 1, 0), (0.0, 0, 120))])


OPEN = (1 + math.cos(math.pi / 4)) / 2


@pytest.mark.parametrize("kind", ["ambient", "environment"])
def test_a_wall_hides_its_share_of_the_sky(kind):
    even = torch.ones(3, 8, 16)
    lights = {
        "ambient": nt.AmbientLight((0.6, 0.4, 0.2), cast_shadows=True),
        "environment": nt.EnvironmentLight(even, (0.6, 0.4, 0.2), cast_shadows=True),
    }
    scene, expected = walled().replace(lights=lights[kind]), torch.tensor([0.6, 0.4, 0.2])
    torch.testing.assert_close(seen(scene), expected * OPEN, rtol=1.2e-2, atol=0)
    bare = nt.Scene(floor(), lights=lights[kind])
    torch.testing.assert_close(seen(bare), expected, rtol=1e-5 if kind == "ambient" else 1.2e-2, atol=0)


def test_passes_say_what_is_in_the_way():
    lights = [nt.PointLight((3.0, 1.5, 0.0), 1.0), nt.PointLight((3.0, 5.0, 0.0), 1.0)]
    scene, camera = walled().replace(lights=[*lights, nt.Flash(1.0)]), nt.OrthographicCamera(DOWN, 1e-3)
    passes = nt.render_passes(scene, 4, cameras=camera, lights=lights, shadows=True)
    assert passes.shadow.shape == (1, 2, 4, 4)
    assert bool((passes.shadow[:, 0] == 0).all())
    assert bool((passes.shadow[:, 1] == 1).all())
    torch.testing.assert_close(passes.occlusion, torch.full((1, 1, 4, 4), OPEN), rtol=1.2e-2, atol=0)
    assert nt.render_passes(scene, 4, cameras=camera).shadow.shape == (1, 0, 4, 4)


def test_directions_stand_for_the_image_that_they_were_drawn_from():
    """A small sun in a dim sky: what its directions bring is the integral over the pixels."""
    image = torch.full((3, 24, 48), 0.2, dtype=torch.float64)
    image[:, 6, 30] = torch.tensor([900.0, 700.0, 400.0])
    light = nt.EnvironmentLight(image, cast_shadows=True).double()
    found = seen(nt.Scene(floor(), lights=light).double())
    edges = torch.linspace(0, math.pi, 25, dtype=torch.float64).cos()
    solid = -edges.diff()[:, None] * (2 * math.pi / 48)
    cosine = directions(24, 48, image)[..., 1].clamp_min(0)
    torch.testing.assert_close(found, (image * solid * cosine).sum((1, 2)) / math.pi, rtol=5e-3, atol=0)


@pytest.mark.parametrize("maps", [{}, {"roughness": 0.5, "metallic": 0.5}], ids=["diffuse", "glossy"])
def test_a_bake_is_the_render_and_both_have_gradients_to_lights(maps, torus):
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 6, 5), trainable=True), **maps)
    lights = [
        nt.RectangleLight((0.5, 2.0, 0.6), (0.8, 0, 0), (0.0, 0, 1.2), 3.0, samples=3),
        nt.SphereLight((-1.0, 1.5, 0.3), 0.3, (2.0, 3.0, 4.0), samples=2),
        nt.PointLight((1.0, 2.0, 0.5), (3.0, 1.0, 0.2)),
        nt.AmbientLight(0.3),
        nt.AmbientLight((0.1, 0.2, 0.3), cast_shadows=True, samples=2),
        nt.EnvironmentLight(torch.rand(3, 4, 8), 0.7, trainable=True, cast_shadows=True, samples=5),
    ]
    scene = nt.Scene([torus, floor()], nt.orbit(2, 3.5, elevation=30.0), lights).double()
    image = nt.render(scene, (12, 10), grid=2)
    baked = nt.bake(scene, (12, 10), grid=2)
    torch.testing.assert_close(baked(), image, atol=1e-11, rtol=1e-11)
    strips = nt.render(scene, (12, 10), grid=2, budget=1 << 14)
    torch.testing.assert_close(strips, image, atol=1e-11, rtol=1e-11)
    probe = torch.rand_like(image)
    leaves = [torus.material.base_color.image]
    if maps:
        leaves += [lights[5].image, *(light.intensity.requires_grad_() for light in lights)]
        baked = nt.bake(scene, (12, 10), grid=2)
    ours, other = (
        torch.autograd.grad((draw() * probe).sum(), leaves)
        for draw in (baked, lambda: nt.render(scene, (12, 10), grid=2))
    )
    for a, b in zip(ours, other, strict=True):
        assert bool(b.any())
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


def test_lights_that_are_none_are_refused():
    for make in (
        lambda: nt.RectangleLight((0, 0, 0), (1, 0, 0), (2, 0, 0), 1.0),
        lambda: nt.RectangleLight((0, 0), (1, 0, 0), (0, 1, 0), 1.0),
        lambda: nt.SphereLight((0, 0, 0), 0.0, 1.0),
        lambda: nt.SphereLight((0, 0, 0), 1.0, 1.0, samples=0),
        lambda: nt.AmbientLight(1.0, samples=0),
    ):
        with pytest.raises(nt.ArgumentError):
            make()
