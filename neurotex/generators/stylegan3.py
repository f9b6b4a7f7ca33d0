"""StyleGAN3 (Karras et al. 2021, arXiv:2106.12423), configurations T and R, in plain torch.

Signals are treated as continuous: each layer filters what a point-wise function would alias. Parameters and filters
carry the names of NVIDIA's releases (`from_nvidia`). R is `conv_kernel=1, use_radial_filters=True` with twice the
channels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .filters import downsample, lowpass, radial_lowpass, upsample
from .style_network import Linear, Mapping, StyleNetwork, activation_named, style_per_layer


class StyleGAN3(StyleNetwork):
    """z (N, z_dim), standard normal → texture (N, img_channels, img_resolution, img_resolution), about in [-1, 1].

    - `num_layers` convolutions, the last `num_critical` of them at critical sampling. Cutoffs grow geometrically from
      `first_cutoff` (cycles per image) to half the resolution, stopbands from `first_stopband` to `last_stopband_rel`
      times that (section 3.2).
    - `margin_size`: pixels computed around the image in all but the last layers.
    - `filter_size`: taps per pixel of the lower resolution; `lrelu_upsampling`: the rate at which activations are
      computed, relative to their layer's.
    - `channel_base`, `channel_max`: a layer of cutoff f has min(channel_base / 2f, channel_max) channels.
    - `mapping_kwargs`: arguments of `Mapping`, by name; 2 layers unless they say otherwise.

    `synthesis.input.transform` (3, 3) moves the texture: the inverse transform of its points, in image widths.

    `c_dim` is how many classes there are, 0 for none, and `w_dim` the length of a style. Convolutions are `conv_kernel`
    pixels wide, their outputs bounded by ± `conv_clamp`; filters are radially symmetric with `use_radial_filters`. The
    texture is `output_scale` times what the last layer gives.
    """

    # 20 parameters: NVIDIA's, which their checkpoints name
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
        num_layers: int = 14,
        num_critical: int = 2,
        first_cutoff: float = 2.0,
        first_stopband: float = 2**2.1,
        last_stopband_rel: float = 2**0.3,
        margin_size: int = 10,
        output_scale: float = 0.25,
        conv_kernel: int = 3,
        filter_size: int = 6,
        lrelu_upsampling: int = 2,
        use_radial_filters: bool = False,
        conv_clamp: float | None = 256,
    ):
        super().__init__()
        mapping_kwargs = {"num_layers": 2, **(mapping_kwargs or {})}
        bands = {
            "num_layers": num_layers,
            "num_critical": num_critical,
            "first_cutoff": first_cutoff,
            "first_stopband": first_stopband,
            "last_stopband_rel": last_stopband_rel,
            "margin_size": margin_size,
        }
        layers = {
            "conv_kernel": conv_kernel,
            "filter_size": filter_size,
            "lrelu_upsampling": lrelu_upsampling,
            "use_radial_filters": use_radial_filters,
            "conv_clamp": conv_clamp,
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
            "output_scale": output_scale,
            **bands,
            **layers,
        }
        plan = plan_bands(img_resolution, channel_base=channel_base, channel_max=channel_max, **bands)
        self.mapping = Mapping(z_dim, c_dim, w_dim, **mapping_kwargs)
        self.synthesis = Synthesis(w_dim, img_channels, plan, output_scale, **layers)


@dataclass(frozen=True)
class Band:
    """What one layer's output can hold, in cycles and pixels per image width."""

    cutoff: float
    half_width: float  # of the transition band
    rate: int  # samples per image width
    size: int  # of the output, margins included
    channels: int
    critical: bool  # no room between cutoff and Nyquist: separable filters, which lose less


