"""StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) as in StyleGAN2-ADA (arXiv:2006.06676), in plain torch.

Modulation scales activations, never per-sample weights: the weights' own gradient is not needed for that of a style, so
a step of a projection to latents costs two convolutions per layer and not three; and the network is plain under `grad`
and `vmap`. Parameters carry the names of NVIDIA's releases (`from_nvidia`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .filters import smooth, upsample
from .passes import finished, modulated, wrapped
from .style_network import SLOPES, Linear, Mapping, StyleNetwork, activation_named, style_per_layer

ARCHITECTURES = ("skip", "resnet", "orig")
NOISES = ("const", "random", "none")


class StyleGAN2(StyleNetwork):
    """z (N, z_dim), standard normal → texture (N, img_channels, img_resolution, img_resolution), about in [-1, 1].

    - `architecture`: "skip" sums up images over resolutions, "resnet" features, "orig" neither.
    - `noise`: "const" (fixed maps: a latent always gives the same texture), "random" (new ones each time) or "none";
      `synthesis.noise` is the same, to be changed later. `synthesis(w, maps)` takes maps of your own. The fixed maps
      are frozen parameters: a fit to one object may unfreeze them.
    - `tileable`: every convolution and every upsampling wraps around, so that textures have no seam. Weights trained
      without it keep their style, if not their pictures.
    - `channel_base`, `channel_max`: layers at resolution r have min(channel_base / r, channel_max) channels.
    - `conv_clamp`: bounds of every layer's output, which half precision needed in training.
    - `mapping_kwargs`: arguments of `Mapping`, by name; 8 layers unless they say otherwise.
    - `c_dim`: how many classes there are, 0 for none; `w_dim`: the length of a style.
    - `activation`: of every layer, one of `ACTIVATIONS`; `use_noise`: whether there are noise maps at all.
    - `resample_filter`: taps of the separable filter that halves and doubles, an even number of them.
    """

    # 15 parameters: NVIDIA's, which their checkpoints name
    def __init__(
        self,
        img_resolution: int,
        img_channels: int = 3,
        z_dim: int = 512,
        c_dim: int = 0,
        w_dim: int = 512,
        mapping_kwargs: dict | None = None,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: str = "skip",
        activation: str = "lrelu",
        resample_filter: Sequence[int | float] = (1, 3, 3, 1),
        conv_clamp: float | None = None,
        use_noise: bool = True,
        noise: str = "const",
        tileable: bool = False,
    ):
        super().__init__()
        mapping_kwargs = {"num_layers": 8, **(mapping_kwargs or {})}
        layers = {
            "architecture": architecture,
            "activation": activation,
            "resample_filter": list(resample_filter),
            "conv_clamp": conv_clamp,
            "use_noise": use_noise,
            "tileable": tileable,
        }
        self.config = {
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "z_dim": z_dim,
            "c_dim": c_dim,
            "w_dim": w_dim,
            "mapping_kwargs": mapping_kwargs,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "noise": noise,
            **layers,
        }
        self.mapping = Mapping(z_dim, c_dim, w_dim, **mapping_kwargs)
        self.synthesis = Synthesis(w_dim, img_resolution, img_channels, channel_base, channel_max, noise, **layers)


class Synthesis(nn.Module):
    """w (N, w_dim) or w+ (N, num_ws, w_dim) → texture (N, img_channels, img_resolution, img_resolution)."""

    # 8 parameters: NVIDIA's, handed on by `StyleGAN2`
    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        channel_base: int,
        channel_max: int,
        noise: str,
        architecture: str,
        resample_filter: Sequence[int | float],
        **layer: Any,
    ):
        super().__init__()
        if img_resolution < 4 or img_resolution & (img_resolution - 1):
            raise ArgumentError(f"img_resolution is a power of two of 4 or more, not {img_resolution}.")
        if architecture not in ARCHITECTURES:
            raise ArgumentError(f"there is no architecture '{architecture}': choose one of {', '.join(ARCHITECTURES)}.")
        if noise not in NOISES:
            raise ArgumentError(f"there is no noise '{noise}': choose one of {', '.join(NOISES)}.")
        if not resample_filter or len(resample_filter) % 2 or sum(resample_filter) == 0:
            raise ArgumentError(
                f"a resample_filter has an even number of taps with a sum, not {list(resample_filter)}."
            )
        taps = torch.tensor(resample_filter, dtype=torch.get_default_dtype())
        taps = taps / taps.sum()
        self.w_dim, self.noise = w_dim, noise
        self.resolutions = [2**k for k in range(2, img_resolution.bit_length())]
        before = 0
        for size in self.resolutions:
            width = min(channel_base // size, channel_max)
            paints = architecture == "skip" or size == img_resolution
            block = Block(before, width, img_channels if paints else 0, w_dim, size, architecture, taps, **layer)
            self.add_module(f"b{size}", block)
            before = width
        # a block's image shares its style with the next block's first convolution; only the last has one of its own
        self.num_ws = 2 * len(self.resolutions)

    @property
    def noise_dim(self) -> int:
        """How many values all noise maps hold together."""
        return sum(noise.numel() for noise in self._fixed_noises())

    def noise_maps(self) -> Float[Tensor, "1 noise"]:
        """The fixed noise maps as one latent (1, noise_dim), from coarse to fine."""
        noises = self._fixed_noises()
        if not noises:
            raise ArgumentError("this synthesis was trained without noise: leave its maps out.")
        return torch.cat([noise.flatten() for noise in noises])[None]

    def forward(self, w: Tensor, maps: Float[Tensor, "m noise"] | None = None) -> Float[Tensor, "n channels size size"]:
        """`maps` (N or 1, noise_dim), as `noise_maps` has them, take the place of what `noise` says."""
        styles = style_per_layer(w, self.w_dim, self.num_ws)
        noises = iter(self._noises(len(w), maps))
        x = image = None
        for k, size in enumerate(self.resolutions):
            x, image = self._block(size)(x, image, styles[max(2 * k - 1, 0) :], noises)
        assert image is not None  # the last block paints
        return image

    def _block(self, size: int) -> Block:
        block = self.get_submodule(f"b{size}")
        assert isinstance(block, Block)
        return block

    def _fixed_noises(self) -> list[Tensor]:
        """The maps of layers with noise, in the order that they run in."""
        layers = [layer for size in self.resolutions for layer in self._block(size).convolutions()]
        return [layer.noise_const for layer in layers if layer.noise_const is not None]

    def _noises(self, n: int, maps: Tensor | None) -> list[Tensor | None]:
        """A map (N or 1, 1, size, size), or None, for each convolution."""
        fixed = self._fixed_noises()
        if maps is not None:
            if maps.shape[1] != self.noise_dim or len(maps) not in (1, n):
                raise ArgumentError(
                    f"noise maps of this synthesis have shape ({n} or 1, {self.noise_dim}), not {tuple(maps.shape)}."
                )
            shapes = [noise.shape for noise in fixed]
            pieces = maps.split([shape.numel() for shape in shapes], 1)
            return [piece.unflatten(1, (1, *shape)) for piece, shape in zip(pieces, shapes, strict=True)]
        if self.noise == "none" or not fixed:
            return [None] * self.num_ws
        if self.noise == "random":
            return [torch.randn_like(noise.expand(n, 1, -1, -1)) for noise in fixed]
        return [noise[None, None] for noise in fixed]


class Block(nn.Module):
    """One resolution. The first starts from a learned constant, each other doubles what the one before made."""

    taps: Float[Tensor, "taps"]

    # 9 parameters: NVIDIA's, handed on by `Synthesis`
    def __init__(
        self,
        before: int,
        width: int,
        img_channels: int,
        w_dim: int,
        size: int,
        architecture: str,
        taps: Tensor,
        conv_clamp: float | None,
        tileable: bool,
        **layer: Any,
    ):
        super().__init__()
        layer = {"conv_clamp": conv_clamp, "tileable": tileable, **layer}
        half = math.sqrt(0.5) if before and architecture == "resnet" else 1.0  # keeps the variance of a sum of two
        self.tileable = tileable
        self.register_buffer("taps", taps, persistent=False)
        if before:
            self.conv0 = StyledConv(before, width, w_dim, size, taps=taps, **layer)
        else:
            self.const = nn.Parameter(torch.randn(width, size, size))
        self.conv1 = StyledConv(width, width, w_dim, size, gain=half, **layer)
        self.torgb = ToImage(width, img_channels, w_dim, conv_clamp) if img_channels else None
        self.skip = Skip(before, width, gain=half) if before and architecture == "resnet" else None

    def convolutions(self) -> list[StyledConv]:
        return [self.conv1] if hasattr(self, "const") else [self.conv0, self.conv1]

    def forward(self, x, image, styles, noises):
        """Features and image of half the size, or None; one style per convolution and one for the image; noise maps."""
        if x is None:
            # channels last in memory: a CPU filters much faster, but takes several times as long for weights' gradients
            learns = torch.is_grad_enabled() and self.conv1.weight.requires_grad
            n = len(styles[0])
            x = self.const.repeat(n, 1, 1, 1) if learns else self.const.movedim(0, 2).repeat(n, 1, 1, 1).movedim(3, 1)
            skipped = None
        else:
            skipped = None if self.skip is None else self._doubled(self.skip(x))
        for conv, style in zip(self.convolutions(), styles, strict=False):
            x = conv(x, style, next(noises))
        x = x if skipped is None else x + skipped
        image = None if image is None else self._doubled(image)
        if self.torgb is not None:
            own = self.torgb(x, styles[len(self.convolutions())])
            image = own if image is None else image + own
        return x, image

    def _doubled(self, x: Tensor) -> Tensor:
        before, after = len(self.taps) // 2, len(self.taps) // 2 - 1
        if self.tileable:
            width = _reach(self.taps)
            x, before, after = wrapped(x, width), before - 2 * width, after - 2 * width
        return upsample(x, self.taps, 2, (before, after))


class StyledConv(nn.Module):
    """A 3×3 convolution whose inputs a style scales, with noise, bias and activation; it doubles the size given `taps`.

    With inputs of unit variance, channel o comes out with the variance Σ (s_i W_oi)² (arXiv:1912.04958, equation 3),
    which is divided out. That, the activation's gain and `gain` are one factor per channel.
    """

    taps: Float[Tensor, "taps"] | None

    # 10 parameters: NVIDIA's, handed on by `Block`
    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        size: int,
        conv_clamp: float | None,
        activation: str,
        use_noise: bool,
        tileable: bool,
        taps: Tensor | None = None,
        gain: float = 1.0,
    ):
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_const = nn.Parameter(torch.randn(size, size), requires_grad=False) if use_noise else None
        self.noise_strength = nn.Parameter(torch.zeros(())) if use_noise else None
        self.register_buffer("taps", taps, persistent=False)
        self.tileable = tileable
        _, self.gain = activation_named(activation)
        self.slope = SLOPES[activation]
        self.gain *= gain
        self.clamp = None if conv_clamp is None else conv_clamp * gain

    def forward(
        self,
        x: Float[Tensor, "n inputs h w"],
        w: Float[Tensor, "n w_dim"],
        noise: Float[Tensor, "m 1 size size"] | None,
    ) -> Float[Tensor, "n outputs size size"]:
        style = self.affine(w)
        power = style.square() @ self.weight.square().sum((2, 3)).T
        scale = self.gain * torch.rsqrt(power + 1e-8)
        x = self._convolved(x, style) if self.taps is None else self._doubled(x, style, self.taps)
        noise = None if noise is None else noise * (self.gain * self.noise_strength)
        bound = math.inf if self.clamp is None else self.clamp
        return finished(x, scale, self.gain * self.bias, noise, self.slope, bound)

    def _convolved(self, x: Tensor, style: Tensor) -> Tensor:
        if self.tileable:
            return F.conv2d(modulated(x, style, 1), self.weight)
        return F.conv2d(modulated(x, style), self.weight, padding=1)

    def _doubled(self, x: Tensor, style: Tensor, taps: Tensor) -> Tensor:
        """Zeros between pixels and the convolution, as one transposed convolution; then the filter."""
        width = _reach(taps) if self.tileable else 0
        x = F.conv_transpose2d(modulated(x, style, width), self.weight.transpose(0, 1), stride=2)
        margin = len(taps) // 2 - 1
        if width:
            cut = 2 * width - margin
            x, margin = x[..., cut : x.shape[-2] - cut, cut : x.shape[-1] - cut], 0
        return smooth(x, 2 * taps, margin)


class ToImage(nn.Module):
    """Features → colours by a matrix per sample: with this few outputs, scaling weights is cheaper than activations."""

    def __init__(self, inputs: int, img_channels: int, w_dim: int, conv_clamp: float | None):
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.clamp = None if conv_clamp is None else float(conv_clamp)

    def forward(self, x: Float[Tensor, "n inputs h w"], w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channels h w"]:
        style = self.affine(w) / math.sqrt(x.shape[1])
        weight = self.weight[None, :, :, 0, 0] * style[:, None]
        image = torch.baddbmm(self.bias[:, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])
        return image if self.clamp is None else image.clamp(-self.clamp, self.clamp)


class Skip(nn.Module):
    """The residual path of one block, ahead of its upsampling: a plain 1×1 convolution."""

    def __init__(self, inputs: int, outputs: int, gain: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.gain = gain / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h w"]:
        return F.conv2d(x, self.weight * self.gain)


def _reach(taps: Tensor) -> int:
    """Pixels of the smaller image beyond its edge that the doubled one reads."""
    return (len(taps) + 2) // 4
