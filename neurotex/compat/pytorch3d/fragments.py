"""Fragments: which faces each pixel centre sees, in PyTorch3D's names, layout and arithmetic.

A face's corners come in *NDC*: x to the right and y up, the image's shorter side spanning [−1, 1] and its centre at 0,
and third the depth along the view axis in scene units. (PyTorch3D's x points left; `conventions` converts.)
Results agree with PyTorch3D 0.7.9's CPU rasteriser to the rounding of float32: formulas, the order of operations and
the ε of 1e-8 that it adds to areas are its own (`rasterize_meshes_cpu.cpp`, `geometry_utils.h`).
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ...core import checked
from ...core.memory import memory_for
from ...core.op import Backward, Op
from ...core.threads import parallel_for
from ...core.typed import added
from ...errors import ArgumentError
from . import fragment_kernels as kernels
from .clipping import clip_faces

EPSILON = kernels.EPSILON
SMALL = 1e-5  # PyTorch3D's least sum of clipped barycentric coordinates
CANDIDATES = 1 << 20  # face-pixel pairs the reference works on at a time: bounds its temporaries at about 0.2 GB
PAGE, MADV_HUGEPAGE = 1 << 21, 14  # a large page of Linux, and its advice to use them
RUNS = 4  # of bands per thread: a thread that is held up leaves more of them to the others
BAND_BYTES = 1 << 18  # outputs of a band of rows that a kernel fills at a time: they stay in the L2 cache


@dataclass(frozen=True)
class Fragments:
    """Per pixel the K nearest faces by depth, −1 where there are fewer.

    `pix_to_face` indexes the packed faces; `zbuf` is depth along the view axis and `bary_coords` the place on the face;
    `dists` is the squared distance in NDC from the pixel's centre to the nearest edge, negative inside the face.
    """

    pix_to_face: Int[Tensor, "images height width layers"]
    zbuf: Float[Tensor, "images height width layers"]
    bary_coords: Float[Tensor, "images height width layers 3"]
    dists: Float[Tensor, "images height width layers"]


@checked.door()
def rasterize(
    corners: Float[Tensor, "faces 3 3"],
    size: tuple[int, int],
    *,
    first: Sequence[int] = (0,),
    faces_per_pixel: int = 1,
    blur_radius: float = 0.0,
    perspective_correct: bool = True,
    clip_barycentric_coords: bool | None = None,
    cull_backfaces: bool = False,
    near: float | None = None,
) -> Fragments:
    """Rasterise faces, each given by its `corners` in NDC (see above), in images of `size` (height, width) pixels.

    Faces are packed: image i sees faces first[i] up to first[i + 1], the last image all that remain, and `pix_to_face`
    indexes the packed list. Meshes that differ and several views of one mesh are both that. A face covers a pixel
    whose centre lies strictly inside it, or nearer to it than the root of `blur_radius` (a squared distance in NDC).
    Of several, the `faces_per_pixel` nearest by depth are kept, the lower index first where depths are equal.

    `perspective_correct` is for x and y that were divided by depth. `clip_barycentric_coords` moves coordinates outside
    of a face to its border before depth is taken; None does so where there is blur. `cull_backfaces` leaves out faces
    whose corners run clockwise. `near` cuts faces at this depth, as PyTorch3D's `z_clip_value` does; without it, a face
    with a corner of depth below 1e-8 is left out. Faces that are degenerate or not finite cover nothing.

    Which faces are seen is discrete; zbuf, bary_coords and dists carry gradients to `corners`. Computes in the type of
    `corners`, float32 or float64; on CPU by a compiled kernel.
    """
    size = checked.image_size("an image", size)
    if not isinstance(first, Sequence):
        raise ArgumentError(f"first is {first!r}; give the first face of each image, as in (0,).")
    first = [checked.whole("an entry of first", start) for start in first]
    faces_per_pixel = checked.whole("faces_per_pixel", faces_per_pixel, 1)
    blur_radius, near = (
        checked.number("blur_radius", blur_radius),
        near if near is None else checked.number("near", near),
    )
    _check(corners, size, first, faces_per_pixel, blur_radius, perspective_correct, near)
    if clip_barycentric_coords is None:
        clip_barycentric_coords = blur_radius > 0
    pieces = None if near is None else clip_faces(corners, first, near, perspective_correct)
    drawn = corners if pieces is None else pieces.corners
    starts = first if pieces is None else pieces.first
    neighbours = corners.new_empty(0, dtype=torch.int64)
    if pieces is not None and bool((pieces.neighbour >= 0).any()):
        neighbours = pieces.neighbour
    modes = (blur_radius, perspective_correct, clip_barycentric_coords, cull_backfaces)
    what = f"rasterising {len(first)} x {faces_per_pixel} layers of {size[1]} x {size[0]} pixels"
    with memory_for(what, "turn down the size or faces_per_pixel"):
        pix, zbuf, bary, dists = _rasterize_faces(drawn, starts, neighbours, *size, faces_per_pixel, *modes)
    if pieces is not None:
        pix, bary = pieces.on_faces(pix, bary)
    return Fragments(pix, zbuf, bary, dists)


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
    bary, depth, inside = _coordinates(corners, x, y, perspective, clip)
    return Seen(torch.stack(bary, -1), depth, edge_distance(corners, x, y), inside)


def _coordinates(
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


def rasterize_faces_reference(
    corners: Tensor,
    first: Sequence[int],
    neighbours: Tensor,
    height: int,
    width: int,
    layers: int,
    blur: float,
    perspective: bool,
    clip: bool,
    cull: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The operator in plain tensor language: expand the rows of faces, test the pixels, keep the nearest of each."""
    x_of, y_of = pixel_centres((height, width), corners)
    planes = corners.reshape(-1, 9).T.contiguous()  # each coordinate of all faces: what is gathered is read in order
    squared = corners.new_tensor(blur)
    by_distance = blur > 0 or len(neighbours) > 0  # else distances decide nothing, and those of what is seen suffice

    def gather(face: Tensor, pixel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Corners of faces, and x and y of pixels."""
        line = pixel // width
        x, y = x_of.index_select(0, pixel - line * width), y_of.index_select(0, line % height)
        return planes.index_select(1, face).view(3, 3, -1).permute(2, 0, 1), x, y

    pixel = face = torch.empty(0, dtype=torch.int64, device=corners.device)
    values = corners.new_empty((5, 0))  # depth (∞ where not covered), distance, coordinates
    for new_face, new_pixel in _candidates(corners, first, x_of, y_of, blur, cull):
        met = gather(new_face, new_pixel)
        bary, depth, covered = _coordinates(*met, perspective, clip)
        distance = torch.zeros_like(depth)
        if by_distance:
            distance = edge_distance(*met)
            distance, covered = torch.where(covered, -distance, distance), covered | (distance < squared)
        depth = torch.where(covered & (depth >= 0), depth, torch.inf)
        pixel, face = torch.cat([pixel, new_pixel]), torch.cat([face, new_face])
        values = torch.cat([values, torch.stack([depth, distance, *bary])], 1)
        if len(neighbours):
            keep = (values[0] < torch.inf).nonzero()[:, 0]
            keep = keep[_duels(pixel[keep], face[keep], values[:, keep], neighbours, layers)]
            pixel, face, values = pixel[keep], face[keep], values[:, keep]
        keep = _nearest(pixel, values[0], layers)
        pixel, face, values = pixel.index_select(0, keep), face.index_select(0, keep), values.index_select(1, keep)
    if not by_distance:
        values[1] = -edge_distance(*gather(face, pixel))

    pix, zbuf, bary, dists = (out.fill_(-1) for out in _empty((len(first), height, width, layers), corners))
    at = pixel * layers + _layer(pixel)
    pix.view(-1)[at], zbuf.view(-1)[at], dists.view(-1)[at] = face, values[0], values[1]
    bary.view(-1, 3)[at] = values[2:].T
    return pix, zbuf, bary, dists


def _boxes(corners: Tensor, x_of: Tensor, y_of: Tensor, blur: float, cull: bool) -> tuple[Tensor, Tensor]:
    """Boxes of pixels (x, y) whose centres faces may cover: from low (faces, 2) up to and without high (faces, 2)."""
    (x0, y0, _), (x1, y1, _), (x2, y2, _) = (corner.unbind(-1) for corner in corners.unbind(-2))
    area = (y2 - y0) * (x1 - x0) - (x2 - x0) * (y1 - y0)
    length = added(d * d for d in (x1 - x0, y1 - y0, x2 - x0, y2 - y0, x2 - x1, y2 - y1))
    size = area.double() if cull else area.double().abs()
    drawn = (size > EPSILON) & area.isfinite() & length.isfinite()
    drawn &= (corners[..., 2].double() >= EPSILON).all(1) & corners[..., 2].isfinite().all(1)
    radius = corners.new_tensor(blur).sqrt()
    least, most = corners[..., :2].amin(1) - radius, corners[..., :2].amax(1) + radius
    # rows go down and y goes up: both are searched in ascending order
    low = torch.stack(
        [torch.searchsorted(x_of, least[:, 0].contiguous()), torch.searchsorted(-y_of, -most[:, 1].contiguous())], 1
    )
    high = torch.stack(
        [
            torch.searchsorted(x_of, most[:, 0].contiguous(), right=True),
            torch.searchsorted(-y_of, -least[:, 1].contiguous(), right=True),
        ],
        1,
    )
    return low, torch.where(drawn[:, None], high, low)


def _sides(corners: Tensor, x_of: Tensor, y_of: Tensor, blur: float) -> Tensor:
    """Lines x = a + b·y that have all that a face may cover on one side: (12, faces).

    They are a of three lines on the left and b of these, then the same on the right: the face's edges, moved outwards
    by more than rounding does here and in edge functions, and by the blur. An edge of the other side lies at infinity,
    and so does one that is all but level: it ends within a row, where boxes do.
    """
    x, y = corners[..., 0].T, corners[..., 1].T
    dx, dy = x.roll(-1, 0) - x, y.roll(-1, 0) - y
    area = dx[2] * dy[0] - dy[2] * dx[0]  # rounded as in `look`: of a sliver, its sign decides which side is inside
    up = torch.where(dy.abs() > 1e-6 * dx.abs(), dy * area.sign(), 0)
    slope = torch.where(up == 0, 0, dx / dy)
    start = x - slope * y
    out = x.abs() + slope.abs() * (y.abs() + y_of.abs().max()) + x_of.abs().max()
    out = 32 * torch.finfo(x.dtype).eps * out
    if blur > 0:
        # a distance below the blur is one below this, however it was rounded: see the kernel
        reach = 1.001 * math.sqrt(blur) + 1e-5 * (x.abs().amax(0) + y.abs().amax(0) + math.sqrt(blur))
        out = out + reach * (1 + slope * slope).sqrt()
    left, right = up < 0, up > 0  # of a face whose corners run counterclockwise, the edges on the right go up
    return torch.cat(
        [
            torch.where(left, start - out, -torch.inf),
            torch.where(left, slope, 0),
            torch.where(right, start + out, torch.inf),
            torch.where(right, slope, 0),
        ]
    )


def _candidates(
    corners: Tensor, first: Sequence[int], x_of: Tensor, y_of: Tensor, blur: float, cull: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """Faces and the pixels they may cover, about CANDIDATES at a time: face by face, rows downwards.

    A pixel is its place among those of all images. Of each row of a face's box, only what lies between the face's sides
    is wanted: half of the box, and without blur next to nothing that the face does not cover.
    """
    width, height = len(x_of), len(y_of)
    low, high = _boxes(corners, x_of, y_of, blur, cull)
    drawn = (high > low).all(1).nonzero()[:, 0]
    sides = _sides(corners[drawn], x_of, y_of, blur)
    (left, top), (right, bottom) = low[drawn].unbind(1), high[drawn].unbind(1)
    image = torch.searchsorted(torch.tensor(first, device=drawn.device), drawn, right=True) - 1
    per_column = min(width, height) / 2
    for start, stop in _runs(bottom - top):
        owner, line = _expand((bottom - top)[start:stop], top[start:stop])
        owner += start
        from_left, left_slope, from_right, right_slope = sides.index_select(1, owner).view(4, 3, -1)
        y = y_of.index_select(0, line)
        begin = ((from_left + left_slope * y).amax(0) - x_of[0]) * per_column
        end = ((from_right + right_slope * y).amin(0) - x_of[0]) * per_column
        begin = torch.maximum(begin.clamp(0, width).ceil().long(), left.index_select(0, owner))
        end = torch.minimum(end.clamp(-1, width).floor().long() + 1, right.index_select(0, owner))
        count = (end - begin).clamp_min(0)
        begin += (image.index_select(0, owner) * height + line) * width
        face = drawn.index_select(0, owner)
        for head, tail in _runs(count):
            row, pixel = _expand(count[head:tail], begin[head:tail])
            yield face[head:tail].index_select(0, row), pixel


def _runs(counts: Tensor) -> Iterator[tuple[int, int]]:
    """Runs of indices whose counts add up to CANDIDATES at most, or that are a single index."""
    total = counts.cumsum(0)
    start = 0
    while start < len(counts):
        done = int(total[start - 1]) if start else 0
        stop = max(int(torch.searchsorted(total, done + CANDIDATES, right=True)), start + 1)
        yield start, stop
        start = stop


def _expand(counts: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Each index i as often as counts[i] says, and a number that counts up from start[i] in every such run."""
    owner = torch.repeat_interleave(counts)
    offset = start - (counts.cumsum(0) - counts)
    return owner, torch.arange(len(owner), device=owner.device) + offset.index_select(0, owner)


def _nearest(pixel: Tensor, depth: Tensor, layers: int) -> Tensor:
    """Of entries in ascending order of faces, the nearest of each pixel, by pixel, depth and face."""
    found = (depth < torch.inf).nonzero()[:, 0]
    pixel, depth = pixel.index_select(0, found), depth.index_select(0, found)
    # numbers of 0 or more have the order of their bits, and integers are sorted several times as fast; −0 has none
    if depth.dtype == torch.float32:
        order = torch.sort(pixel << 32 | (depth + 0.0).view(torch.int32), stable=True).indices
    else:
        order = torch.sort((depth + 0.0).view(torch.int64), stable=True).indices
        order = order.index_select(0, torch.sort(pixel.index_select(0, order), stable=True).indices)
    ranked = pixel.index_select(0, order)
    keep = torch.ones_like(ranked, dtype=torch.bool)
    keep[layers:] = ranked[layers:] != ranked[:-layers]  # as many nearer ones lie in the same pixel
    return found.index_select(0, order.masked_select(keep))


def _layer(pixel: Tensor) -> Tensor:
    """How many entries before it each one shares its pixel with; pixels ascend."""
    rank = torch.arange(len(pixel), device=pixel.device)
    begin = torch.ones_like(pixel, dtype=torch.bool)
    begin[1:] = pixel[1:] != pixel[:-1]
    return rank - torch.where(begin, rank, 0).cummax(0).values if len(pixel) else rank


def _duels(pixel: Tensor, face: Tensor, values: Tensor, neighbours: Tensor, layers: int) -> Tensor:
    """Which entries to keep where both halves of a face that was cut in two are in a pixel.

    PyTorch3D looks at one face after the other, and a half that finds the other one among the pixel's nearest faces so
    far takes its place if it is nearer in the image, or goes. What it has displaced is lost, so this takes turns, too.
    """
    distance = values[1].abs()
    halves = neighbours[face]
    pair = pixel * (len(neighbours) + 1) + torch.where(halves >= 0, torch.minimum(face, halves), len(neighbours))
    _, which, count = torch.unique(pair, return_inverse=True, return_counts=True)
    fought = torch.unique(pixel[(halves >= 0) & (count[which] > 1)])
    entry = torch.isin(pixel, fought).nonzero()[:, 0]
    entry = entry[torch.sort(pixel[entry], stable=True).indices]
    begin = torch.searchsorted(pixel[entry], fought)
    turns = torch.searchsorted(pixel[entry], fought, right=True) - begin
    queue = torch.full((len(fought), layers + 1), -1, dtype=torch.int64, device=pixel.device)
    for turn in range(int(turns.max()) if len(turns) else 0):
        rows = (turns > turn).nonzero()[:, 0]
        new, held = entry[begin[rows] + turn], queue[rows]
        rival = (held >= 0) & (halves[new] >= 0)[:, None] & (face[held] == halves[new, None])
        slot = torch.where(rival.any(1), rival.int().argmax(1), layers)
        stays = rival.any(1) & ~(distance[new] < distance[held.gather(1, slot[:, None])[:, 0]])
        held.scatter_(1, slot[:, None], torch.where(stays, held.gather(1, slot[:, None])[:, 0], new)[:, None])
        held = held.gather(1, torch.where(held >= 0, face[held], len(neighbours)).sort(dim=1, stable=True).indices)
        held = held.gather(1, torch.where(held >= 0, values[0][held], torch.inf).sort(dim=1, stable=True).indices)
        held[:, layers] = -1
        queue[rows] = held
    keep = torch.ones_like(pixel, dtype=torch.bool)
    keep[entry] = False
    keep[queue[queue >= 0]] = True
    return keep


def rasterize_faces_backward_reference(
    corners: Tensor,
    pix: Tensor,
    grad_zbuf: Tensor | None,
    grad_bary: Tensor | None,
    grad_dists: Tensor | None,
    perspective: bool,
    clip: bool,
) -> Tensor:
    """Gradient to the corners: `look` again where something is seen, and autograd through it.

    Differentiable in turn, in corners and gradients, where a graph is being recorded.
    """
    x_of, y_of = pixel_centres((pix.shape[1], pix.shape[2]), corners)
    out = torch.zeros_like(corners)
    again = torch.is_grad_enabled()
    for place in (pix.reshape(-1) >= 0).nonzero()[:, 0].split(CANDIDATES):
        at = torch.unravel_index(place, pix.shape)
        face = pix[at]
        with torch.enable_grad():
            leaf = corners[face] if again and corners.requires_grad else corners[face].detach().requires_grad_()
            seen = look(leaf, x_of[at[2]], y_of[at[1]], perspective, clip)
            signed = torch.where(seen.inside, -seen.distance, seen.distance)
            given = [(seen.depth, grad_zbuf), (seen.bary, grad_bary), (signed, grad_dists)]
            values, upstream = zip(*((value, grad[at]) for value, grad in given if grad is not None), strict=True)
            (back,) = torch.autograd.grad(values, leaf, upstream, create_graph=again)
        out = out.index_add(0, face, back)
    return out


def _plus_epsilon(area: Tensor) -> Tensor:
    """Added in double, as C++ does with its double constant, then rounded."""
    return (area.double() + EPSILON).to(area.dtype)


def _rows(width: int, layers: int, itemsize: int) -> int:
    """Rows of a band: their outputs fill BAND_BYTES, and never more than 16."""
    return min(16, max(1, BAND_BYTES // (width * layers * (8 + 5 * itemsize))))


def _rasterize_faces_cpu(
    corners: Tensor,
    first: Sequence[int],
    neighbours: Tensor,
    height: int,
    width: int,
    layers: int,
    blur: float,
    perspective: bool,
    clip: bool,
    cull: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    pix, zbuf, bary, dists = _empty((len(first), height, width, layers), corners)
    x_of, y_of = (centres.numpy() for centres in pixel_centres((height, width), corners))
    faces, number = corners.detach().contiguous().numpy(), x_of.dtype.type
    areas, boxes = np.empty(len(faces), x_of.dtype), np.empty((len(faces), 4), np.int32)
    radius = np.sqrt(number(blur))
    parallel_for(kernels.setup_faces, len(faces), faces, x_of, -y_of, radius, cull, areas, boxes, grain=2048)
    rows = _rows(width, layers, x_of.itemsize)
    bands = -(-height // rows)
    count = len(first) * bands
    offsets, cost = np.zeros(count + 1, np.int64), np.full(count, rows * width * layers // 2, np.int64)
    order = kernels.bin_faces(boxes, np.array([*first, len(faces)]), rows, bands, offsets, cost)
    # runs of bands with about the same work in each
    runs = min(RUNS * torch.get_num_threads(), count)
    total = cost.cumsum()
    cuts = np.searchsorted(total, total[-1] / runs * np.arange(runs + 1))
    cuts[-1] = count
    modes = (perspective, clip, number(EPSILON), number(SMALL))
    out = (pix.numpy(), zbuf.numpy(), bary.numpy(), dists.numpy())
    work = (cuts, order, offsets, rows, bands, faces)
    place = (areas, boxes, x_of, y_of)
    if layers == 1 and blur == 0 and not len(neighbours):
        parallel_for(kernels.nearest_faces, runs, *work, *place, *modes, *out, pieces=RUNS)
    else:
        soft = (neighbours.numpy(), *place, number(blur))
        parallel_for(kernels.face_layers, runs, *work, *soft, *modes, *out, pieces=RUNS)
    return pix, zbuf, bary, dists


def _empty(shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unwritten pix_to_face, zbuf, bary_coords and dists of `shape`, in the type and on the device of `like`.

    Linux is asked for pages of 2 MB under them: touching 4 KB ones first would cost more than the writing.
    """
    pix = like.new_empty(shape, dtype=torch.int64)
    out = (pix, like.new_empty(shape), like.new_empty((*shape, 3)), like.new_empty(shape))
    if sys.platform == "linux" and type(like) is Tensor and like.device.type == "cpu":
        for tensor in out:
            start = -(-tensor.data_ptr() // PAGE) * PAGE
            length = (tensor.data_ptr() + tensor.nbytes) // PAGE * PAGE - start
            if length > 0:
                _madvise()(start, length, MADV_HUGEPAGE)  # no more than advice: whether it is taken does not matter
    return out


@lru_cache(maxsize=1)
def _madvise() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def _rasterize_faces_fake(
    corners: Tensor,
    first: Sequence[int],
    neighbours: Tensor,
    height: int,
    width: int,
    layers: int,
    blur: float,
    perspective: bool,
    clip: bool,
    cull: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return _empty((len(first), height, width, layers), corners)


def _backward_cpu(
    corners: Tensor,
    pix: Tensor,
    grad_zbuf: Tensor | None,
    grad_bary: Tensor | None,
    grad_dists: Tensor | None,
    perspective: bool,
    clip: bool,
) -> Tensor:
    x_of, y_of = (centres.numpy() for centres in pixel_centres((pix.shape[1], pix.shape[2]), corners))
    number = x_of.dtype.type
    given = []
    for grad, axes in ((grad_zbuf, 4), (grad_bary, 5), (grad_dists, 4)):
        wanted = grad is not None
        given += [wanted, grad.detach().contiguous().numpy() if wanted else np.empty((0,) * axes, x_of.dtype)]
    threads = min(torch.get_num_threads(), pix.shape[0] * pix.shape[1])
    out = np.zeros((threads, *corners.shape), np.float64)
    modes = (perspective, clip, number(EPSILON), number(SMALL))
    faces = corners.detach().contiguous().numpy()
    parallel_for(kernels.faces_backward, threads, pix.numpy(), faces, x_of, y_of, *modes, *given, out)
    return torch.from_numpy(out.sum(0)).to(corners.dtype)


def _backward_fake(corners: Tensor, *_: object) -> Tensor:
    return torch.empty_like(corners)


_rasterize_faces = Op(
    "rasterize_faces(Tensor corners, int[] first, Tensor neighbours, int height, int width, int layers, float blur, "
    "bool perspective, bool clip, bool cull) -> (Tensor, Tensor, Tensor, Tensor)",
    reference=rasterize_faces_reference,
    cpu=_rasterize_faces_cpu,
    fake=_rasterize_faces_fake,
    derivative=Backward(
        lambda grads, inputs, outputs: (
            _rasterize_faces_backward(inputs[0], outputs[0], *grads[1:], *inputs[7:9]),
            *[None] * 9,
        ),
        reads=(0,),
    ),
)
_rasterize_faces_backward = Op(
    "rasterize_faces_backward(Tensor corners, Tensor pix, Tensor? grad_zbuf, Tensor? grad_bary, Tensor? grad_dists, "
    "bool perspective, bool clip) -> Tensor",
    reference=rasterize_faces_backward_reference,
    cpu=_backward_cpu,
    fake=_backward_fake,
)


def _check(
    corners: Tensor,
    size: tuple[int, int],
    first: list[int],
    layers: int,
    blur: float,
    perspective: bool,
    near: float | None,
) -> None:
    if min(size) < 1:
        raise ArgumentError(
            f"an image of {size[0]} x {size[1]} pixels has nothing to rasterise: ask for at least 1 x 1."
        )
    if corners.dtype not in (torch.float32, torch.float64):
        raise ArgumentError(f"corners are {corners.dtype}; give float32 or float64.")
    if not first or first[0] != 0 or first != sorted(first) or first[-1] > len(corners):
        raise ArgumentError(f"first is {first}; it must ascend from 0 and end within the {len(corners)} faces.")
    if layers < 1:
        raise ArgumentError(f"faces_per_pixel is {layers}, but must be 1 or more.")
    if not 0 <= blur < math.inf:
        raise ArgumentError(f"blur_radius is {blur}, but must be a squared distance in NDC: 0 or more.")
    if near is not None and not (math.isfinite(near) and (near > 0 or not perspective)):
        raise ArgumentError(f"near is {near}, but must be a finite depth, above 0 in perspective.")
