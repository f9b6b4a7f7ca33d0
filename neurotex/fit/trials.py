"""Codes by trial: many tiles of a texture are changed at once, and each keeps what made the picture better.

For steps whose texels hang together in tiles, such as block compression: the real encoder says what becomes of a
change, and the baked scene what it does to the pictures, tile by tile. Random changes need nothing of the step but to
be called: a (1+1) evolution strategy with as many populations as there are tiles.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ..core.typed import sides
from ..discrete import Step
from ..renderers import BakedMatrix
from ..shading import linear_to_srgb, srgb_to_linear

TRIALS = 100
SHARE = 0.25  # of the tiles are changed at once: neighbours meet in pixels, and should seldom change together
SMALLEST, LARGEST = 1 / 255, 8 / 255  # standard deviations of changes, in x


@torch.no_grad()
def search_by_trial(
    baked: BakedMatrix,
    images: Float[Tensor, "views channels image_h image_w"],
    step: Step,
    x: Float[Tensor, "1 3 h w"],
    trials: int = TRIALS,
    seed: int = 0,
) -> Float[Tensor, "1 3 h w"]:
    """What the step turns into a texture whose picture is closer to `images` (linear) than that of `step.hard(x)`.

    For a scene with one texture and a step with a `tile`. Squared differences of encoded pixels never rise: a trial
    that would raise their sum is dropped. Trials change the colour of whole tiles and single texels in turn.
    """
    errors = TileErrors(baked, images, step, sides(x))
    rng = torch.Generator().manual_seed(seed)
    total, shares = errors(x)
    for trial in range(trials):
        chosen = (torch.rand(shares.shape, generator=rng) < SHARE).to(x)
        width = SMALLEST * (LARGEST / SMALLEST) ** torch.rand(shares.shape, generator=rng)
        size = tuple(shares.shape[2:]) if trial % 2 == 0 else tuple(x.shape[2:])
        noise = torch.randn(1, 3, *size, generator=rng) + torch.randn(1, 1, *size, generator=rng)
        change = errors.spread(noise.to(x)) * errors.spread(width.to(x) * chosen)
        _, tried = errors(x + change)
        found = x + change * errors.spread((tried < shares).to(x) * chosen)
        after, tiles = errors(found)
        if after < total:
            x, total, shares = found, after, tiles
    return x


class TileErrors:
    """The sum of squared differences of encoded pixels, and what share of it each tile has, (1, 1, rows, columns)."""

    def __init__(self, baked: BakedMatrix, images: Tensor, step: Step, size: tuple[int, int]):
        self.baked, self.step, self.size = baked, step, size
        self.tile = step.tile or 1
        self.target = baked.rows(images[:, :3].to(baked.texel.device))
        self.expected = linear_to_srgb(self.target)

    def show(self, x: Tensor) -> Tensor:
        """The pixels, linear, as `x` is exported."""
        texels = self.step.hard(x).flatten(2)[0].T[self.baked.texel]
        return self.baked.operator(srgb_to_linear(texels.contiguous()))

    def __call__(self, x: Tensor) -> tuple[float, Tensor]:
        error = (linear_to_srgb(self.show(x)) - self.expected).square().sum(1, keepdim=True)
        # a pixel's error goes to the texels that it shows, as much as it shows of each
        blame = self.baked.operator.transposed_product(error)[:, :1]
        height, width = self.size
        picture = x.new_zeros(1, 1, height * width).index_copy(2, self.baked.texel, blame.T[None])
        tile = self.tile
        padded = pad(picture.view(1, 1, height, width), (0, -width % tile, 0, -height % tile))
        return float(error.sum()), avg_pool2d(padded, tile) * tile**2

    def spread(self, tiles: Tensor) -> Tensor:
        """One value for each tile, to its texels; values for each texel stay."""
        if tuple(tiles.shape[2:]) == self.size:
            return tiles
        return interpolate(tiles, scale_factor=self.tile)[:, :, : self.size[0], : self.size[1]]
