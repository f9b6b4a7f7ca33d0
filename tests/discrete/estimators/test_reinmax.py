import pytest
import torch

from neurotex.discrete import Levels, ReinMax, StraightThrough


@pytest.mark.parametrize("kind", ["linear", "quadratic"])
def test_it_is_exact_for_losses_quadratic_in_the_code(problem, unbiased, kind):
    case = problem(kind)
    unbiased(case.draws(ReinMax(case.temperature)), case.exact())


def test_its_bias_is_a_fraction_of_straight_throughs(problem):
    """Measured for an exponential loss, of |exact|: 0.15 and 0.05; straight-through 2.8 and 0.06."""
    case = problem("exponential")
    exact = case.exact()
    bias = float((case.draws(ReinMax(case.temperature)).mean(0) - exact[0]).norm() / exact.norm())
    straight = float((case.draws(StraightThrough(), 1)[0] - exact[0]).norm() / exact.norm())
    assert bias < 0.2
    assert bias < 1.2 * straight


def test_codes_are_drawn_as_often_as_the_softmax_says():
    step = Levels(4, ReinMax(0.5)).double()
    x = torch.full((100_000, 1, 1, 1), 0.4, dtype=torch.float64)
    share = torch.bincount((step(x) * 3).round().long().flatten(), minlength=4) / len(x)
    chance = (step.options(x[:1])[0] / 0.5).softmax(1).flatten()
    torch.testing.assert_close(share.double(), chance, atol=3 * 0.5 / len(x) ** 0.5, rtol=0)


def test_the_output_is_a_code_to_the_bit(codes):
    step = codes(torch.rand(6, 3), ReinMax(0.5))
    rows = step(torch.rand(2, 3, 8, 8)).movedim(1, -1).reshape(-1, 3)
    assert bool((rows[:, None] == step.colors).all(2).any(1).all())
    assert len(rows.unique(dim=0)) == 6
