"""Problems so small that the expected loss is a sum over all codes, and its gradient exact."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from neurotex.discrete import Categorical, Levels
from neurotex.discrete.estimators import log_probabilities, score_function_loss

COLOURS = torch.tensor([[0.9, 0.1, 0.2], [0.1, 0.8, 0.3], [0.2, 0.3, 0.9], [0.7, 0.7, 0.1]], dtype=torch.float64)
LOSSES = {
    "linear": lambda y: y,
    "quadratic": lambda y: (y - 0.4).square(),
    "cubic": lambda y: 4 * (y - 0.3) ** 3,
    "exponential": lambda y: (2 * y).exp(),
}


class Codes(Categorical):
    """The nearest of a few given vectors: all are in question, and nothing else happens to them."""

    vectors = True

    def __init__(self, colors: Tensor, estimator: object = "straight_through"):
        super().__init__(estimator)
        self.colors = torch.nn.Parameter(colors.clone())

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        distance = (x[:, None] - self.colors[:, :, None, None]).square().sum(2)
        return -distance, lambda weights: torch.einsum("nkhw,kc->nchw", weights, self.colors)


@dataclass
class Problem:
    """A step with `estimator`, one texture, and a loss of each texture of a batch: (N, C, H, W) → (N,)."""

    make: Callable[[object], Categorical]
    x: Tensor
    loss: Callable[[Tensor], Tensor]
    temperature: float

    def exact(self) -> Tensor:
        """The gradient of Σ_codes p(codes) loss(codes)."""
        x = self.x.clone().requires_grad_()
        scores, mix = self.make("straight_through").options(x)
        probability = (scores / self.temperature).softmax(1).flatten(2)  # (1, K, places)
        _, count, places = probability.shape
        total = torch.zeros((), dtype=x.dtype)
        for codes in product(range(count), repeat=places):
            weights = torch.zeros_like(probability)
            weights[0, list(codes), range(places)] = 1
            chance = (probability * weights).sum(1).prod()
            total = total + chance * self.loss(mix(weights.view_as(scores)).detach()).squeeze()
        return grad(total, x)[0]

    def draws(self, estimator: object, count: int = 100_000) -> Tensor:
        """That many gradients (count, C, H, W), each from a draw of its own: a batch of the same texture."""
        x = self.x.expand(count, -1, -1, -1).clone().requires_grad_()
        return grad(self.loss(self.make(estimator)(x)).sum(), x)[0]

    def compared_draws(self, estimator: object, group: int, baseline: bool = True, count: int = 100_000) -> Tensor:
        """Likewise by the score function: means of groups, compared with each other or (no `baseline`) not."""
        x = self.x.expand(count, -1, -1, -1).clone().requires_grad_()
        with log_probabilities() as drawn:
            losses = self.loss(self.make(estimator)(x))
        (scores,) = drawn
        if baseline:
            each = torch.func.vmap(score_function_loss)(losses.view(-1, group), scores.view(-1, group))
            value = each.sum() * group
        else:
            value = (losses.detach() * scores).sum()
        return grad(value, x)[0].unflatten(0, (-1, group)).mean(1)


@pytest.fixture
def codes() -> type[Codes]:
    return Codes


@pytest.fixture(params=["colours", "levels"])
def problem(request) -> Callable[..., Problem]:
    """Two texels of four colours (vectors), or three of four levels (numbers); by the name of a loss."""
    rng = torch.Generator().manual_seed(1)

    def make(kind: str, temperature: float | None = None) -> Problem:
        if request.param == "colours":
            step, shape, default = lambda e: Codes(COLOURS, e), (1, 3, 1, 2), 0.3
        else:
            step, shape, default = lambda e: Levels(4, e), (1, 1, 1, 3), 0.7
        x = 0.2 + 0.6 * torch.rand(shape, generator=rng, dtype=torch.float64)
        weight = torch.randn(shape[1:], generator=rng, dtype=torch.float64)

        def loss(y: Tensor) -> Tensor:  # of the sum, too: places matter to each other
            each = (LOSSES[kind](y) * weight).flatten(1).sum(1)
            return each + LOSSES[kind](y.flatten(1).mean(1))

        return Problem(step, x, loss, temperature or default)

    return make


@pytest.fixture(params=list(LOSSES))
def any_loss(request) -> str:
    return request.param


@pytest.fixture
def unbiased() -> Callable[[Tensor, Tensor], None]:
    """Assert that a mean of independent draws is within 4 standard errors of what it should be, in every component.

    One of 370 components is beyond 3 by chance, and these files look at some 200; one of 16,000 is beyond 4. A biased
    estimator is off by tens to hundreds.
    """

    def check(draws: Tensor, expected: Tensor) -> None:
        error = draws.std(0) / len(draws) ** 0.5
        worst = ((draws.mean(0) - expected[0]).abs() / (error + 1e-12)).max()
        assert float(worst) < 4, f"{float(worst):.2f} standard errors"

    return check
