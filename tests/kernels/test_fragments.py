"""Fragments as PyTorch3D has them: to the bit, with all that it can be asked for; and their gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import neurotex.compat.pytorch3d.rasterize_faces  # noqa: F401  declares the ops
from neurotex.core.op import OPS

MODES = st.tuples(*[st.booleans()] * 3)  # perspective, clip, cull


def _soup(count: int, seed: int, size: float) -> Tensor:
    """Faces in NDC: some share corners, some have none of an area, some lie behind the camera or are not numbers."""
    rng = torch.Generator().manual_seed(seed)
    middle = 2.4 * torch.rand(count, 1, 3, generator=rng) - 1.2
    corners = middle + size * (torch.rand(count, 3, 3, generator=rng) - 0.5)
    corners[..., 2] = corners[..., 2].abs() + 0.3
    corners[::5, :, :2] = (corners[::5, :, :2] * 8).round() / 8  # corners and edges on centres
    corners[1::7, 1] = corners[::7, 2][: len(corners[1::7])]
    corners[2::11, 0, 2] *= -1
    corners[3::13, 1] = corners[3::13, 0]
    corners[4::17, 2, 0] = torch.nan
    corners[5::19] = corners[4::19][: len(corners[5::19])]  # ties
    return corners


@settings(max_examples=40)
@given(
    st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([1, 2, 5]), st.sampled_from([0.0, 1e-3, 0.03]), MODES
)
def test_fragments_of_any_soup(held, seed, count, layers, blur, modes):
    corners = _soup(count, seed, 0.9)
    first, none = [0, count // 3, count // 3], torch.empty(0, dtype=torch.int64)
    size = (23, 17 + seed % 20)
    held(OPS["rasterize_faces"], corners, first, none, *size, layers, blur, *modes, close=0)


@pytest.mark.parametrize("layers", [1, 3])
def test_halves_of_faces_that_were_cut(held, layers):
    corners = _soup(40, 3, 1.2)
    corners[20:] = corners[:20] + 0.02 * torch.rand(20, 3, 3)
    halves = torch.full((40,), -1)
    halves[:10], halves[20:30] = torch.arange(20, 30), torch.arange(10)
    held(OPS["rasterize_faces"], corners, [0], halves, 24, 24, layers, 0.01, True, True, False, close=0)


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_gradients_of_fragments(held, perspective, clip):
    """Of faces with some area: slivers have slopes that single precision does not know."""
    shape = torch.tensor([[-0.3, -0.2, 0.0], [0.3, -0.25, 0.2], [0.05, 0.35, -0.1]])
    corners = shape + torch.tensor([1.8, 1.8, 1.0]) * (torch.rand(50, 1, 3) - 0.5) + 0.1 * torch.rand(50, 3, 3)
    corners[..., 2] += 1.5
    drawn = OPS["rasterize_faces"].reference(
        corners, [0], torch.empty(0, dtype=torch.int64), 24, 30, 3, 0.01, perspective, clip, False
    )
    grads = [torch.randn(x.shape) for x in drawn[1:]]
    for given_to in (grads, [grads[0], None, None], [None, grads[1], None], [None, None, grads[2]]):
        arguments = (corners, drawn[0], *given_to, perspective, clip)
        held(OPS["rasterize_faces_backward"], *arguments, precise=True, close=2e-5)
