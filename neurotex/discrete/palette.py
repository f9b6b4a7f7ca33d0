"""A few colours."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import ArgumentError
from .step import Step


class Palette(Step):
    """Replace each texel by the nearest colour of a palette, in sRGB-encoded RGB.

    `colors` is the palette itself, (K, C) in [0, 1] and then fixed, or how many colours to learn: these start
    spread over the cube, `calibrate` sets them to the k-means of a texture, and they are parameters.
    """

    def __init__(self, colors: int | Tensor, estimator: str | object = "straight_through"):
        super().__init__(estimator)
        if isinstance(colors, int):
            if colors < 1:
                raise ArgumentError(f"palette:{colors} has no colour: ask for at least 1.")
            self.colors = nn.Parameter(_spread(colors))
        else:
            if colors.ndim != 2 or len(colors) == 0:
                raise ArgumentError(f"a palette is (K, C), one colour a row, but this is {tuple(colors.shape)}.")
            self.register_buffer("colors", colors.clone())

    def nearest(self, x: Float[Tensor, "n c h w"]) -> Int[Tensor, "n h w"]:
        """Index of the nearest colour; the first of equals. One colour at a time, so memory does not grow with K."""
        best = torch.full_like(x[:, 0], torch.inf)
        index = torch.zeros_like(best, dtype=torch.long)
        for k, color in enumerate(self.colors.detach()):
            distance = (x - color[:, None, None]).square().sum(1)
            closer = distance < best
            best, index = torch.where(closer, distance, best), torch.where(closer, k, index)
        return index

    def hard(self, x: Tensor) -> Tensor:
        """Exact. The colours themselves receive their true gradient: the sum over their texels."""
        return self.colors[self.nearest(x)].movedim(-1, 1)

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """Mean of the colours, weighted by softmax(−distance² / temperature). Temperature in squared colour units."""
        distance = (x[:, None] - self.colors[:, :, None, None]).square().sum(2)
        weight = (-distance / temperature).softmax(1)
        return torch.einsum("nkhw,kc->nchw", weight, self.colors)

    @torch.no_grad()
    def calibrate(self, x: Tensor, iterations: int = 20) -> None:
        """Set learned colours to the k-means of the texels of `x` (Lloyd's algorithm from k-means++ starts, seeded)."""
        if not isinstance(self.colors, nn.Parameter):
            return
        texels = x.movedim(1, -1).reshape(-1, x.shape[1])
        if len(texels) > 1 << 16:  # a regular subset says the same
            texels = texels[:: len(texels) // (1 << 16)]
        rng = torch.Generator(device=texels.device).manual_seed(0)
        colors = texels[torch.randint(len(texels), (1,), generator=rng, device=texels.device)]
        for _ in range(len(self.colors) - 1):  # each next start is drawn far from those there are
            far = torch.cdist(texels, colors).amin(1).square() + 1e-12
            colors = torch.cat([colors, texels[torch.multinomial(far, 1, generator=rng)]])
        for _ in range(iterations):
            owner = torch.cdist(texels, colors).argmin(1)
            count = torch.bincount(owner, minlength=len(colors))[:, None]
            total = torch.zeros_like(colors).index_add(0, owner, texels)
            colors = torch.where(count > 0, total / count.clamp_min(1), colors)
        self.colors.copy_(colors)

    def extra_repr(self) -> str:
        return f"{len(self.colors)} colours, {super().extra_repr()}"


def _spread(n: int) -> Tensor:
    """`n` points spread over the unit cube: the additive recurrence of the plastic number (Roberts 2018), 3-D."""
    root = 1.2207440846057596  # the positive solution of x⁴ = x + 1
    steps = torch.tensor([1 / root, 1 / root**2, 1 / root**3])
    return (0.5 + torch.arange(n)[:, None] * steps) % 1
