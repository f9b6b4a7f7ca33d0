"""Light on surfaces, and its gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from neurotex.core.op import OPS
from neurotex.shading.ggx import _placed
from tests.kernels.conftest import equal

LIGHTS = [0.3, -0.2, 2.0, 1.0], [1.0, 2.0, 3.0, 0.0], [4.0, 0, 0, 2.0]
EYES = [(0.5, 1.0, 1.5, 1.0), (0.6, 2.0, 3.0, 2.0), (0.0, 0.6, 0.8, 0.0)]


def _surface(n: int) -> tuple[Tensor, Tensor]:
    """Positions and normals, one of which is missing."""
    normal = 3 * torch.randn(n, 3)
    normal[0] = 0
    return torch.randn(n, 3), normal


def _also(n: int, channels: int) -> dict[str, tuple[Tensor | None, Tensor | None]]:
    """Ambient light and visibility."""
    share = torch.rand(n, 3)
    share[::3, 1] = 0
    return {"neither": (None, None), "ambient": (torch.rand(channels), None), "both": (torch.rand(channels), share)}


@pytest.mark.parametrize("also", ["neither", "ambient", "both"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("eye", EYES)
def test_diffuse(held, channels, eye, also):
    lights = (torch.tensor(eye), torch.tensor(LIGHTS), torch.rand(3, channels), *_also(1000, channels)[also])
    (out,) = held(OPS["diffuse"], *_surface(1000), *lights, precise=True)
    assert bool((out[0] == 0).all())


def _inputs(n: int, eye: tuple, least: float, also: str, dtype: torch.dtype) -> list[Tensor | None]:
    maps = torch.rand(n, 3), least + (1 - least) * torch.rand(n), torch.rand(n)
    position, normal = _surface(n)
    eyes, lights = torch.tensor([eye], dtype=dtype), torch.tensor(LIGHTS, dtype=dtype)
    placed = _placed(eyes)[0], _placed(lights)  # of unit length in the precision at hand
    view = normalize((placed[0][:3] - placed[0][3] * position[60:70]).float(), dim=1)
    across = normalize(torch.linalg.cross(view, normal[60:70]), dim=1)
    normal[60:70] = across + 5e-5 * view  # seen at less than the least cosine
    return [*maps, normal, position, *placed, torch.rand(3, 3), *_also(n, 3)[also]]


@pytest.mark.parametrize("also", ["neither", "ambient", "both"])
@pytest.mark.parametrize("eye", EYES)
def test_metallic_roughness(held, eye, also):
    held(OPS["metallic_roughness"], *_inputs(999, eye, 0.05, also, held.dtype), precise=True, close=2e-6)


@pytest.mark.parametrize(("least", "close"), [(0.3, 4e-6), (0.0, 2e-4)])  # smooth surfaces have steep slopes
@pytest.mark.parametrize("also", ["neither", "ambient", "both"])
@pytest.mark.parametrize("eye", EYES)
def test_gradients_of_metallic_roughness(held, eye, least, close, also):
    inputs = [held.placed(x) for x in (torch.randn(999, 3), *_inputs(999, eye, least, also, held.dtype))]
    # from cell to cell of the albedo's table slopes jump, and single precision may take the other
    close = close if also == "neither" else 2e-4
    op = OPS["metallic_roughness_backward"]
    found, right = op.kernels[held.kind](*inputs), op.reference(*(None if x is None else x.double() for x in inputs))
    for k, (ours, expected) in enumerate(zip(found, right, strict=True)):
        if k in (5, 6):  # the last number of a homogeneous point says what it is
            ours, expected = ours[..., :3], expected[..., :3]
            placed = inputs[k + 1][..., 3:] != 0
            ours, expected = ours * placed, expected * placed
        if expected.numel() == 0:
            assert ours.numel() == 0
            continue
        equal(ours, expected.to(ours.dtype), close if held.dtype == torch.float32 else 1e-11)


@pytest.mark.parametrize("distance", [0.0, 1e-13, 3e-9, 1e-3])
def test_a_light_on_or_above_a_surface(held, distance):
    """Down to a billionth it shines by 1 / d²; on the surface it has no direction."""
    position, normal = torch.tensor([[0.0, 0, -distance]]), torch.tensor([[0.0, 0, 1]])
    eye, light, strength = torch.tensor([0.0, 0, 1, 1]), torch.tensor([[0.0, 0, 0, 1]]), torch.tensor([[7.0, 5, 3]])
    held(OPS["diffuse"], position, normal, eye, light, strength, None, None, precise=True)
    maps = torch.rand(1, 3), torch.tensor([0.5]), torch.tensor([0.5])
    held(OPS["metallic_roughness"], *maps, normal, position, eye, light, strength, None, None, precise=True, close=4e-6)
    gradients = OPS["metallic_roughness_backward"].kernels[held.kind](
        *map(held.placed, (torch.ones(1, 3), *maps, normal, position, eye, light, strength, None, None))
    )
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
