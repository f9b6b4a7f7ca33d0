"""Orders in which the texels of a tile turn white as a grey brightens: masks of ordered dithering."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

SIDE = 64
SIGMA = 1.5  # texels; Ulichney's choice, best for the eye
STARTS = SIDE * SIDE // 10


def bayer(side: int = 8) -> Int[Tensor, "{side} {side}"]:
    """Ranks 0 … side² − 1 of Bayer's matrix (1973), side a power of 2: from B to [[4B, 4B + 2], [4B + 3, 4B + 1]]."""
    ranks = torch.zeros(1, 1, dtype=torch.long)
    while len(ranks) < side:
        ranks = 4 * ranks
        ranks = torch.cat([torch.cat([ranks, ranks + 2], 1), torch.cat([ranks + 3, ranks + 1], 1)])
    return ranks


def blue_noise() -> Int[Tensor, "64 64"]:
    """Ranks 0 … 4095 such that all texels below any rank lie evenly but irregularly, also from tile to tile.

    Void and cluster (Ulichney, The Void-and-Cluster Method for Dither Array Generation, 1993). The same on every
    machine: how crowded a place is, is summed in whole numbers. Made at the first call, in about 0.1 s.
    """
    return torch.from_numpy(_void_and_cluster())


@lru_cache(maxsize=1)
def _void_and_cluster() -> np.ndarray:
    pattern = _Pattern()
    while True:  # even out: the most crowded texel moves to the emptiest place, until that is where it was
        texel = pattern.cluster()
        pattern.flip(texel)
        void = pattern.void()
        pattern.flip(void)
        if void == texel:
            break
    ranks = np.empty(SIDE * SIDE, np.int64)
    sparse = _Pattern(pattern.on)
    for rank in reversed(range(pattern.on.sum())):  # backwards to nothing
        texel = sparse.cluster()
        sparse.flip(texel)
        ranks[texel] = rank
    # Onwards to full. Past one half Ulichney takes the tightest cluster of empty texels. With a sum for crowding that
    # is the largest void of the others, as before.
    for rank in range(pattern.on.sum(), SIDE * SIDE):
        texel = pattern.void()
        pattern.flip(texel)
        ranks[texel] = rank
    return ranks.reshape(SIDE, SIDE)


class _Pattern:
    """Texels of a tile that are on, and how crowded each place is by them: a sum of Gaussians, in units of 2⁻³²."""

    def __init__(self, on: np.ndarray | None = None):
        away = np.arange(SIDE)
        away = np.minimum(away, SIDE - away) ** 2  # squared, around the tile's borders
        bump = np.rint(2.0**32 * np.exp(-(away[:, None] + away) / (2 * SIGMA**2))).astype(np.int64)
        self.bumps = np.tile(bump, (2, 2))  # windows of it are the bump, moved
        self.crowding = np.zeros((SIDE, SIDE), np.int64)
        self.on = np.zeros(SIDE * SIDE, bool)
        if on is None:
            rng = random.Random(0)  # whose stream Python promises to keep
            starts = [int(rng.random() * SIDE * SIDE) for _ in range(STARTS)]
        else:
            starts = on.nonzero()[0].tolist()
        for texel in dict.fromkeys(starts):
            self.flip(texel)

    def flip(self, texel: int) -> None:
        """Turn a texel on, or off."""
        y, x = divmod(texel, SIDE)
        bump = self.bumps[SIDE - y : 2 * SIDE - y, SIDE - x : 2 * SIDE - x]
        if self.on[texel]:
            self.crowding -= bump
        else:
            self.crowding += bump
        self.on[texel] = not self.on[texel]

    def cluster(self) -> int:
        """The most crowded texel that is on."""
        return int(np.where(self.on, self.crowding.ravel(), -1).argmax())

    def void(self) -> int:
        """The least crowded texel that is off."""
        return int(np.where(self.on, np.iinfo(np.int64).max, self.crowding.ravel()).argmin())
