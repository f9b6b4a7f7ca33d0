"""What the parts of a training run are to each other: anything of these shapes will do, no base class is needed."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float, Int64
from torch import Tensor


@runtime_checkable
class Source(Protocol):
    """Where real data come from: a seed for each item, the same item for the same seed, in [-1, 1]."""

    channels: int
    size: int

    def __call__(self, seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n channels size size"]: ...


@runtime_checkable
class Loss(Protocol):
    """Logits (N, …) of real and fake images → what the discriminator lowers; of fakes, what the generator lowers."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor: ...

    def generator(self, fake: Tensor) -> Tensor: ...


@runtime_checkable
class Penalty(Protocol):
    """Added `weight` times to the loss of the network it is `of`, every `every` steps (then that many times as much).

    Those of the discriminator are called with (discriminator, real, fake), those of the generator with (generator,
    latents). One that is an `nn.Module` has its buffers kept and averaged over processes, its parameters learned along.
    """

    @property
    def weight(self) -> float: ...

    @property
    def every(self) -> int: ...

    @property
    def of(self) -> str: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor: ...
