"""Lambert's law: kernel against reference, plates worked out by hand, and gradients."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.shading import diffuse
from neurotex.shading.diffuse import diffuse_reference

FLASH, SUN, LAMP = [0.3, -0.2, 2.0, 1.0], [1.0, 2.0, 3.0, 0.0], [4.0, 0, 0, 2.0]


def _inputs(n: int, dtype: torch.dtype, channels: int = 3) -> tuple[Tensor, ...]:
    position, normal = torch.randn(n, 3, dtype=dtype), 3 * torch.randn(n, 3, dtype=dtype)
    lights = torch.tensor([FLASH, SUN, LAMP], dtype=dtype)
    return position, normal, lights[0], lights, torch.rand(3, channels, dtype=dtype), torch.rand(channels, dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("eye", [FLASH, [0.0, 0, 1, 0]])
def test_the_kernel_equals_the_reference(dtype, tolerance, channels, eye):
    position, normal, _, lights, intensity, ambient = _inputs(1000, dtype, channels)
    normal[0] = 0  # a degenerate normal is dark, not NaN
    inputs = (position, normal, torch.tensor(eye, dtype=dtype), lights, intensity, ambient)
    expected = diffuse_reference(*inputs)
    torch.testing.assert_close(diffuse(*inputs), expected, rtol=tolerance, atol=tolerance)
    assert bool((expected[0] == 0).all())


@pytest.mark.parametrize("distance", [0.5, 2.0])
def test_a_plate_under_a_flash_sends_back_its_share(distance):
    """White, facing a light of intensity I at distance d: I / π / d²; tilted by θ: times cos θ."""
    eye = torch.tensor([0, 0, distance, 1])
    tilt = torch.tensor([0.0, 0.4, 1.2])
    normal = torch.stack([tilt.sin(), 0 * tilt, tilt.cos()], 1)
    out = diffuse(torch.zeros(3, 3), normal, eye, eye[None], torch.tensor([[7.0, 5, 3]]))
    torch.testing.assert_close(out, tilt.cos()[:, None] * torch.tensor([7.0, 5, 3]) / math.pi / distance**2)


def test_a_white_surface_in_ambient_light_is_as_bright_as_the_light():
    position, normal, eye, lights, intensity, _ = _inputs(50, torch.float64)
    radiance = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    out = diffuse(position, normal, eye, lights[:0], intensity[:0], radiance)
    torch.testing.assert_close(out, radiance.expand(50, 3))


def test_parallel_light_falls_by_the_cosine():
    sun = torch.tensor([[0.0, 3, 3, 0]])
    up = torch.tensor([[0.0, 0, 1]])
    out = diffuse(torch.randn(1, 3), up, torch.tensor([0.0, 0, 1, 0]), sun, torch.tensor([[math.pi]]))
    torch.testing.assert_close(out, torch.tensor([[math.sqrt(0.5)]]))


def test_surfaces_have_two_sides():
    inputs = _inputs(100, torch.float64)
    flipped = (inputs[0], -inputs[1], *inputs[2:])
    assert torch.equal(diffuse(*inputs), diffuse(*flipped))
    assert torch.equal(diffuse_reference(*inputs), diffuse_reference(*flipped))


def test_a_light_behind_the_seen_side_gives_nothing():
    eye, lamp = torch.tensor([0.0, 0, 1, 1]), torch.tensor([[0.0, 0, -1, 1]])
    out = diffuse(torch.zeros(1, 3), torch.tensor([[0.0, 0, 1]]), eye, lamp, torch.ones(1, 3))
    assert bool((out == 0).all())


def test_lights_add_up():
    position, normal, eye, lights, intensity, ambient = _inputs(100, torch.float64)
    each = [diffuse(position, normal, eye, lights[k : k + 1], intensity[k : k + 1]) for k in range(3)]
    each.append(diffuse(position, normal, eye, lights[:0], intensity[:0], ambient))
    torch.testing.assert_close(diffuse(position, normal, eye, lights, intensity, ambient), sum(each))


def test_gradients_pass_gradcheck():
    position, normal, eye, lights, intensity, ambient = _inputs(8, torch.float64)
    leaves = [t.requires_grad_() for t in (position, normal, intensity.clone(), ambient)]
    assert gradcheck(lambda p, n, *light: diffuse(p, n, eye, lights, *light), leaves)
    lamp = lights[2:].clone().requires_grad_()
    assert gradcheck(lambda lamp: diffuse(position.detach(), normal.detach(), eye, lamp, intensity[:1]), (lamp,))
