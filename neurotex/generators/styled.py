"""Layers of generators whose textures wrap around: modulated convolutions, waves, and what a fit may draw by hand.

Modulation acts on activations, never on per-sample weights, which keeps networks plain under `vmap` and `grad`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..core.precision import widened
from .filters import wrap
from .style_network import Linear

GAIN = math.sqrt(2)  # undoes what a leaky ReLU takes from the standard deviation of a normal input
DETAIL_GAIN = 8  # a fit's one learning rate must move single places faster than weights that act everywhere


class StyledConv(nn.Module):
    """A wrapping convolution whose input channels a style scales (modulation), and its output back (demodulation).

    Karras et al. 2020 (arXiv:1912.04958). For inputs of unit variance the output's standard deviation is √Σ(w·s)², a
    product of two small matrices, so the weights themselves are shared by the batch. `plain` leaves the leaky ReLU out.
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
        y = F.conv2d(wrap(x, 1) if weight.shape[-1] == 3 else x, weight)
        if self.demodulate:
            norm = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + 1e-8)
            y = y * (norm if self.plain else GAIN * norm)[:, :, None, None]
        y = y + self.bias[:, None, None]
        return y if self.plain else F.leaky_relu(y, 0.2)


class Waves(nn.Module):
    """Plane waves (N, channels, size, size) of a style's choice: how strong each is, and where they lie.

    Fourier features that a style moves, as StyleGAN3's input layer does (Karras et al. 2021, arXiv:2106.12423), but
    with whole numbers of cycles, so that they wrap around. Waves are moved in `groups`: those of one keep their places
    to each other, as a lattice's must, and groups cross as the style likes. Without this, whatever is drawn would be
    drawn at the same places of every texture.
    """

    cycles: Float[Tensor, "2 channels"]
    group: Int[Tensor, "channels"]

    def __init__(self, channels: int, size: int, style_dim: int, groups: int = 8) -> None:
        super().__init__()
        self.size = size
        # low ones more often; from a group's waves of few cycles along one axis come lattices
        cycles = (torch.randn(2, channels) * size / 6).round().clamp(-size // 2 + 1, size // 2 - 1)
        self.register_buffer("cycles", cycles)
        self.phases = nn.Parameter(torch.rand(channels))
        self.register_buffer("group", torch.arange(channels) % groups, persistent=False)
        self.strength = Linear(style_dim, channels)
        self.place = Linear(style_dim, 4 * groups)

    def forward(self, w: Float[Tensor, "n style"]) -> Float[Tensor, "n channels size size"]:
        # of a phase of many turns half precision would leave no digit
        place, cycles, phases = (widened(x) for x in (self.place(w), self.cycles, self.phases))
        phase = (cycles * angles(place)[:, :, self.group]).sum(1) + 2 * math.pi * phases
        ticks = torch.arange(self.size, dtype=phase.dtype, device=phase.device) * (2 * math.pi / self.size)
        across = cycles[0, :, None] * ticks + phase[:, :, None]
        down = cycles[1, :, None] * ticks
        strength = self.strength(w)
        sine, cosine = ((GAIN * strength[:, :, None] * part).to(strength) for part in (across.sin(), across.cos()))
        # cos(a + b), of which a varies along a row and b along a column: an outer product, twice
        return down.cos().to(strength)[..., None] * cosine[:, :, None, :] - (
            down.sin().to(strength)[..., None] * sine[:, :, None, :]
        )


def angles(places: Float[Tensor, "n four_groups"]) -> Float[Tensor, "n 2 groups"]:
    """Where things lie along each axis, an angle: of a direction in the plane, so that it has no end either."""
    y, x = places.unflatten(1, (2, 2, -1)).unbind(1)
    return torch.atan2(y, x + 1e-6 * (x == 0).to(x))


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Bilinear, twice the size, wrapping around: each new pixel lies a quarter of the way between two old ones."""
    return F.interpolate(wrap(x, 1), scale_factor=2, mode="bilinear")[..., 2:-2, 2:-2]


def free_detail(channels: int, size: int) -> nn.Parameter:
    """What one place has that the others have not: zero, and frozen in training, which would put it in every texture.

    StyleGAN2's noise inputs, meant for the same use as in its projector: a fit to one object unfreezes it
    (`requires_grad_(True)`) and draws there what weights that act on every place alike cannot.
    """
    return nn.Parameter(torch.zeros(1, channels, size, size), requires_grad=False)
