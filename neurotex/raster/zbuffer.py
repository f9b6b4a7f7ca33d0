"""Which face is seen at each pixel centre, and how far away it is.

Input is in *screen space*: homogeneous pixel coordinates with depth, `(x·w, y·w, depth, w)` per vertex, what a
camera's matrix gives (`Camera.screen_matrix`). Edge functions are taken from these without dividing by w (Olano and
Greer, "Triangle scan conversion using 2D homogeneous coordinates", 1997), so a triangle that passes behind the camera
needs no clipping, and the normalised edge functions *are* the perspective-correct barycentric coordinates.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import zbuffer_kernels as kernels

CANDIDATES = 1 << 22  # face-pixel pairs the reference expands at a time: bounds its memory at about 0.5 GB


@checked.door(mixed=["beyond"])
def z_buffer(
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
    near: float = 1e-4,
    *,
    top: int = 0,
    beyond: Float[Tensor, "height width"] | None = None,
) -> tuple[Int[Tensor, "height width"], Float[Tensor, "height width"]]:
    """Nearest face (int32, −1 where there is none) and its float32 depth (inf there) at each pixel centre.

    `size` is (height, width) in pixels, the first row being number `top` of the image. With `beyond`, the depths of an
    earlier call, the next layer behind them is found: depth peeling (Everitt, "Interactive order-independent
    transparency", 2001). Samples closer than `near` (scene units, > 0) are cut. Both windings are seen. An exact tie of
    depths goes to the lower face index. Degenerate faces and faces with NaN or infinite corners cover nothing. No
    gradient: visibility is a discrete step. Runs on any device; on CPU a compiled kernel does the work. ArgumentError
    for `near` of 0 or less, and for `beyond` of another size.
    """
    height, width = checked.image_size("an image", size)
    if not checked.number("near", near) > 0:
        raise ArgumentError(f"near is {near}, but must be a distance above 0.")
    top = checked.whole("top", top, -checked.BITS31)
    if beyond is not None and tuple(beyond.shape) != (height, width):
        raise ArgumentError(f"beyond has {tuple(beyond.shape)} depths, but the image {(height, width)} pixels.")
    checked.indices("faces", faces, len(screen), "vertex")
    return z_buffer_unchecked(screen, faces, (height, width), near, top=top, beyond=beyond)


def z_buffer_unchecked(
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
    near: float = 1e-4,
    *,
    top: int = 0,
    beyond: Float[Tensor, "height width"] | None = None,
) -> tuple[Int[Tensor, "height width"], Float[Tensor, "height width"]]:
    """`z_buffer` of faces whose vertices exist."""
    if beyond is None:
        beyond = screen.new_empty((0, 0), dtype=torch.float32)
    ids, depth = _z_buffer(screen.detach(), faces, *size, float(near), top, beyond.float())
    return ids, depth


def edge_functions(corners: Float[Tensor, "*faces 3 4"]) -> tuple[Float[Tensor, "*faces 3 3"], Float[Tensor, "*faces"]]:
    """Coefficients (a, b, c) of the three edge functions a·x + b·y + c of each face, and its signed determinant.

    Row i is the cross product of the other two corners' (x·w, y·w, w): zero along the edge opposite to corner i.
    """
    p = torch.cat([corners[..., :2], corners[..., 3:]], -1)
    q, r = p.roll(-1, -2), p.roll(-2, -2)
    # written out, every product is rounded by itself, as in the kernel: torch.linalg.cross may fuse
    edges = q.roll(-1, -1) * r.roll(-2, -1) - q.roll(-2, -1) * r.roll(-1, -1)
    x, y, w = (p[..., 0, :] * edges[..., 0, :]).unbind(-1)
    return edges, x + y + w


def z_buffer_reference(
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    size: tuple[int, int],
    near: float = 1e-4,
    top: int = 0,
    beyond: Float[Tensor, "_ _"] | None = None,
) -> tuple[Int[Tensor, "height width"], Float[Tensor, "height width"]]:
    """`z_buffer` in plain tensor language, for any device: expand boxes, test edges, keep the least depth per pixel."""
    height, width = size
    corners = screen.double()[faces.long()]
    edges, det = edge_functions(corners)
    edges = edges * det.sign()[:, None, None]
    w = corners[..., 3]

    # pixel boxes, [x0, x1) × [y0, y1); the whole image where a corner lies behind the camera
    xy = corners[..., :2] / torch.where(w > 0, w, torch.ones_like(w))[..., None]
    limit, start = corners.new_tensor([width, height]), corners.new_tensor([0, top])
    low = torch.minimum(((xy.amin(1) - 0.5).ceil() - start).clamp_min(0), limit)
    high = torch.minimum(((xy.amax(1) - 0.5).floor() + 1 - start).clamp_min(0), limit)
    behind = (w <= 0).any(1)[:, None]
    low, high = torch.where(behind, torch.zeros_like(low), low), torch.where(behind, limit, high)
    seen = (det != 0) & det.isfinite() & (w > 0).any(1)
    low, high = low.nan_to_num(0).long(), high.nan_to_num(0).long()
    extent = torch.where(seen[:, None], (high - low).clamp_min(0), torch.zeros_like(low))
    counts = extent[:, 0] * extent[:, 1]

    empty = torch.iinfo(torch.int64).max
    key = torch.full((height * width,), empty, dtype=torch.int64, device=screen.device)
    total = counts.cumsum(0)
    first = 0
    while first < len(faces):  # runs of faces whose boxes hold about CANDIDATES pixels
        done = int(total[first - 1]) if first else 0
        last = max(int(torch.searchsorted(total, done + CANDIDATES, right=True)), first + 1)
        n = counts[first:last]
        face = torch.repeat_interleave(torch.arange(first, last, device=n.device), n)
        place = torch.arange(len(face), device=n.device) - torch.repeat_interleave(n.cumsum(0) - n, n)
        x = low[face, 0] + place % extent[face, 0]
        y = low[face, 1] + place // extent[face, 0]
        px, py = (x + 0.5).double()[:, None], (y + top + 0.5).double()[:, None]
        a, b, c = edges[face].unbind(-1)
        e = a * px + (b * py + c)
        norm = e[:, 0] + e[:, 1] + e[:, 2]
        d = corners[face, :, 2]
        depth = ((e[:, 0] * d[:, 0] + e[:, 1] * d[:, 1] + e[:, 2] * d[:, 2]) / norm).float()
        hit = (e >= 0).all(1) & (norm > 0) & (depth >= near) & depth.isfinite()
        if beyond is not None and len(beyond):
            hit &= depth > beyond[y, x]
        # positive floats sort like their bits: one 64-bit minimum settles depth first, then the face's index
        bits = depth[hit].view(torch.int32).long() << 32 | face[hit]
        key.scatter_reduce_(0, (y * width + x)[hit], bits, "amin")
        first = last

    covered = key != empty
    ids = torch.where(covered, key & 0xFFFFFFFF, -1).int()
    depth = (key >> 32).int().view(torch.float32)
    return ids.view(height, width), torch.where(covered, depth, torch.inf).view(height, width)


def _z_buffer_cpu(
    screen: Tensor, faces: Tensor, height: int, width: int, near: float, top: int, beyond: Tensor
) -> tuple[Tensor, Tensor]:
    corners, index = screen.contiguous().numpy(), faces.int().contiguous().numpy()
    ids = torch.empty((height, width), dtype=torch.int32)
    depth = torch.empty((height, width), dtype=torch.float32)
    boxes = np.empty((len(index), 4), np.int32)
    parallel_for(kernels.find_boxes, len(index), corners, index, top, height, width, boxes, grain=4096)
    bands = -(-height // kernels.BAND)
    first = np.zeros(bands + 1, np.int64)
    kernels.bin_faces(boxes, first, np.empty(0, np.int32))
    members = np.empty(first[-1], np.int32)
    if len(members):
        kernels.bin_faces(boxes, first, members)
    limits = (top, np.float32(near), beyond.contiguous().numpy())
    arrays = (corners, index, boxes, first, members, *limits, ids.numpy(), depth.numpy())
    parallel_for(kernels.z_buffer, bands, *arrays, pieces=4)
    return ids, depth


def _z_buffer_fake(screen: Tensor, faces: Tensor, height: int, width: int, *rest: object) -> tuple[Tensor, Tensor]:
    shape = (height, width)
    return screen.new_empty(shape, dtype=torch.int32), screen.new_empty(shape, dtype=torch.float32)


_z_buffer = Op(
    "z_buffer(Tensor screen, Tensor faces, int height, int width, float near, int top, Tensor beyond)"
    " -> (Tensor, Tensor)",
    reference=lambda screen, faces, height, width, *rest: z_buffer_reference(screen, faces, (height, width), *rest),
    cpu=_z_buffer_cpu,
    cuda=f"{__name__}_warp.nearest",
    fake=_z_buffer_fake,
)
