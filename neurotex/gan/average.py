"""The moving average of a generator's weights: what is kept of a training run."""

from __future__ import annotations

import copy

import torch
from torch import nn

from ..errors import ArgumentError
from ..generators.latent_spaces import sample_w
from ..generators.protocol import Centred, StyledPrior, classes


class Average(nn.Module):
    """A copy of `module` whose weights follow it slowly, in eval mode (Karras et al. 2018, arXiv:1710.10196).

    After `half_life` images a weight's old value counts half as much. Early on, when the weights still move far, the
    half-life is `ramp` times the images seen so far, if that is less. Buffers, such as the running statistics of a
    batch norm, are copied as they are: they are averages themselves. ArgumentError unless both are above 0.
    """

    def __init__(self, module: nn.Module, half_life: float = 10_000, ramp: float = 0.05):
        super().__init__()
        if half_life <= 0 or ramp <= 0:
            raise ArgumentError(f"half_life and ramp of an average are above 0, not {half_life} and {ramp}.")
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.half_life, self.ramp = half_life, ramp

    def train(self, mode: bool = True) -> Average:
        """Stays in eval mode: it is looked at, never trained."""
        return super().train(False)

    @torch.no_grad()
    def update(self, module: nn.Module, batch: int, seen: int) -> None:
        """Follow `module`, which has just learned from a batch of so many images, `seen` in all."""
        keep = 0.5 ** (batch / max(min(self.half_life, self.ramp * seen), 1e-8))
        for slow, fast in zip(self.module.parameters(), module.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)
        for slow, fast in zip(self.module.buffers(), module.buffers(), strict=True):
            slow.copy_(fast)

    @torch.no_grad()
    def centre(self, samples: int = 10_000) -> nn.Module:
        """The averaged module; a style-based one with the mean of its styles in `mapping.w_avg`, for truncation.

        The mean is that of `samples` draws.
        """
        module = self.module
        if isinstance(module, StyledPrior) and isinstance(module.mapping, Centred) and not classes(module):
            rng = torch.Generator().manual_seed(0)
            module.mapping.w_avg.copy_(sample_w(module, samples, rng).mean(0))
        return self.module
