"""A generator that also reconstructs: an encoder beside it, and a distance of textures wherever their parts lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..generators.passes import wrapped
from ..generators.style_network import Linear


class Reconstruction(nn.Module):
    """A penalty of the generator: real textures, encoded and generated again, should keep the statistics of patches.

    With the discriminator's loss this is a VAE-GAN (Larsen et al. 2016, arXiv:1512.09300): a useful gradient from the
    first step, and no mode of the data left out, which a GAN alone needs far longer for. The encoder learns along with
    the generator and is thrown away after training. `data` (a source) gives `n` textures for a batch; their latents are
    mixed with noise from the prior, of standard deviation `blur`. Added `weight` times, 0 or more, every `every`
    steps.
    """

    of = "generator"

    def __init__(self, encoder: nn.Module, data: Callable, n: int = 8, weight=10.0, every=1, blur=0.3):
        super().__init__()
        self.encoder, self.data, self.n = encoder, data, n
        self.weight, self.every, self.blur = weight, every, blur

    def forward(self, generator: nn.Module, latents: Float[Tensor, "batch latent"]) -> Float[Tensor, ""]:
        """Mean `sliced_distance` of textures and what became of them."""
        n = min(self.n, len(latents))
        real = self.data(torch.randint(2**62, (n,))).to(latents)
        read = (1 - self.blur**2) ** 0.5 * self.encoder(real) + self.blur * latents[:n]
        return sliced_distance(real, generator(read))


class Encoder(nn.Module):
    """Textures (N, channels, size, size) that wrap around → latents (N, latent_dim) of zero mean and unit variance.

    What it tells of a texture are means and deviations of features over all of it, never where something is.
    Normalising over the batch spreads latents over the prior without a divergence to be weighed (Zhu et al. 2020).
    `widths` are the channels of its convolutions, each of which halves the size.
    """

    def __init__(self, channels: int, latent_dim: int, widths: Sequence[int] = (24, 48, 96, 128)):
        super().__init__()
        layers = []
        for before, width in pairwise([channels, *widths]):
            layers += [WrapConv(before, width, stride=2)]
        self.trunk = nn.Sequential(*layers, WrapConv(widths[-1], widths[-1]))
        self.out = Linear(2 * widths[-1], latent_dim)

    def forward(self, texture: Float[Tensor, "n channels size size"]) -> Float[Tensor, "n latent"]:
        x = self.trunk(texture)
        read = self.out(torch.cat([x.mean((2, 3)), (x.var((2, 3), unbiased=False) + 1e-6).sqrt()], 1))
        return (read - read.mean(0)) * torch.rsqrt(read.var(0, unbiased=False) + 1e-6)


class WrapConv(nn.Module):
    """A convolution that wraps around, 3×3 or with stride two 4×4, at equalised learning rate; leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 2 + stride, 2 + stride))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        weight = self.weight * math.sqrt(2 / self.weight[0].numel())
        return F.leaky_relu(F.conv2d(wrapped(x, 1), weight, self.bias, self.stride), 0.2)


def sliced_distance(
    a: Float[Tensor, "n channels size size"], b: Float[Tensor, "n channels size size"], filters: int = 12
) -> Float[Tensor, ""]:
    """How far the patches of each a[i] are from those of b[i], wherever they lie: 0 for two cut-outs of one texture.

    A sliced Wasserstein distance: at several resolutions, patches are projected on random 5×5 filters, which see all
    channels together, and the sorted projections compared. As a loss: Heitz et al. 2021 (arXiv:2006.07229).
    """
    kernels = torch.randn(filters, a.shape[1], 5, 5).to(a)
    kernels = kernels / kernels.flatten(1).norm(dim=1)[:, None, None, None]
    distances = []
    for stride in (3, 2, 1, 1):  # fine resolutions have patches to spare
        if a.shape[-1] < 5:
            break
        seen_a, seen_b = (F.conv2d(x, kernels, stride=stride).flatten(2).sort(-1).values for x in (a, b))
        distances.append((seen_a - seen_b).abs().mean())
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return torch.stack(distances).mean()
