"""Where procedural materials take their numbers from: a seed, or parameters and a form that are given."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..generators.fields import FIELDS, WAVES, basis

HALF = math.sqrt(0.5)


class Dice:
    """The numbers of `n` tiles of one family, drawn in one order whatever the tiles' `size` in texels.

    Parameters are numbers that describe a tile, evenly from [0, 1): how many rows, which red. `parameters` (n, many)
    gives them; else `rng` draws them. `thrown` has those that were used, (n, as many).

    Fields are what varies over a tile: waves of noise, a number for each brick. `rng` draws them afresh; with a `form`,
    (n, 2) unit vectors, they are that combination of two fields that are the same in every program. A sum of normal
    numbers so weighed is normal again: a tile of a given form is like any other, and moves smoothly as the form turns.
    """

    def __init__(
        self,
        n: int,
        size: int,
        rng: torch.Generator,
        parameters: Float[Tensor, "n many"] | None = None,
        form: Float[Tensor, "n 2"] | None = None,
    ) -> None:
        self.n, self.size, self.rng = n, size, rng
        self._given, self._form = parameters, form
        self._thrown: list[Tensor] = []
        self._noises = self._tables = 0

    @property
    def thrown(self) -> Float[Tensor, "n used"]:
        """The parameters that were asked for so far, in [0, 1)."""
        return torch.stack(self._thrown, 1) if self._thrown else torch.empty(self.n, 0)

    def throw(self) -> Float[Tensor, "n"]:
        """One more parameter of every tile, evenly from [0, 1)."""
        at = len(self._thrown)
        self._thrown.append(torch.rand(self.n, generator=self.rng) if self._given is None else self._given[:, at])
        return self._thrown[-1]

    def uniform(self, low: float, high: float) -> Float[Tensor, "n 1 1"]:
        """Numbers evenly from [low, high)."""
        return (low + (high - low) * self.throw())[:, None, None]

    def pick(self, values: tuple[float, ...]) -> Float[Tensor, "n 1 1"]:
        """One of `values` for each tile."""
        return torch.tensor(values, dtype=torch.float32)[self.index(len(values))][:, None, None]

    def index(self, count: int) -> Tensor:
        """A whole number below `count` for each tile, (n,)."""
        return (self.throw() * count).long().clamp(max=count - 1)

    def waves(self) -> Float[Tensor, "n rows columns 2"]:
        """Normal numbers for a field's spectrum: real and imaginary part of every wave up to BAND cycles."""
        at = self._noises % FIELDS
        self._noises += 1
        return self._normal(WAVES, at)

    def table(self, *shape: int) -> Float[Tensor, "n *shape"]:
        """Numbers evenly from [0, 1), such as one for each of many cells."""
        if self._form is None:
            return torch.rand(self.n, *shape, generator=self.rng)
        self._tables += 1
        return (0.5 + 0.5 * torch.erf(HALF * self._normal(shape, FIELDS + self._tables))).clamp(max=1 - 1e-6)

    def _normal(self, shape: tuple[int, ...], at: int) -> Tensor:
        if self._form is None:
            return torch.randn(self.n, *shape, generator=self.rng)
        one, other = (basis(shape, at, k).flatten() for k in (0, 1))
        return (self._form[:, :1] * one + self._form[:, 1:] * other).view(self.n, *shape)
