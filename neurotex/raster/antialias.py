"""Antialiasing along the visible edges of surfaces: what gives an image a gradient to where its silhouettes lie.

A z-buffer sees one face per sample, so an image jumps where a silhouette passes over a sample's centre and is
constant in between. Here two neighbouring samples on both sides of a visible edge are blended by where the edge
crosses the line between their centres (after Laine et al., "Modular Primitives for High-Performance Differentiable
Rendering", 2020, section 3.6). Image and gradient are of one function; docs/antialias.md derives it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import antialias_kernels as kernels
from .antialias_kernels import COPLANAR, COVERS, EDGE, LOST, MEETING, SMOOTH, STEPS
from .zbuffer import edge_functions


@dataclass(frozen=True)
class Blends:
    """Antialiasing as a sparse operator on samples: sample `to` gets Σ `weights` · samples `taps` added.

    Indices are row-major. The weights of a row sum to 0; a sample may be the `to` of up to four rows. What is linear
    in the samples, such as a box filter, may be applied to the added terms alone.
    """

    to: Int[Tensor, "blends"]
    taps: Int[Tensor, "blends 4"]
    weights: Float[Tensor, "blends 4"]


@dataclass(frozen=True)
class Crossings:
    """Where a visible edge runs between neighbouring samples: `place` and the one right of it (axis 0) or below (1).

    `kind` EDGE: the edge between the vertices `a` and `b`, a silhouette or the border of an open surface. `kind`
    MEETING: the line in which the faces `a` and `b` cut through each other. Steep edges are listed where they cross
    rows of sample centres, flat ones where they cross columns. `before` and `after` are 1 where the surface goes on
    smoothly to the sample before the first and after the second, else 0.
    """

    place: Int[Tensor, "crossings"]
    axis: Int[Tensor, "crossings"]
    kind: Int[Tensor, "crossings"]
    a: Int[Tensor, "crossings"]
    b: Int[Tensor, "crossings"]
    before: Int[Tensor, "crossings"]
    after: Int[Tensor, "crossings"]


@checked.door(mixed=["image"])
def antialias(
    image: Float[Tensor, "height width channels"],
    ids: Int[Tensor, "rows columns"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    opposite: Int[Tensor, "faces 3"] | None = None,
) -> Float[Tensor, "height width channels"]:
    """Blend neighbouring samples across visible edges, so that the image follows `screen` continuously.

    `image` and `ids` have one entry per sample: `ids` is what `z_buffer(screen, faces, ...)` saw there, −1 for the
    background, of which `image` holds the colour, too. With several samples per pixel, scale x and y of `screen` to
    samples, and filter afterwards. `opposite` is `opposite_corners(faces)`, for those who keep it. Differentiable in
    `image` and in `screen` (x, y, w; depth only where faces cut through each other). ArgumentError where `image` and
    `ids` differ in size.
    """
    if image.shape[:2] != ids.shape:
        raise ArgumentError(
            f"the image has {tuple(image.shape[:2])} samples, but ids has {tuple(ids.shape)}: pass one face per sample."
        )
    blends = edge_blends(ids, screen, faces, opposite)
    flat = image.flatten(0, 1)
    change = (blends.weights.to(image)[:, :, None] * flat[blends.taps]).sum(1)
    return flat.index_add(0, blends.to, change).view(image.shape)


@checked.door()
def edge_blends(
    ids: Int[Tensor, "height width"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    opposite: Int[Tensor, "faces 3"] | None = None,
) -> Blends:
    """What `antialias` adds to which sample; `weights` are differentiable in `screen` and have its precision.

    Let a line cross at ½ + s of the way from one centre to the next, |s| ≤ ½, where ½ is the border of their cells,
    and let it lean by m ≤ 1 across one row of cells, so that it reaches from s − m/2 to s + m/2. The area between
    border and line changes sides. That beyond the border, and exactly that, lies in the second cell: A = E[max(σ, 0)]
    over σ in [s − m/2, s + m/2]; what the line leaves before the border lies in the first.

    The cell gains what the one side shows there and loses what the other does. Either is taken as linear through the
    two samples next to the line on that side, which needs B = E[max(σ, 0)²]; as constant where the second of them is
    not on the same surface.
    """
    checked.indices("ids", ids, len(faces), "face", least=-checked.BITS31)
    checked.indices("faces", faces, len(screen), "vertex")
    if opposite is not None:
        checked.indices("opposite", opposite, 3 * len(faces), "corner", least=-1)
    return edge_blends_unchecked(ids, screen, faces, opposite)


def edge_blends_unchecked(
    ids: Int[Tensor, "height width"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    opposite: Int[Tensor, "faces 3"] | None = None,
) -> Blends:
    """`edge_blends` of faces that exist."""
    if len(faces) == 0 or ids.numel() == 0:
        none = torch.empty(0, dtype=torch.int64, device=ids.device)
        return Blends(none, none.view(0, 4), screen.new_empty(0, 4))
    opposite = opposite_corners(faces) if opposite is None else opposite
    found = Crossings(*_find_crossings(ids, screen.detach(), faces, opposite))
    line = crossing_lines(found, screen, faces, ids.shape[1])
    shift = (-line[:, 2] / line[:, 0]).clamp(0, 1) - 0.5
    lean = (line[:, 1] / line[:, 0]).abs()

    step = torch.where(found.axis == 0, 1, ids.shape[1])
    first, second = found.place, found.place + step
    taps = torch.stack([first - step * found.before, first, second, second + step * found.after], 1)
    weights = torch.cat(
        [
            _gain(shift, lean, found.before, found.after),
            _gain(-shift, lean, found.after, found.before).flip(1),
        ]
    )
    return Blends(torch.cat([second, first]), taps.repeat(2, 1), weights.to(screen.dtype))


def _gain(
    shift: Float[Tensor, "n"], lean: Float[Tensor, "n"], before: Int[Tensor, "n"], after: Int[Tensor, "n"]
) -> Float[Tensor, "n 4"]:
    """What the second cell gains from a line at ½ + `shift`, as weights on four samples in a row; see `edge_blends`."""
    low, high = (shift - lean / 2).clamp_min(0), (shift + lean / 2).clamp_min(0)
    # means of σ and σ² between low and high, times the part of the row where the line is beyond the border
    leans = lean > 1e-9
    # an upright line on the border itself moves either cell, half and half
    upright = (shift.detach().sign() + 1) / 2
    # all of it, where the line stays beyond: (high − low) / lean would be 1, but with slopes that cancel badly
    part = torch.where(leans, torch.where(low > 0, 1, high / torch.where(leans, lean, 1)), upright)
    area = part * (low + high) / 2
    square = part * (low * low + low * high + high * high) / 3
    back, on = before * (area + square) / 2, after * (area - square) / 2  # the samples' slopes, times area
    return torch.stack([-back, area + back, -area - on, on], 1)


@checked.door()
def opposite_corners(faces: Int[Tensor, "faces 3"]) -> Int[Tensor, "faces 3"]:
    """The corner table: across the edge opposite to corner i of face f, the number 3·f' + i' of the corner behind it.

    −1 where an edge has no face behind it, or more than one. Vertices are the same if they have the same index: along
    seams and creases, where vertices are doubled and colours may jump, a surface has a border.
    """
    checked.indices("faces", faces, checked.BITS31, "vertex")
    edge = torch.stack([faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]], -1).view(-1, 2).long().sort(1).values
    name = edge[:, 0] * (edge.max() + 1 if len(edge) else 1) + edge[:, 1]
    _, name, count = name.unique(return_inverse=True, return_counts=True)
    corner = name.argsort(stable=True)
    last = (count.cumsum(0) - 1)[count == 2]
    first, second = corner[last - 1], corner[last]
    table = torch.full((len(edge),), -1, dtype=torch.int64, device=faces.device)
    table[first], table[second] = second, first
    return table.view(-1, 3)


def crossing_lines(
    found: Crossings, screen: Float[Tensor, "vertices 4"], faces: Int[Tensor, "faces 3"], width: int
) -> Float[Tensor, "crossings 3"]:
    """The lines that cross, l₀ · along + l₁ · across + l₂ = 0 with the first sample at the origin, float64.

    The second sample is at (1, 0); |l₀| ≥ |l₁|. A line through projected vertices is the cross product of their
    homogeneous coordinates: vertices behind the camera need no special care. Differentiable in `screen`.
    """
    origin = torch.stack([found.place % width, found.place // width], 1) + 0.5
    names = torch.stack([found.a, found.b], 1)
    edge, meeting = ((found.kind == kind).nonzero()[:, 0] for kind in (EDGE, MEETING))
    lines = screen.new_zeros((len(origin), 3), dtype=torch.float64)
    lines = lines.index_put((edge,), _line(_local(screen[names[edge]], origin[edge], found.axis[edge])))
    if len(meeting):
        first, second = screen[faces[names[meeting]].long()].unbind(1)
        place = (origin[meeting], found.axis[meeting])
        lines = lines.index_put((meeting,), _depth_difference(_local(first, *place), _local(second, *place)))
    return lines


def find_crossings_reference(
    ids: Int[Tensor, "height width"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    opposite: Int[Tensor, "faces 3"],
) -> Crossings:
    """The visible edges between samples, in plain tensor language.

    From both samples of a pair that sees two faces, a walk over the surface goes towards the other. If one meets the
    other's face, the surface is smooth there. The walk that falls off owns the edge; if both do, the nearer. If none
    does, each face reaches under the other: they cut through each other.
    """
    width = ids.shape[1]
    changes = torch.zeros((*ids.shape, 2), dtype=torch.bool, device=ids.device)
    changes[:, :-1, 0] = ids[:, :-1] != ids[:, 1:]
    changes[:-1, :, 1] = ids[:-1] != ids[1:]
    y, x, axis = changes.nonzero(as_tuple=True)
    place, seen = y * width + x, ids.flatten().long()
    pair = torch.stack([seen[place], seen[place + torch.where(axis == 0, 1, width)]], 1)
    first, second = pair.unbind(1)
    here = torch.stack([x, y], 1) + 0.5
    there = here + torch.stack([axis == 0, axis == 1], 1)

    mesh = (screen, faces.long(), opposite)
    ends = torch.stack([_walk(first, second, *mesh, here, axis, 1), _walk(second, first, *mesh, there, axis, -1)], 1)
    smooth = (ends == SMOOTH).any(1)
    off = (ends >= 0) & ~smooth[:, None]
    depth = torch.stack(
        [_depth(face, *mesh[:2], at, axis) for face, at in zip((first, second), (here, there), strict=True)], 1
    )
    owner = torch.where(off[:, 0] & ~(off[:, 1] & (depth[:, 1] < depth[:, 0])), ends[:, 0], ends[:, 1]).clamp_min(0)
    edge = torch.stack([mesh[1][owner // 3, (owner + k) % 3] for k in (1, 2)], 1)
    line = _line(_local(screen[edge], here, axis))
    is_edge = off.any(1) & _counted(line[:, 0], line[:, 1], axis)

    covers = ((ends == COVERS) & (pair >= 0)).all(1)
    kind = torch.where(is_edge, EDGE, torch.where(covers & _meet(pair, *mesh[:2], here, axis), MEETING, 0))
    a, b = torch.where(is_edge[:, None], edge, pair).unbind(1)
    keep = kind.nonzero()[:, 0]
    x, y, axis = x[keep], y[keep], axis[keep]
    before, after = (_smooth(ids, *mesh, x + k * (axis == 0), y + k * (axis == 1), axis) for k in (-1, 1))
    return Crossings(place[keep], axis, kind[keep], a[keep], b[keep], before, after)


def _smooth(ids: Tensor, screen: Tensor, faces: Tensor, opposite: Tensor, x: Tensor, y: Tensor, axis: Tensor) -> Tensor:
    """Whether the samples (x, y) and the next along `axis` lie on one smooth surface, or both beside all (1 or 0)."""
    height, width = ids.shape
    dx, dy = (axis == 0).long(), (axis == 1).long()
    inside = (x >= 0) & (y >= 0) & (x + dx < width) & (y + dy < height)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    first, second = ids[y, x].long(), ids[(y + dy).clamp_max(height - 1), (x + dx).clamp_max(width - 1)].long()
    at = torch.stack([x, y], 1) + 0.5
    ahead = _walk(first, second, screen, faces, opposite, at, axis, 1)
    back = _walk(second, first, screen, faces, opposite, at + torch.stack([dx, dy], 1), axis, -1)
    return (inside & ((first == second) | (ahead == SMOOTH) | (back == SMOOTH))).long()


def _local(corners: Float[Tensor, "n k 4"], at: Float[Tensor, "n 2"], axis: Int[Tensor, "n"], sign: int = 1) -> Tensor:
    """Corners (along, across, depth, w) in float64, seen from the sample centre `at` with its neighbour at (1, 0)."""
    x, y, depth, w = corners.double().unbind(-1)
    x, y = x - at[:, :1].to(w) * w, y - at[:, 1:].to(w) * w
    along, across = torch.where(axis[:, None] == 0, x, y), torch.where(axis[:, None] == 0, y, x)
    return torch.stack([along * sign, across, depth, w], -1)


def _line(ends: Float[Tensor, "n 2 4"]) -> Float[Tensor, "n 3"]:
    """The line l₀ · along + l₁ · across + l₂ = 0 through two points."""
    p, q = torch.cat([ends[..., :2], ends[..., 3:]], -1).unbind(1)
    return p.roll(-1, 1) * q.roll(-2, 1) - p.roll(-2, 1) * q.roll(-1, 1)


def _counted(along: Float[Tensor, "n"], across: Float[Tensor, "n"], axis: Int[Tensor, "n"]) -> Bool[Tensor, "n"]:
    """Whether a line with this normal is counted between neighbours along `axis`: that nearest to its normal."""
    return (along.abs() > across.abs()) | ((axis == 0) & (along.abs() == across.abs()))


# 8 parameters: three tensors are the surface, five where walks begin on it
def _walk(
    face: Int[Tensor, "n"],
    target: Int[Tensor, "n"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    opposite: Int[Tensor, "faces 3"],
    at: Float[Tensor, "n 2"],
    axis: Int[Tensor, "n"],
    sign: int,
) -> Int[Tensor, "n"]:
    """Where walks over the surface end that start at samples `at` on `face`, towards their neighbours on `target`.

    At the corner (3 · face + i) opposite to the edge they fell off, or SMOOTH, COVERS, LOST.
    """
    end = torch.where(face < 0, COVERS, LOST)
    on = (face >= 0).nonzero()[:, 0]  # still walking
    face = face[on]
    for _ in range(STEPS):
        place = (at[on], axis[on], sign)
        edges, det = edge_functions(_local(screen[faces[face]], *place))
        edges = edges * det.sign()[:, None, None]
        slope, value = edges[..., 0], edges[..., 2]
        exits, slot = torch.where(slope < 0, -value / slope, torch.inf).nan_to_num(torch.inf).min(1)
        row = torch.arange(len(on), device=on.device)
        corner = opposite[face, slot]
        tip = _local(screen[faces[corner // 3, corner % 3]][:, None], *place)[:, 0]
        edge = edges[row, slot]
        # beyond a visible inner edge, the neighbour's tip is on its other side
        beyond = edge[:, 0] * tip[:, 0] + edge[:, 1] * tip[:, 1] + edge[:, 2] * tip[:, 3]
        covers = ~(exits < 1)
        falls = ~covers & ((corner < 0) | ~((beyond < 0) & beyond.isfinite()))
        meets = ~covers & ~falls & (corner // 3 == target[on])
        end[on] = torch.where(covers, COVERS, torch.where(falls, 3 * face + slot, torch.where(meets, SMOOTH, LOST)))
        more = ~(covers | falls | meets)
        on, face = on[more], (corner // 3)[more]
        if len(on) == 0:
            break
    return end


def _plane(corners: Float[Tensor, "n 3 4"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Depth on the plane through three corners, as the quotient of two linear functions (along, across, 1)."""
    edges, det = edge_functions(corners)
    a, b, c = (edges * det.sign()[:, None, None]).unbind(1)
    i, j, k = corners[..., 2, None].unbind(1)
    return a * i + b * j + c * k, a + b + c


