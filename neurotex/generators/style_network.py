"""What StyleGAN2 and StyleGAN3 share: a mapping z → w and a synthesis w → texture, with layers at equal learning rates.

Parameters carry the names of NVIDIA's releases, so that their weights load as they are.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .protocol import normal

# Positively homogeneous, f(a·x) = a·f(x) for a > 0, so that a gain may be applied ahead of them; and the gain that
# keeps the variance of a normal input, √2 where about half of it is cut off.
ACTIVATIONS = {
    "linear": (lambda x: x, 1.0),
    "relu": (F.relu, math.sqrt(2)),
    "lrelu": (lambda x: F.leaky_relu(x, 0.2), math.sqrt(2)),
}


SLOPES = {"linear": 1.0, "relu": 0.0, "lrelu": 0.2}  # below zero


def activation_named(name: str):
    """The function and its gain; ArgumentError for one that gains do not pass through."""
    if name not in ACTIVATIONS:
        raise ArgumentError(f"there is no activation '{name}' here: choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]


class StyleNetwork(nn.Module):
    """Base of the family: `mapping` and `synthesis`, and `config`, the constructor's arguments as JSON has them."""

    mapping: Mapping
    synthesis: nn.Module
    config: dict

    @property
    def latent_shape(self) -> tuple[int]:
        return (self.mapping.z_dim,)

    @property
    def out_channels(self) -> int:
        return self.config["img_channels"]

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n z"]:
        """`n` latents z from the prior N(0, I), on the weights' device; a CPU generator gives the same on all."""
        return normal(n, self.latent_shape, rng, self.mapping.w_avg)

    def forward(
        self, z: Float[Tensor, "n z"], c: Float[Tensor, "n c"] | None = None, truncation: float = 1.0
    ) -> Float[Tensor, "n channels size size"]:
        """Latents, and classes where the network is conditional → textures, about in [-1, 1]."""
        return self.synthesis(self.mapping(z, c, truncation))


class Linear(nn.Module):
    """y = gain · (W x / √inputs + b) at equalised learning rate (Karras et al. 2018, arXiv:1710.10196).

    Weights are stored with variance 1 / rate², so an optimiser's step moves the layer `rate` times as far.
    """

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, rate: float = 1.0, activation: str = "linear"):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.rate = rate
        self.activation, self.gain = activation_named(activation)

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        gain = self.gain * self.rate
        return self.activation(F.linear(x * (gain / math.sqrt(x.shape[1])), self.weight, self.bias * gain))


class Mapping(nn.Module):
    """z (N, z_dim), and a class c (N, c_dim) where c_dim is above zero → style w (N, w_dim).

    Both are scaled to length √d, c after a linear embedding (Karras et al. 2020, arXiv:2006.06676), and go through
    `num_layers` layers. `w_avg` (w_dim,) is the mean of w, which truncation pulls towards: w_avg + t · (w − w_avg).
    """

    w_avg: Float[Tensor, "w"]

    # 8 parameters: NVIDIA's, which their checkpoints name
    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_layers: int,
        embed_features: int | None = None,
        layer_features: int | None = None,
        activation: str = "lrelu",
        lr_multiplier: float = 0.01,
    ):
        super().__init__()
        if min(z_dim, w_dim, num_layers) < 1 or c_dim < 0:
            raise ArgumentError(
                f"a mapping has z_dim, w_dim and num_layers above 0 and c_dim not below, "
                f"not {z_dim}, {w_dim}, {num_layers} and {c_dim}."
            )
        self.z_dim, self.c_dim, self.num_layers = z_dim, c_dim, num_layers
        embedded = (embed_features or w_dim) if c_dim else 0
        if c_dim:
            self.embed = Linear(c_dim, embedded)
        widths = [z_dim + embedded, *[layer_features or w_dim] * (num_layers - 1), w_dim]
        for k, (before, after) in enumerate(pairwise(widths)):
            self.add_module(f"fc{k}", Linear(before, after, rate=lr_multiplier, activation=activation))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self, z: Float[Tensor, "n z"], c: Float[Tensor, "n c"] | None = None, truncation: float = 1.0
    ) -> Float[Tensor, "n w"]:
        if z.shape[1] != self.z_dim:
            raise ArgumentError(f"this network takes z of shape (N, {self.z_dim}), not {tuple(z.shape)}.")
        if (0 if c is None else c.shape[1]) != self.c_dim:
            given = "none" if c is None else tuple(c.shape)
            raise ArgumentError(
                f"this network takes classes c of shape (N, {self.c_dim}), one-hot as a rule, but got {given}."
                if self.c_dim
                else f"this network was trained without classes, but got c of shape {given}: leave it out."
            )
        x = unit_mean_square(z)
        if c is not None:
            x = torch.cat([x, unit_mean_square(self.embed(c))], 1)
        for k in range(self.num_layers):
            x = self.get_submodule(f"fc{k}")(x)
        return x if truncation == 1 else self.w_avg.lerp(x, truncation)


def unit_mean_square(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Vectors scaled to length √d."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def style_per_layer(w: Tensor, w_dim: int, num_ws: int) -> tuple[Tensor, ...]:
    """One style (N, w_dim) per layer: of w (N, w_dim) the same for all; w+ (N, num_ws, w_dim) holds one for each."""
    if tuple(w.shape[1:]) == (w_dim,):
        return (w,) * num_ws
    if tuple(w.shape[1:]) == (num_ws, w_dim):
        return w.unbind(1)
    raise ArgumentError(
        f"this synthesis takes w of shape (N, {w_dim}) or w+ of shape (N, {num_ws}, {w_dim}), not {tuple(w.shape)}."
    )
