"""Nearest colours to the bit, also where they tie, and blends of them."""

import pytest
import torch

from neurotex.core.op import OPS


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("count", [1, 4])
def test_palettes(held, channels, count):
    x = torch.randint(-1, 6, (2, channels, 7, 9)) / 4  # in steps that make colours tie, and beyond the cube
    colors = torch.randint(0, 5, (11, channels)) / 4
    index, distance = held(OPS["nearest_colors"], x, colors, count, close=0)
    held(OPS["nearest_colors_backward"], torch.randn(distance.shape), x + torch.rand_like(x), colors, index)
    held(OPS["blend_colors"], torch.rand(distance.shape), colors, index)
    held(OPS["blend_colors_backward"], torch.randn(x.shape), torch.rand(distance.shape), colors, index)


@pytest.mark.parametrize("channels", [1, 3])
def test_large_palettes(held, channels):
    x = torch.rand(1, channels, 40, 30).mT
    held(OPS["nearest_colors"], x, torch.rand(256, channels), 8, close=0)
