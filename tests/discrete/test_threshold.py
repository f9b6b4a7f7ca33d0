import hypothesis.extra.numpy as hnp
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotex.discrete import Threshold

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
