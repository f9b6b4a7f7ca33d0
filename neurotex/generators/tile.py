"""A small style-based generator of tileable textures: the architecture of the bundled weights.

The skeleton is StyleGAN2's (Karras et al. 2020): a learned constant, convolutions whose input channels are scaled by a
style and whose output is demodulated, and an image summed up over resolutions. Four things differ.

- Every convolution and every upsampling wraps around: the result tiles without a seam whatever the weights are.
- The constant is large and starts out as periodic waves, from which a style can compose stripes, grids and blobs.
- What is summed up says how strongly each colour of a small palette claims each pixel, and a softmax shares the pixel
  out. Regions come out clean, and one half of the latent is the pattern, the other the colours.
- Modulation acts on activations, never on per-sample weights, which keeps the network plain under `vmap` and `grad`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError

GAIN = math.sqrt(2)  # undoes what a leaky ReLU takes from the standard deviation of a normal input
DETAIL_GAIN = 8  # a fit's one learning rate must move single places faster than weights that act everywhere


class TileGenerator(nn.Module):
    """z (N, latent_dim), standard normal → texture (N, 3, size, size) in [-1, 1] that wraps around in both directions.

    `mapping` turns z into the style w (N, style_dim); `synthesis` turns w into the texture. Of both z and w, the first
    half is the pattern, the second the colours. The same latent always gives the same texture. `widths` are the
    channels per resolution, from coarse to half the size; the last doubling enlarges the claims of `colours` colours
    alone. `config` holds the arguments, enough to rebuild the module from a file.
    """

    out_channels = 3

    def __init__(
        self,
        size: int = 128,
        latent_dim: int = 32,
        style_dim: int = 128,
        widths: Sequence[int] = (96, 48, 24),
        colours: int = 6,
    ) -> None:
        super().__init__()
        if latent_dim % 2 or style_dim % 2:
            raise ArgumentError(
                f"latent_dim {latent_dim} and style_dim {style_dim} must be even: half is pattern, half colours."
            )
        base = size >> len(widths)
        if not widths or base < 2 or base << len(widths) != size:
            raise ArgumentError(f"a texture of {size} pixels cannot be halved {len(widths)} times down to 2 or more.")
        self.config = {
            "size": size,
            "latent_dim": latent_dim,
            "style_dim": style_dim,
            "widths": list(widths),
            "colours": colours,
        }
        self.mapping = Mapping(latent_dim, style_dim)
        self.synthesis = Synthesis(base, style_dim, widths, colours)

    @property
    def latent_shape(self) -> tuple[int]:
        return (self.config["latent_dim"],)

    def forward(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n 3 size size"]:
        return self.synthesis(self.mapping(z))

    def sample_latents(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n latent"]:
        """`n` latents from the prior N(0, I), on the weights' device; a CPU generator gives the same on all."""
        weight = self.synthesis.constant
        device = generator.device if generator is not None else weight.device
        return torch.randn(n, *self.latent_shape, generator=generator, device=device).to(weight)


