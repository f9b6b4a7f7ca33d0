"""Procedural textures: the same for the same seed, in range, seamless, and varied."""

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.gan.procedural import FAMILIES, palettes, procedural


@pytest.mark.parametrize("family", [None, *FAMILIES])
def test_shape_range_and_seed(family):
    textures = procedural(6, 32, seed=3, family=family)
    assert textures.shape == (6, 3, 32, 32)
    assert textures.min() >= 0
    assert textures.max() <= 1
    assert torch.equal(textures, procedural(6, 32, seed=3, family=family))
    assert not torch.equal(textures, procedural(6, 32, seed=4, family=family))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_border_is_no_seam(family):
    """Steps across the border are no bigger than elsewhere, but for the odd texture with its sharpest edge there."""
    textures = procedural(24, 64, seed=1, family=family)
    for dim in (2, 3):
        steps = (textures.roll(-1, dim) - textures).abs().mean((1, 5 - dim))  # (n, size): the last one crosses
        assert (steps[:, -1] <= 1.25 * steps[:, :-1].amax(1) + 1e-3).float().mean() > 0.9


def test_colours_and_families_vary():
    textures = procedural(64, 16, seed=0)
    means = textures.mean((2, 3))
    assert (means.std(0) > 0.1).all()
    assert textures.std((2, 3)).mean() > 0.05


def test_palettes_are_in_gamut_and_span_lightness():
    colours = palettes(100, torch.Generator().manual_seed(0))
    assert colours.shape == (100, 4, 3)
    assert colours.min() >= 0
    assert colours.max() <= 1
    assert (colours.mean(2).amax(1) - colours.mean(2).amin(1)).min() > 0.05


def test_bad_requests_are_refused():
    with pytest.raises(ArgumentError, match="families are"):
        procedural(1, 32, seed=0, family="paisley")
    with pytest.raises(ArgumentError, match="n >= 1"):
        procedural(0, 32, seed=0)
