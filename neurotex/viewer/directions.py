"""Where a generator's latents lead: the directions in which they vary most, named by what they change."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..generators import protocol

DRAWN = 4096  # latents whose variation is analysed
SEEN = 24  # textures that say how much textures differ anyway
TRIED = 4  # textures that are moved along each direction
REACH = 2.0  # standard deviations that they are moved to either side


@dataclass(frozen=True)
class Directions:
    """A basis of the latents that a generator draws: `mean + Σ sₖ · axes[k]`, with sₖ in standard deviations.

    `mean` (*latent_shape), `axes` (k, *latent_shape), the one along which latents vary most first; `names` say what
    each changes most.
    """

    mean: Float[Tensor, "*shape"]
    axes: Float[Tensor, "k *shape"]
    names: tuple[str, ...]


@torch.no_grad()
def principal_directions(generator: nn.Module, count: int = 8, seed: int = 0) -> Directions:
    """The `count` principal components of the latents that `generator` draws (GANSpace: Härkönen et al. 2020).

    Enter a style-based generator by `LatentSpace(generator, "w")`: in z, which is drawn evenly in all directions, none
    is a principal one. ArgumentError for a generator that has no prior. `seed` draws the latents.
    """
    rng = torch.Generator().manual_seed(seed)
    drawn = protocol.drawn(generator, DRAWN, rng)
    flat = drawn.flatten(1).float()
    mean = flat.mean(0)
    count = min(count, flat.shape[1])
    if flat.shape[1] <= DRAWN:
        variances, vectors = torch.linalg.eigh((flat - mean).T @ (flat - mean) / (DRAWN - 1))
        axes = (vectors * variances.clamp(min=0).sqrt()).T.flip(0)[:count]
    else:  # all layers' styles, or noise maps: as many numbers squared would not fit
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            _, lengths, vectors = torch.pca_lowrank(flat, count + 4)
        axes = (vectors * (lengths / (DRAWN - 1) ** 0.5)).T[:count]
    # an eigenvector's sign is a coin's: the largest component is made positive, so that a slider's right stays right
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    axes = axes * largest.sign()
    shape = drawn.shape[1:]
    mean, axes = mean.view(shape).to(drawn), axes.view(-1, *shape).to(drawn)
    return Directions(mean, axes, _names(generator, drawn[:SEEN], axes))


def _names(generator: nn.Module, drawn: Tensor, axes: Tensor) -> tuple[str, ...]:
    """What moving along each axis changes most, in units of how much textures differ in it anyway."""
    with protocol.in_eval_mode(generator):
        spread = torch.stack([_statistics(generator(one[None])) for one in drawn]).std(0).clamp(min=1e-4)
        names = []
        for axis in axes:
            there, back = (_statistics(generator(drawn[:TRIED] + side * axis)) for side in (REACH, -REACH))
            effect = (there - back).abs() / spread
            names.append(" & ".join(STATISTICS[k] for k in effect.argsort(descending=True)[:2] if effect[k] > 0))
    return tuple(names)


STATISTICS = ("lightness", "red and green", "blue and yellow", "contrast", "fineness", "relief", "roughness", "metal")


def _statistics(made: Float[Tensor, "n c h w"]) -> Float[Tensor, "8"]:
    """`STATISTICS` of textures in [-1, 1], meaned over them; 0 for maps that they have not."""
    made = made.float()
    red, green, blue = made[:, :3].clamp(-1, 1).unbind(1)
    light = (red + green + blue) / 3
    contrast = light.std()
    fine = (light - light.roll(1, 2)).abs().mean() / (contrast + 1e-3)
    relief = made[:, 3:5].square().mean() if made.shape[1] >= 5 else light.new_zeros(())
    rest = [made[:, k].mean() if made.shape[1] > k else light.new_zeros(()) for k in (5, 6)]
    return torch.stack(
        [light.mean(), (red - green).mean(), (2 * blue - red - green).mean(), contrast, fine, relief, *rest]
    )