# 9 parameters: NVIDIA's, which their checkpoints name
def plan_bands(
    img_resolution: int,
    channel_base: int,
    channel_max: int,
    num_layers: int,
    num_critical: int,
    first_cutoff: float,
    first_stopband: float,
    last_stopband_rel: float,
    margin_size: int,
) -> list[Band]:
    """The bands of `num_layers` convolutions and of the image (arXiv:2106.12423, section 3.2 and appendix C)."""
    if not 0 <= num_critical < num_layers or not 0 < first_cutoff <= img_resolution / 2 or img_resolution < 4:
        raise ArgumentError(
            f"StyleGAN3 needs more layers than critical ones and a first cutoff up to half the resolution, not "
            f"num_layers {num_layers}, num_critical {num_critical}, first_cutoff {first_cutoff:g}, "
            f"img_resolution {img_resolution}."
        )
    last_cutoff = img_resolution / 2
    last_stopband = last_cutoff * last_stopband_rel
    bands = []
    for k in range(num_layers + 1):
        t = min(k / (num_layers - num_critical), 1.0)
        cutoff = first_cutoff * (last_cutoff / first_cutoff) ** t
        stopband = first_stopband * (last_stopband / first_stopband) ** t
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, img_resolution)))
        bands.append(
            Band(
                cutoff=cutoff,
                half_width=max(stopband, rate / 2) - cutoff,
                rate=rate,
                size=rate + 2 * margin_size if k < num_layers - 1 else img_resolution,
                channels=round(min(channel_base / 2 / cutoff, channel_max)),
                critical=k >= num_layers - num_critical,
            )
        )
    return bands


class Synthesis(nn.Module):
    """w (N, w_dim) or w+ (N, num_ws, w_dim) → texture (N, img_channels, img_resolution, img_resolution)."""

    def __init__(self, w_dim: int, img_channels: int, bands: list[Band], output_scale: float, **layer: Any):
        super().__init__()
        self.w_dim, self.output_scale = w_dim, float(output_scale)
        self.num_ws = len(bands) + 1
        self.input = Waves(w_dim, bands[0])
        self.layers = []
        for k, (before, band) in enumerate(zip(bands[:1] + bands, bands, strict=False)):
            if k == len(bands) - 1:
                module = ToImage(w_dim, before.channels, img_channels, layer["conv_clamp"])
                name = f"L{k}_{band.size}_{img_channels}"
            else:
                module = FilteredConv(w_dim, before, band, **layer)
                name = f"L{k}_{band.size}_{band.channels}"
            self.add_module(name, module)
            self.layers.append(name)

    def forward(self, w: Tensor) -> Float[Tensor, "n channels size size"]:
        first, *styles = style_per_layer(w, self.w_dim, self.num_ws)
        x = self.input(first)
        for name, style in zip(self.layers, styles, strict=True):
            x = self.get_submodule(name)(x, style)
        return x * self.output_scale


