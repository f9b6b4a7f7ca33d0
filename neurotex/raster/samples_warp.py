"""Kernels for NVIDIA GPUs that list the covered samples of a view; see `samples`."""

import torch
import warp as wp
from torch import Tensor

from ..core.warp import launch
from .zbuffer_warp import edge_functions

wp.set_module_options({"enable_backward": False})


@wp.kernel
def count_samples(ids: wp.array2d(dtype=wp.int32), grid: int, counts: wp.array(dtype=wp.int64)):
    """How many of its grid × grid samples see a face, for each output pixel."""
    pixel = wp.tid()
    width = ids.shape[1] / grid
    row = pixel / width * grid
    column = pixel % width * grid
    n = int(0)
    for y in range(row, row + grid):
        for x in range(column, column + grid):
            if ids[y, x] >= 0:
                n += 1
    counts[pixel] = wp.int64(n)


@wp.kernel
def gather_samples(
    ids: wp.array2d(dtype=wp.int32),
    screen: wp.array2d(dtype=wp.float32),
    faces: wp.array2d(dtype=wp.int32),
    attributes: wp.array2d(dtype=wp.float32),
    grid: int,
    top: int,
    ends: wp.array(dtype=wp.int64),
    pixels: wp.array(dtype=wp.int64),
    seen: wp.array(dtype=wp.int64),
    values: wp.array2d(dtype=wp.float32),
    derivatives: wp.array3d(dtype=wp.float32),
    barycentrics: wp.array2d(dtype=wp.float32),
):
    """An output pixel's covered samples, with their interpolated attributes; see `sample_kernels.gather_samples`."""
    pixel = wp.tid()
    s = int(0)
    if pixel > 0:
        s = int(ends[pixel - 1])
    if s == int(ends[pixel]):
        return
    width = ids.shape[1] / grid
    row = pixel / width * grid
    column = pixel % width * grid
    one = wp.float64(1.0)
    half = wp.float64(0.5)
    last = int(-1)  # neighbours often see the same face: its edge functions are kept
    e = edge_functions(screen, faces, 0)
    for y in range(row, row + grid):
        for x in range(column, column + grid):
            f = ids[y, x]
            if f >= 0:
                if f != last:
                    e = edge_functions(screen, faces, f)
                    last = f
                px = wp.float64(x) + half
                py = wp.float64(y + top) + half
                e0 = e[0] * px + (e[1] * py + e[2])
                e1 = e[3] * px + (e[4] * py + e[5])
                e2 = e[6] * px + (e[7] * py + e[8])
                scale = one / (e0 + e1 + e2)
                t0 = wp.float32(e0 * scale)
                t1 = wp.float32(e1 * scale)
                t2 = wp.float32(e2 * scale)
                a = faces[f, 0]
                b = faces[f, 1]
                c = faces[f, 2]
                for k in range(attributes.shape[1]):
                    values[s, k] = t0 * attributes[a, k] + t1 * attributes[b, k] + t2 * attributes[c, k]
                if barycentrics.shape[1] > 0:
                    barycentrics[s, 0] = t0
                    barycentrics[s, 1] = t1
                    barycentrics[s, 2] = t2
                if derivatives.shape[1] > 0:
                    mean_a = (e[0] + e[3] + e[6]) * scale
                    mean_b = (e[1] + e[4] + e[7]) * scale
                    x0 = wp.float32((e[0] - e0 * mean_a) * scale)
                    y0 = wp.float32((e[1] - e0 * mean_b) * scale)
                    x1 = wp.float32((e[3] - e1 * mean_a) * scale)
                    y1 = wp.float32((e[4] - e1 * mean_b) * scale)
                    x2 = wp.float32((e[6] - e2 * mean_a) * scale)
                    y2 = wp.float32((e[7] - e2 * mean_b) * scale)
                    for k in range(derivatives.shape[1]):
                        v0 = attributes[a, k]
                        v1 = attributes[b, k]
                        v2 = attributes[c, k]
                        derivatives[s, k, 0] = x0 * v0 + x1 * v1 + x2 * v2
                        derivatives[s, k, 1] = y0 * v0 + y1 * v1 + y2 * v2
                pixels[s] = wp.int64(pixel)
                seen[s] = wp.int64(f)
                s += 1


def gather(
    fine: Tensor,
    faces: Tensor,
    attributes: Tensor,
    ids: Tensor,
    grid: int,
    derivatives: int,
    top: int,
    placed: bool,
) -> tuple[Tensor, ...]:
    """`samples.gather_reference`. How many samples there are is asked of the GPU, once."""
    count, index, ids = ids.shape[0] // grid * (ids.shape[1] // grid), faces.int(), ids.int()
    ends = torch.zeros(count, dtype=torch.int64, device=ids.device)  # in place: of each pixel, then up to each
    launch(count_samples, count, ids, grid, ends)
    ends = ends.cumsum(0)
    total = int(ends[-1]) if count else 0
    pixel, face = ends.new_empty(total), ends.new_empty(total)
    values = attributes.new_empty((total, attributes.shape[1]))
    slopes = attributes.new_empty((total, derivatives, 2))
    bary = attributes.new_empty((total, 3 * placed))
    if total:
        results = (pixel, face, values, slopes, bary)
        launch(gather_samples, count, ids, fine, index, attributes, grid, top, ends, *results)
    return pixel, face, values, slopes, bary
