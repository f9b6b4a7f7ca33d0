"""Faces cut at a near plane, and fragments of the pieces told in terms of the faces that they were cut from.

A face with one corner before the plane leaves a triangle, with two a quadrilateral that is cut into two triangles. The
same pieces, corners in the same order, as in PyTorch3D's `renderer/mesh/clip.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Pieces:
    """What is left of faces before a near plane, in the order of the faces.

    `face` is the face that a piece belongs to, `neighbour` the other half of a face cut in two (−1 for none).
    `place` is the row of `weights` of a piece that is not a whole face (−1 for those): row j, column i is how much of
    the face's corner j there is in the piece's corner i, so that weights @ (coordinates on the piece) are those on the
    face. `first` is where each image's pieces begin.
    """

    corners: Float[Tensor, "pieces 3 3"]
    first: list[int]
    face: Int[Tensor, "pieces"]
    neighbour: Int[Tensor, "pieces"]
    place: Int[Tensor, "pieces"]
    weights: Float[Tensor, "cut 3 3"]

    def on_faces(
        self, pix_to_piece: Int[Tensor, "*pixels"], bary: Float[Tensor, "*pixels 3"]
    ) -> tuple[Int[Tensor, "*pixels"], Float[Tensor, "*pixels 3"]]:
        """Indices of pieces (−1 for none) and coordinates on them, as indices of faces and coordinates on those."""
        covered = pix_to_piece >= 0
        pieces = pix_to_piece[covered]
        pix_to_face = pix_to_piece.clone()
        pix_to_face[covered] = self.face[pieces]
        cut = covered.clone()
        cut[covered] = self.place[pieces] >= 0
        at = cut.nonzero(as_tuple=True)
        on_face = self.weights[self.place[pix_to_piece[at]]] @ bary[at][..., None]
        return pix_to_face, bary.index_put(at, on_face[..., 0])


def clip_faces(
    corners: Float[Tensor, "faces 3 3"], first: Sequence[int], near: float, perspective: bool = True
) -> Pieces | None:
    """Cut faces at depth `near`; None if all lie beyond it.

    Corners are NDC x, y and depth (scene units); with `perspective`, x and y have been divided by depth. `first` is the
    first face of each image. Faces with a coordinate that is not finite are left out. Differentiable in `corners`.
    (PyTorch3D holds the place of the second crossing constant, so its gradient is not that of its image there.)
    """
    depth = corners.detach()[..., 2]
    if bool((depth >= near).all()):  # a depth that is not a number is not beyond
        return None
    before = ~(depth >= near)
    lost = before.all(1) | (before.any(1) & ~corners.detach().isfinite().all(2).all(1))
    count = torch.where(lost, 0, torch.where(before.sum(1) == 1, 2, 1))
    ends = count.cumsum(0)
    face = torch.repeat_interleave(torch.arange(len(corners), device=corners.device), count)
    start = torch.cat([ends.new_zeros(1), ends])

    whole = ~before.any(1) & ~lost
    out = corners.new_zeros((len(face), 3, 3)).index_put((start[:-1][whole],), corners[whole])
    place, neighbour = torch.full_like(face, -1), torch.full_like(face, -1)
    weights = []
    for corners_lost, shapes in ((2, _TIP), (1, _HALVES)):
        cut = ((before.sum(1) == corners_lost) & ~lost).nonzero()[:, 0]
        # the corner that is alone on its side of the plane comes first
        alone = (before[cut] if corners_lost == 1 else ~before[cut]).int().argmax(1)
        points, mixed = _cross(corners[cut], alone, near, perspective)
        for half, shape in enumerate(shapes):
            at = start[cut] + half
            place[at] = torch.arange(len(cut), device=at.device) + sum(len(w) for w in weights)
            if len(shapes) == 2:
                neighbour[at] = at + 1 - 2 * half
            out = out.index_put((at,), points[:, shape])
            weights.append(mixed[:, shape].mT)
    return Pieces(out, start[list(first)].tolist(), face, neighbour, place, torch.cat(weights))


# corners of the pieces: 0 is the face's corner alone on its side, 1 and 2 the others in turn, 3 and 4 lie on the plane
_TIP = ([3, 4, 0],)
_HALVES = ([3, 1, 4], [4, 1, 2])


def _cross(
    corners: Float[Tensor, "cut 3 3"], alone: Int[Tensor, "cut"], near: float, perspective: bool
) -> tuple[Float[Tensor, "cut 5 3"], Float[Tensor, "cut 5 3"]]:
    """The corners, `alone` first, and the points where the edges 0–1 and 0–2 meet the plane; and all five as weights.

    An edge's points are (1 − t) a + t b in space, t = (a_z − near) / (a_z − b_z). Weights are in the face's own order.
    """
    turn = (alone[:, None] + torch.arange(3, device=alone.device)) % 3
    points = corners.gather(1, turn[..., None].expand(-1, -1, 3))
    unit = torch.eye(3, dtype=corners.dtype, device=corners.device)[turn]
    a = points[:, 0]
    ends, mixes = [], []
    for k in (1, 2):
        b = points[:, k]
        t = ((a[:, 2] - near) / (a[:, 2] - b[:, 2]))[:, None]
        xy = a[:, :2] * (1 - t) + b[:, :2] * t
        if perspective:
            xy = (a[:, :2] * a[:, 2:] * (1 - t) + b[:, :2] * b[:, 2:] * t) / near
        ends.append(torch.cat([xy, a[:, 2:] * (1 - t) + b[:, 2:] * t], 1))
        mixes.append(unit[:, 0] * (1 - t) + unit[:, k] * t)
    return torch.cat([points, torch.stack(ends, 1)], 1), torch.cat([unit, torch.stack(mixes, 1)], 1)
