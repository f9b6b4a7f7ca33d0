"""Every differentiable function behind PyTorch3D's pictures passes gradcheck and gradgradcheck, or this fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex.compat import pytorch3d
from neurotex.compat.pytorch3d.blend import Blend, hard_rgb_blend, sigmoid_alpha_blend, softmax_rgb_blend
from neurotex.compat.pytorch3d.clipping import clip_faces
from neurotex.compat.pytorch3d.interpolation import interpolate_at
from neurotex.compat.pytorch3d.phong import PhongLight, PhongMaterial, area_normals, face_normals, phong
from neurotex.compat.pytorch3d.places import edge_distance
from tests.gradients import public_functions

MODULES = ("blend", "clipping", "fragments", "interpolation", "lookup", "phong", "places")
# what it returns is constant; a part of `rasterize`, whose gradient is that of its whole
CONSTANT, PARTS = {"pixel_centres"}, {"coordinates", "look"}

EYE = torch.tensor([[0.4, 0.3, 3.0]], dtype=torch.float64)
FACES = torch.tensor([[0, 1, 2], [2, 1, 3]])
COVERED = torch.tensor([[True, True], [True, False], [False, False]])
BLEND = Blend(sigma=1.0, gamma=0.5)

Case = tuple[Callable, tuple[Tensor, ...]]


def _leaf(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return (low + (high - low) * torch.rand(*shape, dtype=torch.float64)).requires_grad_()


def _mesh() -> Tensor:
    corners = torch.tensor([[0.0, 0, 0.1], [1, 0.1, 0], [0, 1, 0.3], [1, 1, -0.2]], dtype=torch.float64)
    return corners.requires_grad_()


def _corners() -> Tensor:
    """Two faces in NDC with depths, as `rasterize` takes them."""
    places = [
        [[-0.9, -0.8, 2.0], [0.8, -0.7, 2.5], [-0.2, 0.9, 1.7]],
        [[-0.5, 0.7, 3.0], [0.1, -0.9, 3.4], [0.9, 0.6, 3.1]],
    ]
    return torch.tensor(places, dtype=torch.float64, requires_grad=True)


def _rasterize() -> Case:
    def covered(corners: Tensor) -> tuple[Tensor, ...]:
        seen = pytorch3d.rasterize(corners, (3, 4), faces_per_pixel=2, blur_radius=0.013)
        return seen.zbuf, seen.bary_coords, seen.dists

    return covered, (_corners(),)


def _interpolate() -> Case:
    face = torch.tensor([0, -1, 1, 1]).view(1, 2, 2, 1)

    def values(bary: Tensor, attributes: Tensor) -> Tensor:
        return pytorch3d.interpolate(pytorch3d.Fragments(face, bary[..., 0], bary, bary[..., 0]), attributes)

    return values, (_leaf(1, 2, 2, 1, 3), _leaf(2, 3, 2))


def _clip_faces() -> Case:
    # one corner before the plane of depth 1, and two
    cut = [[[0.3, -0.2, 2.0], [0.1, 0.9, 0.5], [0.8, 0.4, 0.4]], [[0.3, -0.2, 0.6], [0.1, 0.9, 1.5], [0.8, 0.4, 1.4]]]

    def pieces(corners: Tensor) -> tuple[Tensor, Tensor]:
        found = clip_faces(corners, [0], 1.0)
        return found.corners, found.weights

    return pieces, (torch.tensor(cut, dtype=torch.float64, requires_grad=True),)


def _phong() -> Case:
    colours = [_leaf(3, low=0.1, high=0.9) for _ in range(3)]

    def shade(
        position: Tensor, normal: Tensor, eye: Tensor, lamp: Tensor, shininess: Tensor, *colours: Tensor
    ) -> tuple:
        return phong(position, normal, eye, PhongLight(lamp[0], *colours), PhongMaterial(shininess=shininess))

    normal = torch.tensor([0.0, 0, 1], dtype=torch.float64) + _leaf(3, 3, low=-0.4, high=0.4).detach()
    points = _leaf(3, 3, low=-0.5, high=0.5), normal.requires_grad_()
    lamp = torch.tensor([[1.0, 0.8, 2.5, 1.0]], dtype=torch.float64, requires_grad=True)
    exponent = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    return shade, (*points, EYE.clone().requires_grad_(), lamp, exponent, *colours)


def _softmax_rgb_blend() -> Case:
    return (
        lambda colors, dists, zbuf: softmax_rgb_blend(colors, COVERED, dists, zbuf, BLEND),
        (_leaf(3, 2, 3), _leaf(3, 2, low=-1, high=1), _leaf(3, 2, low=2, high=50)),
    )


CASES: dict[str, Callable[[], Case]] = {
    "area_normals": lambda: (lambda vertices: area_normals(vertices[FACES], FACES), (_mesh(),)),
    "clip_faces": _clip_faces,
    "edge_distance": lambda: (edge_distance, (_corners(), _leaf(2), _leaf(2))),
    "face_normals": lambda: (lambda vertices: face_normals(vertices[FACES]), (_mesh(),)),
    "hard_rgb_blend": lambda: (lambda colors: hard_rgb_blend(colors, COVERED, BLEND), (_leaf(3, 2, 3),)),
    "interpolate": _interpolate,
    "interpolate_at": lambda: (
        lambda bary, values: interpolate_at(torch.tensor([0, 1, 0]), bary, values),
        (_leaf(3, 3), _leaf(2, 3, 2)),
    ),
    "phong": _phong,
    "rasterize": _rasterize,
    "sample_texture": lambda: (pytorch3d.sample_texture, (_leaf(2, 3, 4), _leaf(3, 2))),
    "sigmoid_alpha_blend": lambda: (
        lambda colors, dists: sigmoid_alpha_blend(colors, COVERED, dists, BLEND),
        (_leaf(3, 2, 3), _leaf(3, 2, low=-1, high=1)),
    ),
    "softmax_rgb_blend": _softmax_rgb_blend,
}


@pytest.mark.parametrize("name", CASES)
def test_gradcheck(name):
    function, leaves = CASES[name]()
    assert gradcheck(function, leaves)


@pytest.mark.parametrize("name", CASES)
def test_gradgradcheck(name):
    function, leaves = CASES[name]()
    assert gradgradcheck(function, leaves, atol=1e-4, fast_mode=True)


def test_no_public_function_is_left_out():
    public = public_functions(pytorch3d, MODULES)
    assert public - CASES.keys() - CONSTANT - PARTS == set(), "give these a case, or say that they are constant"
    assert (CONSTANT | PARTS) - public == set(), "these are gone"
