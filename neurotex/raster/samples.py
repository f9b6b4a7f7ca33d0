"""Surface samples: the covered sample points of one supersampled view, as a flat list in pixel order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..threads import parallel_for
from . import sample_kernels as kernels
from .fragments import barycentrics
from .zbuffer import setup_faces, z_buffer


@dataclass(frozen=True)
class Samples:
    """Only what is covered is kept: an image is mostly background.

    `pixel` is the row-major index into the output image, ascending; `values` are the vertex attributes there.
    """

    pixel: Int[Tensor, "samples"]
    face: Int[Tensor, "samples"]
    values: Float[Tensor, "samples channels"]


def sample_surface(
    screen: Float[Tensor, "vertices 4"],
    faces: Int[Tensor, "faces 3"],
    attributes: Float[Tensor, "vertices channels"],
    size: tuple[int, int],
    grid: int = 1,
    near: float = 1e-4,
) -> Samples:
    """Rasterise at `grid` × `grid` samples per pixel of a (height, width) image and interpolate `attributes` there.

    Samples lie on a regular grid (sample centres, box filter). Gradients reach `attributes` and `screen` through the
    perspective-correct interpolation; visibility itself is a discrete step and passes none. Without gradients on
    CPU a kernel does it all.
    """
    fine = screen * screen.new_tensor([grid, grid, 1, 1])
    fine_size = (size[0] * grid, size[1] * grid)
    ids, _ = z_buffer(fine, faces, fine_size, near)
    wants_grad = torch.is_grad_enabled() and (screen.requires_grad or attributes.requires_grad)
    gather = _gather_reference if wants_grad or screen.device.type != "cpu" else _gather_kernel
    return gather(fine, faces, attributes, ids, grid)


def _gather_reference(fine: Tensor, faces: Tensor, attributes: Tensor, ids: Tensor, grid: int) -> Samples:
    height, width = ids.shape[0] // grid, ids.shape[1] // grid
    blocks = ids.view(height, grid, width, grid).transpose(1, 2).reshape(-1)
    place = (blocks >= 0).nonzero()[:, 0]
    face = blocks[place].long()
    pixel, sub = place // grid**2, place % grid**2
    x = pixel % width * grid + sub % grid
    y = pixel // width * grid + sub // grid
    corner = faces[face].long()
    bary = barycentrics(fine[corner], torch.stack([x, y], -1) + 0.5)
    return Samples(pixel, face, (bary[..., None] * attributes[corner]).sum(1))


def _gather_kernel(fine: Tensor, faces: Tensor, attributes: Tensor, ids: Tensor, grid: int) -> Samples:
    screen, index, seen = fine.detach().contiguous().numpy(), faces.contiguous().numpy(), ids.numpy()
    edges, _ = setup_faces(screen, index, tuple(ids.shape))
    counts = np.empty(ids.shape[0], np.int64)
    parallel_for(kernels.count_samples, len(counts), seen, counts, grain=64)
    offsets = np.concatenate([[0], counts.reshape(-1, grid).sum(1).cumsum()])
    total = int(offsets[-1])
    pixel = torch.empty(total, dtype=torch.int64)
    face = torch.empty(total, dtype=torch.int64)
    values = attributes.new_empty((total, attributes.shape[1]))
    arrays = (attributes.detach().contiguous().numpy(), grid, offsets, pixel.numpy(), face.numpy(), values.numpy())
    parallel_for(kernels.gather_samples, len(offsets) - 1, seen, index, edges, *arrays, grain=16)
    return Samples(pixel, face, values)
