"""Light on surfaces, and its gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from neurotex.core.op import OPS
from neurotex.shading.ggx import _placed
from tests.kernels.conftest import equal

FLASH, SUN, AMBIENT, LAMP = [0.3, -0.2, 2.0, 1.0], [1.0, 2.0, 3.0, 0.0], [0.0, 0, 0, 0], [4.0, 0, 0, 2.0]
EYES = [(0.5, 1.0, 1.5, 1.0), (0.6, 2.0, 3.0, 2.0), (0.0, 0.6, 0.8, 0.0)]


def _surface(n: int) -> tuple[Tensor, Tensor]:
    """Positions and normals, one of which is missing."""
    normal = 3 * torch.randn(n, 3)
    normal[0] = 0
    return torch.randn(n, 3), normal


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("eye", EYES)
def test_diffuse(held, channels, eye):
    lights = torch.tensor([FLASH, SUN, AMBIENT, LAMP])
    (out,) = held(OPS["diffuse"], *_surface(1000), torch.tensor(eye), lights, torch.rand(4, channels), precise=True)
    assert bool((out[0] == 0).all())


def _inputs(n: int, eye: tuple, least: float) -> list[Tensor]:
    maps = torch.rand(n, 3), least + (1 - least) * torch.rand(n), torch.rand(n)
    position, normal = _surface(n)
    placed = _placed(torch.tensor([eye]))[0], _placed(torch.tensor([FLASH, SUN, AMBIENT, LAMP]))
    view = normalize(placed[0][:3] - placed[0][3] * position[60:70], dim=1)
    across = normalize(torch.linalg.cross(view, normal[60:70]), dim=1)
    normal[60:70] = across + 5e-5 * view  # seen at less than the least cosine
    return [*maps, normal, position, *placed, torch.rand(4, 3)]


@pytest.mark.parametrize("eye", EYES)
def test_metallic_roughness(held, eye):
    held(OPS["metallic_roughness"], *_inputs(999, eye, least=0.05), precise=True, close=2e-6)


@pytest.mark.parametrize(("least", "close"), [(0.3, 4e-6), (0.0, 2e-4)])  # smooth surfaces have steep slopes
@pytest.mark.parametrize("eye", EYES)
def test_gradients_of_metallic_roughness(held, eye, least, close):
    inputs = [held.placed(x) for x in (torch.randn(999, 3), *_inputs(999, eye, least))]
    op = OPS["metallic_roughness_backward"]
    found, right = op.kernels[held.kind](*inputs), op.reference(*(x.double() for x in inputs))
    for k, (ours, expected) in enumerate(zip(found, right, strict=True)):
        if k in (5, 6):  # the last number of a homogeneous point says what it is
            ours, expected = ours[..., :3], expected[..., :3]
            placed = inputs[k + 1][..., 3:] != 0
            ours, expected = ours * placed, expected * placed
        equal(ours, expected.to(ours.dtype), close if held.dtype == torch.float32 else 1e-11)
