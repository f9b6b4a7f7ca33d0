"""Learning rates over a run."""

import pytest

from neurotex.gan.schedules import Constant, Cosine, HoldThenLinear


def test_hold_then_linear_holds_and_ends():
    schedule = HoldThenLinear(200, hold=0.75, end=0.05)
    assert [schedule(step) for step in (0, 80, 150)] == [1, 1, 1]
    assert schedule(175) == pytest.approx(0.5)
    assert schedule(200) == schedule(300) == 0.05


def test_cosine_is_half_way_in_the_middle():
    schedule = Cosine(10, end=0.2)
    assert schedule(0) == 1
    assert schedule(5) == pytest.approx(0.6)
    assert schedule(10) == schedule(11) == pytest.approx(0.2)


@pytest.mark.parametrize("schedule", [Constant(4), Cosine(1000, warmup=4), HoldThenLinear(1000, warmup=4)])
def test_warming_up_is_linear(schedule):
    assert [schedule(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0], abs=1e-4)
