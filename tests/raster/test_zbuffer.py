"""The z-buffer: kernel against reference to the bit, watertight, and right against planes worked out by hand."""

from itertools import pairwise

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from neurotex.errors import ArgumentError
from neurotex.raster.zbuffer import z_buffer, z_buffer_reference

HALVES = st.integers(-4, 40).map(lambda n: n / 2)  # corners on pixel centres and borders: ties, shared and empty edges
ANYTHING = st.floats(width=32)  # NaN, infinities, subnormals and all
PLAUSIBLE = st.floats(-20, 40, width=32)


@st.composite
def triangles(draw):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    elements = draw(st.sampled_from([HALVES, PLAUSIBLE, st.one_of(HALVES, PLAUSIBLE, ANYTHING)]))
    screen = draw(hnp.arrays(dtype, (draw(st.integers(1, 9)), 4), elements=elements))
    if draw(st.booleans()):  # in front of the camera, as most are
        screen[:, 2:] = np.abs(screen[:, 2:]) + 0.7
    corner = st.integers(0, len(screen) - 1)
    faces = draw(
        hnp.arrays(draw(st.sampled_from([np.int32, np.int64])), (draw(st.integers(1, 12)), 3), elements=corner)
    )
    size = draw(st.tuples(st.integers(1, 37), st.integers(1, 19)))
    return torch.from_numpy(screen), torch.from_numpy(faces), size, draw(st.sampled_from([1e-4, 0.7, 1.5]))


@settings(max_examples=300)
@given(triangles())
def test_the_kernel_equals_the_reference_to_the_bit(case):
    ids, depth = z_buffer(*case)
    expected_ids, expected_depth = z_buffer_reference(*case)
    assert torch.equal(ids, expected_ids)
    assert torch.equal(depth, expected_depth)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_kernel_equals_the_reference_on_many_small_faces(dtype):
    corners = torch.rand(400, 1, 2, dtype=dtype) * 150 - 10 + torch.rand(400, 3, 2, dtype=dtype) * 20
    depth = torch.rand(400, 3, 1, dtype=dtype) * 4 - 0.5  # some corners behind the camera
    screen = torch.cat([corners * depth, depth, depth], -1).flatten(0, 1)
    case = (screen, torch.arange(1200).view(-1, 3), (131, 97))
    for ours, expected in zip(z_buffer(*case), z_buffer_reference(*case), strict=True):
        assert torch.equal(ours, expected)


def _perspective(xy: Tensor, w: Tensor) -> Tensor:
    return torch.cat([xy * w[..., None], w[..., None], w[..., None]], -1)


