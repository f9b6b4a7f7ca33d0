"""What layouts are made of: noise of the band that was asked for, edges of the right place, cells."""

from itertools import pairwise

import pytest
import torch

from neurotex.gan import patterns
from neurotex.gan.dice import Dice


def dice(n: int, size: int, seed: int = 0) -> Dice:
    return Dice(n, size, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("cycles", "stretch"), [(4.0, 1.0), (12.0, 1.0), (8.0, 4.0)])
def test_noise_has_its_band_and_unit_variance(cycles, stretch):
    field = patterns.noise(dice(16, 128), cycles, 0.3, stretch)
    assert torch.allclose(field.mean((1, 2)), torch.zeros(16), atol=1e-5)
    assert torch.allclose(field.std((1, 2)), torch.ones(16), atol=1e-5)
    power = torch.fft.rfft2(field).abs().square().mean(0)
    k = torch.hypot(stretch * torch.arange(65.0), torch.fft.fftfreq(128, 1 / 128)[:, None])
    inside = (k > cycles / 2) & (k < cycles * 2)
    assert power[inside].sum() > 0.95 * power.sum()


def test_octaves_of_clouds_grow_weaker_by_half():
    power = torch.fft.rfft2(patterns.clouds(dice(64, 128), 2.0)).abs().square().mean(0)
    power[:, 1:] *= 2  # the other half of the plane
    k = torch.hypot(torch.arange(65.0), torch.fft.fftfreq(128, 1 / 128)[:, None])
    octaves = [power[(k >= low) & (k < 2 * low)].sum() for low in (6, 12, 24)]
    for strong, weak in pairwise(octaves):
        assert (weak / strong).sqrt() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("size", [16, 37, 64])
def test_noise_at_another_size_is_the_same_noise(size):
    """Its waves have the same amplitudes and phases."""
    coarse, fine = (patterns.noise(dice(2, s), 3.0, 0.2) for s in (size, 3 * size))
    frequencies = [torch.fft.rfft2(f)[:, :5, :5] for f in (coarse, fine)]
    assert torch.allclose(frequencies[0] / size**2, frequencies[1] / (3 * size) ** 2, atol=1e-3)


def test_coverage_and_sharp_measure_areas():
    """A disc of radius r covers π r², to a thousandth of the tile, at any resolution."""
    x, y = patterns.grid(64)
    distance = (0.3 - torch.hypot(x - 0.5, y - 0.5)).expand(1, 64, 64)
    for share in (patterns.coverage(distance), patterns.sharp(distance)):
        assert float(share.mean()) == pytest.approx(torch.pi * 0.09, abs=1e-3)


def test_lattice_tells_edges_and_cells():
    one = torch.ones(1, 1, 1)
    gap, which = patterns.lattice(64, 4 * one, 2 * one, 0.5 * one)
    assert gap.min() > 0
    assert float(gap.max()) == pytest.approx(1 / 8, abs=1 / 64)  # half a row
    assert len(which.unique()) == 8
    edge = which != which.roll(1, 2)
    assert gap[edge].max() <= 1 / 64
    assert torch.equal(edge[0, 0], edge[0, 16].roll(16))  # moved by half of 32 texels


def test_stones_are_those_of_a_search_among_all_points():
    n, size, m = 2, 48, 5
    gap, middle, which = patterns.stones(dice(n, size, 3), (m,), 0.6)
    again = dice(n, size, 3)
    again.pick((m,))
    moved = 0.6 * (again.table(patterns.CELLS, 2)[:, : m * m] - 0.5)
    cell = torch.arange(m * m)
    points = (torch.stack([cell % m, cell // m], 1) + 0.5 + moved) / m
    points = torch.cat([points + torch.tensor([i, j]) for j in (-1, 0, 1) for i in (-1, 0, 1)], 1)  # (n, 9 m², 2)
    x, y = patterns.grid(size)
    texels = torch.stack(torch.broadcast_tensors(x[0], y[0]), -1).view(1, -1, 2)
    points = points.double()
    distance = (texels.double()[:, :, None] - points[:, None]).norm(dim=3)
    two, index = distance.topk(2, 2, largest=False)
    pair = points.gather(1, index.flatten(1)[..., None].expand(-1, -1, 2)).view(n, -1, 2, 2)
    to_edge = (two[..., 1] ** 2 - two[..., 0] ** 2) / (2 * (pair[:, :, 0] - pair[:, :, 1]).norm(dim=2))
    assert torch.allclose(middle.flatten(1).double(), two[..., 0], atol=1e-6)
    assert torch.allclose(gap.flatten(1).double(), to_edge, atol=1e-5)
    inside = to_edge > 1e-6  # on an edge two are as near
    assert float(inside.double().mean()) > 0.999
    assert torch.equal(which.flatten(1)[inside], (index[..., 0] % (m * m))[inside])


def test_planes_make_whole_turns():
    phase = patterns.planes(dice(20, 16), (1, 2, 3))
    for dim in (1, 2):
        turns = 16 * phase.diff(dim=dim)
        assert torch.allclose(turns, turns.round(), atol=1e-3)
        assert torch.allclose(turns, turns[:, :1, :1].expand_as(turns), atol=1e-3)
