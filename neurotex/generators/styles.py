"""The second half of a style-based generator as a generator of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ArgumentError


class StyleGenerator(nn.Module):
    """The synthesis network alone: its latents are styles, w = mapping(z).

    Textures are easier to find in w than in z (Abdal, Qin and Wonka 2019, arXiv:1904.03189): the mapping has already
    straightened the space out. The mapping is kept, frozen, to draw styles from.
    """

    def __init__(self, generator: nn.Module):
        super().__init__()
        if not (hasattr(generator, "mapping") and hasattr(generator, "synthesis")):
            raise ArgumentError(
                f"{type(generator).__name__} has no mapping and synthesis to part: optimise its own latents instead."
            )
        self.synthesis = generator.synthesis
        self._source = [generator]  # in a list, so that its mapping is neither a parameter nor in the state
        self.latent_shape = tuple(self.sample_latents(1).shape[1:])

    @torch.no_grad()
    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """`n` styles of latents drawn from the whole generator's prior."""
        z = self._source[0].sample_latents(n, rng)
        weight = next(self._source[0].mapping.parameters(), z)  # it stays where it was when this module moves
        return self._source[0].mapping(z.to(weight))

    def forward(self, w: Tensor) -> Tensor:
        return self.synthesis(w)
