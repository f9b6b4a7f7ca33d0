"""Scenes far from the origin, whose coordinates single precision would round away.

Survey coordinates are millions of metres, and the next float32 is half a metre off. So what files say in double
precision is stored relative to an `origin` near it, which root nodes and cameras carry along: a scene moves all of its
own to one, where differences of origins are taken in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

Origin = tuple[float, float, float]
NOWHERE: Origin = (0.0, 0.0, 0.0)
FAR = 1000.0  # radii away: float32 then errs by 1/16000 of the radius at most


def origin_near(points: np.ndarray) -> Origin:
    """Where coordinates of points (n, 3) float64 should be counted from: (0, 0, 0), unless they are far from it."""
    if len(points) == 0:
        return NOWHERE
    low, high = points.min(0), points.max(0)
    with np.errstate(over="ignore", invalid="ignore"):
        center, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2 or 1.0
        if not np.isfinite(center).all() or not radius < math.inf or np.abs(center).max() <= FAR * radius:
            return NOWHERE
    step = 2.0 ** math.ceil(math.log2(radius))  # so that it reads well
    return tuple((np.round(center / step) * step).tolist())


class Placed(nn.Module):
    """What has a `transform` (4, 4) and may know where in the world that is told from.

    `origin` is a point in double precision, and what `transform` leads to is relative to it. None, as for all that is
    made by hand: relative to whatever the scene's other nodes are.
    """

    transform: Tensor
    origin: Origin | None = None

    def move_origin(self, origin: Origin) -> None:
        """Tell the same place relative to another point, in place; nothing for what has no origin."""
        if self.origin is not None and self.origin != origin:
            shift = [old - new for old, new in zip(self.origin, origin, strict=True)]
            with torch.no_grad():
                place = self.transform[:3, 3]
                place.copy_(place.double() + torch.tensor(shift, dtype=torch.float64, device=place.device))
            self.origin = origin


def common_origin(members: Iterable[Placed]) -> Origin | None:
    """The first origin far from (0, 0, 0); else that, if any member has one; else None."""
    known = [member.origin for member in members if member.origin is not None]
    return next((origin for origin in known if origin != NOWHERE), NOWHERE if known else None)
