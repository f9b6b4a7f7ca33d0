"""The slope of a step from trying: nothing is asked of it but to be called."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ...errors import ArgumentError
from .common import carry, check_same_shape
from .protocol import Exact


class Perturbation:
    """Simultaneous perturbation (Spall 1992), a small evolution strategy: the step's average slope, by differences.

    Backward, x is moved by ± `scale` at all texels at once, at random (antithetic pairs, `pairs` of them); what the
    step then does differently is correlated with the incoming gradient. That estimates the gradient of the step
    smoothed over ± `scale`: without bias for steps that are quadratic there, but with the variance of as many numbers
    as there are texels. `reach` cuts it down where a step is local: a texel is credited only with what changes at most
    so many texels away, in each direction.

    The step is called 2 × `pairs` times in a backward pass. `seed` makes draws reproducible, whatever torch's global
    generator does: the k-th backward pass after construction always sees the same ones. ArgumentError for a scale of 0
    or less, no pairs, and a reach below 0.
    """

    def __init__(self, scale: float = 0.1, pairs: int = 4, reach: int | None = None, seed: int = 0):
        if not scale > 0:
            raise ArgumentError(f"a perturbation is above 0, but its scale is {scale}.")
        if pairs < 1 or (reach is not None and reach < 0):
            raise ArgumentError(f"there is at least 1 pair and a reach of 0 or more, not {pairs} and {reach}.")
        self.scale, self.pairs, self.reach, self.seed = scale, pairs, reach, seed
        self.calls = 0

    def check(self, step: torch.nn.Module) -> None:
        """Every step will do; with a `reach`, one that gives a texel for a texel."""
        if self.reach is not None:
            check_same_shape(step)

    def __call__(self, step: Exact, x: Tensor) -> Tensor:
        value = step.hard(x.detach())  # with the true gradient of what the step learns, say a palette's colours
        return carry(value, _Slope.apply(x, value.detach(), step, self))

    def signs(self, x: Tensor) -> Tensor:
        """The next draw: ±1 like x; the same on every device."""
        self.calls += 1
        rng = torch.Generator().manual_seed((self.seed * 1_000_003 + self.calls) % 2**63)
        return torch.randint(0, 2, x.shape, generator=rng).to(x) * 2 - 1

    def estimate(self, step: Exact, x: Tensor, grad: Tensor) -> Tensor:
        """The gradient of x (N, C, H, W) for `grad`, that of the step's output; each of the N by itself."""
        total = torch.zeros_like(x)
        for _ in range(self.pairs):
            signs = self.signs(x)
            change = step.hard(x + self.scale * signs) - step.hard(x - self.scale * signs)
            total += _credit(grad * change, self.reach) * signs
        return total / (2 * self.scale * self.pairs)

    def __repr__(self) -> str:
        reach = "" if self.reach is None else f", reach={self.reach}"
        return f"Perturbation(scale={self.scale:g}, pairs={self.pairs}{reach})"


def _credit(effect: Tensor, reach: int | None) -> Tensor:
    """Sums of what changed: over each image (N, 1, 1, 1), or within reach of each texel (N, 1, H, W)."""
    if reach is None:
        return effect.reshape(len(effect), -1).sum(1)[:, None, None, None]
    side = 2 * reach + 1  # a mean along either direction counts what is outside as 0
    near = avg_pool2d(effect.sum(1, keepdim=True), (side, 1), 1, (reach, 0))
    return avg_pool2d(near, (1, side), 1, (0, reach)) * side**2


class _Slope(torch.autograd.Function):
    """Zeros of the shape of `value`, whose derivative by x is the step's estimated one."""

    @staticmethod
    def forward(x: Tensor, value: Tensor, step: Exact, estimator: Perturbation) -> Tensor:
        return torch.zeros_like(value)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        x, _, ctx.step, ctx.estimator = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        (x,) = ctx.saved_tensors
        return _Estimate.apply(x, grad, ctx.step, ctx.estimator), None, None, None

    @staticmethod
    def vmap(info, in_dims: tuple, x: Tensor, value: Tensor, step: Exact, estimator: Perturbation) -> tuple:
        return _unfolded(info, _Slope.apply(*_folded(info, in_dims, x, value), step, estimator))


class _Estimate(torch.autograd.Function):
    """`Perturbation.estimate`; under vmap one call for all, as a batch with draws of their own.

    ArgumentError where it is differentiated in turn: differences of a few draws have no slope that means anything.
    """

    @staticmethod
    def forward(x: Tensor, grad: Tensor, step: Exact, estimator: Perturbation) -> Tensor:
        return estimator.estimate(step, x, grad)

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple:
        raise ArgumentError(
            "a slope from perturbations is differentiated once: a loss on gradients needs another estimator, such as "
            "'surrogate'."
        )

    @staticmethod
    def vmap(info, in_dims: tuple, x: Tensor, grad: Tensor, step: Exact, estimator: Perturbation) -> tuple:
        return _unfolded(info, _Estimate.apply(*_folded(info, in_dims, x, grad), step, estimator))


def _folded(info, in_dims: tuple, *tensors: Tensor) -> list[Tensor]:
    """Tensors under vmap, as (B · N, …)."""
    front = [
        t.expand(info.batch_size, *t.shape) if d is None else t.movedim(d, 0)
        for t, d in zip(tensors, in_dims, strict=False)
    ]
    return [t.flatten(0, 1) for t in front]


def _unfolded(info, folded: Tensor) -> tuple[Tensor, int]:
    return folded.unflatten(0, (info.batch_size, -1)), 0
