"""A small style-based generator of tileable materials, for machines without a GPU.

The skeleton is StyleGAN2's (Karras et al. 2020): a mapping, convolutions whose input channels are scaled by a style and
whose output is demodulated, an image summed up over resolutions, noise. Five things differ.

- Every convolution and every upsampling wraps around: the result tiles without a seam whatever the weights are.
- In place of the constant there are periodic waves, and more of them join in at every resolution. A style says how
  strong they are and where they lie: stripes, lattices and blobs of them, at another place in every texture.
- What is summed up says how strongly each of a few substances claims each pixel, and a softmax shares the pixel out. A
  substance has a colour, a roughness, a height and a grain. Regions come out clean, and their maps belong together.
- Normals are the slopes of the heights, not a picture of their own.
- Modulation acts on activations, never on per-sample weights, which keeps the network plain under `vmap` and `grad`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .filters import slopes
from .protocol import normal
from .style_network import Linear, Mapping, style_per_layer
from .styled import DETAIL_GAIN, StyledConv, Waves, free_detail, upsample

OCTAVES = 3  # of grain: noise of one, two and four pixels
HEIGHT_GAIN = 4.0  # heights are in 1/128 of the width: a bump of about its own breadth in pixels


class MaterialGenerator(nn.Module):
    """z (N, latent_dim), standard normal → textures (N, out_channels, size, size) that wrap around in both directions.

    Three channels are a base colour; six are a material: base colour, x and y of normals, roughness; a seventh says how
    metallic it is (see `gan.materials`). All are about in [-1, 1]. `mapping` turns z into the style w (N, style_dim);
    `synthesis` turns w, or w+ (N, num_ws, style_dim), into the texture. In eval mode the same latent always gives the
    same texture; in training, grain is drawn anew each time.

    `widths` are the channels per resolution, from coarse to half the size; the last doubling enlarges the claims of
    `substances` alone. The mapping has `num_layers`. `config` holds the arguments, enough to rebuild the module.
    ArgumentError for sizes that do not fit one another.
    """

    def __init__(
        self,
        size: int = 128,
        out_channels: int = 3,
        latent_dim: int = 64,
        style_dim: int = 128,
        widths: Sequence[int] = (96, 96, 64, 32),
        substances: int = 8,
        num_layers: int = 3,
    ) -> None:
        super().__init__()
        base = size >> len(widths)
        if not widths or base < 2 or base << len(widths) != size:
            raise ArgumentError(f"a texture of {size} pixels cannot be halved {len(widths)} times down to 2 or more.")
        if out_channels not in (3, 6, 7):
            raise ArgumentError(f"textures have 3 channels, or 6 or 7 as materials, not {out_channels}.")
        self.out_channels = out_channels
        self.config = {
            "size": size,
            "out_channels": out_channels,
            "latent_dim": latent_dim,
            "style_dim": style_dim,
            "widths": list(widths),
            "substances": substances,
            "num_layers": num_layers,
        }
        self.mapping = Mapping(latent_dim, 0, style_dim, num_layers, lr_multiplier=0.3)
        self.synthesis = Synthesis(base, style_dim, widths, substances, out_channels)

    @property
    def latent_shape(self) -> tuple[int]:
        """(latent_dim,)."""
        return (self.config["latent_dim"],)

    def forward(self, z: Float[Tensor, "n latent"]) -> Float[Tensor, "n channels size size"]:
        return self.synthesis(self.mapping(z))

    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Float[Tensor, "n latent"]:
        """`n` latents from the prior N(0, I), on the weights' device; a CPU generator gives the same on all."""
        return normal(n, self.latent_shape, rng, self.synthesis.detail)


class Synthesis(nn.Module):
    """w (N, style_dim) or w+ (N, num_ws, style_dim) → textures (N, out_channels, size, size)."""

    def __init__(self, base: int, style_dim: int, widths: Sequence[int], substances: int, out_channels: int) -> None:
        super().__init__()
        self.style_dim = style_dim
        self.levels = nn.ModuleList(
            Level(before, width, style_dim, substances, base << k)
            for k, (before, width) in enumerate(zip([0, *widths], widths, strict=False))
        )
        self.detail = free_detail(substances, base << len(widths))
        self.maps = Maps(base << len(widths), style_dim, substances, out_channels)

    @property
    def num_ws(self) -> int:
        """How many layers have a style of their own."""
        return 4 * len(self.levels)  # the first level has one less, and the maps have one

    def forward(self, w: Tensor) -> Float[Tensor, "n channels size size"]:
        styles = iter(style_per_layer(w, self.style_dim, self.num_ws))
        first, *others = self.levels
        x, claims = first(None, None, styles)  # features, and how strongly each substance claims each pixel
        for level in others:
            x, claims = level(x, claims, styles)
        return self.maps((upsample(claims) + DETAIL_GAIN * self.detail).softmax(1), next(styles))


