"""Phong's lighting: worked out by hand, PyTorch3D's defaults, normals, and gradients that never break."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.compat.pytorch3d.phong import PhongLight, PhongMaterial, area_normals, face_normals, phong

UP = torch.tensor([[0.0, 0, 1]])
PLAIN = PhongMaterial()


def _points(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, normals and an eye, in float64."""
    position, normal, eye = (torch.randn(k, 3, dtype=torch.float64) for k in (n, n, 1))
    return position, normal, 3 * eye


def _box() -> tuple[Tensor, Tensor]:
    """The cube [0, 1]³: a pyramid of corners with two triangles a side, counter-clockwise seen from outside."""
    corner = torch.tensor([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)])
    quads = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return corner, torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


@pytest.mark.parametrize("tilt", [0.0, 0.3, 1.2])
def test_terms_are_those_of_the_formula(tilt):
    """Eye and light above a tilted plate: n·l = cos θ, and the mirrored ray is 2 θ away from the eye."""
    normal = torch.tensor([[math.sin(tilt), 0, math.cos(tilt)]])
    light = PhongLight.at((0, 0, 5), ambient=(0.1, 0.2, 0.3), diffuse=(0.4, 0.5, 0.6), specular=(0.7, 0.8, 0.9))
    material = PhongMaterial((1.0, 0.5, 2.0), (0.5, 1.0, 1.0), (1.0, 1.0, 0.5), shininess=3.0)
    lit, highlight = phong(torch.zeros(1, 3), 7 * normal, torch.tensor([[0.0, 0, 2]]), light, material)
    cosine, mirror = math.cos(tilt), max(math.cos(2 * tilt), 0)
    ambient, diffuse, specular = ([0.1, 0.1, 0.6], [0.2, 0.5, 0.6], [0.7, 0.8, 0.45])
    torch.testing.assert_close(lit, torch.tensor([[a + d * cosine for a, d in zip(ambient, diffuse, strict=True)]]))
    torch.testing.assert_close(highlight, torch.tensor([[s * mirror**3 for s in specular]]))


def test_the_defaults_are_pytorch3ds():
    """PointLights at (0, 1, 0) with 0.5, 0.3, 0.2, and a material of ones with an exponent of 64."""
    above = torch.tensor([[0.0, 3, 0]])
    lit, highlight = phong(torch.zeros(1, 3), torch.tensor([[0.0, 1, 0]]), above, PhongLight(), PLAIN)
    torch.testing.assert_close(lit, torch.full((1, 3), 0.8))
    torch.testing.assert_close(highlight, torch.full((1, 3), 0.2))
    turned = torch.tensor([[0.0, math.cos(0.1), math.sin(0.1)]])
    _, dimmer = phong(torch.zeros(1, 3), turned, above, PhongLight(), PLAIN)
    torch.testing.assert_close(dimmer, torch.full((1, 3), 0.2 * math.cos(0.2) ** 64))


def test_a_light_behind_the_surface_leaves_the_ambient_term():
    """Surfaces have one side; the mirrored ray of a light from behind would hit the eye here."""
    lit, highlight = phong(torch.zeros(1, 3), -UP, UP, PhongLight.towards((0, 0, 2)), PLAIN)
    assert torch.equal(lit, torch.full((1, 3), 0.5))
    assert not bool(highlight.any())


def test_parallel_light_is_that_of_a_point_far_away():
    position, normal, eye = _points(50)
    far = phong(position, normal, eye, PhongLight.at((1e9, 2e9, -1e9)), PLAIN)
    parallel = phong(position, normal, eye, PhongLight.towards((1, 2, -1)), PLAIN)
    for a, b in zip(far, parallel, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_ambient_light_shows_textures_as_they_are():
    lit, highlight = phong(*_points(5), PhongLight.everywhere(), PLAIN)
    assert bool((lit == 1).all())
    assert bool((highlight == 0).all())


def test_each_point_may_have_an_eye_of_its_own():
    position, normal, _ = _points(6)
    eyes = torch.randn(6, 3, dtype=torch.float64)
    together = phong(position, normal, eyes, PhongLight(), PLAIN)
    for k in range(6):
        alone = phong(position[k : k + 1], normal[k : k + 1], eyes[k : k + 1], PhongLight(), PLAIN)
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[k : k + 1], b)


@pytest.mark.parametrize("light", [PhongLight.at, PhongLight.towards])
@pytest.mark.parametrize("shininess", [0.7, 64.0])
def test_gradients_pass_gradcheck(light, shininess):
    def shaded(position, normal, eye, place, color, exponent):
        lit, highlight = phong(
            position, normal, eye, light(place, diffuse=color, specular=color), PhongMaterial(shininess=exponent)
        )
        return lit, highlight

    place, color = torch.tensor([0.3, 2.0, 1.0]).double(), torch.rand(3).double()
    leaves = (*_points(6), place, color, torch.tensor(shininess).double())
    assert gradcheck(shaded, [leaf.requires_grad_() for leaf in leaves])


@pytest.mark.parametrize("shininess", [0.0, 0.5, 1.0, 64.0])
def test_gradients_stay_finite_where_nothing_is_defined(shininess):
    """A normal of no length, an eye and a light on the surface, rays that miss the eye by a right angle."""
    position = torch.zeros(4, 3)
    normal = torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 0, 0]])
    eye = torch.tensor([[0.0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    for point in ((0.0, 0, 0, 1), (0.0, 0, 1, 1), (0.0, 0, 1, 0)):
        leaves = [t.clone().requires_grad_() for t in (position, normal, eye, torch.tensor(shininess))]
        lit, highlight = phong(*leaves[:3], PhongLight(point), PhongMaterial(shininess=leaves[3]))
        assert bool(lit.isfinite().all() and highlight.isfinite().all())
        for grad in torch.autograd.grad(lit.sum() + highlight.sum(), leaves):
            assert bool(grad.isfinite().all())


def test_vertex_normals_are_weighted_by_area():
    """A cube's corner: two or one triangles of each of three sides meet there; all of equal area."""
    vertices, faces = _box()
    normals = area_normals(vertices[faces], faces)
    sides = face_normals(vertices[faces])
    expected = torch.stack([sides[(faces == k).any(1)].sum(0) for k in range(8)])
    torch.testing.assert_close(normals, torch.nn.functional.normalize(expected)[faces])
    outwards = ((vertices[faces].mean(1) - 0.5) * sides).sum(1)
    torch.testing.assert_close(outwards, torch.full((12,), 0.5))
    # a side ten times as large counts ten times as much
    corners = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 10, 0]], [[0.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    first = area_normals(corners, torch.tensor([[0, 1, 2], [0, 3, 4]]))[0, 0]
    torch.testing.assert_close(first, torch.nn.functional.normalize(torch.tensor([1.0, 0, 10]), dim=0))


def test_faces_without_area_are_harmless():
    corners = torch.zeros(2, 3, 3, requires_grad=True)
    vertex = torch.tensor([[0, 1, 2], [2, 1, 3]])
    normals = torch.cat([area_normals(corners, vertex).flatten(0, 1), face_normals(corners)])
    assert not bool(normals.any())
    (grad,) = torch.autograd.grad(normals.sum(), corners)
    assert bool(grad.isfinite().all())


def test_normals_pass_gradcheck():
    vertices, faces = _box()
    vertices = (vertices + 0.2 * torch.rand(8, 3)).double().requires_grad_()
    assert gradcheck(lambda v: area_normals(v[faces], faces), (vertices,))
    assert gradcheck(lambda v: face_normals(v[faces]), (vertices,))
