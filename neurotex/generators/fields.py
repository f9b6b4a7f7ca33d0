"""Random fields that turn and move with a latent: noise in bands, the same in every program, periodic.

A field's waves are normal numbers. Two fields weighed by a unit vector, the *form*, sum up to waves that are normal
again: every form has a field as good as any other, and they change smoothly as the form turns. A *place*, two angles,
moves them about the tile.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

BAND = 96  # the most cycles per tile that a field has: 2.7 texels each at 256²
FIELDS = 6  # that one form turns
WAVES = (2 * BAND + 1, BAND + 1, 2)
DIRECTIONS = 3  # waves that run along x, along y, and the others


@lru_cache(maxsize=256)
def basis(shape: tuple[int, ...], at: int, k: int) -> Tensor:
    """The normal numbers of field `at` at the form (1, 0), k = 0, or (0, 1), k = 1."""
    return _drawn(shape, at, k)


def waves() -> Float[Tensor, "2 fields ky kx 2"]:
    """Those of the FIELDS at both forms: of each wave the real and the imaginary part; ky from -BAND, kx from 0."""
    return torch.stack([torch.stack([_drawn(WAVES, at, k) for at in range(FIELDS)]) for k in (0, 1)])


def _drawn(shape: tuple[int, ...], at: int, k: int) -> Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(1_000_003 + 2 * at + k), dtype=torch.float32
    )  # the same whatever torch's default


class Fields(nn.Module):
    """`waves()`, a form (N, 2) of unit length, a place (N, 2) in radians → (N, channels, size, size), variance about 1.

    Each of the FIELDS is seen through windows: an octave around each of `cycles` (per tile), by direction or not. The
    amplitude of a wave is a normal number over its cycles k, which spreads the variance evenly over octaves.
    """

    gains: Float[Tensor, "windows ky kx"]

    def __init__(self, size: int, cycles: tuple[float, ...], directions: bool = True) -> None:
        super().__init__()
        self.size = size
        self.reach = reach = min(BAND, (size - 1) // 2)
        gains = _windows(cycles, directions)
        kept = gains[:, BAND - reach : BAND + reach + 1, : reach + 1].contiguous()
        self.register_buffer("gains", kept, persistent=False)  # (windows, ky, kx)
        self.channels = FIELDS * len(gains)

    def forward(
        self, waves: Float[Tensor, "2 fields ky kx 2"], form: Float[Tensor, "n 2"], place: Float[Tensor, "n 2"]
    ) -> Float[Tensor, "n c size size"]:
        reach, size = self.reach, self.size
        ky = torch.arange(-reach, reach + 1, device=form.device, dtype=form.dtype)[:, None]
        kx = torch.arange(reach + 1, device=form.device, dtype=form.dtype)
        turn = -(place[:, :1, None] * kx + place[:, 1:, None] * ky)  # (n, ky, kx)
        kept = waves[:, :, BAND - reach : BAND + reach + 1, : reach + 1].to(form)
        one, other = form[:, 0, None, None, None], form[:, 1, None, None, None]
        re, im = (one * kept[0, ..., part] + other * kept[1, ..., part] for part in (0, 1))
        cosine, sine = turn.cos()[:, None], turn.sin()[:, None]
        moved = torch.complex(re * cosine - im * sine, re * sine + im * cosine)  # (n, FIELDS, ky, kx)
        seen = moved[:, :, None] * self.gains.to(form)  # (n, FIELDS, windows, ky, kx)
        # rows from 0 to the last, then the negative ones
        rest = seen.new_zeros(*seen.shape[:3], size - 2 * reach - 1, reach + 1)
        spectrum = torch.cat([seen[..., reach:, :], rest, seen[..., :reach, :]], 3)
        return torch.fft.irfft2(spectrum.flatten(1, 2), s=(size, size), norm="forward")


def _windows(cycles: tuple[float, ...], directions: bool) -> Float[Tensor, "windows ky kx"]:
    """Amplitudes of all waves up to BAND. A field of a size that cannot hold them all is the weaker for it."""
    ky, kx = torch.arange(-BAND, BAND + 1.0)[:, None], torch.arange(BAND + 1.0)
    k = torch.hypot(kx, ky)
    k[BAND, 0] = math.inf
    angle = torch.atan2(ky.abs().expand_as(k), kx.expand_as(k))  # 0: waves along x; π/2: along y
    along = [(1 - ((angle - axis).abs() / 0.5).clamp(max=1) ** 2) ** 2 for axis in (0, math.pi / 2)]
    sides = (*along, (1 - along[0] - along[1]).clamp(min=0)) if directions else (torch.ones_like(k),)
    octaves = [(math.pi / 2 * (k / centre).log2().clamp(-1, 1)).cos() ** 2 / k for centre in cycles]
    gains = torch.stack([octave * side for octave in octaves for side in sides])
    # real and imaginary part, each wave and its other half, which those of column 0 are of each other
    power = (gains.square() * torch.where(kx > 0, 4.0, 2.0)).sum((1, 2), keepdim=True)
    return gains / power.clamp(min=1e-12).sqrt()
