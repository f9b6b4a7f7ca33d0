"""Fragments: what each pixel centre sees, in PyTorch3D's names and layout."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .zbuffer import edge_functions, z_buffer


@dataclass(frozen=True)
class Fragments:
    """Per pixel: the face seen (−1 for none), its depth along the view axis, and where on it (−1 where none)."""

    pix_to_face: Int[Tensor, "views height width 1"]
    zbuf: Float[Tensor, "views height width 1"]
    bary_coords: Float[Tensor, "views height width 1 3"]


def rasterize(
    screen: Float[Tensor, "views vertices 4"], faces: Int[Tensor, "faces 3"], size: tuple[int, int], near: float = 1e-4
) -> Fragments:
    """Rasterise one mesh in several views; `screen` is each view's screen space (see `zbuffer`).

    `pix_to_face` indexes `faces` in every view. Depth and barycentric coordinates carry gradients to `screen`;
    which face is seen does not.
    """
    views, (height, width) = len(screen), size
    ids = torch.stack([z_buffer(view, faces, size, near)[0] for view in screen]).long()
    view, y, x = (ids >= 0).nonzero(as_tuple=True)
    corners = screen[view[:, None], faces[ids[view, y, x]].long()]
    bary = barycentrics(corners, torch.stack([x, y], -1) + 0.5)
    at = (view, y, x)
    zbuf = screen.new_full((views, height, width), -1).index_put(at, (bary * corners[..., 2]).sum(-1))
    bary = screen.new_full((views, height, width, 3), -1).index_put(at, bary)
    return Fragments(ids[..., None], zbuf[..., None], bary[..., None, :])


def barycentrics(corners: Float[Tensor, "n 3 4"], pixel: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Perspective-correct barycentric coordinates of the points of faces that are seen at `pixel` (x, y).

    The edge functions at (x, y), divided by their sum. Corners are first moved so that the pixel is the origin:
    the cross products then have no large terms to cancel, and float32 suffices. Differentiable in both arguments.
    """
    w = corners[..., 3:]
    moved = torch.cat([corners[..., :2] - pixel[:, None].to(w) * w, corners[..., 2:]], dim=-1)
    edges = edge_functions(moved)[0][..., 2]
    return edges / edges.sum(-1, keepdim=True)
