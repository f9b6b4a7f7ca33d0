import io

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neurotex.discrete import Threshold
from neurotex.errors import ArgumentError

TEXTURES = hnp.arrays(np.float32, (1, 2, 3, 4), elements=st.floats(-2, 3, width=32)).map(torch.from_numpy)


@given(TEXTURES, st.floats(0.125, 1))
def test_the_output_is_one_bit_and_stays(x, value):
    step = Threshold(value)
    out = step.hard(x)
    assert torch.equal(out == 1, x >= value)
    assert torch.equal(out == 0, x < value)
    assert torch.equal(step.hard(out), out)


def test_the_surrogate_is_one_half_at_the_threshold():
    x = torch.full((1, 1, 1, 1), 0.3)
    assert float(Threshold(0.3).soft(x, 0.1)) == 0.5


@pytest.mark.parametrize("channel", [None, 1])
@pytest.mark.parametrize("temperature", [0.03, 0.3, 3.0])
def test_the_softmax_of_the_scores_is_the_logistic_curve(channel, temperature):
    step, x = Threshold(0.3, channel=channel), torch.rand(2, 3, 5, 4, dtype=torch.float64)
    scores, mix = step.options(x)
    torch.testing.assert_close(mix((scores / temperature).softmax(1)), step.soft(x, temperature))


def test_only_the_channel_named_is_thresholded():
    x = torch.rand(2, 4, 5, 6, requires_grad=True)
    step = Threshold(0.5, "clipped", channel=3)
    for out in (step(x), step.soft(x, 0.1)):
        assert torch.equal(out[:, :3], x[:, :3])
    assert torch.equal(step(x)[:, 3], (x[:, 3] >= 0.5).float())


def test_alpha_cut_out_of_a_texture_is_a_file_with_alpha():
    step, x = Threshold(0.5, channel=3), torch.rand(1, 4, 5, 6)
    data, suffix = step.encode(x)
    image = Image.open(io.BytesIO(data))
    picture = torch.from_numpy(np.array(image)).movedim(-1, 0)[None] / 255
    assert (image.mode, suffix) == ("RGBA", ".png")
    assert torch.equal(picture[:, 3], step.hard(x)[:, 3])
    assert float((picture - step.hard(x)).abs().max()) <= 0.5 / 255 + 1e-6


def test_one_channel_is_a_file_of_one_bit():
    step, x = Threshold(0.2), torch.rand(1, 1, 5, 13)
    image = Image.open(io.BytesIO(step.encode(x)[0]))
    assert image.mode == "1"
    assert torch.equal(torch.from_numpy(np.array(image)).float(), step.hard(x)[0, 0])


@pytest.mark.parametrize(("value", "channel"), [(float("nan"), None), (float("inf"), None), (0.5, -1)])
def test_a_threshold_that_divides_nothing_is_refused(value, channel):
    with pytest.raises(ArgumentError):
        Threshold(value, channel=channel)


def test_a_channel_that_is_not_there_is_refused():
    with pytest.raises(ArgumentError, match="no channel 3 in a texture of 3"):
        Threshold(0.5, channel=3)(torch.rand(1, 3, 2, 2))
