"""What several estimators share."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import ArgumentError

LEAST = -1e30  # for −∞: no code is ever this unlikely, and sums and differences stay finite in float32


def carry(value: Tensor, carrier: Tensor) -> Tensor:
    """`value`, to the bit, with `carrier`'s gradient added to its own (say, to the colours of a learned palette)."""
    return value + (carrier - carrier.detach())


def check_temperature(temperature: float) -> float:
    """The temperature, if it is one."""
    if not temperature > 0:
        raise ArgumentError(f"a temperature is above 0, but this one is {temperature}.")
    return temperature


def check_categorical(estimator: object, step: torch.nn.Module) -> None:
    """Raise ArgumentError unless the step picks one of several codes."""
    if not hasattr(step, "options"):
        raise ArgumentError(
            f"{type(estimator).__name__} draws codes, but {type(step).__name__} does not pick one of a few at each "
            "place: use 'straight_through' or 'perturbation'."
        )


def check_same_shape(step: torch.nn.Module) -> None:
    """Raise ArgumentError unless the step gives a texel for a texel."""
    if getattr(step, "reshapes", False):
        raise ArgumentError(
            f"{type(step).__name__} gives another shape than it takes, so a texel's gradient has no texel to go to: "
            "use 'surrogate_gradient' or 'perturbation'."
        )


def logits(scores: Tensor, temperature: float) -> Tensor:
    """scores / temperature (N, K, *places), less the largest of each place: it is 0, the others are finite."""
    scores = scores.clamp_min(LEAST)
    best = scores.detach().amax(1, keepdim=True)
    return ((scores - best) / temperature).clamp_min(LEAST)


def draw(scores: Tensor) -> Tensor:
    """One-hot samples (N, K, *places) of the categorical distributions softmax(scores): the Gumbel-max trick."""
    index = (scores + gumbel_noise(scores)).argmax(1, keepdim=True)
    return torch.zeros_like(scores).scatter(1, index, 1.0)


def gumbel_noise(like: Tensor) -> Tensor:
    """−log(−log(1 − u)) for uniform u, by torch's global generator: a fit's seed makes draws reproducible.

    u = 0 is taken for a quarter of the generator's own step, so that the noise is finite.
    """
    # not exponential_(), which is as good but has no rule under torch.func.vmap
    u = torch.rand_like(like).clamp_min(torch.finfo(like.dtype).eps / 8)
    return -(-torch.log1p(-u)).log()
