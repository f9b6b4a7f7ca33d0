"""Surface samples: the covered sample points of one supersampled view, as a flat list in pixel order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Op
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import sample_kernels as kernels
from .zbuffer import edge_functions, z_buffer_unchecked


@dataclass(frozen=True)
class Samples:
    """Only what is covered is kept: an image is mostly background.

    `pixel` is the row-major index into the output image, ascending; `values` are the vertex attributes there, and
    `derivatives` says how fast the leading ones change per sample step to the right and down. `barycentrics` say where
    on its face a sample lies; they have no columns unless asked for.
    """

    pixel: Int[Tensor, "samples"]
    face: Int[Tensor, "samples"]
    values: Float[Tensor, "samples channels"]
    derivatives: Float[Tensor, "samples columns 2"]
    barycentrics: Float[Tensor, "samples corners"]


@checked.door(mixed=["attributes"])
def sample_surface(
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    attributes: Float[Tensor, "vertices channels"],
    size: tuple[int, int],
    grid: int = 1,
    near: float = 1e-4,
    derivatives: int = 0,
) -> Samples:
    """Rasterise at `grid` × `grid` samples per pixel of a (height, width) image and interpolate `attributes` there.

    Samples lie on a regular grid (sample centres, box filter). `derivatives` is the number of leading attributes (2
    where these are u and v) whose screen-space derivatives are wanted, per sample step of 1 / grid pixels. Gradients
    reach `attributes` and `screen` through the perspective-correct interpolation; visibility itself is a discrete step
    and passes none. Results have the type of `attributes`. Without gradients on CPU a kernel does it all. `near` (scene
    units, above 0) cuts what is closer, and `size` is (height, width) in pixels. ArgumentError for another `near`.
    """
    grid = checked.whole("grid", grid, 1, 1 << 15)
    height, width = checked.image_size("an image", size)
    fine_size = checked.image_size("a grid", (height * grid, width * grid))
    if not checked.number("near", near) > 0:
        raise ArgumentError(f"near is {near}, but must be a distance above 0.")
    checked.whole("derivatives", derivatives, 0, attributes.shape[1])
    checked.indices("faces", faces, len(screen), "vertex")
    fine = screen * screen.new_tensor([grid, grid, 1, 1])
    ids, _ = z_buffer_unchecked(fine, faces, fine_size, near)
    return gather_surface_unchecked(ids, fine, faces, attributes, grid, derivatives)


@checked.door(mixed=["attributes"])
# 8 parameters: four tensors that say what is where, and how to read them
def gather_surface(
    ids: Int[Tensor, "height width"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    attributes: Float[Tensor, "vertices channels"],
    grid: int = 1,
    derivatives: int = 0,
    top: int = 0,
    barycentrics: bool = False,
) -> Samples:
    """The covered samples of `ids`, which `z_buffer(screen, faces, …, top=top)` saw; see `sample_surface`.

    Here `screen` is in samples, of which `grid` × `grid` make a pixel, and `top` is the number of the first row of
    samples. `pixel` counts from that row on. `barycentrics` are wanted where texels lie on the mesh itself. For
    `derivatives` see there, too. ArgumentError unless `ids` are whole pixels.
    """
    grid = checked.whole("grid", grid, 1)
    if ids.shape[0] % grid or ids.shape[1] % grid:
        raise ArgumentError(
            f"ids has {tuple(ids.shape)} samples, which are no whole pixels of {grid} x {grid} samples."
        )
    checked.whole("derivatives", derivatives, 0, attributes.shape[1])
    top = checked.whole("top", top, -checked.BITS31)
    checked.indices("ids", ids, len(faces), "face", least=-checked.BITS31)
    checked.indices("faces", faces, len(screen), "vertex")
    return gather_surface_unchecked(ids, screen, faces, attributes, grid, derivatives, top, barycentrics)


# 8 parameters: those of `gather_surface`
def gather_surface_unchecked(
    ids: Int[Tensor, "height width"],
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    attributes: Float[Tensor, "vertices channels"],
    grid: int = 1,
    derivatives: int = 0,
    top: int = 0,
    barycentrics: bool = False,
) -> Samples:
    """`gather_surface` of faces that exist."""
    return Samples(*_gather(screen, faces, attributes, ids, grid, derivatives, top, barycentrics))


# 8 parameters: the op's schema, which torch wants flat
def gather_reference(
    fine: Tensor,
    faces: Tensor,
    attributes: Tensor,
    ids: Tensor,
    grid: int,
    derivatives: int,
    top: int,
    placed: bool = False,
) -> tuple[Tensor, ...]:
    """`gather_surface` in plain tensor language: the parts of `Samples`."""
    height, width = ids.shape[0] // grid, ids.shape[1] // grid
    blocks = ids.view(height, grid, width, grid).transpose(1, 2).reshape(-1)
    place = (blocks >= 0).nonzero()[:, 0]
    face = blocks[place].long()
    pixel, sub = place // grid**2, place % grid**2
    x = pixel % width * grid + sub % grid
    y = pixel // width * grid + sub // grid + top
    corner = faces[face].long()
    centre, corners, values = torch.stack([x, y], -1) + 0.5, fine[corner], attributes[corner]
    bary = barycentrics(corners, centre)
    lost = ~(bary.detach().abs() < 2).all(1)
    if bool(lost.any()):
        corners = torch.where(lost[:, None, None], _around(centre, corners), corners)
        bary = barycentrics(corners, centre)
    slopes = bary.new_empty((len(bary), 3, 2))
    if derivatives:
        slopes = barycentric_derivatives(corners, centre)
    slopes = (values[:, :, :derivatives, None] * slopes[:, :, None]).sum(1)
    placed_at = bary if placed else bary[:, :0]
    values = (bary[..., None] * values).sum(1)
    return pixel, face, *(t.to(attributes) for t in (values, slopes, placed_at))


def _around(centre: Float[Tensor, "n 2"], like: Tensor) -> Float[Tensor, "n 3 4"]:
    """Corners with the sample in their middle: for faces seen edge-on, which double precision finds at a sample.

    Single precision may have 0 / 0 there. Instead such a sample sees the middle of its face, and has no gradient.
    """
    offset = like.new_tensor([[-1.0, -1], [1, -1], [0, 2]])
    place = centre[:, None].to(like) + offset
    return torch.cat([place, torch.ones_like(place)], 2)


def barycentrics(corners: Float[Tensor, "n 3 4"], pixel: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Perspective-correct barycentric coordinates, from corners in screen space (see `zbuffer`), of points of faces.

    The edge functions at (x, y), divided by their sum. Corners are first moved so that the pixel is the origin:
    the cross products then have no large terms to cancel, and float32 suffices. Differentiable in both arguments.
    """
    w = corners[..., 3:]
    moved = torch.cat([corners[..., :2] - pixel[:, None].to(w) * w, corners[..., 2:]], dim=-1)
    edges = edge_functions(moved)[0][..., 2]
    return edges / edges.sum(-1, keepdim=True)


