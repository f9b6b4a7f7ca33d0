"""Gradients of gradients through steps' smooth stand-ins, as losses on gradients take them (`create_graph`)."""

import pytest
import torch
from torch import Tensor

from neurotex import discrete

STEPS = {
    "levels": (lambda estimator: discrete.Levels(4, estimator=estimator), 3),
    "threshold": (lambda estimator: discrete.Threshold(0.5, estimator=estimator), 3),
    "palette": (lambda estimator: discrete.Palette(torch.rand(5, 3), estimator), 3),
    "bayer": (lambda estimator: discrete.Dither(2, "bayer", estimator=estimator), 3),
    "jpeg": (lambda estimator: discrete.Jpeg(50, estimator=estimator), 3),
    "bc1": (lambda estimator: discrete.BlockCompress("bc1", estimator), 3),
    "bc3": (lambda estimator: discrete.BlockCompress("bc3", estimator), 4),
    "bc4": (lambda estimator: discrete.BlockCompress("bc4", estimator), 1),
    "bc5": (lambda estimator: discrete.BlockCompress("bc5", estimator), 2),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_surrogate_s_second_derivative_is_that_of_finite_differences(name):
    make, channels = STEPS[name]
    step = make("surrogate").double()
    x, weights, way = (torch.rand(1, channels, 8, 8, dtype=torch.float64) for _ in range(3))

    def slope(x: Tensor, again: bool = False) -> Tensor:
        return torch.autograd.grad((step(x) * weights).square().sum(), x, create_graph=again)[0]

    leaf = x.clone().requires_grad_()
    (found,) = torch.autograd.grad((slope(leaf, again=True) * way).sum(), leaf)
    there, back = (slope((x + sign * 1e-6 * way).requires_grad_()) for sign in (1, -1))
    expected = (there - back) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("name", STEPS)
def test_straight_through_and_its_like_let_a_second_gradient_pass_as_the_first(name):
    """The slope of straight-through is 1, so that of y² is 2 y, and of that 2."""
    make, channels = STEPS[name]
    x = torch.rand(1, channels, 8, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(make("straight_through")(x).square().sum(), x, create_graph=True)
    torch.testing.assert_close(torch.autograd.grad(slope.sum(), x)[0], torch.full_like(x, 2))
