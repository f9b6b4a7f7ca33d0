"""Principal directions of latents."""

import pytest
import torch
from torch import nn

from neurotex.errors import ArgumentError
from neurotex.generators import LatentSpace
from neurotex.viewer import principal_directions


class Stretched(nn.Module):
    """Latents that vary 5, 2 and 1 along known axes; the first lightens, the second reddens, the third roughens."""

    latent_shape, out_channels = (3,), 6

    def __init__(self):
        super().__init__()
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0])

    def sample_latents(self, n, rng=None):
        return (torch.randn(n, 3, generator=rng) * torch.tensor([5.0, 2, 1])) @ self.turn.T + 7

    def forward(self, z):
        a, b, c = (((z - 7) @ self.turn) / torch.tensor([5.0, 2, 1])).T[..., None, None, None].expand(-1, -1, 1, 4, 4)
        color = torch.cat([a + b, a - b, a], 1) / 20
        return torch.cat([color, torch.zeros_like(color[:, :2]), c / 20], 1).clamp(-1, 1)


def test_axes_are_those_of_the_largest_variance_a_deviation_long_and_named():
    generator = Stretched()
    found = principal_directions(generator, count=8)
    assert found.axes.shape == (3, 3)
    for axis, truth, length in zip(found.axes, generator.turn.T, (5, 2, 1), strict=True):
        assert axis.norm() == pytest.approx(length, rel=0.05)
        assert (axis / axis.norm()).dot(truth).abs() > 0.99
        assert axis[axis.abs().argmax()] > 0
    torch.testing.assert_close(found.mean, torch.full((3,), 7.0), rtol=0, atol=0.3)
    assert [name.split(" & ")[0] for name in found.names] == ["lightness", "red and green", "roughness"]


def test_the_same_seed_finds_the_same(tiny):
    space = LatentSpace(tiny, "w")
    a, b = principal_directions(space, 3), principal_directions(space, 3)
    assert torch.equal(a.axes, b.axes)
    assert a.names == b.names
    assert a.axes.shape == (3, 6)


def test_many_dimensions_need_no_square_matrix(tiny):
    class Wide(nn.Module):
        latent_shape, out_channels = (100, 64), 3

        def sample_latents(self, n, rng=None):
            return torch.randn(n, 1, 1, generator=rng) * 3 + torch.zeros(n, 100, 64)

        def forward(self, z):
            return (z.mean((1, 2)) / 20)[:, None, None, None].expand(-1, 3, 4, 4)

    found = principal_directions(Wide(), 1)
    torch.testing.assert_close(found.axes[0], torch.full((100, 64), 3.0), rtol=0.1, atol=0)
    assert found.names[0].startswith("lightness")


def test_without_a_prior_there_are_none():
    with pytest.raises(ArgumentError):
        principal_directions(nn.Conv2d(3, 3, 1))
