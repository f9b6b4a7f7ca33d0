"""What one face is at one point of the image: coordinates on it, depth, distance to its edges; as PyTorch3D has it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .fragment_kernels import EPSILON

SMALL = 1e-5  # PyTorch3D's least sum of clipped barycentric coordinates


def pixel_centres(size: tuple[int, int], like: Tensor) -> tuple[Float[Tensor, "width"], Float[Tensor, "height"]]:
    """NDC x of the columns and y of the rows of an image: `PixToNonSquareNdc`, mirrored since its x points left."""

    def one(count: int, other: int) -> Tensor:
        span = 2.0 * max(1.0, count / other)  # a double: used below, it is rounded to the type at hand
        descending = torch.arange(count - 1, -1, -1, dtype=like.dtype, device=like.device)
        return (span * descending + span / 2) / count - span / 2

    height, width = size
    return -one(width, height), one(height, width)


class Seen(NamedTuple):
    """One face at one pixel: coordinates on it, its depth there, the squared distance to its edges, whether inside."""

    bary: Float[Tensor, "n 3"]
    depth: Float[Tensor, "n"]
    distance: Float[Tensor, "n"]
    inside: Bool[Tensor, "n"]


def look(
    corners: Float[Tensor, "n 3 3"],
    x: Float[Tensor, "n"],
    y: Float[Tensor, "n"],
    perspective: bool,
    clip: bool,
) -> Seen:
    """Faces, given by their NDC corners, at one point (x, y) each. Differentiable; areas must not vanish.

    Linear coordinates b are edge functions over (area + ε). In perspective, b_i over depth z_i and normalised:
    b_0 z_1 z_2 and so on, over their sum. Clipped, negative ones become 0 and the rest is normalised again.
    """
    bary, depth, inside = coordinates(corners, x, y, perspective, clip)
    return Seen(torch.stack(bary, -1), depth, edge_distance(corners, x, y), inside)


def coordinates(
    corners: Tensor, x: Tensor, y: Tensor, perspective: bool, clip: bool
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """Barycentric coordinates, depth and whether inside, of `look`."""
    (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = (corner.unbind(-1) for corner in corners.unbind(-2))
    area = _plus_epsilon((y2 - y0) * (x1 - x0) - (x2 - x0) * (y1 - y0))
    b0 = ((y - y1) * (x2 - x1) - (x - x1) * (y2 - y1)) / area
    b1 = ((y - y2) * (x0 - x2) - (x - x2) * (y0 - y2)) / area
    b2 = ((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / area
    if perspective:
        b0, b1, b2 = b0 * z1 * z2, b1 * z0 * z2, b2 * z0 * z1
        total = (b0 + b1 + b2).clamp_min(EPSILON)
        b0, b1, b2 = b0 / total, b1 / total, b2 / total
    inside = (b0 > 0) & (b1 > 0) & (b2 > 0)
    if clip:
        b0, b1, b2 = b0.clamp_min(0), b1.clamp_min(0), b2.clamp_min(0)
        total = (b0 + b1 + b2).clamp_min(SMALL)
        b0, b1, b2 = b0 / total, b1 / total, b2 / total
    return (b0, b1, b2), b0 * z0 + b1 * z1 + b2 * z2, inside


def edge_distance(corners: Float[Tensor, "n 3 3"], x: Float[Tensor, "n"], y: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """Squared distance in NDC from a point to the nearest edge of a face; to its end, of an edge shorter than √ε."""
    (x0, y0, _), (x1, y1, _), (x2, y2, _) = (corner.unbind(-1) for corner in corners.unbind(-2))

    def to_edge(ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
        dx, dy = bx - ax, by - ay
        length = dx * dx + dy * dy
        short = length <= EPSILON
        t = ((dx * (x - ax) + dy * (y - ay)) / torch.where(short, 1, length)).clamp(0, 1)
        foot_x, foot_y = torch.where(short, bx, ax + t * dx), torch.where(short, by, ay + t * dy)
        return (x - foot_x) * (x - foot_x) + (y - foot_y) * (y - foot_y)

    d01, d02, d12 = to_edge(x0, y0, x1, y1), to_edge(x0, y0, x2, y2), to_edge(x1, y1, x2, y2)
    d01 = torch.where(d02 < d01, d02, d01)  # of equally near edges the first has the gradient
    return torch.where(d12 < d01, d12, d01)


def _plus_epsilon(area: Tensor) -> Tensor:
    """Added in double, as C++ does with its double constant, then rounded."""
    return (area.double() + EPSILON).to(area.dtype)
