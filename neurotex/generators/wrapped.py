"""Any torch module as a generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..errors import ArgumentError
from .protocol import like, normal


class WrappedGenerator(nn.Module):
    """`module` maps (N, *latent_shape) to (N, C, H, W) in [-1, 1]; this adds what a scene needs to know of it."""

    def __init__(self, module: nn.Module, latent_shape: tuple[int, ...]):
        super().__init__()
        self.module = module
        self.latent_shape = tuple(latent_shape)

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        """`n` latents from a standard normal, on the weights' device; a seed gives the same on all."""
        return normal(n, self.latent_shape, rng, like(self.module))

    def forward(self, latent: Tensor) -> Tensor:
        texture = self.module(latent)
        if texture.ndim != 4 or len(texture) != len(latent):
            raise ArgumentError(
                f"generator {type(self.module).__name__} must return (N, C, H, W), one texture per latent, "
                f"but for {tuple(latent.shape)} it returned {tuple(texture.shape)}."
            )
        return texture


def wrap(module: nn.Module, latent_shape: tuple[int, ...] | int) -> WrappedGenerator:
    """Make any module that maps latents (N, *latent_shape) to textures (N, C, H, W) in [-1, 1] a generator."""
    return WrappedGenerator(module, (latent_shape,) if isinstance(latent_shape, int) else latent_shape)
