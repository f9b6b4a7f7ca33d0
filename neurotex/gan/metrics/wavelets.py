"""Oriented wavelets on periodic images, by FFT: four octaves × four orientations, and what is coarser.

The filters are those of a steerable pyramid (Simoncelli and Freeman 1995; Portilla and Simoncelli 2000), each a
function of radius times one of angle in the frequency plane. Octave j is centred on waves of 4·2ʲ pixels and reaches an
octave to either side: amplitude cos(π/2 · log₂(r / r_j)), r in cycles per pixel. Orientation l is centred on the angle
π l / 4 and reaches π/4 to either side: amplitude cos(2 Δ). The squares of neighbours sum to one. A filter lets one half
of the plane through, which makes a filtered image complex: its modulus is the local amplitude of a wave, wherever the
wave's crests are.

A filter passes little outside a square of frequencies around its centre, half an octave's grid wide. Only that square
is kept, which samples the filtered image every 2·2ʲ pixels (or more densely, for a least number of samples), and taken
as a spectrum from zero on, which leaves the modulus as it is.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor

OCTAVES = 4
ORIENTATIONS = 4
LEAST_GRID = 24  # samples a side: coarse octaves are cheap, and their amplitudes have few samples to average
Size = tuple[int, int]


def spectra(images: Float[Tensor, "n c h w"]) -> Complex[Tensor, "n c h w"]:
    """Fourier transforms of images, zero in the middle, scaled so that Σ |spectrum|² is the mean of image²."""
    return torch.fft.fftshift(torch.fft.fft2(images, norm="forward"), (2, 3))


def filtered(
    spectrum: Complex[Tensor, "n c h w"], octave: int, orientation: int
) -> Complex[Tensor, "n c rows columns"]:
    """The part of `spectra` of image ∗ ψ that is kept; Σ |filtered|² is the mean of |image ∗ ψ|² over the image."""
    size = (spectrum.shape[-2], spectrum.shape[-1])
    (rows, columns), gains = _filter(size, octave, orientation, spectrum.real.dtype, spectrum.device)
    return spectrum[:, :, rows, columns] * gains


def amplitudes(waves: Complex[Tensor, "n c rows columns"]) -> Float[Tensor, "n c rows columns"]:
    """|image ∗ ψ| on an even grid of places, from `filtered`. Kept from zero by 10⁻⁶, where it has no derivative."""
    u = torch.fft.ifft2(waves, norm="forward")
    return (u.real.square() + u.imag.square() + 1e-12).sqrt()


def modulations(
    amplitude: Float[Tensor, "n c rows columns"], size: Size, octave: int
) -> Float[Tensor, "n c coarser_octaves orientations"]:
    """Second order: mean of ||image ∗ ψ| ∗ ψ'|² for the filters ψ' of every coarser octave (Bruna and Mallat 2013).

    `amplitude` belongs to `octave` of images of `size` pixels.
    """
    spectrum = torch.fft.rfft2(amplitude, norm="forward").flatten(2)
    grid = (amplitude.shape[-2], amplitude.shape[-1])
    shares = _shares(grid, size, octave + 1, amplitude.dtype, amplitude.device)
    return ((spectrum.real.square() + spectrum.imag.square()) @ shares).unflatten(2, (-1, ORIENTATIONS))


def coarse_energy(spectrum: Complex[Tensor, "n c h w"]) -> Float[Tensor, "n c"]:
    """Mean square of what is coarser than every octave, without the mean of the image."""
    (rows, columns), share = _coarse((spectrum.shape[-2], spectrum.shape[-1]), spectrum.real.dtype, spectrum.device)
    low = spectrum[:, :, rows, columns]
    return ((low.real.square() + low.imag.square()) * share).sum((2, 3))


def _gains(y: Tensor, x: Tensor, octave: int, orientation: int) -> Tensor:
    """A filter's amplitude at frequencies in cycles per pixel."""
    off = (torch.hypot(x, y).clamp_min(1e-9).log2() + 2 + octave).clamp(-1, 1)
    turned = (torch.atan2(y, x) - math.pi * orientation / ORIENTATIONS + math.pi) % (2 * math.pi) - math.pi
    across = (ORIENTATIONS / 2 * turned).clamp(-math.pi / 2, math.pi / 2)
    return (math.pi / 2 * off).cos() * across.cos()


def _frequencies(n: int, kept: slice) -> Tensor:
    """Cycles per pixel of n samples, zero in the middle."""
    return ((torch.arange(n, dtype=torch.float64) - n // 2) / n)[kept]


@lru_cache(maxsize=256)
def _filter(
    size: Size, octave: int, orientation: int, dtype: torch.dtype, device: torch.device
) -> tuple[tuple[slice, slice], Tensor]:
    """Where the square of frequencies lies in a spectrum, and the gains there."""
    angle, radius = math.pi * orientation / ORIENTATIONS, 0.28 / 2**octave  # a little further out than 1/4: it is wider
    kept = []
    for n, centre in zip(size, (radius * math.sin(angle), radius * math.cos(angle)), strict=True):
        width = max(LEAST_GRID, round(n / 2 ** (octave + 1)))
        first = min(max(n // 2 + round(centre * n) - width // 2, 0), n - width)
        kept.append(slice(first, first + width))
    y, x = (_frequencies(n, part) for n, part in zip(size, kept, strict=True))
    return tuple(kept), _gains(y[:, None], x.expand(len(y), -1), octave, orientation).to(device, dtype)


@lru_cache(maxsize=64)
def _coarse(size: Size, dtype: torch.dtype, device: torch.device) -> tuple[tuple[slice, slice], Tensor]:
    last = OCTAVES - 1
    reach = 0.25 / 2**last
    rows, columns = (slice(n // 2 - math.ceil(n * reach), n // 2 + math.ceil(n * reach) + 1) for n in size)
    radius = torch.hypot(_frequencies(size[0], rows)[:, None], _frequencies(size[1], columns))
    off = (radius.clamp_min(1e-9).log2() + 2 + last).clamp(-1, 0)
    share = (1 - (math.pi / 2 * off).cos().square()) * (radius > 0)
    return (rows, columns), share.to(device, dtype)


@lru_cache(maxsize=64)
def _shares(grid: Size, size: Size, first: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What filters of octaves from `first` on pass of each frequency's power, for `size` pixels sampled on a `grid`."""
    y = torch.fft.fftfreq(grid[0], 1 / grid[0], dtype=torch.float64)[:, None] / size[0]
    x = torch.fft.rfftfreq(grid[1], 1 / grid[1], dtype=torch.float64).expand(grid[0], -1) / size[1]
    # the spectrum of a real image says each wave once, except those of the first column and of the last, if even
    twice = (x > 0) & (x * 2 * size[1] < grid[1])
    shares = [
        _gains(y, x, octave, orientation).square() + twice * _gains(-y, -x, octave, orientation).square()
        for octave in range(first, OCTAVES)
        for orientation in range(ORIENTATIONS)
    ]
    return torch.stack(shares).flatten(1).T.contiguous().to(device, dtype)
