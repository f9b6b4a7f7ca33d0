"""How gradients cross a step: exactly as each estimator says."""

import itertools

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import grad, gradcheck

from neurotex.discrete import (
    ESTIMATORS,
    ClippedStraightThrough,
    Levels,
    Palette,
    ScoreFunction,
    Step,
    StraightThrough,
    Surrogate,
    SurrogateGradient,
    Threshold,
    clamp,
    make_estimator,
)
from neurotex.discrete.black_box import BlackBox
from neurotex.discrete.estimators import log_probabilities
from neurotex.discrete.jpeg import Jpeg
from neurotex.errors import ArgumentError

STEPS = [lambda e: Levels(5, e), lambda e: Threshold(0.4, e), lambda e: Palette(6, e)]
each_step = pytest.mark.parametrize("make", STEPS, ids=["levels", "threshold", "palette"])


class Sign(Step):
    """No bounded domain, no smooth relative."""

    domain = None

    def hard(self, x: Tensor) -> Tensor:
        return x.sign()


class Corner(Step):
    """The nearest corner of the colour cube."""

    vectors = True

    def hard(self, x: Tensor) -> Tensor:
        return x.clamp(0, 1).round()


def _texture(n: int = 1) -> Tensor:
    return 1.6 * torch.rand(n, 3, 5, 4, dtype=torch.float64) - 0.3  # a third of it outside [0, 1]


@each_step
def test_straight_through_is_exact_forward_and_the_identity_backward(make):
    step, x, seed = make("straight_through").double(), _texture().requires_grad_(), _texture()
    out = step(x)
    assert torch.equal(out, step.hard(x))
    assert torch.equal(*grad(out, x, seed), seed)


@each_step
def test_clipped_is_the_identity_inside_and_zero_outside(make):
    step, x, seed = make("clipped").double(), _texture().requires_grad_(), _texture()
    out = step(x)
    assert torch.equal(out, step.hard(x))
    inside = (x >= 0) & (x <= 1)
    assert 0 < int(inside.sum()) < inside.numel()
    assert torch.equal(*grad(out, x, seed), torch.where(inside, seed, 0))


@pytest.mark.parametrize("temperature", [0.03, 0.3, 3.0])
@each_step
def test_the_surrogates_gradient_is_its_own(make, temperature):
    step = make(Surrogate(temperature)).double()
    x = (0.02 + 0.96 * torch.rand(2, 3, 3, 2, dtype=torch.float64)).requires_grad_()
    assert gradcheck(step, (x,))


@pytest.mark.parametrize("temperature", [0.03, 0.3, 3.0])
@each_step
def test_the_surrogate_gradient_is_exact_forward_and_the_surrogate_backward(make, temperature):
    """For what the step learns, too, which does not get the exact step's gradient on top."""
    step, smooth = make(SurrogateGradient(temperature)).double(), make(Surrogate(temperature)).double()
    x, seed = _texture(2).requires_grad_(), _texture(2)
    out, expected = step(x), smooth(x)
    assert torch.equal(out, step.hard(x))
    assert not torch.equal(out, expected)
    slopes = grad(out, [x, *step.parameters()], seed)
    for slope, other in zip(slopes, grad(expected, [x, *smooth.parameters()], seed), strict=True):
        assert float(slope.abs().sum()) > 0
        torch.testing.assert_close(slope, other)


def test_an_estimator_says_what_it_is():
    assert repr(SurrogateGradient(0.25)) == "SurrogateGradient(temperature=0.25)"
    assert repr(Levels(3, "surrogate_gradient")) == "Levels(3, SurrogateGradient(temperature=0.1))"


@each_step
def test_the_surrogate_tends_to_the_exact_step(make):
    step, x = make(Surrogate()).double(), _texture()
    hard = step.hard(x)
    distance = []
    for temperature in (1.0, 0.1, 1e-6):
        step.estimator.temperature = temperature
        distance.append((step(x) - hard).abs().mean().item())
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] < 1e-6


@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate", "surrogate_gradient"])
@each_step
def test_eval_gives_what_ships(make, estimator):
    step, x = make(estimator).double(), _texture()
    assert torch.equal(step.eval()(x), step.hard(x))


@each_step
@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate", "surrogate_gradient"])
def test_a_batch_is_its_images(make, estimator):
    step, x = make(estimator).double(), _texture(4)
    each = torch.cat([step(image[None]) for image in x])
    torch.testing.assert_close(step(x), each, rtol=1e-12, atol=1e-12)


