"""Coordinates that snap: nearest-texel lookup and whole mip levels, as steps on numbers of any shape.

With the functions of `neurotex.raster`, a texture `image` (3, 5, 7) and places `uv` (n, 2), the texels that places lie
in, with a slope to the places, which `sampling_mode="nearest"` has not:

    >>> size = torch.tensor([7.0, 5.0])  # texels along u and v
    >>> places = Nearest("straight_through")(uv * size) / size
    >>> texels = sample_texture(image, places, align_corners=False)

And of its mip levels 0, 1 and 2 the one nearest to `level` (n,), with a slope to it: from a whole level to the next.

    >>> found = torch.stack([sample_texture(mip, uv, align_corners=False) for mip in mip_levels(image)])
    >>> whole = MipLevel(2, "straight_through")(level)
    >>> low, point = whole.detach().long().clamp_max(1), torch.arange(len(uv))
    >>> blurred = torch.lerp(found[low, point], found[low + 1, point], (whole - low)[:, None])
"""

from __future__ import annotations

from torch import Tensor

from ..errors import ArgumentError
from .estimators import Estimator
from .levels import staircase
from .step import Step


class Nearest(Step):
    """Texel coordinates (centres at +0.5) to the centre of the texel that they lie in: floor(x) + ½.

    A bilinear lookup there reads that texel alone, so it is a nearest one, with a slope for the estimator to carry.
    """

    domain = None

    def hard(self, x: Tensor) -> Tensor:
        return x.floor() + 0.5

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A smooth staircase through the centres; see `staircase`. Temperature in texels."""
        return staircase(x - 0.5, temperature) + 0.5


class MipLevel(Step):
    """A level of detail, x ≥ 0, to the nearest whole one, at most `max_level`: GL_NEAREST between mip levels.

    ArgumentError for a `max_level` below 0.
    """

    domain = None

    def __init__(self, max_level: int | None = None, estimator: str | Estimator = "straight_through"):
        super().__init__(estimator)
        if max_level is not None and max_level < 0:
            raise ArgumentError(f"mip levels count from 0, so the last one is not {max_level}.")
        self.max_level = max_level

    def hard(self, x: Tensor) -> Tensor:
        return x.clamp(0, self.max_level).round()

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """A smooth staircase through the levels; see `staircase`. Temperature in levels."""
        return staircase(x.clamp(0, self.max_level), temperature)

    def extra_repr(self) -> str:
        limit = "" if self.max_level is None else f"{self.max_level}, "
        return limit + super().extra_repr()
