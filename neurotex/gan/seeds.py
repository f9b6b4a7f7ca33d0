"""Randomness that depends on what is drawn and on nothing else: not on who draws it, in which order, or after what."""

from __future__ import annotations

import torch


def scrambled(seed: int) -> int:
    """A seed in [0, 2⁶⁴), every bit of which depends on every bit of the given one (SplitMix64, Steele et al. 2014).

    torch's generator on the CPU looks at the lower 32 bits alone.
    """
    z = (seed + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def mixed(*numbers: int) -> int:
    """Integers → a seed in [0, 2⁶³) that differs with each of them."""
    state = 0
    for number in numbers:
        state = scrambled(state + number)
    return state >> 1


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded with `mixed(*numbers)`."""
    return torch.Generator().manual_seed(mixed(*numbers))
