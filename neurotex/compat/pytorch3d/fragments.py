"""Fragments: which faces each pixel centre sees, in PyTorch3D's names, layout and arithmetic.

A face's corners come in *NDC*: x to the right and y up, the image's shorter side spanning [−1, 1] and its centre at 0,
and third the depth along the view axis in scene units. (PyTorch3D's x points left; `conventions` converts.)
Results agree with PyTorch3D 0.7.9's CPU rasteriser to the rounding of float32: formulas, the order of operations and
the ε of 1e-8 that it adds to areas are its own (`rasterize_meshes_cpu.cpp`, `geometry_utils.h`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core import checked
from ...core.memory import memory_for
from ...errors import ArgumentError
from .clipping import clip_faces
from .rasterize_faces import rasterize_faces


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
# 9 parameters: PyTorch3D's `rasterize_meshes` has these, by these names
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
    `corners`, float32 or float64; on CPU by a compiled kernel. ArgumentError unless `first` ascends from 0 to
    numbers of faces that are there.
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
        pix, zbuf, bary, dists = rasterize_faces(drawn, starts, neighbours, *size, faces_per_pixel, *modes)
    if pieces is not None:
        pix, bary = pieces.on_faces(pix, bary)
    return Fragments(pix, zbuf, bary, dists)


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
