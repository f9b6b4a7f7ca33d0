"""Surfaces have two sides: the shading normal is turned to the one that is seen.

It, not the face's, decides which side that is (as Mitsuba's `twosided` does), else samples near a silhouette, whose
normal already looks away, would be black.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..geometry import dot, unit
from .lights import scaled, towards


def facing(
    normal: Float[Tensor, "n 3"], position: Float[Tensor, "n 3"], eye: Float[Tensor, "4"]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Unit directions towards the eye, and unit normals turned to it; (0, 0, 0) stays, with the gradient 0."""
    view = towards_eye(position, eye)
    return view, turned(unit(normal), view)


def towards_eye(position: Float[Tensor, "n 3"], eye: Float[Tensor, "4"]) -> Float[Tensor, "n 3"]:
    """Unit directions from places to a homogeneous eye."""
    return unit(towards(scaled(eye), position))


def turned(normal: Float[Tensor, "n 3"], view: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Normals on the side that is seen along `view`, of any length, from the surface to the eye."""
    return torch.where(dot(normal, view)[:, None] < 0, -normal, normal)
