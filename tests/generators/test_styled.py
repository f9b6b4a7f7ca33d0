"""Layers of generators that wrap around."""

import math
from itertools import product

import torch

from neurotex.generators.styled import Waves, angles, upsample


def test_waves_are_where_their_style_puts_them():
    """By the formula, one wave at a time; and every wave of a group is moved alike."""
    torch.manual_seed(0)
    waves = Waves(6, 8, style_dim=5, groups=3).double()
    w = torch.randn(4, 5, dtype=torch.double)
    made, strength = waves(w), math.sqrt(2) * waves.strength(w)
    up, sideways = waves.place(w).unflatten(1, (2, 2, 3)).unbind(1)
    place = torch.atan2(up, sideways) / (2 * math.pi)  # (4, 2, 3), in widths
    for n, k in product(range(4), range(6)):
        across, down = waves.cycles[:, k].tolist()
        j = torch.arange(8, dtype=torch.double) / 8
        i = j[:, None]
        x, y = (place[n, axis, k % 3] for axis in (0, 1))
        phase = across * (j + x) + down * (i + y) + waves.phases[k]
        torch.testing.assert_close(made[n, k], strength[n, k] * torch.cos(2 * math.pi * phase))


def test_places_have_no_end_and_no_middle_without_a_slope():
    turn = torch.linspace(0, 2 * math.pi, 9)[:-1, None]
    places = torch.cat([turn.sin(), turn.cos()], 1).repeat_interleave(2, 1)  # both axes alike, one group
    found = angles(places)
    assert found.shape == (8, 2, 1)
    torch.testing.assert_close(
        torch.polar(torch.ones(8, 2), found[..., 0]), torch.polar(torch.ones(8, 2), turn.expand(-1, 2))
    )
    nowhere = torch.zeros(1, 4, requires_grad=True)
    angles(nowhere).sum().backward()
    assert nowhere.grad.isfinite().all()


def test_upsampling_is_bilinear_away_from_the_edge_and_wraps_at_it():
    x = torch.randn(2, 3, 6, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    up = upsample(x)
    plain = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    torch.testing.assert_close(upsample(x.roll((1, -2), (2, 3))), up.roll((2, -4), (2, 3)))
