"""Image light against sums over all of its pixels as parallel lights, and against even light."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from neurotex.shading import (
    diffuse,
    environment_diffuse,
    environment_reflection,
    environment_specular,
    irradiance,
    metallic_roughness,
    prefilter,
    sh_irradiance,
)
from neurotex.shading.environment import directions

F64 = torch.float64
UP_EYE = torch.tensor([0.2, 0.5, 1.0, 0.0], dtype=F64)


def _sky(height: int) -> Tensor:
    """A smooth environment: bright above, warm towards +X, with some detail."""
    x, y, z = directions(height, 2 * height, torch.zeros((), dtype=F64)).unbind(-1)
    return torch.stack([1 + 0.6 * x + 0.3 * y, 1 + 0.5 * y + 0.3 * x * z, 1.2 + 0.8 * y**3 - 0.4 * z])


def _lights(image: Tensor) -> tuple[Tensor, Tensor]:
    """Every pixel as a parallel light: homogeneous directions, irradiances."""
    _, height, width = image.shape
    towards = directions(height, width, image).reshape(-1, 3)
    edges = torch.linspace(0, math.pi, height + 1, dtype=image.dtype).cos()
    solid = (-edges.diff() * 2 * math.pi / width)[:, None].expand(height, width)
    return torch.cat([towards, towards[:, :1] * 0], 1), (image * solid).flatten(1).T.contiguous()


def _normals(n: int) -> Tensor:
    return normalize(torch.randn(n, 3, dtype=F64), dim=1)


def test_the_picture_looks_along_minus_z_with_plus_x_to_the_right():
    look = directions(4, 8, torch.zeros(()))
    middle, right, top = look[1:3, 3:5].mean((0, 1)), look[1:3, 5:7].mean((0, 1)), look[0].mean(0)
    for direction, axis in ((middle, [0, 0, -1]), (right, [1, 0, 0]), (top, [0, 1, 0])):
        torch.testing.assert_close(normalize(direction, dim=0), look.new_tensor(axis), atol=1e-6, rtol=0)
    image = torch.rand(3, 8, 16)
    sharp = prefilter(image, height=8, levels=2)
    seen = environment_specular(sharp, directions(8, 16, image).reshape(-1, 3), torch.zeros(128))
    torch.testing.assert_close(seen.T.reshape(3, 8, 16), image)


def test_a_red_light_on_the_right_falls_on_what_faces_right():
    image = torch.zeros(3, 16, 32)
    image[0, 7:9, 23:25] = 100
    falls = irradiance(sh_irradiance(image), torch.cat([torch.eye(3), -torch.eye(3)]))
    assert int(falls[:, 0].argmax()) == 0
    assert float(falls[0, 0]) > 5 * float(falls[3, 0])
    assert bool((falls >= 0).all())
    assert bool((falls[:, 1:] == 0).all())


def test_irradiance_is_the_sum_over_all_pixels():
    image, normal = _sky(32), _normals(200)
    towards, strength = _lights(_sky(128))
    cosine = (normal @ towards[:, :3].T).clamp_min(0)
    expected = cosine @ strength
    torch.testing.assert_close(irradiance(sh_irradiance(image), normal), expected, rtol=0.015, atol=0)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 16)])
def test_coefficients_of_one_colour_are_exact_at_any_size(size):
    color = torch.tensor([0.2, 0.5, 0.9], dtype=F64)
    coefficients = sh_irradiance(color[:, None, None].expand(3, *size))
    torch.testing.assert_close(coefficients[0], math.pi * color)
    torch.testing.assert_close(coefficients[1:], torch.zeros(8, 3, dtype=F64), atol=1e-14, rtol=0)


def _surface(n: int) -> list[Tensor]:
    material = [torch.rand(n, 3, dtype=F64), torch.rand(n, dtype=F64), torch.rand(n, dtype=F64)]
    return [*material, 2 * _normals(n), torch.randn(n, 3, dtype=F64)]


def test_one_colour_all_around_is_even_light():
    surface, color = _surface(300), torch.tensor([[0.2, 0.5, 0.9]], dtype=F64)
    surface[3][0] = 0
    image = color[0, :, None, None].expand(3, 16, 32)
    maps = sh_irradiance(image), prefilter(image, height=16, levels=4)
    none = torch.empty(0, 4, dtype=F64), torch.empty(0, 3, dtype=F64)
    for eye in (UP_EYE, torch.tensor([0.1, 0.2, 3, 1], dtype=F64)):
        expected = metallic_roughness(*surface, eye, *none, color[0])
        torch.testing.assert_close(environment_reflection(*surface, eye, *maps), expected)
        even = environment_diffuse(surface[4], surface[3], eye, maps[0])
        torch.testing.assert_close(even, diffuse(surface[4], surface[3], eye, *none, color[0]))


@pytest.mark.parametrize(("roughness", "mean", "worst"), [(0.25, 0.01, 0.05), (0.5, 0.02, 0.08), (1.0, 0.025, 0.08)])
def test_the_split_sum_is_near_the_whole_one(roughness, mean, worst):
    """Relative errors of a metal in a smooth sky, seen at less than 73°."""
    n = 40
    towards, strength = _lights(_sky(256))
    normal = _normals(n)
    normal = torch.where((normal @ UP_EYE[:3])[:, None] < 0, -normal, normal)
    normal = normal[normal @ normalize(UP_EYE[:3], dim=0) > 0.3]
    n = len(normal)
    surface = torch.full((n, 3), 0.9, dtype=F64), torch.full((n,), roughness, dtype=F64), torch.ones(n, dtype=F64)
    expected = metallic_roughness(*surface, normal, 0 * normal, UP_EYE, towards, strength)
    image = _sky(64)
    found = environment_reflection(*surface, normal, 0 * normal, UP_EYE, sh_irradiance(image), prefilter(image))
    error = (found / expected - 1).abs()
    assert float(error.mean()) < mean
    assert float(error.max()) < worst


def test_blurred_levels_are_weighted_means():
    """Level by level against the sum over pixels of D · (n · l), at the direction of one pixel."""
    image = torch.rand(3, 16, 32, dtype=F64)
    levels = prefilter(image, height=16, levels=5)
    towards, strength = _lights(image)
    _, solid = _lights(torch.ones_like(image))
    at = directions(16, 32, image)[5, 20]
    cosine = towards[:, :3] @ at
    for level, roughness in enumerate((0.25, 0.5, 0.75, 1.0), start=1):
        a = roughness**4
        weight = cosine.clamp_min(0) / (((1 + cosine) / 2) * (a - 1) + 1) ** 2
        expected = (weight[:, None] * strength).sum(0) / (weight[:, None] * solid).sum(0)
        torch.testing.assert_close(levels[level, :, 5, 20], expected)


def test_lookup_crosses_the_seam_and_stays_finite_at_the_poles():
    levels = prefilter(_sky(16), height=16, levels=3)
    near_seam = torch.tensor([[1e-4, 0.1, 1.0], [-1e-4, 0.1, 1.0]], dtype=F64)  # behind the camera
    left, right = environment_specular(levels, near_seam, torch.full((2,), 0.3, dtype=F64))
    torch.testing.assert_close(left, right, atol=1e-3, rtol=0)
    poles = torch.tensor([[0.0, 1, 0], [0, -1, 0], [0, 0, 0]], dtype=F64, requires_grad=True)
    out = environment_specular(levels, poles, torch.full((3,), 0.5, dtype=F64))
    assert bool(out.isfinite().all())
    out.sum().backward()
    assert bool(poles.grad.isfinite().all())


def test_gradients_pass_gradcheck_in_image_normals_and_material():
    surface = [t.requires_grad_() for t in _surface(3)]
    image = torch.rand(3, 4, 8, dtype=F64, requires_grad=True)

    def shade(image: Tensor, *surface: Tensor) -> Tensor:
        return environment_reflection(*surface, UP_EYE, sh_irradiance(image), prefilter(image, height=4, levels=3))

    assert gradcheck(shade, (image, *surface), eps=1e-7, atol=1e-5, fast_mode=True)


def test_degenerate_surfaces_stay_finite():
    """No normal, one across the view, an eye on the surface."""
    normal = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]], requires_grad=True)
    position = torch.tensor([[0.0, 0, 0], [0, 0, 0], [0, 0, 2], [0, 0, 0]])
    rough = torch.tensor([0.0, 1, 0, 1], requires_grad=True)
    eye = torch.tensor([0.0, 0, 2, 1])
    image = torch.rand(3, 8, 16)
    maps = sh_irradiance(image), prefilter(image, height=8, levels=3)
    out = environment_reflection(torch.ones(4, 3), rough, torch.ones(4), normal, position, eye, *maps)
    assert bool(out.isfinite().all())
    assert bool((out[0] == 0).all())
    out.sum().backward()
    assert bool(normal.grad.isfinite().all())
    assert bool(rough.grad.isfinite().all())
