import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotex.discrete import Levels
from neurotex.errors import ArgumentError

TEXTURES = hnp.arrays(np.float32, (1, 2, 3, 4), elements=st.floats(-2, 3, width=32)).map(torch.from_numpy)


@given(TEXTURES, st.integers(2, 300))
def test_the_output_is_the_nearest_level_and_stays(x, levels):
    step = Levels(levels)
    out = step.hard(x)
    index = out.double() * (levels - 1)
    assert bool(((index - index.round()).abs() < 1e-4).all())
    assert bool(((out - x.clamp(0, 1)).abs() <= 0.5 / (levels - 1) + 1e-6).all())
    assert torch.equal(step.hard(out), out)


def test_both_ends_are_levels():
    assert Levels(3).hard(torch.tensor([[[[-1.0, 0.2, 0.3, 0.8, 7.0]]]])).flatten().tolist() == [0, 0, 0.5, 1, 1]


def test_bits_are_what_an_image_file_keeps():
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(Levels.bits(8).hard(x), (x * 255).round() / 255)


def test_the_surrogate_meets_every_level_and_rises():
    step = Levels(5)
    ends = torch.linspace(0, 1, 5)[None, None, None]
    fine = torch.linspace(0, 1, 501)[None, None, None]
    for temperature in (0.05, 0.5, 5.0):
        torch.testing.assert_close(step.soft(ends, temperature), ends)
        assert bool((step.soft(fine, temperature).diff() >= -1e-6).all())
    torch.testing.assert_close(step.soft(fine, 100.0), fine, atol=1e-4, rtol=0)  # hot: the identity


@pytest.mark.parametrize("levels", [1, 0, -3])
def test_fewer_than_two_levels_are_refused(levels):
    with pytest.raises(ArgumentError, match="at least 2"):
        Levels(levels)
