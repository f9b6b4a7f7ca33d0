"""Kernels for NVIDIA GPUs that move texels between planes and interleaved channels; see `texels`."""

from collections.abc import Sequence

import torch
import warp as wp
from torch import Tensor

from ..core.warp import launch
from .texels import PADDED

wp.set_module_options({"enable_backward": False})


@wp.kernel
def take_texels(
    planes: wp.array2d(dtype=wp.float32), index: wp.array(dtype=wp.int64), out: wp.array2d(dtype=wp.float32)
):
    """out[i] = planes[:, index[i]], 0 in channels without a plane."""
    i = wp.tid()
    for c in range(planes.shape[0]):
        out[i, c] = planes[c, int(index[i])]
    for c in range(planes.shape[0], out.shape[1]):
        out[i, c] = 0.0


@wp.kernel
def put_texels(
    texels: wp.array2d(dtype=wp.float32), index: wp.array(dtype=wp.int64), planes: wp.array2d(dtype=wp.float32)
):
    """planes[:, index[i]] = texels[i]."""
    c, i = wp.tid()
    planes[c, int(index[i])] = texels[i, c]


@wp.kernel
def mark(index: wp.array2d(dtype=wp.int32), seen: wp.array(dtype=wp.int32)):
    """seen[index] = 1; threads may write the same 1."""
    i, t = wp.tid()
    seen[index[i, t]] = 1


@wp.kernel
def renumber(index: wp.array2d(dtype=wp.int32), ends: wp.array(dtype=wp.int32), out: wp.array2d(dtype=wp.int32)):
    """The numbers of what was seen, counted from 0; `ends` is how much was seen up to each, itself counted."""
    i, t = wp.tid()
    out[i, t] = ends[index[i, t]] - 1


def take(planes: Tensor, index: Tensor) -> Tensor:
    """`texels.take_reference`."""
    out = planes.new_empty((len(index), PADDED))
    launch(take_texels, len(index), planes, index, out)
    return out


def put(texels: Tensor, index: Tensor, channels: int, n: int) -> Tensor:
    """The transpose of `take`."""
    out = texels.new_zeros((channels, n))
    launch(put_texels, (channels, len(index)), texels, index, out)
    return out


def number_seen(total: int, indices: Sequence[Tensor]) -> list[Tensor]:
    """`texels.number_seen_reference`."""
    seen = torch.zeros(total, dtype=torch.int32, device=indices[0].device)
    taken = [index.int() for index in indices]
    for index in taken:
        launch(mark, tuple(index.shape), index, seen)
    ends = seen.cumsum(0, dtype=torch.int32)
    renumbered = [torch.empty_like(index, memory_format=torch.contiguous_format) for index in taken]
    for index, out in zip(taken, renumbered, strict=True):
        launch(renumber, tuple(index.shape), index, ends, out)
    numbered = (out.to(index.dtype) for index, out in zip(indices, renumbered, strict=True))
    return [seen.nonzero()[:, 0], *numbered]
