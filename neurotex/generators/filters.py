"""Finite impulse response filters on textures, and their design: how the StyleGAN family changes resolution.

Convolutions and matrix products only: they run on any device, and under `grad`, `vmap` and double backward.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

STRIP = 256  # outputs that one product makes; larger outputs are made strip by strip, so that cost stays linear


def wrap(x: Float[Tensor, "n c h w"], width: int) -> Float[Tensor, "n c h2 w2"]:
    """Circular padding by `width` on all four sides. Written with `cat`, which every transform of torch knows."""
    x = torch.cat([x[..., -width:], x, x[..., :width]], -1)
    return torch.cat([x[..., -width:, :], x, x[..., :width, :]], -2)


def slopes(height: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 2 h w"]:
    """x and y of the normals of a periodic height field in 1/128 of its width: (−∂h/∂u, −∂h/∂v, 1), normalised.

    Central differences; u runs right, v up, against the rows.
    """
    steps = height.shape[2] / 256
    right = (height.roll(-1, 3) - height.roll(1, 3)) * steps
    up = (height.roll(1, 2) - height.roll(-1, 2)) * steps
    return -torch.cat([right, up], 1) * torch.rsqrt(1 + right.square() + up.square())


def smooth(x: Float[Tensor, "n c h w"], taps: Float[Tensor, "taps"], padding: int) -> Float[Tensor, "n c h2 w2"]:
    """A separable symmetric filter after zero padding; h2 = h + 2 · padding − taps + 1."""
    channels = x.shape[1]
    x = F.conv2d(x, taps.expand(channels, 1, 1, -1), padding=(0, padding), groups=channels)
    return F.conv2d(x, taps[:, None].expand(channels, 1, -1, 1), padding=(padding, 0), groups=channels)


def downsample(
    x: Float[Tensor, "n c h w"], kernel: Float[Tensor, "taps"] | Float[Tensor, "taps taps"], factor: int
) -> Float[Tensor, "n c h2 w2"]:
    """Every `factor`-th pixel of what a symmetric filter, separable (1D) or not (2D), leaves where it fits entirely."""
    channels = x.shape[1]
    if kernel.ndim == 2:
        return F.conv2d(x, kernel.expand(channels, 1, -1, -1), stride=factor, groups=channels)
    x = F.conv2d(x, kernel.expand(channels, 1, 1, -1), stride=(1, factor), groups=channels)
    return F.conv2d(x, kernel[:, None].expand(channels, 1, -1, 1), stride=(factor, 1), groups=channels)


def upsample(
    x: Float[Tensor, "n c h w"], taps: Float[Tensor, "taps"], factor: int, padding: tuple[int, int]
) -> Float[Tensor, "n c h2 w2"]:
    """Insert `factor` − 1 zeros after each pixel, pad or (below zero) crop before and after, filter separably.

    The filter is scaled by `factor` per axis, which keeps a constant constant; h2 = factor · h + padding − taps + 1.
    Along an axis this is a product with a banded matrix. On a CPU a dense product with a strip of that matrix beats
    a convolution over an image of mostly zeros.
    """
    x = _upsample_rows(x.mT, taps, factor, padding).mT
    return _upsample_rows(x, taps, factor, padding)


def _upsample_rows(x: Tensor, taps: Tensor, factor: int, padding: tuple[int, int]) -> Tensor:
    """(…, h, w) → (…, h2, w): out[i] = factor · Σ_j taps[i + shift − factor · j] x[j]."""
    inputs, shift = x.shape[-2], len(taps) - 1 - padding[0]
    outputs = factor * inputs + sum(padding) - len(taps) + 1
    strips = []
    for start in range(0, outputs, STRIP):
        stop = min(start + STRIP, outputs)
        # the inputs that any output of the strip reads; at least one, where all of them fall into the padding
        first = min(max(-((len(taps) - 1 - start - shift) // factor), 0), inputs - 1)
        last = min(max((stop - 1 + shift) // factor, first), inputs - 1)
        i = torch.arange(start, stop, device=x.device)[:, None]
        j = torch.arange(first, last + 1, device=x.device)
        tap = i + shift - factor * j
        inside = (tap >= 0) & (tap < len(taps))
        matrix = torch.where(inside, factor * taps[tap.clamp(0, len(taps) - 1)], taps.new_zeros(()))
        strips.append(matrix @ x[..., first : last + 1, :])
    return strips[0] if len(strips) == 1 else torch.cat(strips, -2)


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[Tensor, "taps"]:
    """Kaiser-windowed sinc (J. F. Kaiser 1974): cutoff and width of the transition band in the units of `rate`.

    float64, with sum 1. `width` is both sides of the transition together; the cutoff lies in its middle.
    """
    t = _ticks(taps)
    return _normalised(torch.special.sinc(2 * cutoff / rate * t) * _kaiser(taps, width, rate))


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[Tensor, "taps taps"]:
    """The disc's counterpart of `lowpass`, jinc(r) = J₁(2π · cutoff · r) / πr: equal in all directions.

    Karras et al. 2021 (arXiv:2106.12423), appendix C.1. `taps` is even: no tap lies on r = 0.
    """
    t = _ticks(taps) / rate
    r = math.pi * torch.hypot(t[:, None], t)
    window = _kaiser(taps, width, rate)
    return _normalised(torch.special.bessel_j1(2 * cutoff * r) / r * torch.outer(window, window))


def _ticks(taps: int) -> Tensor:
    return torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2


def _normalised(kernel: Tensor) -> Tensor:
    return kernel / kernel.sum()


def _kaiser(taps: int, width: float, rate: float) -> Tensor:
    """The window whose length and transition band leave the most attenuation, by Kaiser's empirical formulas."""
    attenuation = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95  # dB
    beta = 0.0
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)
