"""How different two pictures look, place by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError


@runtime_checkable
class Mapped(Protocol):
    """A feature network that gives its maps (n, k, rows, columns), from fine to coarse."""

    def maps(self, images: Float[Tensor, "n channels h w"]) -> Sequence[Tensor]: ...


def perceptual_distance(
    a: Float[Tensor, "n channels h w"], b: Float[Tensor, "n channels h w"], features: nn.Module
) -> Float[Tensor, "n"]:
    """Distance of each a[i] from b[i], images in [0, 1], by a feature network that has `maps`; differentiable.

    As LPIPS (Zhang et al. 2018, arXiv:1801.03924) without its learned weights: every map is divided by its norm over
    channels at each place; squared differences are added up over channels and averaged over places, then over maps. It
    is 0 for equal images and at most 4, and its unit is that of the network alone.
    """
    if not isinstance(features, Mapped):
        raise ArgumentError(f"{type(features).__name__} has no maps(images) to compare images by: use TextureFeatures.")
    pairs = zip(features.maps(a), features.maps(b), strict=True)
    return torch.stack([(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in pairs]).mean(0)


def _unit(x: Float[Tensor, "n k rows columns"]) -> Float[Tensor, "n k rows columns"]:
    return x * (x.square().sum(1, keepdim=True) + 1e-10).rsqrt()
