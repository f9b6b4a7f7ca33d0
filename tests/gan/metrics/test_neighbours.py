"""Neighbours, against a direct computation and where they are obvious."""

import torch

from neurotex.gan.metrics.neighbours import ROWS, precision, radii


def test_radii_on_a_line():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert radii(points, 1).tolist() == [1, 1, 2, 4]
    assert radii(points, 2).tolist() == [3, 2, 3, 6]


def test_chunks_do_not_show():
    points, asked = torch.randn(ROWS + 40, 5).double(), torch.randn(ROWS + 7, 5).double()
    apart = (points[:, None] - points).norm(dim=2).sort(1).values
    assert torch.allclose(radii(points, 3), apart[:, 3])
    inside = ((asked[:, None] - points).norm(dim=2) <= apart[:, 3]).any(1)
    assert 0 < inside.double().mean() < 1
    assert torch.allclose(precision(asked, points, apart[:, 3]), inside.double().mean())


def test_duplicates_are_neighbours_at_no_distance():
    points = torch.randn(3, 4).repeat(4, 1) * 1e3 + 1e6
    assert torch.equal(radii(points, 3), torch.zeros(12))
    assert precision(points[:3], points, radii(points, 3)) == 1