class Mapping(nn.Module):
    """z → w, each half on its own: the first says the pattern, the second the colours."""

    def __init__(self, latent_dim: int, style_dim: int) -> None:
        super().__init__()
        self.pattern = Perceptron(latent_dim // 2, style_dim // 2)
        self.colour = Perceptron(latent_dim // 2, style_dim // 2)

    def forward(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n style"]:
        pattern, colour = z.chunk(2, 1)
        return torch.cat([self.pattern(pattern), self.colour(colour)], 1)


class Perceptron(nn.Module):
    """Two linear layers on z scaled to the length √d. Two are enough, and keep the way back short."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.hidden = Linear(inputs, 2 * outputs)
        self.out = Linear(2 * outputs, outputs)

    def forward(self, z: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        z = z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-8)
        return self.out(GAIN * F.leaky_relu(self.hidden(z), 0.2))


class Synthesis(nn.Module):
    """w (N, style_dim) → texture (N, 3, size, size) in [-1, 1]."""

    def __init__(self, base: int, style_dim: int, widths: Sequence[int], colours: int) -> None:
        super().__init__()
        style_dim //= 2
        self.constant = nn.Parameter(waves(widths[0], base))
        self.first = StyledConv(widths[0], widths[0], style_dim)
        self.levels = nn.ModuleList(
            Level(before, width, style_dim, colours, base << k)
            for k, (before, width) in enumerate(zip([widths[0], *widths], widths, strict=False))
        )
        self.detail = free_detail(colours, base << len(widths))
        self.palette = Linear(style_dim, colours * 3)

    def forward(self, w: Float[Tensor, "n style"]) -> Float[Tensor, "n 3 size size"]:
        pattern, colour = w.chunk(2, 1)
        x = self.first(self.constant.expand(len(w), -1, -1, -1), pattern)
        claims = None  # how strongly each colour of the palette claims each pixel
        for level in self.levels:
            x, claims = level(x, claims, pattern)
        shares = (upsample(claims) + DETAIL_GAIN * self.detail).softmax(1)
        palette = torch.tanh(self.palette(colour)).unflatten(1, (3, -1))
        return (palette @ shares.flatten(2)).unflatten(2, shares.shape[2:])


class Level(nn.Module):
    """One resolution: features come in at half of it (but for the first), are narrowed, enlarged, and convolved."""

    def __init__(self, before: int, width: int, style_dim: int, colours: int, size: int) -> None:
        super().__init__()
        # A 1×1 convolution ahead of the upsampling costs a quarter, and lets the 3×3 run at the narrow width.
        self.narrow = StyledConv(before, width, style_dim, kernel=1, plain=True)
        self.conv = StyledConv(width, width, style_dim)
        self.detail = free_detail(width, size)
        self.claim = StyledConv(width, colours, style_dim, kernel=1, plain=True, demodulate=False)

    def forward(self, x: Tensor, claims: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        x = self.narrow(x, w)
        x = self.conv(x if claims is None else upsample(x), w) + DETAIL_GAIN * self.detail
        claim = self.claim(x, w)
        return x, claim if claims is None else upsample(claims) + claim


class StyledConv(nn.Module):
    """A wrapping convolution whose input channels a style scales (modulation), and its output back (demodulation).

    For inputs of unit variance the output's standard deviation is √Σ(w·s)², a product of two small matrices, so the
    weights themselves are shared by the batch. `plain` leaves the leaky ReLU out.
    """

    def __init__(
        self, inputs: int, outputs: int, style_dim: int, kernel: int = 3, plain: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(style_dim, inputs, bias=1.0)
        self.plain, self.demodulate = plain, demodulate

    def forward(self, x: Float[Tensor, "n inputs h w"], w: Float[Tensor, "n style"]) -> Float[Tensor, "n outputs h w"]:
        weight = self.weight / math.sqrt(self.weight[0].numel())
        style = self.style(w)
        x = x * style[:, :, None, None]
        y = F.conv2d(wrap(x) if weight.shape[-1] == 3 else x, weight)
        if self.demodulate:
            norm = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + 1e-8)
            y = y * (norm if self.plain else GAIN * norm)[:, :, None, None]
        y = y + self.bias[:, None, None]
        return y if self.plain else F.leaky_relu(y, 0.2)


class Linear(nn.Module):
    """A linear layer at equalised learning rate (Karras et al. 2018): weights of unit variance, scaled on use."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, x: Float[Tensor, "n inputs"]) -> Float[Tensor, "n outputs"]:
        return F.linear(x, self.weight / math.sqrt(self.weight.shape[1]), self.bias)


def wrap(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h+2 w+2"]:
    """One pixel of circular padding. Written with `cat`, which every transform of torch knows."""
    x = torch.cat([x[..., -1:], x, x[..., :1]], -1)
    return torch.cat([x[..., -1:, :], x, x[..., :1, :]], -2)


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Bilinear, twice the size, wrapping around: each new pixel lies a quarter of the way between two old ones."""
    return F.interpolate(wrap(x), scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


def free_detail(channels: int, size: int) -> nn.Parameter:
    """What one place has that the others have not: zero, and frozen in training, which would put it in every texture.

    StyleGAN2's noise inputs, meant for the same use as in its projector: a fit to one object unfreezes it
    (`requires_grad_(True)`) and draws there what weights that act on every place alike cannot.
    """
    return nn.Parameter(torch.zeros(1, channels, size, size), requires_grad=False)


def waves(channels: int, size: int) -> Float[Tensor, "1 channels size size"]:
    """Random plane waves of unit variance. Whole numbers of cycles make them periodic; low ones come more often."""
    cycles = torch.randn(2, channels, 1, 1) * size / 6
    cycles = cycles.round().clamp(-size // 2 + 1, size // 2 - 1)
    ticks = torch.arange(size) / size
    phase = cycles[0] * ticks + cycles[1] * ticks[:, None] + torch.rand(channels, 1, 1)
    return math.sqrt(2) * torch.cos(2 * math.pi * phase)[None]