def _depth(face: Tensor, screen: Tensor, faces: Tensor, at: Tensor, axis: Tensor) -> Float[Tensor, "n"]:
    """Depth of each face at the sample `at`; that of the background is inf."""
    top, bottom = _plane(_local(screen[faces[face.clamp_min(0)]], at, axis))
    return torch.where(face < 0, torch.inf, top[:, 2] / bottom[:, 2])


def _depth_difference(first: Float[Tensor, "n 3 4"], second: Float[Tensor, "n 3 4"]) -> Float[Tensor, "n 3"]:
    """Depth of one plane less that of another, times a positive factor, as a linear function (along, across, 1).

    It is linear over the image for perspective (where the numerators are constant) and for parallel rays (where the
    denominators are).
    """
    (f, g), (h, i) = _plane(first), _plane(second)
    here = f[:, 2] * i[:, 2] - h[:, 2] * g[:, 2]
    along, across = (
        (f[:, 2] + f[:, k]) * (i[:, 2] + i[:, k]) - (h[:, 2] + h[:, k]) * (g[:, 2] + g[:, k]) - here for k in (0, 1)
    )
    return torch.stack([along, across, here], 1)


def _meet(pair: Tensor, screen: Tensor, faces: Tensor, at: Tensor, axis: Tensor) -> Bool[Tensor, "n"]:
    """Whether the planes of two faces cut through each other between two samples, in a line that is counted here."""
    first, second = (_local(screen[faces[face.clamp_min(0)]], at, axis) for face in pair.unbind(1))
    (f, g), (h, i) = _plane(first), _plane(second)
    near, far = f[:, 2] / g[:, 2], h[:, 2] / i[:, 2]
    other_far, other_near = (f[:, 2] + f[:, 0]) / (g[:, 2] + g[:, 0]), (h[:, 2] + h[:, 0]) / (i[:, 2] + i[:, 0])
    order = (near > 0) & (near < far) & (other_near > 0) & (other_near < other_far)
    parted = far / near - 1 + other_far / other_near - 1 > COPLANAR
    line = _depth_difference(first, second)
    return order & parted & _counted(line[:, 0], line[:, 1], axis)


def _find_crossings_cpu(ids: Tensor, screen: Tensor, faces: Tensor, opposite: Tensor) -> tuple[Tensor, ...]:
    seen = ids.int().contiguous().numpy()
    mesh = [t.contiguous().numpy() for t in (screen, faces.int(), opposite.long())]
    counts = np.empty(len(seen), np.int64)
    parallel_for(kernels.count_changes, len(counts), seen, counts, grain=64)
    ends = counts.cumsum()
    offsets = ends - counts
    found = np.empty((int(ends[-1]), 7), np.int64)
    parallel_for(kernels.find_crossings, len(counts), seen, *mesh, offsets, found, counts, grain=16)
    keep = np.repeat(offsets - (counts.cumsum() - counts), counts) + np.arange(int(counts.sum()))
    return tuple(torch.from_numpy(column) for column in found[keep].T.copy())


_find_crossings = Op(
    f"find_crossings(Tensor ids, Tensor screen, Tensor faces, Tensor opposite) -> ({', '.join(['Tensor'] * 7)})",
    reference=lambda *inputs: tuple(vars(find_crossings_reference(*inputs)).values()),
    cpu=_find_crossings_cpu,
    cuda=f"{__name__}_warp.find_crossings",
)
