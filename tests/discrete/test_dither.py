import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.autograd import grad

from neurotex.discrete.blue_noise import bayer
from neurotex.discrete.diffusion import colors_reference, diffuse_colors, diffuse_levels, levels_reference
from neurotex.discrete.dither import METHODS, Dither, ErrorDiffusion, OrderedDither
from neurotex.discrete.estimators import Rotation
from neurotex.discrete.levels import Levels
from neurotex.discrete.palette import Palette
from neurotex.errors import ArgumentError
from neurotex.shading import srgb_to_linear

COLORS = torch.tensor([[0, 0, 0], [255, 255, 255], [200, 30, 20], [20, 190, 60], [40, 30, 200], [210, 200, 40]]) / 255
each_method = pytest.mark.parametrize("method", METHODS)


def _ramp(height: int = 64, width: int = 256) -> Tensor:
    return torch.linspace(0, 1, width).expand(1, 1, height, width).contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 5])
def test_levels_are_the_references_to_the_bit_also_halfway(count, dtype):
    x = torch.rand(2, 3, 7, 9, dtype=dtype)
    x[1] = (x[1] * 16).round() / 16  # errors are then exact, and halves come up
    levels = torch.linspace(0, 1, count, dtype=dtype)
    assert torch.equal(diffuse_levels(x, levels), levels_reference(x, levels))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_colours_are_the_references_to_the_bit_also_where_they_tie(dtype):
    x = torch.rand(2, 3, 7, 9, dtype=dtype)
    x[1] = (x[1] * 4).round() / 4
    colors = torch.cat([COLORS, COLORS, torch.full((1, 3), 0.5)]).to(dtype)
    assert torch.equal(diffuse_colors(x, colors), colors_reference(x, colors))


def test_shares_of_an_error_go_where_floyd_and_steinberg_say():
    x = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    x[0, 0, 0, 1] = 0.4  # becomes 0: in the first row the next texel lies to the right
    seen = []
    for y, column in ((0, 2), (1, 0), (1, 1), (1, 2)):
        low, high = 0.0, 1.0
        for _ in range(40):  # how little of its own makes this texel white
            probe, middle = x.clone(), (low + high) / 2
            probe[0, 0, y, column] = middle
            white = bool(diffuse_levels(probe, torch.tensor([0.0, 1], dtype=torch.float64))[0, 0, y, column])
            low, high = (low, middle) if white else (middle, high)
        seen.append(0.5 - low)
    right = 0.4 * 7 / 16
    # the last one of the row, black, hands its error on below and behind, and the second row goes to the left
    ahead = 0.4 / 16 + right * 5 / 16
    beneath = 0.4 * 5 / 16 + right * 3 / 16 + ahead * 7 / 16
    assert seen == pytest.approx([right, 0.4 * 3 / 16 + beneath * 7 / 16, beneath, ahead])


@each_method
@pytest.mark.parametrize("levels", [2, 3, 6])
@pytest.mark.parametrize("linear", [False, True])
def test_averages_stay(method, levels, linear):
    x = _ramp()
    out = Dither(levels, method, linear=linear).hard(x)
    assert bool(torch.isin(out, Levels(levels).hard(x)).all())
    measure = srgb_to_linear if linear else torch.clone
    means = [measure(image).view(64, 16, 16).mean((0, 2)) for image in (x, out)]
    torch.testing.assert_close(means[1], means[0], atol=0.02, rtol=0)


def test_averages_in_light_stay_in_colours_too():
    x = COLORS[[2, 3, 5]].mean(0)[None, :, None, None].expand(1, 3, 64, 64)
    out = Dither(palette=COLORS, linear=True).hard(x)
    expected = srgb_to_linear(x).mean((2, 3))
    torch.testing.assert_close(srgb_to_linear(out).mean((2, 3)), expected, atol=0.01, rtol=0)


def test_a_grey_of_two_levels_is_as_bright_as_pillows():
    x = torch.rand(1, 1, 48, 64) * _ramp(48, 64)
    theirs = Image.fromarray((x[0, 0] * 255).round().byte().numpy()).convert("1")
    mine = Dither().hard(x)[0, 0]
    assert float(mine.mean()) == pytest.approx(np.array(theirs).mean(), abs=0.01)


def test_the_same_levels_stay_as_they_are():
    x = torch.randint(4, (1, 3, 20, 20)) / 3
    for method in METHODS:
        assert torch.equal(Dither(4, method).hard(x), x)


def test_bayer_is_the_nearest_level_after_adding_the_tiled_matrix():
    x = torch.rand(2, 3, 11, 19)
    mask = (bayer() + 0.5)[torch.arange(11)[:, None] % 8, torch.arange(19) % 8] / 64
    expected = ((x + (mask - 0.5) / 5).clamp(0, 1) * 5).round() / 5
    assert torch.equal(Dither(6, "bayer").hard(x), expected)


def test_colours_out_of_reach_do_not_pile_up_errors():
    x = torch.ones(1, 3, 40, 8)
    x[:, :, 20:] = 0
    out = Dither(palette=torch.tensor([[0.0, 0, 0], [0.4, 0.4, 0.4]])).hard(x)
    assert float(out[:, :, 24:].max()) == 0


def test_colours_learn_as_those_of_a_palette_do():
    step, x = Dither(palette=Palette(5)), torch.rand(1, 3, 9, 8, requires_grad=True)
    step.calibrate(x)
    out = step(x)
    seed = torch.rand_like(out)
    slopes = grad(out, [x, *step.parameters()], seed)
    index = step.codes.nearest(out)
    expected = torch.stack([(seed * (index == k)).sum((0, 2, 3)) for k in range(5)])
    assert torch.equal(slopes[0], seed)
    torch.testing.assert_close(slopes[1], expected)


def test_one_name_makes_both_kinds():
    assert type(Dither()) is ErrorDiffusion
    assert type(Dither(method="bayer")) is OrderedDither
    assert isinstance(Dither(4, "blue_noise"), Levels)
    for method in METHODS:
        step = copy.deepcopy(Dither(3, method, linear=True))
        assert torch.equal(step.hard(_ramp()), Dither(3, method, linear=True).hard(_ramp()))
        assert list(step.state_dict()) == []


def test_only_vectors_are_rotated():
    Dither(palette=COLORS, estimator=Rotation())
    with pytest.raises(ArgumentError, match="each channel by itself"):
        Dither(3, estimator=Rotation())


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"method": "random"}, "no dithering by 'random': choose one of floyd_steinberg, bayer, blue_noise"),
        ({"method": "bayer", "palette": COLORS}, "dither to a palette by 'floyd_steinberg'"),
        ({"levels": 1}, "at least 2"),
        ({"levels": 257}, "at most 256"),
        ({"levels": 257, "method": "bayer"}, "at most 256"),
    ],
)
def test_what_makes_no_sense_is_refused(how, message):
    with pytest.raises(ArgumentError, match=message):
        Dither(**how)
