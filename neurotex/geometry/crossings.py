"""Rays against triangles as ops: under transforms of `torch.func`, on any device, and held to plain tensor language.

What prepares triangles for rays (`Rays`) is kept for those that came last: a render asks strip by strip and light by
light, a fit step by step.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.op import ON_CPU, Op
from .rays import Hits, Rays, closest_reference

KEPT = 2  # solid faces, and those that may be cut out
PAIRS = 1 << 22  # rays times faces at a time, in plain tensor language

_lock = threading.Lock()
_prepared: list[tuple[np.ndarray, np.ndarray, Rays]] = []


def blocked(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    far: Float[Tensor, "n"],
    leaving: Int[Tensor, "n"],
) -> Bool[Tensor, "n"]:
    """Whether a face lies between origin and origin + `far` · direction. `leaving` is the face that each ray leaves.

    See `Rays`, whose words these are: `vertices` (v, 3), `faces` (f, 3), `origins` and `directions` (n, 3), `far` (n,).
    """
    return _blocked(vertices.detach(), faces, origins.detach(), directions.detach(), leaving, far.detach())


def met(
    vertices: Float[Tensor, "v 3"],
    faces: Int[Tensor, "f 3"],
    origins: Float[Tensor, "n 3"],
    directions: Float[Tensor, "n 3"],
    far: Float[Tensor, "n"],
    leaving: Int[Tensor, "n"],
) -> Hits:
    """What rays meet first, up to origin + `far` · direction, `far` (n,); see `blocked`."""
    return Hits(*_met(vertices.detach(), faces, origins.detach(), directions.detach(), leaving, far.detach()))


def forget() -> None:
    """Let go of what was prepared: a scene of a million faces keeps 150 MB."""
    with _lock:
        _prepared.clear()


def _rays(vertices: Tensor, faces: Tensor) -> Rays:
    place, index = vertices.float().numpy(), faces.int().numpy()
    with _lock:
        for k, (known, corners, rays) in enumerate(_prepared):
            if np.array_equal(known, place) and np.array_equal(corners, index):
                _prepared.append(_prepared.pop(k))
                return rays
    rays = Rays(vertices, faces)
    with _lock:
        _prepared.append((place.copy(), index.copy(), rays))
        del _prepared[:-KEPT]
    return rays


def _leaving(vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, leaving: Tensor) -> list[Tensor]:
    """In plain tensor language a ray does not know its face: it starts far enough off it."""
    rays = Rays(vertices.cpu(), faces.cpu(), "bvh")
    return [rays.started(origins.cpu(), directions.cpu(), leaving.cpu()).to(origins), directions]


def _met_reference(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, leaving: Tensor, far: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if len(faces) == 0:
        n = len(origins)
        none = torch.full((n,), -1, dtype=torch.int32, device=origins.device)
        return none, torch.full_like(far, torch.inf, dtype=torch.float32), origins.new_zeros((n, 3)).float()
    started, directions = _leaving(vertices, faces, origins, directions, leaving)
    rows = max(1, PAIRS // len(faces))
    parts = [
        closest_reference(vertices, faces, some, ways)
        for some, ways in zip(started.split(rows), directions.split(rows), strict=True)
    ]
    face, distance, place = (torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0]))
    near = distance <= far
    return face.where(near, -1), distance.where(near, torch.inf), place.where(near[:, None], 0)


def _blocked_reference(*rays: Tensor) -> Tensor:
    return _met_reference(*rays)[0] >= 0


def _blocked_cpu(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, leaving: Tensor, far: Tensor
) -> Tensor:
    return _rays(vertices, faces).occluded(origins, directions, far, leaving)


def _met_cpu(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, leaving: Tensor, far: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    hits = _rays(vertices, faces).closest(origins, directions, far, leaving)
    return hits.face, hits.distance, hits.barycentrics


_RAYS = "Tensor vertices, Tensor faces, Tensor origins, Tensor directions, Tensor leaving, Tensor far"
_blocked = Op(
    f"blocked({_RAYS}) -> Tensor",
    reference=_blocked_reference,
    cpu=_blocked_cpu,
    cuda=ON_CPU,
    fake=lambda vertices, faces, origins, *rest: origins.new_empty((origins.shape[0],), dtype=torch.bool),
)
_met = Op(f"met({_RAYS}) -> (Tensor, Tensor, Tensor)", reference=_met_reference, cpu=_met_cpu, cuda=ON_CPU)
