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
    direction, falloff = incident(torch.tensor([0.0, 0, 4, 2]), POINTS, UP)  # homogeneous: it stands at (0, 0, 2)
    torch.testing.assert_close(falloff, torch.tensor([1 / 4, 1 / 6]))
    torch.testing.assert_close(direction, torch.tensor([[0.0, 0, 1], [-1, -2, -1]]) / torch.tensor([[1], [6**0.5]]))


def test_a_direction_falls_off_nowhere():
    direction, falloff = incident(torch.tensor([0.0, 3, 4, 0]), POINTS, UP)
    assert torch.equal(falloff, torch.ones(2))
    torch.testing.assert_close(direction, torch.tensor([0, 0.6, 0.8]).expand(2, 3))


def test_ambient_light_comes_as_pi_along_the_normal():
    direction, falloff = incident(torch.zeros(4), POINTS, UP)
    assert torch.equal(direction, UP)
    torch.testing.assert_close(falloff, torch.full((2,), math.pi))


def test_a_light_on_the_surface_itself_stays_finite():
    direction, falloff = incident(torch.tensor([0.0, 0, 0, 1]), POINTS[:1], UP[:1])
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
        direction, _ = incident(lights[0], POINTS, UP)
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
