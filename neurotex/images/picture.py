"""A picture as its file has it, and what can be made of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..errors import ArgumentError
from .colour import srgb_to_linear

LUMA = (19595, 38470, 7471)  # of red, green and blue in grey, in 1 / 65536 (ITU-R BT.601, as Pillow has it)


@dataclass(frozen=True)
class Picture:
    """Pixels in the numbers of their file, row 0 at the top: grey, grey and alpha, RGB or RGBA, by their channels.

    Whole numbers are sRGB-encoded colours and straight alpha, 0 to the type's maximum; floats are linear light, of any
    height.
    """

    values: np.ndarray
    """(height, width, channels) of uint8, uint16 or float32."""
    format: str = ""
    """PNG, JPEG, …; DDS/BC1 and so on for blocks."""
    orientation: int = 1
    """EXIF's, 1 to 8; `read` says whether it is applied."""
    profile: str | None = None
    """The name of the file's colour profile; None: it has none. `read` says whether it is applied."""
    remarks: tuple[str, ...] = ()
    """What the file says that is not heeded, each as what follows its name in a sentence."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), pixels."""
        return self.values.shape[:2]

    @property
    def channels(self) -> int:
        """1: grey, 2: with alpha, 3: RGB, 4: with alpha."""
        return self.values.shape[2]

    @property
    def bits(self) -> int:
        """Of each number: 8, 16, or 32 for floats."""
        return 8 * self.values.itemsize

    @property
    def linear(self) -> bool:
        """Whether the numbers are light, not sRGB-encoded."""
        return self.values.dtype == np.float32

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)

    def to(self, channels: int) -> Picture:
        """The same in 1 to 4 channels: colours become grey, grey is repeated; alpha is 1 if new, and may be dropped.

        ArgumentError for another number of channels.
        """
        if not 1 <= channels <= 4:
            raise ArgumentError(f"a picture has 1 to 4 channels, not {channels}.")
        if channels == self.channels:
            return self
        colour = self.values[..., : self.channels - self.has_alpha]
        if channels > 2 and colour.shape[2] == 1:
            colour = colour.repeat(3, 2)
        elif channels < 3 and colour.shape[2] == 3:
            colour = _grey(colour)
        if channels in (2, 4):
            alpha = self.values[..., -1:] if self.has_alpha else np.full_like(colour[..., :1], self._white)
            colour = np.concatenate([colour, alpha], 2)
        return replace(self, values=colour)

    def over_black(self) -> Picture:
        """Without alpha: numbers times alpha, as image programs lay pictures over one another."""
        if not self.has_alpha:
            return self
        colour, alpha = self.values[..., :-1], self.values[..., -1:]
        if self.linear:
            return replace(self, values=colour * alpha)
        white = np.uint32(self._white)
        return replace(self, values=((colour * alpha.astype(np.uint32) + white // 2) // white).astype(colour.dtype))

    def floats(self) -> Float[Tensor, "c h w"]:
        """The numbers, whole ones scaled to [0, 1]."""
        values = torch.from_numpy(np.ascontiguousarray(self.values.transpose(2, 0, 1), np.float32))
        return values if self.linear else values / float(self._white)

    def light(self) -> Float[Tensor, "c h w"]:
        """Linear light; alpha, straight, as it is."""
        if self.linear:
            return self.floats()
        colours = self.channels - self.has_alpha
        out = np.empty((self.channels, *self.size), np.float32)
        for k in range(colours):  # one by one: numpy makes eight bytes of each index
            np.take(_decoded(self.values.dtype), self.values[..., k], out=out[k], mode="clip")
        out[colours:] = self.values[..., colours:].transpose(2, 0, 1)
        out[colours:] /= np.float32(self._white)
        return torch.from_numpy(out)

    def eight_bits(self) -> UInt8[np.ndarray, "h w c"]:
        """The numbers rounded to 8 bits; floats are cut off outside [0, 1]."""
        if self.bits == 8:
            return self.values
        scaled = self.values.clip(0, 1) * 255 if self.linear else self.values / np.float32(257)
        return scaled.round().astype(np.uint8)

    @property
    def _white(self) -> int:
        return 1 if self.linear else np.iinfo(self.values.dtype).max


def _grey(colour: np.ndarray) -> np.ndarray:
    """(h, w, 1) of (h, w, 3)."""
    if colour.dtype == np.float32:
        return colour @ (np.array(LUMA, np.float32) / 65536)[:, None]
    red, green, blue = (colour[..., k].astype(np.uint32) * weight for k, weight in enumerate(LUMA))
    return ((red + green + blue + 0x8000) >> 16).astype(colour.dtype)[..., None]


@lru_cache(maxsize=2)
def _decoded(dtype: np.dtype) -> np.ndarray:
    """The light of every whole number of 8 or 16 bits."""
    white = np.iinfo(dtype).max
    return srgb_to_linear(torch.arange(white + 1, dtype=torch.float32, device="cpu") / white).numpy()
