"""Filters against their definition, written with loops; and designs against the facts they are made for."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

from neurotex.generators import filters
from neurotex.generators.filters import downsample, lowpass, radial_lowpass, smooth, upsample, wrap


def by_definition(x, taps, factor, padding):
    """Zeros between pixels, padding or cropping, and a convolution with the outer product, pixel by pixel."""
    n, c, h, w = x.shape
    zeros = x.new_zeros(n, c, h * factor, w * factor)
    zeros[:, :, ::factor, ::factor] = x
    zeros = F.pad(zeros, (*padding, *padding))
    kernel = factor**2 * torch.outer(taps, taps).flip(0, 1)
    return F.conv2d(zeros.flatten(0, 1)[:, None], kernel[None, None]).unflatten(0, (n, c))[:, :, 0]


@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    taps=st.integers(1, 9),
    factor=st.integers(1, 4),
    padding=st.tuples(st.integers(-2, 12), st.integers(-2, 12)),
    strip=st.integers(1, 30),
)
def test_upsample_is_what_its_definition_says(size, taps, factor, padding, strip):
    assume(min(size) * factor + min(0, sum(padding)) + min(0, *padding) > 0)
    assume(min(size) * factor + sum(padding) >= taps)
    x, f = torch.randn(2, 3, *size, dtype=torch.double), torch.randn(taps, dtype=torch.double)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filters, "STRIP", strip)
        torch.testing.assert_close(upsample(x, f, factor, padding), by_definition(x, f, factor, padding))


def test_smooth_and_downsample_agree_with_the_outer_product():
    x, f = torch.randn(2, 3, 9, 7, dtype=torch.double), torch.tensor([1.0, 3, 3, 1], dtype=torch.double) / 8
    torch.testing.assert_close(smooth(x, f, 1), by_definition(x, f, 1, (1, 1)))
    torch.testing.assert_close(downsample(x, f, 2), by_definition(x, f, 1, (0, 0))[..., ::2, ::2])
    torch.testing.assert_close(downsample(x, torch.outer(f, f), 2), downsample(x, f, 2))


def test_wrap_is_circular_padding():
    x = torch.randn(1, 2, 4, 5)
    assert torch.equal(wrap(x, 2), F.pad(x, (2, 2, 2, 2), mode="circular"))


def _response(kernel, frequency, rate):
    """Of a symmetric filter at a frequency: the sum of its taps times a cosine."""
    t = (torch.arange(len(kernel)) - (len(kernel) - 1) / 2) / rate
    return float((kernel * torch.cos(2 * math.pi * frequency * t.double())).sum())


def test_a_lowpass_lets_low_frequencies_pass():
    kernel = lowpass(48, 2.0, 2.0, 16.0)
    torch.testing.assert_close(kernel, kernel.flip(0))
    assert _response(kernel, 0.0, 16) == pytest.approx(1)
    assert _response(kernel, 0.8, 16) == pytest.approx(1, abs=0.01)
    assert _response(kernel, 2.0, 16) == pytest.approx(0.5, abs=0.01)
    assert _response(kernel, 3.3, 16) == pytest.approx(0, abs=0.01)


def test_a_radial_lowpass_is_the_same_in_all_directions():
    kernel = radial_lowpass(48, 2.0, 2.0, 16.0)
    t = (torch.arange(48) - 23.5).double() / 16
    for frequency, expected in ((0.0, 1), (0.8, 1), (2.0, 0.5), (3.3, 0)):
        waves = [frequency * (math.cos(a) * t + math.sin(a) * t[:, None]) for a in (0.0, 0.3, math.pi / 4)]
        responses = [float((kernel * torch.cos(2 * math.pi * wave)).sum()) for wave in waves]
        assert responses == pytest.approx([expected] * 3, abs=0.04)
        assert max(responses) - min(responses) < 0.01


def test_designs_are_those_of_scipy():
    """scipy 1.17: firwin(6, 2, width=1.5, fs=8), and with a transition so narrow that no window helps."""
    torch.testing.assert_close(lowpass(6, 2.0, 1.5, 8.0), torch.tensor(SCIPY[0] + SCIPY[0][::-1], dtype=torch.double))
    torch.testing.assert_close(lowpass(6, 2.0, 0.1, 8.0), torch.tensor(SCIPY[1] + SCIPY[1][::-1], dtype=torch.double))
    torch.testing.assert_close(lowpass(12, 2.0, 3.0, 8.0), torch.tensor(SCIPY[2] + SCIPY[2][::-1], dtype=torch.double))


SCIPY = (
    [-0.0839591580820033, 0.14432364673839, 0.439635511343613],
    [-0.0882352941176471, 0.147058823529412, 0.441176470588235],
    [
        0.000405665737915307,
        0.00435074940350252,
        -0.0169149760481241,
        -0.0473400692491384,
        0.1200023194169,
        0.439496310738944,
    ],
)
