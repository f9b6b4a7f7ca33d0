"""Directions that stand for an environment's image, more of them where it is bright."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..core import checked

FLOOR = 0.05  # share of directions that go anywhere: what is dark is not forgotten


@checked.door()
def environment_samples(
    image: Float[Tensor, "3 h w"], where: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Unit directions, and the irradiance that comes along each on a plane across it, for `where` in the unit square.

    Directions are drawn by luminance and solid angle, rows by the first coordinate, then columns by the second, so that
    what is spread evenly in the square stays so; inside a pixel they are spread evenly, too. Each stands for the
    radiance of its pixel. Differentiable in `image` (3, H, W), but for where directions go. Pharr, Jakob, Humphreys,
    Physically Based Rendering, 14.2.4.
    """
    _, height, width = image.shape
    bright = image.detach().double().mean(0)
    edges = torch.linspace(0, math.pi, height + 1, dtype=torch.float64, device=image.device).cos()
    solid = (-edges.diff() * (2 * math.pi / width))[:, None]
    share = (bright + FLOOR * (bright * solid).sum() / (4 * math.pi)) * solid
    share = share if bool(share.sum() > 0) else solid.expand(height, width)
    share = share / share.sum()
    row, down = _drawn(share.sum(1)[None].expand(len(where), height), where[:, 0].double())
    column, along = _drawn(share[row], where[:, 1].double())
    y = torch.lerp(edges[row], edges[row + 1], down)
    turn = ((column + along) / width - 0.5) * (2 * math.pi)
    weight = (solid[row, 0] / share[row, column] / len(where)).to(image)
    return _around(y, turn).to(image), image[:, row, column].T * weight[:, None]


def on_sphere(where: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Unit vectors, evenly over the sphere as `where` (n, 2) is over the unit square (Archimedes)."""
    y, turn = 1 - 2 * where[:, 0], (where[:, 1] - 0.5) * (2 * math.pi)
    return _around(y, turn)


def _around(y: Float[Tensor, "n"], turn: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Unit vectors at a height, turned from −Z towards +X."""
    ring = (1 - y * y).clamp_min(0).sqrt()
    return torch.stack([ring * turn.sin(), y, -ring * turn.cos()], 1)


def _drawn(shares: Float[Tensor, "n m"], at: Float[Tensor, "n"]) -> tuple[Tensor, Float[Tensor, "n"]]:
    """Which of some shares lies at a place in [0, 1) of their sum, and how far into it."""
    ends = shares.cumsum(1)
    place = at[:, None] * ends[:, -1:]
    number = torch.searchsorted(ends.contiguous(), place, right=True).clamp_max(shares.shape[1] - 1)
    before = (ends - shares).gather(1, number)
    inside = ((place - before) / shares.gather(1, number).clamp_min(1e-300)).clamp(0, 1)
    return number[:, 0], inside[:, 0]
