"""Every differentiable function of `shading` passes gradcheck and gradgradcheck: a new one without a case fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex import shading
from neurotex.shading.albedo import directional_albedo
from neurotex.shading.ggx import even_light, split_base_color
from neurotex.shading.lights import reflected, scaled, towards
from neurotex.shading.sides import facing, towards_eye, turned
from tests.gradients import public_functions

# `directions` depends on no tensor's values, `perpendicular` is not differentiated
CONSTANT = {"directions", "perpendicular"}
APART = {"environment_samples"}  # directions follow the image without a gradient: finite differences are no judge

EYE = torch.tensor([0.4, 0.3, 3.0, 1.0], dtype=torch.float64)
FACES = torch.tensor([[0, 1, 2], [2, 1, 3]])

Case = tuple[Callable, tuple[Tensor, ...]]


def _leaf(*shape: int, low: float = 0.1, high: float = 0.9) -> Tensor:
    return (low + (high - low) * torch.rand(*shape, dtype=torch.float64)).requires_grad_()


def _points(n: int = 3) -> tuple[Tensor, Tensor]:
    """Places near the origin, and normals towards the eye."""
    normal = torch.tensor([0.0, 0, 1], dtype=torch.float64) + _leaf(n, 3, low=-0.4, high=0.4).detach()
    return _leaf(n, 3, low=-0.5, high=0.5), normal.requires_grad_()


def _lamp() -> Tensor:
    return torch.tensor([[1.0, 0.8, 2.5, 1.0]], dtype=torch.float64, requires_grad=True)


def _diffuse() -> Case:
    return (
        lambda position, normal, *lights: shading.diffuse(position, normal, EYE, *lights),
        (*_points(), _lamp(), _leaf(1, 3), _leaf(3), _leaf(3, 1)),
    )


def _metallic_roughness() -> Case:
    position, normal = _points()
    leaves = (_leaf(3, 3), _leaf(3, low=0.3), _leaf(3), normal, position, EYE.clone().requires_grad_(), _lamp())
    return shading.metallic_roughness, (*leaves, _leaf(1, 3), _leaf(3), _leaf(3, 1))


def _brdf() -> Case:
    to_eye, to_light = (_points()[1] for _ in range(2))

    def brdf(normal: Tensor, view: Tensor, direction: Tensor, *material: Tensor) -> Tensor:
        unit = (torch.nn.functional.normalize(way, dim=1) for way in (normal, view, direction))
        return shading.metallic_roughness_brdf(*unit, shading.MetallicRoughness(*material))

    return brdf, (_points()[1], to_eye, to_light, _leaf(3, 3), _leaf(3, low=0.3), _leaf(3))


def _reflected() -> Case:
    def shine(position: Tensor, normal: Tensor, *lights: Tensor) -> Tensor:
        return reflected(lambda direction: direction.square(), position, normal, *lights)

    return shine, (*_points(), _lamp(), _leaf(1, 3), _leaf(3, 1))


def _environment_reflection() -> Case:
    position, normal = _points()
    leaves = (_leaf(3, 3), _leaf(3, low=0.3), _leaf(3), normal, position, EYE.clone().requires_grad_())
    return shading.environment_reflection, (*leaves, *_environment())


def _environment() -> tuple[Tensor, Tensor]:
    """Coefficients of an irradiance well above 0, and blurred images."""
    coefficients = torch.cat([torch.ones(1, 3), 0.1 * torch.rand(8, 3)]).double()
    return coefficients.requires_grad_(), _leaf(2, 3, 3, 6)


def _mesh() -> Tensor:
    corners = torch.tensor([[0.0, 0, 0.1], [1, 0.1, 0], [0, 1, 0.3], [1, 1, -0.2]], dtype=torch.float64)
    return corners.requires_grad_()


def _face_tangents() -> Case:
    normals = torch.tensor([[0.0, 0, 1]], dtype=torch.float64).expand(4, 3)
    uvs = (_mesh()[:, :2] + 0.1 * torch.rand(4, 2)).detach().requires_grad_()
    return lambda vertices, uvs: shading.face_tangents(vertices, uvs, FACES, normals), (_mesh(), uvs)


def _apply_normal_map() -> Case:
    tangent = torch.tensor([[1.0, 0.1, 0.2, 1], [0.9, -0.3, 0.1, -1], [1, 0, 0, 1]], dtype=torch.float64)
    return shading.apply_normal_map, (_points()[1], tangent.requires_grad_(), _leaf(3, 3))


def _incident() -> Case:
    return lambda lamp, position: shading.incident(lamp[0], position), (_lamp(), _points()[0])


CASES: dict[str, Callable[[], Case]] = {
    "apply_normal_map": _apply_normal_map,
    "diffuse": _diffuse,
    "directional_albedo": lambda: (directional_albedo, (_leaf(4), _leaf(4))),
    "environment_diffuse": lambda: (
        lambda position, normal, c: shading.environment_diffuse(position, normal, EYE, c),
        (*_points(), _environment()[0]),
    ),
    "environment_reflection": _environment_reflection,
    "on_sphere": lambda: (shading.on_sphere, (_leaf(4, 2),)),
    "environment_specular": lambda: (
        shading.environment_specular,
        (_environment()[1], _points()[1], _leaf(3, low=0.2, high=0.8)),
    ),
    "even_light": lambda: (even_light, (_leaf(3, 3), _leaf(3, 3), _leaf(3, 3))),
    "face_tangents": _face_tangents,
    "facing": lambda: (facing, (*_points()[::-1], EYE.clone().requires_grad_())),
    "incident": _incident,
    "irradiance": lambda: (shading.irradiance, (_environment()[0], _points()[1])),
    "lambert": lambda: (shading.lambert, tuple(_leaf(3, 3) for _ in range(4))),
    "linear_to_srgb": lambda: (shading.linear_to_srgb, (_leaf(6, low=-0.2, high=1.5),)),
    "metallic_roughness": _metallic_roughness,
    "metallic_roughness_brdf": _brdf,
    "prefilter": lambda: (lambda image: shading.prefilter(image, height=3, levels=2), (_leaf(3, 2, 4),)),
    "reflected": _reflected,
    "scaled": lambda: (lambda way: scaled(torch.nn.functional.pad(way, (0, 1))), (_leaf(3, 3),)),
    "sh_irradiance": lambda: (shading.sh_irradiance, (_leaf(3, 2, 4),)),
    "split_base_color": lambda: (split_base_color, (_leaf(3, 3), _leaf(3))),
    "srgb_to_linear": lambda: (shading.srgb_to_linear, (_leaf(6, low=-0.2, high=1.5),)),
    "towards": lambda: (towards, (_lamp()[0], _leaf(3, 3))),
    "towards_eye": lambda: (towards_eye, (_leaf(3, 3), EYE.clone().requires_grad_())),
    "turned": lambda: (turned, (_leaf(3, 3), _leaf(3, 3))),
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
    public = public_functions(shading)
    assert public - CASES.keys() - CONSTANT - APART == set(), "give these a case, or say that they are constant"
    assert (CONSTANT | APART) - public == set(), "these are gone"