class Waves(nn.Module):
    """Plane waves, rotated and shifted by the style, mixed into channels: the image before any layer."""

    freqs: Float[Tensor, "channels 2"]
    phases: Float[Tensor, "channels"]
    transform: Float[Tensor, "3 3"]
    ticks: Float[Tensor, "size"]

    def __init__(self, w_dim: int, band: Band):
        super().__init__()
        self.rate, self.bandwidth = band.rate, band.cutoff
        directions = torch.randn(band.channels, 2)
        radii = directions.norm(dim=1, keepdim=True)
        # uniform over the disc: the square of a normal pair's length is exponential
        self.register_buffer("freqs", directions / radii * (1 - (-radii.square() / 2).exp()).sqrt() * band.cutoff)
        self.register_buffer("phases", torch.rand(band.channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))
        ticks = (torch.arange(band.size) + 0.5 - band.size / 2) / band.rate
        self.register_buffer("ticks", ticks, persistent=False)
        self.weight = nn.Parameter(torch.randn(band.channels, band.channels))
        self.affine = Linear(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias[0] = 1

    def forward(self, w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channels size size"]:
        cosine, sine, x, y = (lambda t: t / t[:, :2].norm(dim=1, keepdim=True))(self.affine(w)).unbind(1)
        rotation = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
        # a point p of the image is looked up at R (M p + m − t), the user's transform (M, m) first
        matrix = rotation @ self.transform[:2, :2]
        shift = rotation @ (self.transform[:2, 2] - torch.stack([x, y], 1))[..., None]
        phases = self.phases + (self.freqs @ shift)[..., 0]
        freqs = self.freqs @ matrix
        # frequencies that a transform moved out of the band fade until Nyquist
        fade = 1 - (freqs.norm(dim=2) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        cycles = freqs[:, :, :1, None] * self.ticks + freqs[:, :, 1:, None] * self.ticks[:, None]
        waves = torch.sin(2 * math.pi * (cycles + phases[..., None, None])) * fade.clamp(0, 1)[..., None, None]
        return torch.einsum("oc,nchw->nohw", self.weight / math.sqrt(len(self.weight)), waves)


class FilteredConv(nn.Module):
    """A styled convolution, then its activation at a higher rate, between two low-pass filters."""

    magnitude_ema: Float[Tensor, ""]
    up_filter: Tensor  # (taps,), or (taps, taps) where it is radial
    down_filter: Tensor

    # 8 parameters: NVIDIA's, handed on by `StyleGAN3`
    def __init__(
        self,
        w_dim: int,
        before: Band,
        band: Band,
        conv_kernel: int,
        filter_size: int,
        lrelu_upsampling: int,
        use_radial_filters: bool,
        conv_clamp: float | None,
    ):
        super().__init__()
        self.affine = Linear(w_dim, before.channels, bias=1.0)
        self.weight = nn.Parameter(torch.randn(band.channels, before.channels, conv_kernel, conv_kernel))
        self.bias = nn.Parameter(torch.zeros(band.channels))
        self.register_buffer("magnitude_ema", torch.ones(()))  # mean square of the input, as training saw it
        self.clamp = None if conv_clamp is None else float(conv_clamp)
        self.activation, self.gain = activation_named("lrelu")

        rate = max(before.rate, band.rate) * lrelu_upsampling
        self.up, self.down = rate // before.rate, rate // band.rate
        up_taps, down_taps = (filter_size * factor if factor > 1 else 1 for factor in (self.up, self.down))
        up = lowpass(up_taps, before.cutoff, 2 * before.half_width, rate) if self.up > 1 else torch.ones(1)
        design = radial_lowpass if use_radial_filters and not band.critical else lowpass
        down = design(down_taps, band.cutoff, 2 * band.half_width, rate) if self.down > 1 else torch.ones(1)
        self.register_buffer("up_filter", up.to(self.weight), persistent=self.up > 1)
        self.register_buffer("down_filter", down.to(self.weight), persistent=self.down > 1)

        # what the upsampled image lacks of what the filters must leave; half on each side, where pixel centres lie
        # symmetrically (appendix C.3)
        padding = (band.size - 1) * self.down + 1 - (before.size + conv_kernel - 1) * self.up + up_taps + down_taps - 2
        low = (padding + self.up) // 2
        self.padding = (low, padding - low)

    def forward(
        self, x: Float[Tensor, "n inputs h w"], w: Float[Tensor, "n w_dim"]
    ) -> Float[Tensor, "n outputs size size"]:
        style = unit_power(self.affine(w))
        power = self.weight.square().sum((2, 3))
        mean = power.mean(1, keepdim=True) / self.weight[0, 0].numel()
        scale = torch.rsqrt((style.square() @ (power / mean).T + 1e-8) * mean.T)
        x = x * (style * torch.rsqrt(self.magnitude_ema))[:, :, None, None]
        x = F.conv2d(x, self.weight, padding=self.weight.shape[-1] - 1)
        # the gain goes ahead of the activation, and of the filter, to which constants are the same
        x = torch.addcmul((self.gain * self.bias)[:, None, None], x, (self.gain * scale)[:, :, None, None])
        x = self.activation(upsample(x, self.up_filter, self.up, self.padding))
        x = x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        return downsample(x, self.down_filter, self.down)


class ToImage(nn.Module):
    """Features → colours by a matrix per sample."""

    magnitude_ema: Float[Tensor, ""]

    def __init__(self, w_dim: int, inputs: int, img_channels: int, conv_clamp: float | None):
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(img_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(img_channels))
        self.register_buffer("magnitude_ema", torch.ones(()))
        self.clamp = None if conv_clamp is None else float(conv_clamp)

    def forward(self, x: Float[Tensor, "n inputs h w"], w: Float[Tensor, "n w_dim"]) -> Float[Tensor, "n channels h w"]:
        style = self.affine(w) * torch.rsqrt(self.magnitude_ema * x.shape[1])
        weight = self.weight[None, :, :, 0, 0] * style[:, None]
        image = torch.baddbmm(self.bias[:, None], weight, x.flatten(2)).unflatten(2, x.shape[2:])
        return image if self.clamp is None else image.clamp(-self.clamp, self.clamp)


def unit_power(style: Float[Tensor, "n inputs"]) -> Float[Tensor, "n inputs"]:
    """Styles of mean square 1, which demodulation allows: a style's length does not show."""
    return style * torch.rsqrt(style.square().mean(1, keepdim=True))
