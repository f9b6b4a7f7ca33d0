"""What is seen, and where on it: ids and depths to the bit."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neurotex.core.op import OPS
from neurotex.raster.antialias import opposite_corners
from neurotex.raster.antialias_kernels import EDGE, MEETING

HALVES = st.integers(-4, 40).map(lambda n: n / 2)  # corners on pixel centres and borders: ties, shared and empty edges
ANYTHING = st.floats(width=32)  # NaN, infinities, subnormals and all
PLAUSIBLE = st.floats(-20, 40, width=32)


@st.composite
def soups(draw) -> tuple:
    elements = draw(st.sampled_from([HALVES, PLAUSIBLE, st.one_of(HALVES, PLAUSIBLE, ANYTHING)]))
    screen = draw(hnp.arrays(np.float32, (draw(st.integers(1, 9)), 4), elements=elements))
    if draw(st.booleans()):  # in front of the camera, as most are
        screen[:, 2:] = np.abs(screen[:, 2:]) + 0.7
    corner = st.integers(0, len(screen) - 1)
    kind = draw(st.sampled_from([np.int32, np.int64]))
    faces = draw(hnp.arrays(kind, (draw(st.integers(0, 12)), 3), elements=corner))
    size = draw(st.integers(1, 37)), draw(st.integers(1, 19))
    near, top = draw(st.sampled_from([1e-4, 0.7, 1.5])), draw(st.sampled_from([0, 3, -2]))
    return torch.from_numpy(screen), torch.from_numpy(faces), *size, near, top


@settings(max_examples=100)
@given(soups())
def test_ids_and_depths_of_any_soup(held, soup):
    depth = torch.empty(0, 0)
    for _ in range(2):  # layer by layer
        _, depth = held(OPS["z_buffer"], *soup, depth, close=0)


def _many(count: int = 400) -> tuple[Tensor, Tensor]:
    corners = torch.rand(count, 1, 2) * 150 - 10 + torch.rand(count, 3, 2) * 20
    depth = torch.rand(count, 3, 1) * 4 - 0.5  # some corners behind the camera
    return torch.cat([corners * depth, depth, depth], -1).flatten(0, 1), torch.arange(3 * count).view(-1, 3)


def test_ids_and_depths_of_many_faces(held):
    held(OPS["z_buffer"], *_many(), 131, 97, 1e-4, 0, torch.empty(0, 0), close=0)


def test_ids_and_depths_of_large_faces(held):
    """Most of their tiles lie outside of them."""
    screen, faces = _many(60)
    held(OPS["z_buffer"], screen * torch.tensor([4.0, 4, 1, 1]), faces, 512, 400, 1e-4, 7, torch.empty(0, 0), close=0)


@pytest.mark.parametrize(("grid", "derivatives", "placed"), [(1, 0, True), (2, 2, False), (4, 2, True)])
def test_samples(held, grid, derivatives, placed):
    """Single precision of the reference's barycentric coordinates, where the kernels have double, sets the bound."""
    screen, faces = _many(60)
    screen[:, 2:] = screen[:, 2:].abs() + 0.5
    ids, _ = OPS["z_buffer"].reference(screen, faces, 80, 64, 1e-4, 4, torch.empty(0, 0))
    attributes = torch.rand(len(screen), 5)
    arguments = (faces, attributes.double(), ids, grid, derivatives, 4, placed)
    expected = OPS["gather_surface"].reference(screen.double(), *arguments)
    given = [held.placed(x) for x in (screen, *arguments)]
    found = OPS["gather_surface"].kernels[held.kind](*given)
    assert torch.equal(found[0].cpu(), expected[0])
    assert torch.equal(found[1].cpu(), expected[1])
    for ours, right in zip(found[2:], expected[2:], strict=True):
        assert ours.dtype == held.dtype
        torch.testing.assert_close(ours.cpu().double(), right, rtol=2e-6, atol=2e-6)


def test_no_samples(held):
    screen, faces = _many(3)
    nothing = torch.full((6, 4), -1, dtype=torch.int32)
    for part in held(OPS["gather_surface"], screen, faces, torch.rand(len(screen), 2), nothing, 2, 2, 0, False):
        assert len(part) == 0


def _crossings(held, screen: Tensor, faces: Tensor, size: tuple[int, int]) -> Tensor:
    """Kinds of crossing that are found in what is seen of the faces."""
    ids, _ = OPS["z_buffer"].reference(screen, faces, *size, 1e-4, 0, torch.empty(0, 0))
    return held(OPS["find_crossings"], ids, screen, faces, opposite_corners(faces), close=0)[2]


def test_visible_edges(held):
    kinds = []
    for _ in range(5):  # triangles that share vertices, cut through each other, and lie behind the camera in part
        depth = 3 * torch.rand(40, 1) - 0.4
        screen = torch.cat([(30 * torch.rand(40, 2) - 3) * depth, depth, depth], 1)
        kinds.append(_crossings(held, screen, torch.randint(40, (40, 3)), (31, 26)))
    found = torch.cat(kinds)
    assert int((found == EDGE).sum()) > 100
    assert int((found == MEETING).sum()) > 10


@settings(max_examples=60)
@given(soups())
def test_visible_edges_of_any_soup(held, soup):
    if len(soup[1]):
        _crossings(held, *soup[:2], soup[2:4])
