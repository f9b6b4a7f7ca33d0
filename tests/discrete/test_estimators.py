"""How gradients cross a step: exactly as each estimator says."""

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck

from neurotex.discrete import (
    ClippedStraightThrough,
    Levels,
    Palette,
    Step,
    StraightThrough,
    Surrogate,
    Threshold,
    clamp,
    make_estimator,
)
from neurotex.errors import ArgumentError

STEPS = [lambda e: Levels(5, e), lambda e: Threshold(0.4, e), lambda e: Palette(6, e)]
each_step = pytest.mark.parametrize("make", STEPS, ids=["levels", "threshold", "palette"])


class Sign(Step):
    """No bounded domain, no smooth relative."""

    domain = None

    def hard(self, x: Tensor) -> Tensor:
        return x.sign()


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


@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate"])
@each_step
def test_eval_gives_what_ships(make, estimator):
    step, x = make(estimator).double(), _texture()
    assert torch.equal(step.eval()(x), step.hard(x))


@each_step
@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate"])
def test_a_batch_is_its_images(make, estimator):
    step, x = make(estimator).double(), _texture(4)
    each = torch.cat([step(image[None]) for image in x])
    torch.testing.assert_close(step(x), each, rtol=1e-12, atol=1e-12)


@each_step
@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "surrogate"])
def test_vmap_and_func_grad_see_the_same(make, estimator):
    step, x = make(estimator).double(), _texture(3)
    weight = torch.rand_like(x[:1])

    def loss(image: Tensor) -> Tensor:
        return (step(image[None]) * weight).sum()

    leaf = x.clone().requires_grad_()
    (expected,) = grad(sum(loss(image) for image in leaf), leaf)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(loss))(x), expected)


@pytest.mark.parametrize("estimator", ["clipped", "surrogate", ClippedStraightThrough(), Surrogate(0.5)])
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


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_is_above_zero(temperature):
    with pytest.raises(ArgumentError, match="temperature"):
        Surrogate(temperature)


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