@given(st.integers(0, 10_000), st.sampled_from([torch.float32, torch.float64]), st.booleans())
def test_faces_that_share_edges_leave_no_gap(seed, dtype, on_centres):
    """A jittered grid reaches beyond the image, so every pixel centre lies on it; corners may hit centres exactly."""
    rng = torch.Generator().manual_seed(seed)
    n = 7
    place = torch.stack(torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"), -1).flatten(0, 1).to(dtype)
    place = (place + 0.6 * torch.rand(n * n, 2, generator=rng, dtype=dtype)) * 6 - 7
    w = 0.3 + 3 * torch.rand(n * n, generator=rng, dtype=dtype)
    if on_centres:
        place, w = (2 * place).round() / 2, 2 ** w.round()  # x · w stays exact
    corner = torch.arange(n * n).view(n, n)[:-1, :-1].flatten()
    quad = torch.stack([corner, corner + 1, corner + n + 1, corner + n], 1)
    turned = torch.rand(len(quad), generator=rng)[:, None] < 0.5  # either diagonal, and either winding
    quad = torch.where(turned, quad, quad.roll(1, 1).flip(1))
    ids, _ = z_buffer(_perspective(place, w), torch.cat([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]), (21, 17))
    assert bool((ids >= 0).all())


def test_two_triangles_cover_exactly_the_pixels_of_their_quad():
    corners = torch.tensor([[2.5, 1.5], [11.5, 1.5], [11.5, 8.5], [2.5, 8.5]])  # on pixel centres: borders belong to it
    ids, _ = z_buffer(_perspective(corners, torch.ones(4)), torch.tensor([[0, 1, 2], [0, 2, 3]]), (12, 16))
    expected = torch.zeros(12, 16, dtype=torch.bool)
    expected[1:9, 2:12] = True
    assert torch.equal(ids >= 0, expected)


def test_depth_is_that_of_the_plane():
    """The plane z = 2 + x/4 − y/8 (camera space, depth z), projected with focal length 10 and centre (8, 6)."""
    xy = torch.tensor([[-9.0, -9], [9, -9], [0, 12]], dtype=torch.float64)
    z = 2 + xy[:, 0] / 4 - xy[:, 1] / 8
    points = torch.stack([xy[:, 0], xy[:, 1], z], 1)
    screen = torch.stack([10 * points[:, 0] + 8 * z, 10 * points[:, 1] + 6 * z, z, z], 1)
    ids, depth = z_buffer(screen, torch.tensor([[0, 1, 2]]), (12, 16))
    y, x = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    ray = torch.stack([(x - 8) / 10, (y - 6) / 10], -1)
    expected = 2 / (1 - ray[..., 0] / 4 + ray[..., 1] / 8)
    seen = ids >= 0
    assert int(seen.sum()) > 50
    torch.testing.assert_close(depth[seen], expected[seen].float(), rtol=1e-6, atol=0)


def test_the_nearest_face_wins_and_the_lower_index_a_tie():
    square = torch.tensor([[0.0, 0], [8, 0], [8, 8], [0, 8]])
    layers = torch.cat([_perspective(square, torch.full((4,), w)) for w in (3.0, 2.0, 2.0)])
    faces = torch.cat([torch.tensor([[0, 1, 2], [0, 2, 3]]) + 4 * k for k in range(3)])
    ids, depth = z_buffer(layers, faces, (8, 8))
    assert set(ids.unique().tolist()) == {2, 3}
    assert bool((depth == 2).all())


def test_samples_closer_than_near_are_cut():
    square = _perspective(torch.tensor([[0.0, 0], [8, 0], [8, 8], [0, 8]]), torch.tensor([1.0, 3, 3, 1]))
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    _, depth = z_buffer(square, faces, (8, 8))
    ids, _ = z_buffer(square, faces, (8, 8), near=1.5)
    assert torch.equal(ids >= 0, depth >= 1.5)
    assert bool((ids < 0).any())


def test_a_floor_that_passes_under_the_camera_reaches_the_horizon():
    """The plane one unit below a camera that looks along the horizon: depth = focal / (rows below the horizon)."""
    far = 1e6
    points = torch.tensor([[-far, 1, -far], [far, 1, -far], [0, 1, far]], dtype=torch.float64)  # x, down, depth
    screen = torch.stack(
        [10 * points[:, 0] + 8 * points[:, 2], 10 * points[:, 1] + 6 * points[:, 2], points[:, 2], points[:, 2]], 1
    )
    ids, depth = z_buffer(screen, torch.tensor([[0, 1, 2]]), (12, 16))
    assert bool((ids[:6] == -1).all())
    assert bool((ids[6:] == 0).all())
    below = torch.arange(6, dtype=depth.dtype) + 0.5
    torch.testing.assert_close(depth[6:, 3], 10 / below, rtol=1e-5, atol=0)


@pytest.mark.parametrize("column", [0, 1, 2, 3])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("raster", [z_buffer, z_buffer_reference])
def test_a_face_with_a_corner_that_is_not_finite_covers_nothing(raster, value, column):
    screen = _perspective(torch.tensor([[0.5, 0.5], [8, 0], [0, 8]]), torch.ones(3))  # a corner on a pixel's centre
    assert bool((raster(screen, torch.tensor([[0, 1, 2]]), (8, 8))[0] == 0).any())
    screen[0, column] = value
    assert bool((raster(screen, torch.tensor([[0, 1, 2]]), (8, 8))[0] == -1).all())


def test_empty_pixels_have_no_face_and_infinite_depth():
    ids, depth = z_buffer(torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), (3, 5))
    assert bool((ids == -1).all())
    assert bool(depth.isinf().all())


@pytest.mark.parametrize("size", [(0, 4), (4, -1)])
def test_an_image_without_pixels_is_refused(size):
    with pytest.raises(ArgumentError, match="at least 1 x 1"):
        z_buffer(torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), size)


@pytest.mark.parametrize("near", [0.0, -1.0, float("nan")])
def test_near_must_be_above_zero(near):
    with pytest.raises(ArgumentError, match="near"):
        z_buffer(torch.zeros(3, 4), torch.tensor([[0, 1, 2]]), (4, 4), near)


def test_the_operator_keeps_torchs_contract():
    arguments = (torch.rand(5, 4), torch.tensor([[0, 1, 2], [2, 3, 4]]), 7, 9, 1e-4, 2, torch.rand(7, 9))
    torch.library.opcheck(torch.ops.neurotex.z_buffer.default, arguments)


def soup(count: int) -> tuple[Tensor, Tensor]:
    """Triangles of all sizes in front of the camera, seen in an image of about 40 × 30 pixels."""
    depth = 1 + 3 * torch.rand(count, 3)
    return _perspective(50 * torch.rand(count, 3, 2) - 5, depth).flatten(0, 1), torch.arange(3 * count).view(-1, 3)


def test_strips_of_an_image_are_the_image():
    screen, faces = soup(60)
    whole = z_buffer(screen, faces, (40, 30))
    for rasterise in (z_buffer, z_buffer_reference):
        strips = [rasterise(screen, faces, (rows, 30), top=top) for top, rows in ((0, 7), (7, 20), (27, 13))]
        for k in range(2):
            torch.testing.assert_close(torch.cat([strip[k] for strip in strips]), whole[k], rtol=0, atol=0)


def test_peeling_finds_the_layers_in_order():
    screen, faces = soup(60)
    layers, beyond = [], None
    for _ in range(4):
        ids, depth = z_buffer(screen, faces, (40, 30), beyond=beyond)
        again = z_buffer_reference(screen, faces, (40, 30), beyond=beyond)
        torch.testing.assert_close((ids, depth), again, rtol=0, atol=0)
        layers.append((ids, depth))
        beyond = depth
    for (ids, near), (later, far) in pairwise(layers):
        both = later >= 0
        assert int(both.sum()) > 50
        assert bool((near[both] < far[both]).all())
        assert bool((ids[both] != later[both]).all())
    gone = layers[0][0] < 0
    assert all(bool((ids[gone] < 0).all()) for ids, _ in layers)
