"""What a family draws."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Layout(NamedTuple):
    """One batch of a family. Heights are in 1/128 of the tile's edge, outwards."""

    colour: Float[Tensor, "n 3 h w"]  # sRGB-encoded, about [0, 1]; of metal, what it reflects
    height: Float[Tensor, "n h w"]
    roughness: Float[Tensor, "n h w"]  # about [0, 1]
    metallic: Float[Tensor, "n h w"] | None = None  # about [0, 1]; without it, nothing is metal


def mix(below: Tensor | float, above: Tensor | float, mask: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """`above` where `mask` is 1, `below` where it is 0."""
    return torch.lerp(torch.as_tensor(below, dtype=mask.dtype), torch.as_tensor(above, dtype=mask.dtype), mask)
