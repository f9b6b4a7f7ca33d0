"""What looks at textures during training: the discriminator, the encoder, and a distance between their statistics.

All three take textures (N, 3, size, size) in [-1, 1] and respect that textures are stationary: convolutions wrap
around, and only the statistics of features over the whole texture matter, never where something is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..generators.tile import Linear, wrap


class Discriminator(nn.Module):
    """Texture → one logit per patch (N, h, w); high means real.

    Strided convolutions down to 1/2**len(widths) of the size, then the standard deviation over the batch as one more
    channel (Karras et al. 2018), which gives a batch without variety away, then a last look at the neighbourhood.
    Each logit judges a patch (Isola et al. 2017): many judgements per texture, for one pass.
    """

    def __init__(self, widths: Sequence[int] = (24, 48, 96, 128)) -> None:
        super().__init__()
        self.trunk = _trunk(widths)
        self.look = WrapConv(widths[-1] + 1, widths[-1])
        self.logit = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, texture: Float[Tensor, "n 3 size size"]) -> Float[Tensor, "n h w"]:
        x = self.trunk(texture)
        variety = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
        x = torch.cat([x, variety.expand(len(x), 1, *x.shape[2:])], 1)
        return self.logit(self.look(x))[:, 0]


class Encoder(nn.Module):
    """Textures → the latents (N, latent_dim) that should make their like: zero mean, unit variance over the batch.

    Normalising over the batch spreads what is read over the whole prior, without a divergence that has to be weighed
    (Zhu et al. 2020): the encoder can neither keep to a corner of it nor say nothing.
    """

    def __init__(self, latent_dim: int, widths: Sequence[int] = (24, 48, 96, 128)) -> None:
        super().__init__()
        self.trunk = _trunk(widths)
        self.look = WrapConv(widths[-1], widths[-1])
        self.out = Linear(2 * widths[-1], latent_dim)

    def forward(self, texture: Float[Tensor, "n 3 size size"]) -> Float[Tensor, "n latent"]:
        x = self.look(self.trunk(texture))
        read = self.out(torch.cat([x.mean((2, 3)), (x.var((2, 3), unbiased=False) + 1e-6).sqrt()], 1))
        return (read - read.mean(0)) * torch.rsqrt(read.var(0, unbiased=False) + 1e-6)


class WrapConv(nn.Module):
    """A 3×3 (or, with stride 2, 4×4) convolution that wraps around, at equalised learning rate, and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 2 + stride, 2 + stride))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        weight = self.weight * math.sqrt(2 / self.weight[0].numel())
        return F.leaky_relu(F.conv2d(wrap(x), weight, self.bias, self.stride), 0.2)


def sliced_distance(
    a: Float[Tensor, "n 3 size size"], b: Float[Tensor, "n 3 size size"], rng: torch.Generator, filters: int = 12
) -> Float[Tensor, ""]:
    """How far the patches of each a[i] are from those of b[i], wherever they lie: 0 for two cut-outs of one texture.

    A sliced Wasserstein distance: at several resolutions, patches are projected on random 5×5 filters, and the sorted
    projections compared. As a texture loss: Heitz et al. 2021.
    """
    kernels = torch.randn(filters, 3, 5, 5, generator=rng).to(a)
    kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None, None]
    distances = []
    for stride in (3, 2, 1, 1):  # fine resolutions have patches to spare
        if a.shape[-1] < 5:
            break
        seen_a, seen_b = (F.conv2d(x, kernels, stride=stride).flatten(2).sort(-1).values for x in (a, b))
        distances.append((seen_a - seen_b).abs().mean())
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(distances).mean()


def _trunk(widths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(
        *(WrapConv(before, width, stride=2) for before, width in zip([3, *widths[:-1]], widths, strict=True))
    )
