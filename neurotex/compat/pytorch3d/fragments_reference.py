"""Fragments in plain tensor language: what runs on any device, and what the kernels are held to.

Arguments are those of the operator in `rasterize_faces`, one by one, as torch's operators take them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ...core.typed import added
from .blank_layers import blank_layers
from .places import EPSILON, coordinates, edge_distance, look, pixel_centres

CANDIDATES = 1 << 20  # face-pixel pairs the reference works on at a time: bounds its temporaries at about 0.2 GB


# 10 parameters: the op's schema, which torch wants flat
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
        bary, depth, covered = coordinates(*met, perspective, clip)
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

    pix, zbuf, bary, dists = (out.fill_(-1) for out in blank_layers((len(first), height, width, layers), corners))
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
