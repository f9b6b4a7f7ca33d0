"""A few colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from ..errors import ArgumentError
from ..images.png import one_picture, png, save
from .clamp import clamp
from .estimators import Estimator
from .estimators.common import carry
from .palette_lookup import blend_colors, blend_colors_unchecked, nearest_colors_unchecked
from .step import Categorical

CANDIDATES = 8  # nearest colours that are worth considering
IN_A_FILE = 256  # colours that a PNG file counts by numbers
CELLS = 31  # per channel, to find colours by


class Palette(Categorical):
    """Replace each texel by the nearest colour of a palette, in sRGB-encoded values.

    `colors` is the palette itself, (K, C) in [0, 1] and then fixed, or how many RGB colours to learn: these start
    spread over the cube, `calibrate` sets them to the k-means of a texture, and they are parameters. `from_texture`
    starts from a texture, of any number of channels.

    Texels become the colours as a file keeps them, rounded to multiples of 1/255. Gradients pass straight through that
    rounding to the learned colours, which are not rounded. ArgumentError for no colours, for colours that are not (K,
    C) in [0, 1], and for textures of other channels.
    """

    colors: Float[Tensor, "k c"]

    vectors, dimensions = True, 4

    def __init__(self, colors: int | Tensor, estimator: str | Estimator = "straight_through"):
        super().__init__(estimator)
        if isinstance(colors, int):
            if colors < 1:
                raise ArgumentError(f"palette:{colors} has no colour: ask for at least 1.")
            self.colors = nn.Parameter(_spread(colors))
        else:
            if colors.ndim != 2 or 0 in colors.shape:
                raise ArgumentError(f"a palette is (K, C), one colour a row, but this is {tuple(colors.shape)}.")
            if not colors.is_floating_point() or not bool(((colors >= 0) & (colors <= 1)).all()):
                raise ArgumentError("the colours of a palette are floats in [0, 1]: divide those of 8 bits by 255.")
            self.register_buffer("colors", colors.detach().clone())

    @classmethod
    def from_texture(
        cls, x: Float[Tensor, "n c h w"], colors: int, estimator: str | Estimator = "straight_through"
    ) -> Palette:
        """`colors` colours to learn that start as the k-means of the texels of `x`."""
        step = cls(colors, estimator)
        step.colors = nn.Parameter(kmeans(x.detach().clamp(0, 1), colors))
        return step

    @property
    def unit(self) -> float:
        """The median of the colours' squared distances to the nearest other one."""
        colors = self.colors.detach()
        apart = torch.cdist(colors, colors).fill_diagonal_(torch.inf).amin(1).square()
        return max(float(apart.median()), 1e-4) if len(colors) > 1 else 1.0

    @property
    def spacing(self) -> float:
        """From one colour to the nearest other one."""
        return self.unit**0.5

    def shown(self, x: Tensor) -> Float[Tensor, "k c"]:
        """The colours as they are exported, in the precision of x, with a straight-through gradient."""
        if x.shape[1] != self.colors.shape[1]:
            raise ArgumentError(
                f"this palette's colours have {self.colors.shape[1]} channels, but the texture has {x.shape[1]}."
            )
        colors = clamp(self.colors.to(x.dtype))
        return carry((colors.detach() * 255).round() / 255, colors)

    def nearest(self, x: Float[Tensor, "n c h w"]) -> Int[Tensor, "n h w"]:
        """Number of the nearest colour; the first of equals."""
        index, _ = nearest_colors_unchecked(x.detach().clamp(0, 1), self.shown(x).detach(), 1)
        return index[:, 0]

    def paint(self, index: Int[Tensor, "n h w"], colors: Float[Tensor, "k c"]) -> Float[Tensor, "n c h w"]:
        """The colours of these numbers; their gradient is the sum over their texels.

        ArgumentError for tensors of other dimensions.
        """
        if not (isinstance(index, Tensor) and index.ndim == 3 and isinstance(colors, Tensor)):
            raise ArgumentError("numbers of colours are a tensor (n, h, w), and colours one of (k, c).")
        return blend_colors(torch.ones_like(index[:, None], dtype=colors.dtype), colors, index[:, None])

    def hard(self, x: Tensor) -> Tensor:
        """Exact. The colours themselves receive their true gradient."""
        index = self.nearest(x)[:, None]
        colors = self.shown(x)
        return blend_colors_unchecked(torch.ones_like(index, dtype=colors.dtype), colors, index)

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The nearest colours, at most `CANDIDATES`, scored by −distance² in colour units."""
        colors = self.shown(x)
        index, distance = nearest_colors_unchecked(x.clamp(0, 1), colors, min(len(colors), CANDIDATES))
        return -distance, lambda weights: blend_colors_unchecked(weights, colors, index)

    @torch.no_grad()
    def calibrate(self, x: Tensor, iterations: int = 20) -> None:
        """Set learned colours to the k-means of the texels of `x`. It takes `iterations` rounds at most."""
        if isinstance(self.colors, nn.Parameter):
            self.colors.copy_(kmeans(x, len(self.colors), iterations))

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """A PNG file of `hard(x)`: numbers of colours, with their alpha; plain for grey, or beyond 256 colours."""
        one_picture(x)
        count, channels = self.colors.shape
        if count > IN_A_FILE or channels not in (3, 4):
            return png(self.hard(x)), ".png"
        colors = (self.shown(x).detach().cpu() * 255).round().byte().numpy()
        picture = Image.fromarray(self.nearest(x)[0].cpu().numpy().astype(np.uint8), "P")
        picture.putpalette(colors[:, :3].tobytes())
        alpha = {"transparency": colors[:, 3].tobytes()} if channels == 4 else {}
        return save(picture, **alpha), ".png"

    def extra_repr(self) -> str:
        return f"{len(self.colors)} colours, {super().extra_repr()}"


@torch.no_grad()
def kmeans(
    x: Float[Tensor, "n c h w"], count: int, iterations: int = 20, starts: int = 6
) -> Float[Tensor, "{count} c"]:
    """`count` colours amid the texels of x: the best of `starts` runs of Lloyd's algorithm from k-means++, seeded.

    The runs see the means of small cells of colour space, weighted by their texels; the best one is then finished on
    texels themselves.
    """
    texels = x.movedim(1, -1).reshape(-1, x.shape[1])
    if len(texels) > 1 << 16:  # a regular subset says the same
        texels = texels[:: len(texels) // (1 << 16)]
    cells, owner, weight = (texels * CELLS).round().unique(dim=0, return_inverse=True, return_counts=True)
    weight = weight.to(texels)[:, None]
    if len(cells) > 8 * count:
        points = torch.zeros_like(cells).index_add(0, owner, texels) / weight
    else:  # too few to tell the colours apart
        points, weight = texels, texels.new_ones(len(texels), 1)
    rng = torch.Generator(device=texels.device).manual_seed(0)
    runs = [_lloyd(points, weight, _spread_out(points, weight, count, rng), iterations) for _ in range(starts)]
    best = min(runs, key=lambda colors: float((torch.cdist(points, colors).amin(1).square() * weight[:, 0]).sum()))
    return _lloyd(texels, torch.ones_like(texels[:, :1]), best, iterations // 4)


def _spread_out(points: Tensor, weight: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Starts of k-means++ (Arthur and Vassilvitskii 2007): each is drawn far from those there are."""
    colors = points[torch.multinomial(weight[:, 0], 1, generator=rng)]
    for _ in range(count - 1):
        far = torch.cdist(points, colors).amin(1).square() + 1e-12
        colors = torch.cat([colors, points[torch.multinomial(far * weight[:, 0], 1, generator=rng)]])
    return colors


def _lloyd(points: Tensor, weight: Tensor, colors: Tensor, iterations: int) -> Tensor:
    """Each colour to the mean of the points it is nearest to, again and again; one that has none stays."""
    for _ in range(iterations):
        owner = torch.cdist(points, colors).argmin(1)
        size = torch.zeros_like(colors[:, :1]).index_add(0, owner, weight)
        total = torch.zeros_like(colors).index_add(0, owner, points * weight)
        colors = torch.where(size > 0, total / size.clamp_min(1e-12), colors)
    return colors


def _spread(n: int) -> Tensor:
    """`n` points spread over the unit cube: the additive recurrence of the plastic number (Roberts 2018), 3-D."""
    root = 1.2207440846057596  # the positive solution of x⁴ = x + 1
    steps = torch.tensor([1 / root, 1 / root**2, 1 / root**3])
    return (0.5 + torch.arange(n)[:, None] * steps) % 1
