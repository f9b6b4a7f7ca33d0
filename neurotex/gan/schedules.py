"""Learning rates over a run: step → factor on the optimisers' own rates. Any such function will do."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """1 throughout, after `warmup` steps that rise to it linearly."""

    warmup: int = 0

    def __call__(self, step: int) -> float:
        return min(1.0, (step + 1) / (self.warmup + 1))


@dataclass(frozen=True)
class HoldThenLinear:
    """1 for the share `hold` of `total` steps, then linearly down to `end`.

    Over the first `warmup` steps it rises from 0.
    """

    total: int
    hold: float = 0.75
    end: float = 0.05
    warmup: int = 0

    def __call__(self, step: int) -> float:
        left = 1 - step / self.total
        return Constant(self.warmup)(step) * max(min(1.0, left / max(1 - self.hold, 1e-9)), self.end)


@dataclass(frozen=True)
class Cosine:
    """end + (1 − end) · (1 + cos(π step / total)) / 2 (Loshchilov and Hutter 2017, arXiv:1608.03983).

    Over the first `warmup` steps it rises from 0.
    """

    total: int
    end: float = 0.0
    warmup: int = 0

    def __call__(self, step: int) -> float:
        angle = math.pi * min(step / self.total, 1.0)
        return Constant(self.warmup)(step) * (self.end + (1 - self.end) * (1 + math.cos(angle)) / 2)
