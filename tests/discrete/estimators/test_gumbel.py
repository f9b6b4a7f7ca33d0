import torch
from torch.autograd import gradcheck

from neurotex.discrete import Gumbel, Levels


def _bias(case, estimator) -> float:
    exact = case.exact()
    return float((case.draws(estimator).mean(0) - exact[0]).norm() / exact.norm())


def test_the_bias_of_a_relaxed_draw_falls_with_the_relaxation(problem, any_loss):
    """Measured for a cubic loss, of |exact|, at 1, 0.5 and 0.1: 0.69, 0.46, 0.12 (colours), 0.62, 0.40, 0.09."""
    case = problem(any_loss)
    bias = [_bias(case, Gumbel(case.temperature, relaxation, hard=False)) for relaxation in (2.0, 0.5, 0.05)]
    noise = 0.05 if any_loss != "quadratic" else 0.3  # standard error of the mean; colours' exact gradient is small
    assert bias[1] < bias[0] + noise
    assert bias[2] < 0.5 * bias[0] + noise


def test_a_hard_draws_gradient_gets_noisier_and_for_a_linear_loss_right(problem):
    case = problem("linear")
    relaxations = (2.0, 0.5, 0.1)
    draws = [case.draws(Gumbel(case.temperature, relaxation)) for relaxation in relaxations]
    exact = case.exact()
    bias = [float((each.mean(0) - exact[0]).norm() / exact.norm()) for each in draws]
    spread = [float(each.var(0).sum()) for each in draws]
    assert bias[1] < bias[0] / 3
    assert bias[2] < bias[0] / 10
    assert spread[0] < spread[1] < spread[2]


def test_a_hard_draw_is_a_code_to_the_bit_and_a_relaxed_one_a_mixture(codes):
    x = torch.rand(2, 3, 8, 8)
    step = codes(torch.rand(6, 3), Gumbel(0.5))
    rows = step(x).movedim(1, -1).reshape(-1, 3)
    assert bool((rows[:, None] == step.colors).all(2).any(1).all())
    step.estimator.hard = False
    rows = step(x).movedim(1, -1).reshape(-1, 3)
    assert not bool((rows[:, None] == step.colors).all(2).any(1).any())


def test_codes_are_drawn_as_often_as_the_softmax_says():
    step = Levels(4, Gumbel(0.5, relaxation=0.3)).double()
    x = torch.full((100_000, 1, 1, 1), 0.4, dtype=torch.float64)
    share = torch.bincount((step(x) * 3).round().long().flatten(), minlength=4) / len(x)
    chance = (step.options(x[:1])[0] / 0.5).softmax(1).flatten()
    torch.testing.assert_close(share.double(), chance, atol=3 * 0.5 / len(x) ** 0.5, rtol=0)


def test_the_draw_tends_to_the_exact_step(codes):
    step, x = codes(torch.rand(6, 3), Gumbel(1e-6)), torch.rand(2, 3, 8, 8)
    assert torch.equal(step(x), step.hard(x))


def test_a_relaxed_draws_gradient_is_its_own(codes):
    step = codes(torch.rand(4, 3), Gumbel(0.3, hard=False)).double()

    def draw(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(5)
        return step(x)

    assert gradcheck(draw, (torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True),))
