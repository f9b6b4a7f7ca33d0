"""Rays against triangles: is anything in the way, and what is met first.

Embree does it on CPU where its wheel is installed (`pip install neurotex[rays]`), a hierarchy of our own elsewhere.
Both work in single precision, and neither lets anything through between two faces that share an edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core import checked
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import ray_kernels as kernels
from .embree import EmbreeTree, has_embree

GAP = 2.0**-15  # of the largest coordinate: how far off its face a ray starts
GRAIN, PIECES = 1024, 8


@dataclass(frozen=True)
class Hits:
    """What rays meet first: a face, −1 for none; how far away, in lengths of the direction (inf); and where on it."""

    face: Int[Tensor, "n"]
    distance: Float[Tensor, "n"]
    barycentrics: Float[Tensor, "n 3"]


class Rays:
    """Triangles, prepared for many rays.

    `vertices` (v, 3) are finite; of `faces` (f, 3) both sides are met, and those without area never. `by` is "embree"
    or "bvh"; None takes Embree where it is installed. Rays come and answers go on the device of `vertices`; the work is
    done on CPU. Nothing is differentiable: what is in the way is a discrete question.

    A ray that leaves a face is told which (`leaving`, −1 for those that begin in the open). It does not meet that face
    again: it starts 2⁻¹⁵ of the largest coordinate off it, on the side that it goes to.
    """

    def __init__(
        self,
        vertices: Float[Tensor, "v 3"],
        faces: Int[Tensor, "f 3"],
        by: str | None = None,
    ):
        if by not in (None, "embree", "bvh"):
            raise ArgumentError(f"rays are traced by 'embree' or 'bvh', not {by!r}.")
        if by == "embree" and not has_embree():
            raise ArgumentError("there is no Embree here: pip install 'neurotex[rays]', or leave the choice to Rays.")
        checked.indices("faces", faces, len(vertices), "vertex")
        self.by = by or ("embree" if has_embree() else "bvh")
        self.device = vertices.device
        place = vertices.detach().cpu().float().contiguous().numpy()
        if not np.isfinite(place).all():
            raise ArgumentError("rays meet vertices that are finite in single precision, but some are not.")
        index = faces.cpu().int().contiguous().numpy()
        corners = place[index]
        one, other = (corners[:, k].astype(np.float64) - corners[:, 0] for k in (1, 2))
        normals = np.cross(one, other)
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        self._normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0).astype(np.float32)
        self._gap = np.float32(GAP * np.abs(corners).max(initial=0.0))
        solid = np.flatnonzero(length[:, 0] > 0).astype(np.int32)
        self._tree = (EmbreeTree if self.by == "embree" else _Tree)(place, index, solid)

    @property
    def count(self) -> int:
        """The number of faces."""
        return len(self._normals)

    def occluded(
        self,
        origins: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"],
        far: Float[Tensor, "n"] | float = float("inf"),
        leaving: Int[Tensor, "n"] | None = None,
    ) -> Bool[Tensor, "n"]:
        """Whether any face lies between origin and origin + far · direction."""
        face = np.empty(len(origins), np.int32)
        self._trace(
            origins, directions, far, leaving, True, face, np.empty(0, np.float32), np.empty((0, 3), np.float32)
        )
        return torch.from_numpy(face >= 0).to(self.device)

    def closest(
        self,
        origins: Float[Tensor, "n 3"],
        directions: Float[Tensor, "n 3"],
        far: Float[Tensor, "n"] | float = float("inf"),
        leaving: Int[Tensor, "n"] | None = None,
    ) -> Hits:
        """What is met first, up to origin + far · direction. Results are float32, faces int32."""
        n = len(origins)
        found = np.empty(n, np.int32), np.empty(n, np.float32), np.empty((n, 3), np.float32)
        self._trace(origins, directions, far, leaving, False, *found)
        return Hits(*(torch.from_numpy(part).to(self.device) for part in found))

    def _trace(self, origins: Tensor, directions: Tensor, far, leaving, any_hit: bool, *out: np.ndarray) -> None:
        n = len(origins)
        if tuple(origins.shape) != (n, 3) or tuple(directions.shape) != (n, 3):
            raise ArgumentError(f"rays are (n, 3) twice, not {tuple(origins.shape)} and {tuple(directions.shape)}.")
        origin, direction = (t.detach().cpu().float().contiguous().numpy() for t in (origins, directions))
        reach = torch.as_tensor(far, dtype=torch.float32).detach().cpu().expand(n).contiguous().numpy()
        own = np.full(n, -1, np.int32)
        if leaving is not None:
            own, origin = self._off(origin, direction, leaving)
        self._tree.trace(origin, direction, reach, own, any_hit, *out)

    def _off(self, origin: np.ndarray, direction: np.ndarray, leaving: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The face that each ray leaves, and where it starts."""
        checked.indices("leaving", leaving, self.count, "face", least=-1)
        own = leaving.cpu().int().expand(len(origin)).contiguous().numpy()
        moved = np.empty_like(origin)
        args = (origin, direction, own, self._normals, self._gap, moved)
        parallel_for(kernels.leave, len(origin), *args, grain=1 << 14)
        return own, moved

    def started(
        self, origins: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], leaving: Int[Tensor, "n"]
    ) -> Float[Tensor, "n 3"]:
        """Where rays that leave faces start: off these."""
        origin, direction = (t.detach().cpu().float().contiguous().numpy() for t in (origins, directions))
        return torch.from_numpy(self._off(origin, direction, leaving)[1]).to(self.device)


class _Tree:
    """The hierarchy of our own."""

    def __init__(self, place: np.ndarray, index: np.ndarray, solid: np.ndarray):
        corners = place[index[solid]]
        low, high = corners.min(1), corners.max(1)
        order = np.arange(len(solid))
        nodes = max(len(solid), 1)
        bounds, children = np.empty((nodes, 12), np.float32), np.empty((nodes, 2), np.int32)
        used = kernels.build(low, high, order, bounds, children)
        # in leaves of their own copies: a walk reads memory in order
        self._arrays = (bounds[:used], children[:used], corners.reshape(-1, 9)[order], solid[order])

    def trace(self, origin, direction, far, own, any_hit: bool, *out: np.ndarray) -> None:
        args = (self._arrays, origin, direction, far, own, any_hit, *out)
        parallel_for(kernels.trace, len(origin), *args, grain=GRAIN, pieces=PIECES)


def closest_reference(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
) -> Hits:
    """`Rays.closest` in plain tensor language, every ray against every face.

    Möller and Trumbore, "Fast, minimum storage ray/triangle intersection", 1997.
    """
    a, b, c = vertices[faces.long()].unbind(1)
    ab, ac = b - a, c - a
    p = torch.linalg.cross(directions[:, None], ac[None])
    det = (ab * p).sum(-1)
    offset = origins[:, None] - a
    u = (offset * p).sum(-1) / det
    q = torch.linalg.cross(offset, ab[None].expand_as(offset))
    v, t = (directions[:, None] * q).sum(-1) / det, (ac * q).sum(-1) / det
    hit = (det != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0)
    distance, face = torch.where(hit, t, torch.inf).min(1)
    some = distance.isfinite()
    u, v = (x.gather(1, face[:, None])[:, 0].where(some, 0) for x in (u, v))
    barycentrics = torch.stack([(1 - u - v).where(some, 0), u, v], 1)
    return Hits(face.where(some, -1).int(), distance.float(), barycentrics.float())