def barycentric_derivatives(corners: Float[Tensor, "n 3 4"], pixel: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3 2"]:
    """∂/∂(x, y) of `barycentrics` at `pixel`, differentiable in both arguments.

    b_i = e_i / Σe with edge functions e_i = a_i x + b_i y + c_i, so ∂b_i/∂x = (a_i − b_i Σa) / Σe, likewise for y.
    """
    w = corners[..., 3:]
    # the pixel becomes the origin: see `barycentrics`
    moved = torch.cat([corners[..., :2] - pixel[:, None].to(w) * w, corners[..., 2:]], dim=-1)
    slope, value = edge_functions(moved)[0].split([2, 1], dim=-1)
    total = value.sum(1, keepdim=True)
    return (slope - value / total * slope.sum(1, keepdim=True)) / total


# 8 parameters: the op's schema, which torch wants flat
def _gather_cpu(
    fine: Tensor,
    faces: Tensor,
    attributes: Tensor,
    ids: Tensor,
    grid: int,
    derivatives: int,
    top: int,
    placed: bool,
) -> tuple[Tensor, ...]:
    screen, index, seen = (t.contiguous().numpy() for t in (fine, faces.int(), ids.int()))
    counts = np.empty(ids.shape[0], np.int64)
    parallel_for(kernels.count_samples, len(counts), seen, counts, grain=64)
    offsets = np.concatenate([[0], counts.reshape(-1, grid).sum(1).cumsum()])
    total = int(offsets[-1])
    pixel = torch.empty(total, dtype=torch.int64)
    face = torch.empty(total, dtype=torch.int64)
    values = attributes.new_empty((total, attributes.shape[1]))
    slopes = attributes.new_empty((total, derivatives, 2))
    bary = attributes.new_empty((total, 3 * placed))
    results = (pixel.numpy(), face.numpy(), values.numpy(), slopes.numpy(), bary.numpy())
    arrays = (attributes.contiguous().numpy(), grid, top, offsets, *results)
    parallel_for(kernels.gather_samples, len(offsets) - 1, seen, screen, index, *arrays, grain=16, pieces=4)
    return pixel, face, values, slopes, bary


_gather = Op(
    "gather_surface(Tensor screen, Tensor faces, Tensor attributes, Tensor ids, int grid, int derivatives, int top, "
    "bool placed) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    reference=gather_reference,
    cpu=_gather_cpu,
    cuda=f"{__name__}_warp.gather",
)
