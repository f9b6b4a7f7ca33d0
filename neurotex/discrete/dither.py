"""Dithering: few levels or colours, whose local averages are the texture's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ArgumentError
from ..images.colour import srgb_to_linear
from .blue_noise import bayer, blue_noise
from .diffusion import diffuse_colors, diffuse_levels
from .estimators import Estimator
from .levels import Levels
from .palette import Palette
from .step import Step

MASKS = {"bayer": bayer, "blue_noise": blue_noise}
METHODS = ("floyd_steinberg", *MASKS)


class Dither(Step):
    """Round to a few levels so that averages over some texels stay: what printers and displays of few tones do.

    `Dither(levels, method)` is an `ErrorDiffusion` for "floyd_steinberg", an `OrderedDither` for "bayer" and
    "blue_noise". The levels are those of `Levels(levels)`, even in sRGB-encoded values, or the colours of `palette`,
    (K, C) or a `Palette`, by error diffusion only.

    With `linear` averages are kept in linear light, which is what a renderer averages and an eye sees from afar; else
    those of encoded values, as most tools do, and the picture gets brighter.
    """

    dimensions = 4

    if TYPE_CHECKING:  # what either of its classes takes

        def __init__(
            self,
            levels: int = 2,
            method: str = "floyd_steinberg",
            *,
            palette: Tensor | Palette | None = None,
            linear: bool = False,
            estimator: str | Estimator = "straight_through",
        ): ...

    def __new__(cls, levels: int = 2, method: str = "floyd_steinberg", **how: Any) -> Dither:
        """The class for this method."""
        if method not in METHODS:
            raise ArgumentError(f"there is no dithering by '{method}': choose one of {', '.join(METHODS)}.")
        kind: type[Dither] = cls
        if cls is Dither:
            kind = OrderedDither if method in MASKS else ErrorDiffusion
        return object.__new__(kind)


class OrderedDither(Dither, Levels):
    """`Levels` after adding a mask, tiled from the top left: the nearest level to x + (mask − ½) steps.

    The mask has every value from 0 to 1 once, in Bayer's order (8 × 8 texels) or as blue noise (64 × 64). Each texel is
    by itself, so that all estimators take it that take `Levels`.
    """

    mask: Float[Tensor, "side side"]

    def __init__(
        self,
        levels: int = 2,
        method: str = "bayer",
        *,
        palette: Tensor | Palette | None = None,
        linear: bool = False,
        estimator: str | Estimator = "straight_through",
    ):
        if palette is not None:
            raise ArgumentError("a mask is added to even levels: dither to a palette by 'floyd_steinberg'.")
        Levels.__init__(self, levels, estimator)
        if levels > 256:
            raise ArgumentError(f"dithering is for few levels, at most 256, not {levels}.")
        self.method = method
        self.averages_light = linear
        ranks = MASKS[method]()
        self.register_buffer("mask", (ranks + 0.5) / ranks.numel(), persistent=False)

    def place(self, x: Tensor) -> Tensor:
        place = self._place_in_light(x) if self.averages_light else super().place(x)
        height, width = x.shape[-2:]
        side = len(self.mask)
        mask = self.mask.to(x.dtype).repeat(-(-height // side), -(-width // side))[:height, :width]
        return (place + (mask - 0.5)).clamp(0, self.levels - 1)

    def _place_in_light(self, x: Tensor) -> Tensor:
        """Between two levels in proportion to light, so that so many texels of the upper one average to it."""
        low = super().place(x).detach().floor().clamp_max(self.levels - 2)
        dark, bright = srgb_to_linear(self.value(low)), srgb_to_linear(self.value(low + 1))
        return low + (srgb_to_linear(x.clamp(0, 1)) - dark) / (bright - dark)

    def extra_repr(self) -> str:
        return f"{self.method!r}, {'linear, ' if self.averages_light else ''}{super().extra_repr()}"


class ErrorDiffusion(Dither):
    """Floyd and Steinberg's error diffusion, serpentine; see `diffusion`.

    A texel depends on all before it, so there is no smooth relative and no odds of each code: straight-through, clipped
    and perturbation (with a `reach` of some texels) take it. `codes` are the `Levels` or the `Palette`.
    """

    codes: Levels | Palette

    def __init__(
        self,
        levels: int = 2,
        method: str = "floyd_steinberg",
        *,
        palette: Tensor | Palette | None = None,
        linear: bool = False,
        estimator: str | Estimator = "straight_through",
    ):
        self.vectors = palette is not None  # asked for by the estimator's check
        Step.__init__(self, estimator)
        if palette is not None:
            self.codes = palette if isinstance(palette, Palette) else Palette(palette)
        else:
            self.codes = Levels(levels)
            if levels > 256:
                raise ArgumentError(f"dithering is for few levels, at most 256, not {levels}.")
        self.linear = linear

    @property
    def spacing(self) -> float:
        """From one code to the next."""
        return self.codes.spacing

    def hard(self, x: Tensor) -> Tensor:
        """Exact. The colours of a palette receive their true gradient."""
        measured = self._measured(x.detach().clamp(0, 1))
        if isinstance(self.codes, Palette):
            colors = self.codes.shown(x)
            return self.codes.paint(diffuse_colors(measured, self._measured(colors.detach())), colors)
        levels = self.codes.value(torch.arange(self.codes.levels, dtype=x.dtype, device=x.device))
        return self.codes.value(diffuse_levels(measured, self._measured(levels)).to(x.dtype))

    def calibrate(self, x: Tensor) -> None:
        """Set the colours of a learned palette to the k-means of the texels of `x`."""
        self.codes.calibrate(x)

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """A PNG file of `hard(x)`, as of its levels or palette."""
        return self.codes.encode(self.hard(x))

    def _measured(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Where errors are: in linear light, or in encoded values."""
        return srgb_to_linear(x) if self.linear else x

    def extra_repr(self) -> str:
        return f"{'linear, ' if self.linear else ''}{super().extra_repr()}"