@each_step
@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate", "surrogate_gradient"])
def test_vmap_and_func_grad_see_the_same(make, estimator):
    step, x = make(estimator).double(), _texture(3)
    weight = torch.rand_like(x[:1])

    def loss(image: Tensor) -> Tensor:
        return (step(image[None]) * weight).sum()

    leaf = x.clone().requires_grad_()
    (expected,) = grad(sum(loss(image) for image in leaf), leaf)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(x), expected)


@pytest.mark.parametrize(
    "estimator", ["clipped", "surrogate", "surrogate_gradient", ClippedStraightThrough(), Surrogate(0.5)]
)
def test_an_estimator_that_makes_no_sense_is_refused(estimator):
    with pytest.raises(ArgumentError, match="Sign has no"):
        Sign(estimator)


def test_straight_through_takes_any_step():
    x = torch.tensor([[[[-3.0, 2.0]]]], requires_grad=True)
    out = Sign()(x)
    assert torch.equal(out, x.sign())
    assert torch.equal(*grad(out.sum(), x), torch.ones_like(x))


def test_an_unknown_estimator_is_refused_with_the_known_ones():
    with pytest.raises(ArgumentError, match=r"'gumble'.*straight_through, clipped, surrogate"):
        make_estimator("gumble", Levels(2))


def test_names_and_objects_are_the_same_estimators():
    assert isinstance(make_estimator("straight_through", Levels(2)), StraightThrough)
    mine = Surrogate(0.7)
    assert make_estimator(mine, Levels(2)) is mine


@pytest.mark.parametrize("kind", [Surrogate, SurrogateGradient])
@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(temperature, kind):
    with pytest.raises(ArgumentError, match="temperature"):
        kind(temperature)


def test_clamp_lets_only_gradients_pass_that_lead_back_inside():
    x = torch.tensor([-1.0, -1, 0, 0, 0.5, 0.5, 1, 1, 2, 2], dtype=torch.float64, requires_grad=True)
    push = torch.tensor([1.0, -1] * 5, dtype=torch.float64)  # descent moves against it
    out = clamp(x)
    assert torch.equal(out, x.clamp(0, 1))
    assert grad(out, x, push)[0].tolist() == [0, -1, 1, -1, 1, -1, 1, -1, 1, 0]


def test_clamp_forward_mode_drops_what_leads_further_out():
    x = torch.tensor([-1.0, -1, 0.5, 2, 2])
    _, out = torch.func.jvp(clamp, (x,), (torch.tensor([1.0, -1, 3, 1, -1]),))
    assert out.tolist() == [1, 0, 3, 0, -1]


def test_clamp_with_other_ends_and_under_vmap():
    x = torch.tensor([[-3.0, -1, 0.5], [1, 2, 9]])
    assert torch.equal(torch.func.vmap(lambda row: clamp(row, -2.0, 1.5))(x), x.clamp(-2, 1.5))
    slope = torch.func.vmap(torch.func.grad(lambda row: clamp(row, -2.0, 1.5).sum()))(x)
    assert slope.tolist() == [[0, 1, 1], [1, 1, 1]]


# every estimator, and every kind of step: who takes whom, and the reason of who does not
KINDS = {
    "codes that are vectors": lambda e: Palette(4, e),
    "codes that are numbers": lambda e: Levels(4, e),
    "a smooth relative": lambda e: Jpeg(50, e),
    "nothing known": lambda e: BlackBox(np.round, e),
    "no domain": Sign,
    "another shape": lambda e: BlackBox(np.round, e, reshapes=True),
}
CODES = {"codes that are vectors", "codes that are numbers"}
TAKES = {
    "straight_through": set(KINDS) - {"another shape"},
    "clipped": set(KINDS) - {"another shape", "no domain"},
    "surrogate": CODES | {"a smooth relative"},
    "surrogate_gradient": CODES | {"a smooth relative"},
    "gumbel": CODES,
    "reinmax": CODES,
    "score_function": CODES,
    "rotation": {"codes that are vectors"},
    "perturbation": set(KINDS),
}
REASONS = {
    "straight_through": "another shape",
    "clipped": "another shape|no bounded domain",
    "surrogate": "no smooth surrogate",
    "surrogate_gradient": "no smooth surrogate",
    "gumbel": "Gumbel draws codes, but .* does not pick one of a few",
    "reinmax": "ReinMax draws codes, but .* does not pick one of a few",
    "score_function": "ScoreFunction draws codes, but .* does not pick one of a few",
    "rotation": "cannot be rotated|another shape",
}


