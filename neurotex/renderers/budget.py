"""How much memory a render may take: a few rows of the image at a time, and what is kept of them for gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..core.op import transformed
from .gbuffer import View

BUDGET = 1 << 30  # bytes
SAMPLE_BYTES = 256  # what a sample needs while it is worked on, roughly: attributes, taps, values, light, colour


class Strip(NamedTuple):
    """Rows [top, top + rows) of a view's image."""

    view: View
    top: int
    rows: int

    @property
    def samples(self) -> int:
        """How many samples they have, covered or not."""
        return self.rows * self.view.size[1] * self.view.grid**2


class Kept(NamedTuple):
    """A part of an image, and how many bytes stay for its gradient, if there will be one."""

    image: Tensor
    bytes: int


def strips(view: View, budget: int) -> list[Strip]:
    """A view's image in strips of as many rows as fit into `budget` bytes, should all of their samples be covered."""
    whole = Strip(view, 0, view.size[0])
    rows = max(1, min(whole.rows, budget * whole.rows // (whole.samples * SAMPLE_BYTES)))
    return [Strip(view, top, min(rows, whole.rows - top)) for top in range(0, whole.rows, rows)]


def in_turn(draw: Callable[[Strip], Kept], parts: Iterable[Strip], budget: int) -> list[Tensor]:
    """Strips drawn one after the other, of all views together keeping about `budget` bytes for their gradients.

    Those that no longer fit are drawn a second time when their gradients are asked for. How much a strip will keep is
    told by the most that any before it kept for each of its samples. Under transforms of `torch.func` nothing can be
    drawn twice, and all is kept.
    """
    frugal = torch.is_grad_enabled() and not transformed()
    images, left, most = [], budget, 0.0
    for strip in parts:
        if frugal and most * strip.samples > left:
            images.append(checkpoint(lambda strip=strip: draw(strip).image, use_reentrant=False))
            continue
        image, kept = draw(strip)
        left, most = left - kept, max(most, kept / strip.samples)
        images.append(image)
    return images
