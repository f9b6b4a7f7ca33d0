"""Colours that materials have, in OKLCH: OKLab in polar coordinates, lightness, chroma and a hue in degrees."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..images.oklab import oklab_to_srgb
from .dice import Dice

# lightness from, to; chroma from, to; hue from, to
Pigment = tuple[float, float, float, float, float, float]

BRICK_RED: Pigment = (0.40, 0.54, 0.07, 0.115, 28, 42)
BRICK_BROWN: Pigment = (0.34, 0.50, 0.03, 0.06, 35, 60)
BRICK_SAND: Pigment = (0.64, 0.76, 0.04, 0.07, 65, 85)
GREY: Pigment = (0.38, 0.72, 0.0, 0.014, 0, 360)
MORTAR: Pigment = (0.62, 0.80, 0.005, 0.02, 60, 100)
DARK_MORTAR: Pigment = (0.32, 0.45, 0.0, 0.015, 40, 100)
LIGHT_WOOD: Pigment = (0.62, 0.78, 0.055, 0.09, 62, 80)
WOOD: Pigment = (0.42, 0.60, 0.06, 0.095, 48, 68)
DARK_WOOD: Pigment = (0.28, 0.40, 0.035, 0.06, 40, 60)
OLD_WOOD: Pigment = (0.45, 0.65, 0.008, 0.025, 60, 90)
STONE: Pigment = (0.45, 0.70, 0.01, 0.035, 60, 95)
SLATE: Pigment = (0.32, 0.52, 0.01, 0.03, 220, 280)
CREAM: Pigment = (0.80, 0.92, 0.015, 0.05, 70, 95)
WHITE: Pigment = (0.86, 0.95, 0.0, 0.012, 0, 360)
BLACK: Pigment = (0.20, 0.29, 0.0, 0.015, 0, 360)
TERRACOTTA: Pigment = (0.50, 0.62, 0.085, 0.12, 38, 52)
PASTEL: Pigment = (0.68, 0.85, 0.03, 0.075, 0, 360)
DEEP: Pigment = (0.30, 0.50, 0.05, 0.11, 0, 360)
CLOTH: Pigment = (0.32, 0.78, 0.03, 0.12, 0, 360)
PAINT: Pigment = (0.45, 0.75, 0.06, 0.13, 0, 360)
STEEL: Pigment = (0.50, 0.68, 0.0, 0.014, 220, 280)
BRASS: Pigment = (0.62, 0.74, 0.06, 0.09, 75, 95)
COPPER: Pigment = (0.55, 0.66, 0.07, 0.10, 42, 58)
RUST: Pigment = (0.38, 0.50, 0.08, 0.115, 42, 58)
TAN: Pigment = (0.42, 0.58, 0.06, 0.09, 50, 68)
GOLD: Pigment = (0.74, 0.84, 0.09, 0.125, 80, 92)
CHROME: Pigment = (0.72, 0.86, 0.0, 0.01, 220, 280)
SOLDER: Pigment = (0.26, 0.44, 0.04, 0.09, 140, 165)
SOLDER_BLUE: Pigment = (0.28, 0.42, 0.06, 0.10, 245, 268)
SAND: Pigment = (0.66, 0.80, 0.04, 0.08, 70, 88)
JADE: Pigment = (0.35, 0.50, 0.03, 0.06, 150, 175)
ROSE: Pigment = (0.65, 0.78, 0.025, 0.05, 20, 45)


def draw(dice: Dice, *pigments: Pigment) -> Float[Tensor, "n 3"]:
    """A colour of one of the pigments for each tile, in OKLCH: lightness, chroma, hue in degrees."""
    chosen = torch.tensor(pigments, dtype=torch.float32)[dice.index(len(pigments))]
    low, high = chosen[:, 0::2], chosen[:, 1::2]
    return low + (high - low) * torch.stack([dice.throw() for _ in range(3)], 1)


def vary(
    lch: Float[Tensor, "n 3"],
    lightness: Tensor | float = 0.0,
    chroma: Tensor | float = 1.0,
    hue: Tensor | float = 0.0,
) -> Float[Tensor, "n 3"]:
    """The same colours lighter by `lightness`, with `chroma` times theirs, turned by `hue` degrees: n numbers each."""
    lightness, chroma, hue = (x.flatten() if isinstance(x, Tensor) else x for x in (lightness, chroma, hue))
    return torch.stack([(lch[:, 0] + lightness).clamp(0.14, 0.97), lch[:, 1] * chroma, lch[:, 2] + hue], 1)


def companion(dice: Dice, lch: Float[Tensor, "n 3"], least: float, most: float) -> Float[Tensor, "n 3"]:
    """A colour to go with each: lightness `least` to `most` away, hue the same, near, or opposite."""
    away = dice.uniform(least, most).flatten()
    up = dice.throw() < (0.95 - lch[:, 0]) / 0.75  # dark colours mostly get light ones
    up = (up & (lch[:, 0] + away < 0.95)) | (lch[:, 0] - away < 0.2)
    hues = dice.pick((0.0, 0.0, 30.0, -30.0, 60.0, 180.0))
    return vary(lch, torch.where(up, away, -away), dice.uniform(0.3, 1.2), hues)


def either(choice: Tensor, one: Float[Tensor, "n 3"], other: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """`one` where `choice` (n numbers) is above zero, else `other`."""
    return torch.where(choice.reshape(-1, 1) > 0, one, other)


def srgb(lch: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """OKLCH → sRGB-encoded in [0, 1], clipped to what sRGB holds."""
    lightness, chroma, hue = lch[:, 0], lch[:, 1], lch[:, 2] * (math.pi / 180)
    lab = torch.stack([lightness, chroma * hue.cos(), chroma * hue.sin()], 1)
    return oklab_to_srgb(lab)


def even(lch: Float[Tensor, "n 3"], like: Float[Tensor, "n h w"]) -> Float[Tensor, "n 3 h w"]:
    """One colour all over, sRGB-encoded."""
    return srgb(lch)[:, :, None, None].expand(-1, -1, *like.shape[1:])


def over(
    below: Float[Tensor, "n 3 h w"], lch: Float[Tensor, "n 3"], mask: Float[Tensor, "n h w"]
) -> Float[Tensor, "n 3 h w"]:
    """Colours laid over others, as opaque as `mask` says."""
    return torch.lerp(below, srgb(lch)[:, :, None, None], mask[:, None])


def shaded(colour: Float[Tensor, "n 3 h w"], by: Float[Tensor, "n h w"]) -> Float[Tensor, "n 3 h w"]:
    """Colours `by` lighter (0.1: a tenth) or darker, in encoded values."""
    return colour * (1 + by[:, None])