@pytest.mark.parametrize(("name", "kind"), list(itertools.product(ESTIMATORS, KINDS)))
def test_an_estimator_takes_the_steps_that_it_makes_sense_for(name, kind):
    if kind in TAKES[name]:
        KINDS[kind](name)
    else:
        with pytest.raises(ArgumentError, match=REASONS[name]):
            KINDS[kind](name)


DRAWN = ("gumbel", "reinmax", "score_function")  # those that draw codes, forward


def _step(name: str) -> Step:
    return Corner(name) if name == "rotation" else Levels(4, name)


def _gradient(step: Step, x: Tensor) -> tuple[Tensor, Tensor]:
    """Output and gradient of x for a loss of it, that of the score function too."""
    leaf = x.clone().requires_grad_()
    with log_probabilities() as drawn:
        out = step(leaf)
    loss = out.square().sum() + sum(each.sum() for each in drawn)
    return out.detach(), grad(loss, leaf)[0]


each_estimator = pytest.mark.parametrize("name", list(ESTIMATORS))


@each_estimator
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [1, 4])
def test_type_and_shape_are_kept(name, dtype, batch):
    x = torch.rand(batch, 3, 5, 4, dtype=dtype)
    for found in _gradient(_step(name), x):
        assert found.dtype == dtype
        assert found.shape == x.shape


@each_estimator
@given(
    x=hnp.arrays(np.float32, (2, 3, 2, 2), elements=st.floats(-1e6, 1e6, width=32)).map(torch.from_numpy),
    temperature=st.sampled_from([1e-6, 0.1, 1e6]),
)
@settings(max_examples=25)
def test_nothing_is_ever_nan(name, x, temperature):
    for step in (_step(name), Palette(5, name)):
        if hasattr(step.estimator, "temperature"):
            step.estimator.temperature = temperature
        if hasattr(step.estimator, "relaxation"):
            step.estimator.relaxation = temperature
        out, slope = _gradient(step, x)
        assert bool(out.isfinite().all())
        assert bool(slope.isfinite().all())


@each_estimator
def test_the_largest_numbers_are_not_nan_either(name):
    x = torch.tensor([1e38, -1e38, 1e19, 1e-38]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    for step in (_step(name), Palette(5, name)):
        out, slope = _gradient(step, x)
        assert not bool(out.isnan().any() or slope.isnan().any())


@each_estimator
def test_seeds_repeat_it(name):
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append(_gradient(_step(name), torch.rand(2, 3, 5, 4)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@each_estimator
def test_it_runs_compiled(name):
    step, x = _step(name), torch.rand(2, 3, 5, 4)
    torch.manual_seed(3)
    torch._dynamo.reset()
    out, slope = _gradient(torch.compile(step, backend="aot_eager"), x)
    assert bool(slope.isfinite().all())
    assert float(slope.abs().sum()) > 0
    if name not in DRAWN:
        expected = _gradient(_step(name), x)
        torch.testing.assert_close(out, expected[0])
        torch.testing.assert_close(slope, expected[1])


@each_estimator
def test_it_runs_under_vmap_with_draws_of_its_own_for_each(name):
    step, x = _step(name), torch.full((1, 3, 6, 6), 0.5)

    def one(texture: Tensor) -> Tensor:
        return _under_grad(step, texture)

    slopes = torch.func.vmap(one, randomness="different")(x.expand(3, -1, -1, -1, -1))
    assert slopes.shape == (3, 1, 3, 6, 6)
    assert bool(slopes.isfinite().all())
    random = name in (*DRAWN, "perturbation")
    assert torch.equal(slopes[0], slopes[1]) != random


def _under_grad(step: Step, texture: Tensor) -> Tensor:
    def loss(t: Tensor) -> Tensor:
        with log_probabilities() as drawn:
            out = step(t)
        return out.square().sum() + sum(each.sum() for each in drawn)

    return torch.func.grad(loss)(texture)


@pytest.mark.parametrize("name", DRAWN)
def test_one_texture_under_vmap_gives_many_draws(name):
    step, x = _step(name), torch.full((1, 3, 6, 6), 0.5)
    draws = torch.func.vmap(lambda _: step(x), randomness="different")(torch.zeros(4))
    assert len(draws.flatten(1).unique(dim=0)) == 4


def test_an_estimator_that_listens_to_nobody_keeps_nothing():
    step = Levels(4, ScoreFunction(0.5))
    step(torch.rand(1, 3, 4, 4, requires_grad=True))
    assert vars(step.estimator) == {"temperature": 0.5}
