"""Randomness that depends on what is drawn and on nothing else: not on who draws it, in which order, or after what."""

from __future__ import annotations

import torch

_MASK = (1 << 64) - 1


def mixed(*numbers: int) -> int:
    """Integers → a seed in [0, 2⁶³) that differs with each of them (SplitMix64, Steele et al. 2014)."""
    state = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded with `mixed(*numbers)`."""
    return torch.Generator().manual_seed(mixed(*numbers))
