"""What arrives from each kind of light."""

import math

import pytest
import torch

from neurotex.shading import diffuse, incident, metallic_roughness
from neurotex.shading.diffuse import diffuse_reference
from neurotex.shading.ggx import metallic_roughness_reference

POINTS = torch.tensor([[0.0, 0, 0], [1, 2, 3]])
UP = torch.tensor([[0.0, 0, 1], [0, 0, 1]])


def test_a_point_light_falls_off_with_the_squared_distance():
    direction, falloff = incident(torch.tensor([0.0, 0, 4, 2]), POINTS)  # homogeneous: it stands at (0, 0, 2)
    torch.testing.assert_close(falloff, torch.tensor([1 / 4, 1 / 6]))
    torch.testing.assert_close(direction, torch.tensor([[0.0, 0, 1], [-1, -2, -1]]) / torch.tensor([[1], [6**0.5]]))


def test_a_direction_falls_off_nowhere():
    direction, falloff = incident(torch.tensor([0.0, 3, 4, 0]), POINTS)
    assert torch.equal(falloff, torch.ones(2))
    torch.testing.assert_close(direction, torch.tensor([0, 0.6, 0.8]).expand(2, 3))


def test_no_place_and_no_direction_is_no_light():
    """It was light from everywhere once: four zeros now send nothing, by kernels and references alike."""
    direction, falloff = incident(torch.zeros(4), POINTS)
    assert torch.equal(direction, torch.zeros(2, 3))
    assert bool(falloff.isfinite().all())
    maps, eye = (torch.full((2, 3), 0.5), torch.full((2,), 0.5), torch.full((2,), 0.5)), torch.tensor([0.0, 0, 9, 1])
    nothing = (torch.zeros(1, 4), torch.ones(1, 3))
    for shade in (diffuse, diffuse_reference):
        assert not bool(shade(POINTS, UP, eye, *nothing).any())
    for shade in (metallic_roughness, metallic_roughness_reference):
        assert not bool(shade(*maps, UP, POINTS, eye, *nothing).any())


@pytest.mark.parametrize("shade", [diffuse, diffuse_reference])
def test_ambient_light_is_as_if_pi_came_along_the_normal(shade):
    """The integral of the cosine over the hemisphere."""
    eye, strength = torch.tensor([0.0, 0, 9, 1]), torch.tensor([0.2, 0.5, 0.9])
    along = shade(POINTS, UP, eye, torch.tensor([[0.0, 0, 1, 0]]), math.pi * strength[None])
    none = torch.empty(0, 4), torch.empty(0, 3)
    torch.testing.assert_close(shade(POINTS, UP, eye, *none, strength), along)


SHADES = {
    "diffuse": (diffuse, diffuse_reference, 0),
    "metallic_roughness": (metallic_roughness, metallic_roughness_reference, 3),
}


