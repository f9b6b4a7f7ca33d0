import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from neurotex.discrete import Palette, Surrogate
from neurotex.errors import ArgumentError

COLOURS = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.2, 0.9], [0.9, 0.9, 0.8]])
TEXTURES = hnp.arrays(np.float32, (2, 3, 3, 4), elements=st.floats(-1, 2, width=32)).map(torch.from_numpy)


@given(TEXTURES, st.integers(1, 9))
def test_the_output_is_the_nearest_colour_and_stays(x, n):
    step = Palette(n)
    out = step.hard(x)
    rows = out.movedim(1, -1).reshape(-1, 3)
    assert {tuple(row) for row in rows.tolist()} <= {tuple(color) for color in step.colors.tolist()}
    distance = torch.cdist(x.movedim(1, -1).reshape(-1, 3), step.colors.detach()).amin(1)
    torch.testing.assert_close(
        (x.movedim(1, -1).reshape(-1, 3) - rows.detach()).norm(dim=1), distance, atol=1e-3, rtol=0
    )
    assert torch.equal(step.hard(out), out)


def test_the_first_of_equals_is_taken():
    step = Palette(torch.tensor([[0.0], [1.0], [0.0]]))
    assert step.nearest(torch.tensor([[[[0.1, 0.5, 0.9]]]])).flatten().tolist() == [0, 0, 1]


def test_a_colours_gradient_is_the_sum_over_its_texels():
    step = Palette(5).double()
    x = torch.rand(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    seed = torch.rand_like(x)
    step(x).backward(seed)
    owner, expected = step.nearest(x).flatten(), torch.zeros_like(step.colors)
    for k in range(5):
        expected[k] = seed.movedim(1, -1).reshape(-1, 3)[owner == k].sum(0)
    torch.testing.assert_close(step.colors.grad, expected)
    assert torch.equal(x.grad, seed)


def test_given_colours_are_fixed_and_a_number_is_learned():
    assert list(Palette(COLOURS).parameters()) == []
    assert [tuple(p.shape) for p in Palette(7).parameters()] == [(7, 3)]
    assert torch.equal(Palette(COLOURS).state_dict()["colors"], COLOURS)


def _clusters(noise: float) -> tuple[Tensor, Tensor]:
    owner = torch.randint(4, (1, 40, 40))
    return owner, (COLOURS[owner] + noise * torch.randn(1, 40, 40, 3)).movedim(-1, 1)


def test_calibrate_finds_well_separated_clusters():
    owner, x = _clusters(0.02)
    step = Palette(4)
    step.calibrate(x)
    found = torch.cdist(COLOURS, step.colors).argmin(1)
    assert sorted(found.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(step.colors[found].detach(), COLOURS, atol=5e-3, rtol=0)
    assert torch.equal(step.nearest(x), found[owner])


def test_calibrate_repeats_and_leaves_fixed_colours_alone():
    _, x = _clusters(0.1)
    first, second, fixed = Palette(3), Palette(3), Palette(COLOURS)
    for step in (first, second, fixed):
        step.calibrate(x)
    assert torch.equal(first.colors, second.colors)
    assert torch.equal(fixed.colors, COLOURS)


def test_calibrate_survives_fewer_texels_colours_than_asked_for():
    step = Palette(6)
    step.calibrate(COLOURS.T[None, :, :, None].repeat(1, 1, 5, 1))
    assert bool(step.colors.isfinite().all())
    assert bool((torch.cdist(COLOURS, step.colors).amin(1) < 1e-5).all())


def test_the_surrogate_is_a_mean_of_colours():
    step = Palette(COLOURS, Surrogate(10.0))
    out = step(torch.rand(1, 3, 2, 2))
    torch.testing.assert_close(out, COLOURS.mean(0)[None, :, None, None].expand_as(out), atol=0.05, rtol=0)


@pytest.mark.parametrize("colors", [0, -1, torch.zeros(3), torch.zeros(0, 3)])
def test_a_palette_without_colours_is_refused(colors):
    with pytest.raises(ArgumentError, match="palette"):
        Palette(colors)
