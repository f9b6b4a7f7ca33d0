"""Mip maps: levels keep the mean and the area of what they cover; footprints ask for the level of their size."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import avg_pool2d

from neurotex.raster.mipmap import level_of_detail, level_shapes, mip_levels, probes

SIZES = [(1, 1), (1, 6), (9, 1), (5, 7), (8, 4), (33, 17), (31, 31)]


@pytest.mark.parametrize("size", SIZES)
def test_every_level_is_half_as_large_down_to_one_texel(size):
    shapes = level_shapes(size)
    assert shapes[0] == size
    assert shapes[-1] == (1, 1)
    assert all(low == tuple(max(1, n // 2) for n in high) for high, low in pairwise(shapes))
    assert [tuple(level.shape) for level in mip_levels(torch.rand(2, *size))] == [(2, *shape) for shape in shapes]


@pytest.mark.parametrize("size", SIZES)
def test_every_level_has_the_mean_of_the_texture(size):
    texture = torch.rand(3, *size, dtype=torch.float64)
    for level in mip_levels(texture):
        torch.testing.assert_close(level.mean((1, 2)), texture.mean((1, 2)))


def test_even_sizes_are_averages_of_four():
    texture = torch.rand(3, 8, 12)
    torch.testing.assert_close(mip_levels(texture)[1], avg_pool2d(texture, 2))


@pytest.mark.parametrize("size", [3, 5, 7, 21])
def test_odd_sizes_are_averages_over_the_length_that_a_texel_covers(size):
    """Each texel repeated `half` times: then every new one is an average of `size` equal pieces."""
    texture = torch.rand(1, 1, size, dtype=torch.float64)
    half = size // 2
    expected = texture.repeat_interleave(half, 2).view(1, 1, half, size).mean(3)
    torch.testing.assert_close(mip_levels(texture)[1], expected)
    torch.testing.assert_close(mip_levels(texture.mT)[1], expected.mT)


def test_levels_pass_gradcheck():
    texture = torch.rand(2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda texture: tuple(mip_levels(texture)), (texture,))


SHAPE, LAST = torch.tensor([[64, 256]]), torch.tensor([8])


def _footprint(*texels: list[float]) -> Tensor:
    """`duv` whose columns are these vectors, in texels."""
    return torch.tensor(texels, dtype=torch.float64).T[None] / SHAPE.flip(1)[:, :, None]


@pytest.mark.parametrize(
    ("dx", "dy", "level"),
    [
        ([4, 0], [0, 2], 2),
        ([0, 1], [8, 0], 3),
        ([3, 4], [4, -3], math.log2(5)),
        ([0.5, 0], [0, 0.1], 0),
        ([0, 0], [0, 0], 0),
        ([1000, 0], [0, 1], 8),
        ([math.inf, 0], [0, 0], 8),
        ([0, 0], [math.nan, 1], 8),
        ([-math.inf, math.inf], [math.nan, 1], 8),
        ([1e200, 0], [1e300, 1], 8),
    ],
)
def test_the_level_is_that_of_the_longer_side(dx, dy, level):
    assert float(level_of_detail(_footprint(dx, dy), SHAPE, LAST)) == pytest.approx(level)


@pytest.mark.parametrize(
    ("dx", "dy", "count", "level", "axis"),
    [
        ([4, 0], [0, 4], 1, 2, None),  # round: a trilinear lookup
        ([16, 0], [0, 4], 4, 2, [16, 0]),
        ([0, 4], [0, 12], 8, math.log2(math.hypot(4, 12) / 8), None),  # thin: as many as there may be
        ([64, 0], [0, 4], 8, 3, [64, 0]),  # not enough probes: between blur and cost
        ([6, 8], [-4, 3], 2, math.log2(5), [6, 8]),
        ([4, 0], [0, 0.25], 4, 0, [4, 0]),  # magnified across, minified along
        ([0.5, 0], [0, 0.01], 1, 0, None),
        ([0, 0], [0, 0], 1, 0, None),
        ([1e4, 0], [0, 1], 1, 8, None),
        ([1e200, 0], [1e300, 1], 1, 8, None),
        ([math.inf, 0], [0, 0], 1, 8, None),
        ([0, math.nan], [3, 0], 1, 8, None),
    ],
)
def test_a_long_footprint_is_a_row_of_round_ones(dx, dy, count, level, axis):
    found, lod, vector = probes(_footprint(dx, dy), SHAPE, LAST, 8)
    assert int(found) == count
    assert float(lod) == pytest.approx(level, abs=1e-9)
    assert bool(vector.isfinite().all())
    if axis:
        vector = vector * SHAPE.flip(1)
        torch.testing.assert_close(vector * vector[0, 0].sign(), torch.tensor([axis], dtype=torch.float64))


def test_turning_the_image_changes_no_footprint():
    duv, angle = torch.randn(50, 2, 2, dtype=torch.float64) / 10, torch.tensor(0.7)
    shape, last = SHAPE.expand(50, 2), LAST.expand(50)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2).double()
    (count, level, axis), (count2, level2, axis2) = (probes(d, shape, last, 16) for d in (duv, duv @ turn))
    assert len(count.unique()) > 4
    assert torch.equal(count, count2)
    torch.testing.assert_close(level, level2)
    torch.testing.assert_close((axis * axis2).sum(1).abs(), axis.square().sum(1))


def test_level_and_axis_pass_gradcheck():
    duv = (torch.randn(20, 2, 2, dtype=torch.float64) / 20).requires_grad_()
    shape, last = SHAPE.expand(20, 2), LAST.expand(20)
    assert gradcheck(lambda duv: level_of_detail(duv, shape, last), (duv,))
    assert gradcheck(lambda duv: probes(duv, shape, last, 8)[1:], (duv,))


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan, 1e30])
def test_gradients_are_finite_whatever_the_footprint(bad):
    duv = torch.full((1, 2, 2), bad, requires_grad=True)
    _, level, axis = probes(duv, SHAPE, LAST, 8)
    (level.sum() + axis.sum() + level_of_detail(duv, SHAPE, LAST).sum()).backward()
    assert bool(duv.grad.isfinite().all())
