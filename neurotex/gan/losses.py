"""What discriminator and generator minimise: functions of logits (N, …), high for real.

`loss.discriminator(real, fake)` and `loss.generator(fake)` are means over all logits, patches included. With r a logit
of a real image and f one of a fake:

| loss | discriminator | generator | source |
|---|---|---|---|
| `NonSaturating` | softplus(−r) + softplus(f) | softplus(−f) | Goodfellow et al. 2014, arXiv:1406.2661 |
| `Hinge` | max(0, 1 − r) + max(0, 1 + f) | −f | Lim & Ye 2017, arXiv:1705.02894 |
| `LeastSquares` | ½ (r − 1)² + ½ f² | ½ (f − 1)² | Mao et al. 2017, arXiv:1611.04076 |
| `Wasserstein` | f − r | −f | Arjovsky et al. 2017, arXiv:1701.07875 |
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class NonSaturating:
    """Cross entropy for the discriminator; the generator maximises log σ(f), whose slope does not vanish early on."""

    def discriminator(self, real: Float[Tensor, "n *patches"], fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return F.softplus(-real).mean() + F.softplus(fake).mean()

    def generator(self, fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return F.softplus(-fake).mean()


@dataclass(frozen=True)
class Hinge:
    """The discriminator learns from what lies within its margin alone; the generator lowers −E D(fake)."""

    def discriminator(self, real: Float[Tensor, "n *patches"], fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generator(self, fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return -fake.mean()


@dataclass(frozen=True)
class LeastSquares:
    """Half the squared distance to targets: for the discriminator 0 of fakes and 1 of reals, for the generator 1."""

    def discriminator(self, real: Float[Tensor, "n *patches"], fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return (real - 1).square().mean() / 2 + fake.square().mean() / 2

    def generator(self, fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return (fake - 1).square().mean() / 2


@dataclass(frozen=True)
class Wasserstein:
    """The earth mover's distance, if the discriminator is 1-Lipschitz: use it with `GradientPenalty`.

    The discriminator lowers E D(fake) − E D(real), the generator −E D(fake).
    """

    def discriminator(self, real: Float[Tensor, "n *patches"], fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return fake.mean() - real.mean()

    def generator(self, fake: Float[Tensor, "m *patches"]) -> Float[Tensor, ""]:
        return -fake.mean()
