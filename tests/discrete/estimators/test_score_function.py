import copy

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad

from neurotex.discrete import Levels, ScoreFunction, expected_loss, score_function_loss
from neurotex.discrete.estimators import log_probabilities
from neurotex.errors import ArgumentError


def test_it_is_unbiased_whatever_the_loss(problem, any_loss, unbiased):
    case = problem(any_loss)
    unbiased(case.compared_draws(ScoreFunction(case.temperature), 4), case.exact())


def test_without_other_draws_it_is_as_right_but_noisier(problem, unbiased):
    case = problem("exponential")
    estimator = ScoreFunction(case.temperature)
    plain, compared = (case.compared_draws(estimator, 4, baseline) for baseline in (False, True))
    unbiased(plain, case.exact())
    assert float(plain.var(0).sum() / compared.var(0).sum()) > 8  # measured: 10 (levels) and 16 (colours)


def test_the_log_probability_is_that_of_the_draw(codes):
    step = codes(torch.rand(5, 3), ScoreFunction(0.3)).double()
    x = torch.rand(2, 3, 2, 2, dtype=torch.float64)
    with log_probabilities() as drawn:
        out = step(x)
    scores, mix = step.options(x)
    table = (scores / 0.3).log_softmax(1)
    code = torch.cdist(out.detach().movedim(1, -1).reshape(-1, 3), step.colors.detach()).argmin(1).view(2, 2, 2)
    expected = table.gather(1, code[:, None]).flatten(1).sum(1)
    torch.testing.assert_close(drawn[0], expected)
    assert mix(torch.zeros_like(table).scatter(1, code[:, None], 1.0)).equal(out)


class _Twice(nn.Module):
    """Uses one step for two textures, and its estimator in another step as well."""

    def __init__(self, estimator: ScoreFunction):
        super().__init__()
        self.step, self.other = Levels(3, estimator), Levels(2, estimator)

    def forward(self, x: Tensor) -> Tensor:
        a, b, c = self.step(x[:1]), self.step(x[1:2]), self.other(x[2:])
        return (a * b - 0.7 * c + a * c).exp().sum()


def test_all_evaluations_in_a_loss_count(unbiased):
    module = _Twice(ScoreFunction(0.6))
    x = torch.tensor([0.3, 0.6, 0.45], dtype=torch.float64).view(3, 1, 1, 1).requires_grad_()
    chances, values = [], []
    for step, place in zip((module.step, module.step, module.other), x, strict=True):
        scores, _ = step.options(place[None])
        chances.append((scores / 0.6).softmax(1).flatten())
        values.append(torch.arange(scores.shape[1], dtype=x.dtype) / (step.levels - 1))
    a, b, c = torch.meshgrid(*values, indexing="ij")
    joint = chances[0][:, None, None] * chances[1][:, None] * chances[2]
    (exact,) = grad((joint * (a * b - 0.7 * c + a * c).exp()).sum(), x)

    def one(place: Tensor) -> Tensor:
        return torch.func.grad(lambda p: expected_loss(lambda: module(p), module, draws=3))(place)

    draws = torch.func.vmap(one, randomness="different")(x.detach().expand(20_000, -1, -1, -1, -1))
    unbiased(draws, exact[None])


def test_expected_loss_is_the_mean_and_leaves_nothing_behind():
    step = Levels(4, ScoreFunction(0.5))
    x, seen = torch.rand(1, 3, 4, 4, requires_grad=True), []

    def loss() -> Tensor:
        seen.append(step(x).mean())
        return seen[-1]

    value = expected_loss(loss, step, draws=5)
    assert len(seen) == 5
    torch.testing.assert_close(value, torch.stack(seen).mean())
    value.backward()
    assert float(x.grad.abs().sum()) > 0
    assert vars(step.estimator) == {"temperature": 0.5}
    copy.deepcopy(step)


def test_an_inner_expectation_is_not_counted_twice():
    step = Levels(4, ScoreFunction(0.5))
    x = torch.rand(1, 1, 2, 2, requires_grad=True)
    with log_probabilities() as outer:
        expected_loss(lambda: step(x).sum(), step)
        assert outer == []
        step(x)
    assert len(outer) == 1


def test_an_error_in_the_loss_ends_the_listening():
    step = Levels(4, ScoreFunction(0.5))
    with pytest.raises(RuntimeError, match="mine"), log_probabilities() as drawn:
        raise RuntimeError("mine")
    step(torch.rand(1, 1, 2, 2))
    assert drawn == []


def test_without_such_a_step_the_loss_is_called_once():
    x, calls = torch.rand(1, 1, 2, 2), []
    for step in (Levels(4), Levels(4, "score_function").eval()):
        expected_loss(lambda step=step: calls.append(1) or step(x).sum(), step)
    assert len(calls) == 2


def test_it_learns_where_nothing_after_it_has_a_gradient():
    x, step = torch.full((1, 1, 4, 4), 0.5, requires_grad=True), Levels(2, ScoreFunction(0.3))
    target = (torch.arange(16).view(1, 1, 4, 4) % 3 == 0).float()
    optimiser = torch.optim.Adam([x], 0.05)
    for _ in range(100):
        optimiser.zero_grad()
        expected_loss(lambda: (step(x).detach() - target).abs().sum(), step, draws=8).backward()
        optimiser.step()
    assert torch.equal(step.hard(x), target)


@pytest.mark.parametrize("draws", [0, 1])
def test_one_draw_cannot_be_compared(draws):
    step = Levels(2, "score_function")
    with pytest.raises(ArgumentError, match="at least 2"):
        expected_loss(lambda: step(torch.rand(1, 1, 2, 2)).sum(), step, draws)
    with pytest.raises(ArgumentError, match="at least 2"):
        score_function_loss(torch.rand(draws), torch.rand(draws))


def test_a_loss_without_the_step_is_refused():
    step = Levels(2, "score_function")
    with pytest.raises(ArgumentError, match="does not depend on any score-function step"):
        expected_loss(lambda: torch.rand(()), step)


def test_the_global_seed_repeats_a_gradient():
    step, x = Levels(4, ScoreFunction(0.5)), torch.rand(1, 3, 4, 4, requires_grad=True)
    found = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        found += grad(expected_loss(lambda: step(x).square().sum(), step), x)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
