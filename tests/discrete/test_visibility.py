"""The z-test as a step: what shows, the soft layers' formula and limits, and what each estimator makes of it."""

import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import grad, gradcheck

from neurotex.compat.pytorch3d.blend import Blend, softmax_rgb_blend
from neurotex.discrete import SurrogateGradient, Visibility
from neurotex.discrete.estimators import Gumbel, Perturbation, ReinMax, ScoreFunction, Surrogate, expected_loss
from neurotex.discrete.palette import Palette
from neurotex.errors import ArgumentError

INF = math.inf


def _layers(depth: list, odds: list) -> Tensor:
    """One pixel, (1, 2, K)."""
    return torch.tensor([depth, odds], dtype=torch.float64)[None]


def _random(pixels: int, k: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Depths from 1 to 2; three in four layers hold a face, whose odds have either sign."""
    depth, odds = 1 + torch.rand(pixels, k, dtype=dtype), 3 * torch.randn(pixels, k, dtype=dtype)
    return torch.stack([depth, torch.where(torch.rand(pixels, k) < 0.75, odds, -INF)], 1)


def test_the_nearest_layer_that_covers_shows_in_any_order():
    hard = Visibility().hard
    assert hard(_layers([3, 1, 2], [5, -5, 5])).tolist() == [[0, 0, 1]]
    assert hard(_layers([2, 1, 1], [5, 5, 5])).tolist() == [[0, 1, 0]]  # the first of equals
    assert hard(_layers([1, 2, math.nan], [-5, -1, -INF])).tolist() == [[0, 0, 0]]
    assert hard(_layers([2, 1], [0.0, -0.0])).tolist() == [[1, 0]]  # on an edge the sign decides


def test_places_may_have_any_shape():
    x = _random(12, 4)
    step = Visibility()
    there = x.movedim(0, -1).reshape(1, 2, 4, 3, 4)
    for weights in (step.hard, lambda x: step.soft(x, 0.1)):
        torch.testing.assert_close(weights(there)[0].flatten(1).T, weights(x))


def test_soft_layers_are_their_formula():
    weights = Visibility().soft(_layers([2.0, 2.3, 7], [1.5, -0.5, -INF]), 0.2)[0]
    inside = [1 / (1 + math.exp(-1.5)), 1 / (1 + math.exp(0.5)), 0]
    near = [p * math.exp(-z / 0.2) for p, z in zip(inside, (2.0, 2.3, 7), strict=True)]
    silhouette = 1 - (1 - inside[0]) * (1 - inside[1])
    expected = torch.tensor([silhouette * w / sum(near) for w in near], dtype=torch.float64)
    torch.testing.assert_close(weights, expected)


@given(
    hnp.arrays(np.float64, (5, 2, 3), elements=st.floats(-30, 30)),
    st.floats(1e-3, 1e3),
    st.permutations(range(3)),
)
def test_soft_weights_are_shares_of_the_silhouette(numbers, temperature, order):
    x = torch.from_numpy(numbers)
    weights = Visibility().soft(x, temperature)
    silhouette = 1 - torch.sigmoid(-x[:, 1]).prod(1)
    torch.testing.assert_close(weights.sum(1), silhouette)
    assert float(weights.min()) >= 0
    torch.testing.assert_close(Visibility().soft(x[:, :, order], temperature), weights[:, order])


def test_soft_layers_become_the_z_test_as_they_cool():
    x = _random(200, 5)
    x[:, 1] *= 1e12  # certain of what they cover
    errors = [float((Visibility().soft(x, t) - Visibility().hard(x)).abs().mean()) for t in (1, 0.1, 0.01, 1e-9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-12


def test_they_are_the_weights_of_the_soft_blend():
    """PyTorch3D's colours, which its background has no share of, fade out with its silhouette."""
    x, colors, blend = _random(50, 4), torch.rand(50, 4, 3, dtype=torch.float64), Blend(gamma=1e-3)
    covered = x[:, 1] > -INF
    image = softmax_rgb_blend(colors, covered, -x[:, 1] * blend.sigma, x[:, 0], blend)
    weights = Visibility().soft(x, blend.gamma * (blend.zfar - blend.znear))
    mixed = (weights[:, :, None] * colors).sum(1)
    torch.testing.assert_close(weights.sum(1), image[:, 3])
    torch.testing.assert_close(mixed, image[:, :3] * image[:, 3:], atol=1e-8, rtol=1e-7)


def test_the_surrogates_gradient_is_its_own():
    x = 3 * torch.randn(6, 2, 4, dtype=torch.float64)
    assert gradcheck(Visibility(Surrogate(0.5)), x.requires_grad_())


def test_the_surrogate_gradient_is_exact_forward_and_soft_backward():
    x, seed = _random(40, 4).requires_grad_(), torch.rand(40, 4, dtype=torch.float64)
    out, soft = (Visibility(kind(0.3))(x) for kind in (SurrogateGradient, Surrogate))
    assert torch.equal(out, Visibility().hard(x))
    (slope,) = grad(soft, x, seed)
    assert torch.equal(*grad(out, x, seed), slope)
    hidden = (out == 0) & (x[:, 1] > -INF)
    assert bool((slope[:, 1][hidden] != 0).all())


def test_the_surrogate_gradient_teaches_what_a_step_learns():
    """Not twice: a palette's colours are not also given the gradient of the exact lookup."""
    x, seed = torch.rand(1, 3, 5, 4), torch.rand(1, 3, 5, 4)
    exact, soft = (Palette(4, kind(0.1)) for kind in (SurrogateGradient, Surrogate))
    out = exact(x)
    assert torch.equal(out, exact.hard(x))
    torch.testing.assert_close(grad(out, exact.colors, seed), grad(soft(x), soft.colors, seed))


@pytest.mark.parametrize("estimator", [Gumbel(0.4), ReinMax(0.4), ScoreFunction(0.4)], ids=repr)
def test_draws_are_among_the_layers_that_cover(estimator):
    x = _layers([1.0, 1.3, 0.5, 1.1], [9, 0.1, -0.1, -INF]).expand(20000, 2, 4)
    share = Visibility(estimator)(x).mean(0)
    expected = torch.zeros(4, dtype=torch.float64)
    expected[:2] = (-torch.tensor([1.0, 1.3]) / 0.4).softmax(0)
    torch.testing.assert_close(share, expected, atol=0.02, rtol=0)
    nothing = _layers([1.0, 1.3], [-0.1, -INF])
    assert Visibility(estimator)(nothing).tolist() == [[0, 0]]


def test_the_score_function_brings_the_wanted_layer_forward():
    depth = torch.tensor([[1.0, 1.2]], dtype=torch.float64).expand(64, 2).clone().requires_grad_()
    step = Visibility(ScoreFunction(0.3))
    x = torch.stack([depth, torch.ones_like(depth)], 1)
    expected_loss(lambda: 1 - step(x)[:, 1].mean(), step, draws=64).backward()
    front, back = depth.grad.sum(0).tolist()
    assert front < 0 < back  # descent moves the front layer away and the back layer near


def test_perturbed_depths_show_what_lies_close_behind():
    x = _layers([1.0, 1.1], [5, 5])[..., None].requires_grad_()
    (slope,) = grad(Visibility(Perturbation(0.2, pairs=64))(x)[:, 1].sum(), x)
    assert float(slope[0, 0, 0]) > 0 > float(slope[0, 0, 1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", [Surrogate, SurrogateGradient, Gumbel, ReinMax])
def test_nothing_breaks_at_any_softness(kind, dtype):
    """Odds that saturate, depths that overflow exponentials, equal depths, pixels with no layer at all."""
    for scale in (1e-12, 1.0, 1e12):
        x = _random(60, 4, dtype) * torch.tensor([1, scale], dtype=dtype)[:, None]
        x[:5, 1] = -INF
        x[5:10, 0] = 1.5
        x[:, 0] = torch.where(x[:, 1] == -INF, math.nan, x[:, 0])
        for temperature in (1e-12, 1.0, 1e12):
            leaf = x.clone().requires_grad_()
            weights = Visibility(kind(temperature))(leaf)
            (slope,) = grad(weights, leaf, torch.rand_like(weights))
            assert bool(weights.isfinite().all() and slope.isfinite().all())
            assert not bool(weights[:5].any() or slope[:5].any())


def test_evaluated_it_is_exact_whatever_the_estimator():
    x = _random(40, 4)
    for estimator in ("surrogate", "gumbel", SurrogateGradient(), "score_function"):
        step = Visibility(estimator).eval()
        assert torch.equal(step(x), step.hard(x))


@pytest.mark.parametrize("estimator", ["straight_through", "clipped", "rotation"])
def test_estimators_that_mean_the_identity_are_refused(estimator):
    with pytest.raises(ArgumentError, match="Visibility"):
        Visibility(estimator)
