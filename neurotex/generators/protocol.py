"""What a generator is to a scene, and what it may say of itself. No base class is needed: any module of these shapes.

At the least it maps latents (N, …) to textures (N, C, H, W) in [-1, 1]. What it can tell beyond that is one protocol
each, and a function asks for it; what others do with a generator, they learn here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError


@runtime_checkable
class Shaped(Protocol):
    """Says which latents it takes: (N, *latent_shape)."""

    latent_shape: tuple[int, ...]


@runtime_checkable
class Sampled(Protocol):
    """Has a prior of its own: `n` latents (n, *latent_shape) on its weights' device and of their type.

    `rng` draws where it lives itself; without one, torch's own on the CPU does. A standard normal is `normal`.
    """

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor: ...


@runtime_checkable
class Familied(Protocol):
    """Makes textures of several families, and draws latents of the one that is named."""

    families: tuple[str, ...]

    def sample_latents(self, n: int, rng: torch.Generator | None = None, family: str | None = None) -> Tensor: ...


@runtime_checkable
class Painted(Protocol):
    """Says how many channels its textures have."""

    out_channels: int


@runtime_checkable
class Styled(Protocol):
    """Made of two modules: `synthesis(mapping(latents))`, with the style w (N, w_dim) between them."""

    mapping: nn.Module
    synthesis: nn.Module


@runtime_checkable
class StyledPrior(Styled, Sampled, Protocol):
    """Styled, with a prior of its own: what can be entered at its styles."""


@runtime_checkable
class Conditional(Protocol):
    """A mapping that takes a class (N, c_dim) beside the latent, `mapping(z, c)`, where `c_dim` is above 0."""

    c_dim: int


@runtime_checkable
class Centred(Protocol):
    """A mapping that knows the mean of its styles, (w_dim,): what truncation pulls towards."""

    w_avg: Tensor


@runtime_checkable
class Layered(Protocol):
    """A synthesis that also takes a style for each of `num_ws` layers: w+ (N, num_ws, w_dim)."""

    num_ws: int


@runtime_checkable
class Noisy(Protocol):
    """A synthesis with fixed noise maps (1, noise_dim), which `synthesis(w, maps)` takes others for."""

    def noise_maps(self) -> Tensor: ...


def latent_shape(generator: object) -> tuple[int, ...] | None:
    """Of one latent, without the batch; None if the generator does not say."""
    return tuple(generator.latent_shape) if isinstance(generator, Shaped) else None


def out_channels(generator: object) -> int | None:
    """Of its textures; None if the generator does not say."""
    return generator.out_channels if isinstance(generator, Painted) else None


def as_texels(made: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """What a generator makes, in [-1, 1], as the texels of a texture, in [0, 1]. What is beyond stays beyond."""
    return (made + 1) / 2


def as_made(texels: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The inverse of `as_texels`: texels in [0, 1] as a generator would make them, in [-1, 1]."""
    return 2 * texels - 1


def drawn(
    generator: object, n: int, rng: torch.Generator | None = None, family: str | None = None
) -> Float[Tensor, "{n} *shape"]:
    """`n` latents (n, *latent_shape) from a generator's own prior, or from that of one of its families.

    ArgumentError for a generator that has none.
    """
    if family is not None:
        if not isinstance(generator, Familied):
            raise ArgumentError(f"{type(generator).__name__} knows no families, not {family!r} either: leave it out.")
        return generator.sample_latents(n, rng, family=family)
    if not isinstance(generator, Sampled):
        raise ArgumentError(
            f"{type(generator).__name__} has no latents to draw: give it sample_latents(n, rng), or wrap it with "
            "neurotex.generators.wrap(module, latent_shape=...)."
        )
    return generator.sample_latents(n) if rng is None else generator.sample_latents(n, rng)


def classes(generator: object) -> int:
    """How many classes its mapping was trained with, 0 for none."""
    return (
        generator.mapping.c_dim if isinstance(generator, Styled) and isinstance(generator.mapping, Conditional) else 0
    )


def layers(synthesis: nn.Module) -> int | None:
    """How many styles w+ has; None for a synthesis that takes one style alone."""
    return synthesis.num_ws if isinstance(synthesis, Layered) else None


def like(module: nn.Module) -> Tensor | None:
    """A tensor of the type and on the device that a module computes with: its first weight or buffer of floats."""
    tensors = (tensor for group in (module.parameters(), module.buffers()) for tensor in group)
    return next((tensor for tensor in tensors if tensor.is_floating_point()), None)


def normal(
    n: int, shape: tuple[int, ...], rng: torch.Generator | None = None, like: Tensor | None = None
) -> Float[Tensor, "{n} *shape"]:
    """`n` draws from a standard normal, of the type and on the device of `like`, else of torch's default type.

    They are drawn in float32 on the CPU, unless `rng` lives elsewhere, and then moved: a seed means the same latents
    whatever the weights are and wherever they lie.
    """
    device = "cpu" if rng is None else rng.device
    drawn = torch.randn(n, *shape, generator=rng, dtype=torch.float32, device=device)
    return drawn.to(torch.get_default_dtype()) if like is None else drawn.to(like)


@contextmanager
def in_eval_mode(module: nn.Module) -> Iterator[None]:
    """For a while: no dropout, normalisation by what it has measured before, measuring nothing. Then as it was."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
