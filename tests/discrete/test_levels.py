import io

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.autograd import grad

from neurotex.discrete.levels import Levels, smooth_step
from neurotex.errors import ArgumentError
from neurotex.shading import linear_to_srgb, srgb_to_linear

TEXTURES = hnp.arrays(np.float32, (1, 2, 3, 4), elements=st.floats(-2, 3, width=32)).map(torch.from_numpy)


@given(TEXTURES, st.integers(2, 256))
def test_the_output_is_the_nearest_level_in_8_bits_and_stays(x, levels):
    step = Levels(levels)
    out = step.hard(x)
    kept = x.new_tensor([round(255 * k / (levels - 1)) / 255 for k in range(levels)])
    assert bool(torch.isin(out, kept).all())
    assert bool(((out - x.clamp(0, 1)).abs() <= 0.5 / (levels - 1) + 0.5 / 255 + 1e-6).all())
    assert torch.equal(step.hard(out), out)


@given(TEXTURES, st.integers(2, 64))
def test_linear_levels_are_the_nearest_in_light(x, levels):
    out = Levels(levels, linear=True).hard(x)
    kept = linear_to_srgb(torch.linspace(0, 1, levels, dtype=torch.float64)).mul(255).round() / 255
    assert bool(torch.isin(out, kept.float()).all())
    light = srgb_to_linear(x.double().clamp(0, 1))
    rounding = 1.2 / 255  # half of an 8-bit step, and the steepest slope of the decoding, 2.4 / 1.055
    assert bool(((srgb_to_linear(out.double()) - light).abs() <= 0.5 / (levels - 1) + rounding).all())


def test_both_ends_are_levels():
    x = torch.tensor([[[[-1.0, 0.2, 0.3, 0.8, 7.0]]]])
    for linear, middle in ((False, 128), (True, 188)):
        assert set(Levels(3, linear=linear).hard(x).mul(255).flatten().tolist()) == {0, middle, 255}


def test_bits_are_what_an_image_file_keeps():
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(Levels.bits(8).hard(x), (x * 255).round() / 255)


@pytest.mark.parametrize("linear", [False, True])
def test_the_surrogate_meets_every_level_and_rises(linear):
    step = Levels(6, linear=linear)
    ends = torch.linspace(0, 1, 6)[None, None, None]  # multiples of 51 / 255
    ends = step.hard(linear_to_srgb(ends) if linear else ends)
    fine = torch.linspace(0, 1, 501)[None, None, None]
    for temperature in (0.05, 0.5, 5.0):
        torch.testing.assert_close(step.soft(ends, temperature), ends, atol=2 / 255 if linear else 1e-6, rtol=0)
        assert bool((step.soft(fine, temperature).diff() >= -1e-6).all())
    hot = step.soft(fine, 100.0)  # the identity, but for what 8 bits do to the levels
    torch.testing.assert_close(hot, fine, atol=0.5 / 255 if linear else 1e-4, rtol=0)


def test_a_smooth_step_has_the_same_slope_at_both_ends_at_any_temperature():
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    for temperature in (1e-300, 1e-3, 0.1, 1.0, 1e300):
        rise = smooth_step(ends, temperature)
        assert rise.tolist() == pytest.approx([0, 1])
        first, second = grad(rise.sum(), ends)[0].tolist()
        assert first == pytest.approx(second)


def test_more_than_256_levels_are_a_grey_file_of_16_bits():
    step, x = Levels(1000), torch.rand(1, 1, 9, 7)
    data, suffix = step.encode(x)
    picture = torch.from_numpy(np.array(Image.open(io.BytesIO(data))).astype(np.float32)).to(x) / 65535
    assert suffix == ".png"
    assert float((picture - step.hard(x)).abs().max()) == 0
    with pytest.raises(ArgumentError, match="at most 256 levels"):
        step.encode(torch.rand(1, 3, 4, 4))


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_a_file_has_the_channels_of_its_texture(channels, mode):
    step, x = Levels(7, linear=True), torch.rand(1, channels, 4, 6)
    image = Image.open(io.BytesIO(step.encode(x)[0]))
    assert image.mode == mode
    assert torch.equal(torch.from_numpy(np.array(image)).view(4, 6, channels).movedim(-1, 0) / 255, step.hard(x)[0])


def test_a_file_has_at_most_4_channels():
    with pytest.raises(ArgumentError, match="1 to 4 channels, not 5"):
        Levels(4).encode(torch.rand(1, 5, 4, 4))


def test_more_levels_than_files_keep_are_refused():
    with pytest.raises(ArgumentError, match="at most 65536"):
        Levels.bits(17)


@pytest.mark.parametrize("levels", [1, 0, -3])
def test_fewer_than_two_levels_are_refused(levels):
    with pytest.raises(ArgumentError, match="at least 2"):
        Levels(levels)
