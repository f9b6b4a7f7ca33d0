"""Codes drawn at random, weighed by the loss alone: nothing after the step need be differentiable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import ArgumentError
from .common import check_categorical, check_temperature, draw, logits
from .protocol import Coded

_listening: list[list[Tensor]] = []  # what `log_probabilities` is collecting, the innermost last


class ScoreFunction:
    """REINFORCE (Williams 1992) with a leave-one-out baseline (Kool, van Hoof and Welling 2019). Unbiased.

    Forward, codes are drawn from softmax(scores / temperature), by torch's global generator. Backward, the step passes
    no gradient of what follows: the gradient is that of log p(codes) times how much better than other draws the loss
    was. `expected_loss` puts it together; it is what a fit calls.
    """

    def __init__(self, temperature: float = 0.1):
        self.temperature = check_temperature(temperature)

    def check(self, step: torch.nn.Module) -> None:
        """Only for steps that pick one of a few codes."""
        check_categorical(self, step)

    def __call__(self, step: Coded, x: Tensor) -> Tensor:
        scores, mix = step.options(x)
        scores = logits(scores, self.temperature)
        code = draw(scores.detach())
        if _listening:
            chosen = (scores.log_softmax(1) * code).sum(1)
            _listening[-1].append(chosen.reshape(len(chosen), -1).sum(1))
        return mix(code)

    def __repr__(self) -> str:
        return f"ScoreFunction(temperature={self.temperature:g})"


@contextmanager
def log_probabilities() -> Iterator[list[Tensor]]:
    """Collect log p of all codes that score-function steps draw inside the block: (N,) for each evaluation of a step.

        with log_probabilities() as drawn:
            losses = loss(step(x))  # (N,): each texture of the batch is a draw
        score_function_loss(losses, sum(drawn)).backward()

    Codes are independent given x, so that the log p of several evaluations (two materials, a step after a step) add up.
    Within another such block, only the inner one collects.
    """
    drawn: list[Tensor] = []
    _listening.append(drawn)
    try:
        yield drawn
    finally:
        _listening.pop()


def score_function_loss(losses: Float[Tensor, "draws"], log_probability: Float[Tensor, "draws"]) -> Float[Tensor, ""]:
    """The mean of the losses, with the leave-one-out gradient: Σ_s (L_s − mean of the others) ∇ log p_s / draws.

    At least 2 draws. What the losses depend on otherwise has its own gradient, too.
    """
    count = len(losses)
    _check_draws(count)
    others = (losses.sum() - losses) / (count - 1)
    score = ((losses - others).detach() * log_probability).mean()
    return losses.mean() + (score - score.detach())


def expected_loss(loss: Callable[[], Tensor], module: torch.nn.Module, draws: int = 4) -> Float[Tensor, ""]:
    """The loss in the mean over `draws` calls, with a gradient across the score-function steps in `module`.

        nt.discrete.expected_loss(lambda: nt.losses.photometric(nt.render(scene), views.images), scene).backward()

    `loss` renders anew in each call and returns one number. Without such a step in `module` it is called once.
    ArgumentError where the loss depends on none of these steps.
    """
    if not any(isinstance(getattr(m, "estimator", None), ScoreFunction) and m.training for m in module.modules()):
        return loss()
    _check_draws(draws)
    losses, scores = [], []
    for _ in range(draws):
        with log_probabilities() as drawn:
            losses.append(loss())
        if not drawn:
            raise ArgumentError("the loss does not depend on any score-function step of this module: pass its scene.")
        scores.append(torch.stack([each.sum() for each in drawn]).sum())
    return score_function_loss(torch.stack(losses), torch.stack(scores))


def _check_draws(count: int) -> None:
    if count < 2:
        raise ArgumentError(f"a draw is compared with others: {count} of them is not enough, give at least 2.")
