"""One bit: below or not."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor

from ..errors import ArgumentError
from ..images.png import one_picture, png, save
from .estimators import Estimator
from .step import Categorical


class Threshold(Categorical):
    """1 where x ≥ `value`, else 0: alpha cut-outs, two-tone prints. Of all channels, or only of number `channel`.

    ArgumentError for a value that is not finite, and for a channel below 0 or above 3.
    """

    spacing = 1.0

    def __init__(
        self, value: float = 0.5, estimator: str | Estimator = "straight_through", *, channel: int | None = None
    ):
        super().__init__(estimator)
        if not math.isfinite(value):
            raise ArgumentError(f"a threshold of {value} divides nothing: give a number, as in threshold:0.5.")
        if channel is not None and channel < 0:
            raise ArgumentError(f"channels count from 0, and alpha of RGBA is number 3, so there is none of {channel}.")
        self.value = value
        self.channel = channel

    def hard(self, x: Tensor) -> Tensor:
        return self._put(x, (self._take(x) >= self.value).to(x.dtype))

    def options(self, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """1 and 0, scored by ± (x − value) / 2, so that the mean at a temperature is the logistic curve of `soft`."""
        half = (self._take(x) - self.value) / 2
        return torch.stack([half, -half], 1), lambda weights: self._put(x, weights[:, 0])

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A logistic curve around the threshold. Temperature in units of x."""
        return self._put(x, ((self._take(x) - self.value) / temperature).sigmoid())

    def encode(self, x: Tensor) -> tuple[bytes, str]:
        """A PNG file of `hard(x)`: of 1 bit for one channel. Channels that pass are rounded to 8 bits."""
        picture = self.hard(x)
        if x.shape[1] > 1:
            return png(picture.clamp(0, 1)), ".png"
        one_picture(picture)
        bits = Image.fromarray(picture[0, 0].detach().cpu().numpy() > 0.5)
        return save(bits), ".png"

    def _take(self, x: Tensor) -> Tensor:
        """The channels that are thresholded."""
        if self.channel is None:
            return x
        if self.channel >= x.shape[1]:
            raise ArgumentError(f"there is no channel {self.channel} in a texture of {x.shape[1]} channels.")
        return x[:, self.channel : self.channel + 1]

    def _put(self, x: Tensor, bits: Tensor) -> Tensor:
        """The thresholded channels among those that pass."""
        if self.channel is None:
            return bits
        return torch.cat([x[:, : self.channel], bits, x[:, self.channel + 1 :]], 1)

    def extra_repr(self) -> str:
        channel = "" if self.channel is None else f"channel={self.channel}, "
        return f"{self.value:g}, {channel}{super().extra_repr()}"
