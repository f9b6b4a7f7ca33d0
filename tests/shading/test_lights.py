"""What arrives from each kind of light."""

import math

import torch

from neurotex.shading import incident

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