@pytest.mark.parametrize("name", SHADES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_visibility_is_the_share_of_each_light_that_arrives(name, dtype):
    """0 takes a light away, 1 leaves it, what lies between mixes; ambient light is as it was. Several blocks of points,
    and all gradients, those by the share among them, are the reference's.
    """
    shade, reference, maps = SHADES[name]
    n, eye = 300, torch.tensor([0.4, 0.3, 3, 1], dtype=dtype)
    rough, metal = 0.2 + 0.8 * torch.rand(n, dtype=dtype), torch.rand(n, dtype=dtype)
    material = [torch.rand(n, 3, dtype=dtype), rough, metal][:maps]
    normal, position = torch.randn(n, 3, dtype=dtype), torch.randn(n, 3, dtype=dtype)
    surface = [*material, normal, position] if maps else [position, normal]
    lights = torch.tensor([[1.0, 2, 3, 0], [0.3, -0.2, 2, 1], [4.0, 0, 0, 2]], dtype=dtype)
    intensity, ambient = torch.rand(3, 3, dtype=dtype), torch.rand(3, dtype=dtype)

    def lit(*keep: int) -> torch.Tensor:
        return shade(*surface, eye, lights[list(keep)], intensity[list(keep)], ambient)

    share = torch.ones(n, 3, dtype=dtype)
    assert torch.equal(shade(*surface, eye, lights, intensity, ambient, share), lit(0, 1, 2))
    share[:, 1] = 0
    torch.testing.assert_close(shade(*surface, eye, lights, intensity, ambient, share), lit(0, 2))
    share[:, 1] = 0.25
    mixed = 0.75 * lit(0, 2) + 0.25 * lit(0, 1, 2)
    torch.testing.assert_close(shade(*surface, eye, lights, intensity, ambient, share), mixed)

    share = torch.rand(n, 3, dtype=dtype)
    share[::3, 1] = 0  # a share of 0 has a gradient, too
    inputs = (*surface, eye, lights, intensity, ambient, share)
    with torch.no_grad():
        torch.testing.assert_close(shade(*inputs), reference(*inputs))
    leaves = [t.detach().clone().requires_grad_() for t in (*surface, intensity, ambient, share)]

    def grads(function) -> tuple:
        k = len(surface)
        out = function(*leaves[:k], eye, lights, *leaves[k:])
        return torch.autograd.grad((out * weights).sum(), leaves)

    weights = torch.rand(n, 3, dtype=dtype)
    tolerance = {"rtol": 2e-3, "atol": 2e-4} if dtype == torch.float32 else {"rtol": 1e-8, "atol": 1e-10}
    for ours, expected in zip(grads(shade), grads(reference), strict=True):
        assert bool(expected.any())
        torch.testing.assert_close(ours, expected, **tolerance)


def test_a_light_on_the_surface_itself_stays_finite():
    direction, falloff = incident(torch.tensor([0.0, 0, 0, 1]), POINTS[:1])
    assert bool(direction.isfinite().all())
    assert bool(falloff.isfinite().all())


@pytest.mark.parametrize("length", [1e-30, 1e-18, 1e18])
def test_a_direction_counts_however_long_it_is(length):
    """The square of a short one is 0 in float32: it was taken for light from everywhere, or for none."""
    way, eye = torch.tensor([[0.6, 0, 0.8, 0]]), torch.tensor([0.0, 0, 9, 1])
    maps = (torch.full((2, 3), 0.5), torch.full((2,), 0.5), torch.full((2,), 0.5))
    for lights in (way * length, way):
        found = diffuse(POINTS, UP, eye, lights, torch.ones(1, 1))
        torch.testing.assert_close(found, torch.full((2, 1), 0.8 / math.pi))
        direction, _ = incident(lights[0], POINTS)
        torch.testing.assert_close(direction, way[:, :3].expand(2, 3))
        shone = metallic_roughness(*maps, UP, POINTS, eye, lights, torch.ones(1, 3))
        torch.testing.assert_close(shone, metallic_roughness(*maps, UP, POINTS, eye, way, torch.ones(1, 3)))


@pytest.mark.parametrize("w", [1e-30, 1e-20, 0.5, -2.0])
def test_homogeneous_eyes_and_lights_stand_where_they_are_divided(w):
    """What is 1e30 away is as a direction, the square of whose distance no float32 holds; a negative w is no mirror."""
    maps = (torch.full((2, 3), 0.5), torch.full((2,), 0.5), torch.full((2,), 0.5))
    normals, sun = UP * torch.tensor([[1.0], [-1]]), torch.tensor([0.6, 0, 0.8, 0])
    point = torch.tensor([1.0, 2, 3, w])
    if abs(w) < 1e-9:  # seen from there is as seen from infinitely far; a lamp there sends nothing
        eye, lights = point * torch.tensor([1.0, 1, 1, 0]), sun[None]
    else:
        eye = point / w
        lights = torch.stack([eye, sun])
    given, plain = torch.stack([point, sun]), torch.ones(len(lights), 3)

    found = metallic_roughness(*maps, normals, POINTS, point, given, torch.ones(2, 3))
    torch.testing.assert_close(found, metallic_roughness(*maps, normals, POINTS, eye, lights, plain))
    expected = metallic_roughness_reference(*maps, normals, POINTS, point, given, torch.ones(2, 3))
    torch.testing.assert_close(found, expected)
    found = diffuse(POINTS, normals, point, given, torch.ones(2, 3))
    torch.testing.assert_close(found, diffuse(POINTS, normals, eye, lights, plain))
    torch.testing.assert_close(found, diffuse_reference(POINTS, normals, point, given, torch.ones(2, 3)))
