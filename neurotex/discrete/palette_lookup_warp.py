"""Kernels of palettes for NVIDIA GPUs; see `palette_lookup`. Textures come as planes (N, C, P) of P texels."""

import torch
import warp as wp
from torch import Tensor

from ..core.warp import launch
from .palette_lookup import PACKED

# which colour is the nearest: distances are rounded as the reference rounds them
wp.set_module_options({"enable_backward": False, "fuse_fp": False})


@wp.kernel
def nearest(
    x: wp.array3d(dtype=wp.float32),
    colors: wp.array2d(dtype=wp.float32),
    index: wp.array3d(dtype=wp.int32),
    distance: wp.array3d(dtype=wp.float32),
):
    """Numbers and distances² of a texel's nearest colours, in order of distance, then number."""
    n, p = wp.tid()
    count = index.shape[1]
    for j in range(count):
        index[n, j, p] = 0
        distance[n, j, p] = wp.inf
    worst = float(wp.inf)
    for k in range(colors.shape[0]):
        d = float(0.0)
        for c in range(colors.shape[1]):
            gap = x[n, c, p] - colors[k, c]
            d += gap * gap
        if d < worst:
            place = count - 1
            while place > 0 and d < distance[n, wp.max(place - 1, 0), p]:
                distance[n, place, p] = distance[n, place - 1, p]
                index[n, place, p] = index[n, place - 1, p]
                place -= 1
            distance[n, place, p] = d
            index[n, place, p] = k
            worst = distance[n, count - 1, p]


@wp.kernel
def nearest_backward(
    grad: wp.array3d(dtype=wp.float32),
    x: wp.array3d(dtype=wp.float32),
    colors: wp.array2d(dtype=wp.float32),
    index: wp.array3d(dtype=wp.int32),
    grad_x: wp.array3d(dtype=wp.float32),
    total: wp.array2d(dtype=wp.float64),
):
    """A texel's gradient through the distances², and its part of the colours'."""
    n, p = wp.tid()
    for c in range(x.shape[1]):
        slopes = float(0.0)
        for j in range(index.shape[1]):
            k = index[n, j, p]
            slope = 2.0 * grad[n, j, p] * (x[n, c, p] - colors[k, c])
            slopes += slope
            wp.atomic_add(total, k, c, -wp.float64(slope))
        grad_x[n, c, p] = slopes


@wp.kernel
def blend(
    weights: wp.array3d(dtype=wp.float32),
    colors: wp.array2d(dtype=wp.float32),
    index: wp.array3d(dtype=wp.int32),
    out: wp.array3d(dtype=wp.float32),
):
    """The weighted sum of a texel's colours."""
    n, p = wp.tid()
    for c in range(colors.shape[1]):
        value = float(0.0)
        for j in range(index.shape[1]):
            value += weights[n, j, p] * colors[index[n, j, p], c]
        out[n, c, p] = value


@wp.kernel
def blend_backward(
    grad: wp.array3d(dtype=wp.float32),
    weights: wp.array3d(dtype=wp.float32),
    colors: wp.array2d(dtype=wp.float32),
    index: wp.array3d(dtype=wp.int32),
    grad_weights: wp.array3d(dtype=wp.float32),
    total: wp.array2d(dtype=wp.float64),
):
    """The gradient through `blend` by a texel's weights, and its part of the colours'."""
    n, p = wp.tid()
    for j in range(index.shape[1]):
        k = index[n, j, p]
        w = weights[n, j, p]
        slope = float(0.0)
        for c in range(colors.shape[1]):
            slope += grad[n, c, p] * colors[k, c]
            wp.atomic_add(total, k, c, wp.float64(w * grad[n, c, p]))
        grad_weights[n, j, p] = slope


def nearest_colors(x: Tensor, colors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`palette_lookup.nearest_reference`."""
    distance = x.new_empty((x.shape[0], count, *x.shape[2:]))
    index = torch.empty(distance.shape, dtype=torch.int32, device=x.device)
    planes, *found = _planes(x, index, distance)
    launch(nearest, _texels(planes), planes, colors, *found)
    return index, distance


def nearest_colors_backward(grad: Tensor, x: Tensor, colors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """`palette_lookup.nearest_backward_reference`."""
    return _with_total(nearest_backward, (grad, x), colors, index, torch.empty_like(x, memory_format=PACKED))


def blend_colors(weights: Tensor, colors: Tensor, index: Tensor) -> Tensor:
    """`palette_lookup.blend_reference`."""
    out = weights.new_empty((weights.shape[0], colors.shape[1], *weights.shape[2:]))
    weights, index, planes = _planes(weights, index, out)
    launch(blend, _texels(weights), weights, colors, index, planes)
    return out


def blend_colors_backward(grad: Tensor, weights: Tensor, colors: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """`palette_lookup.blend_backward_reference`."""
    return _with_total(blend_backward, (grad, weights), colors, index, torch.empty_like(weights, memory_format=PACKED))


def _planes(*textures: Tensor) -> list[Tensor]:
    return [x.contiguous().flatten(2) for x in textures]


def _texels(planes: Tensor) -> tuple[int, int]:
    return planes.shape[0], planes.shape[2]


def _with_total(
    kernel: wp.Kernel, inputs: tuple[Tensor, Tensor], colors: Tensor, index: Tensor, out: Tensor
) -> tuple[Tensor, Tensor]:
    """What a backward kernel writes, and the colours' gradient, added up in double precision."""
    total = torch.zeros_like(colors, dtype=torch.float64, memory_format=PACKED)
    *given, index, planes = _planes(*inputs, index, out)
    launch(kernel, _texels(planes), *given, colors, index, planes, total)
    return out, total.to(colors)