class Level(nn.Module):
    """One resolution: features of half of it are narrowed and enlarged, meet the waves, and are convolved."""

    def __init__(self, before: int, width: int, style_dim: int, substances: int, size: int) -> None:
        super().__init__()
        # A 1×1 convolution ahead of the upsampling costs a quarter, and lets the 3×3 run at the narrow width.
        self.narrow = StyledConv(before, width, style_dim, kernel=1, plain=True) if before else None
        self.waves = Waves(width, size, style_dim)
        self.conv = StyledConv(width, width, style_dim)
        self.detail = free_detail(width, size)
        self.claim = StyledConv(width, substances, style_dim, kernel=1, plain=True, demodulate=False)

    def forward(self, x: Tensor | None, claims: Tensor | None, styles: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        below = None if self.narrow is None else upsample(self.narrow(x, next(styles)))
        waves = self.waves(next(styles))
        own = self.conv(waves if below is None else below + waves, next(styles)) + DETAIL_GAIN * self.detail
        claim = self.claim(own, next(styles))
        return own, claim if claims is None else upsample(claims) + claim


class Maps(nn.Module):
    """Shares of substances (N, substances, size, size), which sum to 1, and a style → the maps of a texture.

    A style gives each substance its values; a pixel's are their mean by its shares. Grain is noise in a few octaves, of
    which each substance has its own amounts.
    """

    noise: Float[Tensor, "1 octaves size size"]

    def __init__(self, size: int, style_dim: int, substances: int, out_channels: int) -> None:
        super().__init__()
        self.size, self.substances = size, substances
        material, metal = [1, 1, OCTAVES], [1]
        self.parts = [3, OCTAVES] + material * (out_channels > 3) + metal * (out_channels > 6)
        self.values = Linear(style_dim, substances * sum(self.parts))
        self.register_buffer("noise", _grain(torch.randn(1, OCTAVES, size, size)))

    def forward(self, shares: Float[Tensor, "n k h w"], w: Float[Tensor, "n style"]) -> Float[Tensor, "n channels h w"]:
        values = self.values(w).unflatten(1, (-1, self.substances))
        noise = _grain(torch.randn_like(self.noise.expand(len(w), -1, -1, -1))) if self.training else self.noise
        flat = shares.flatten(2)
        mixed = [(part @ flat).unflatten(2, shares.shape[2:]) for part in self._bounded(values)]
        colour = mixed[0] + (mixed[1] * noise).sum(1, keepdim=True)
        if len(mixed) == 2:
            return colour
        height = mixed[3] + (mixed[4] * noise).sum(1, keepdim=True)
        return torch.cat([colour, slopes(height), mixed[2], *mixed[5:]], 1)

    def _bounded(self, values: Float[Tensor, "n v k"]) -> list[Tensor]:
        """Colour, its grain; of materials roughness, height, its grain, metallic; each (N, values, substances)."""
        colour, grain, *others = values.split(self.parts, 1)
        bounded = [colour.tanh(), 0.1 * grain]
        if others:
            roughness, height, bumps, *metallic = others
            bounded += [roughness.tanh(), HEIGHT_GAIN * height, 0.3 * bumps, *(part.tanh() for part in metallic)]
        return bounded


def _grain(white: Float[Tensor, "n octaves size size"]) -> Float[Tensor, "n octaves size size"]:
    """White noise → noise of unit variance whose k-th channel has features of 2ᵏ pixels, and no mean."""
    layers = []
    for octave in range(white.shape[1]):
        layer = white[:, octave : octave + 1]
        for _ in range(octave):
            layer = layer[..., : layer.shape[-2] // 2, : layer.shape[-1] // 2]
        for _ in range(octave):
            layer = upsample(layer)
        layers.append(layer)
    grain = torch.cat(layers, 1)
    spread, mean = torch.var_mean(grain, (2, 3), keepdim=True)
    return (grain - mean) * torch.rsqrt(spread + 1e-8)
