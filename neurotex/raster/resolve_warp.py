"""Kernels for NVIDIA GPUs that sum lit texels into pixels and spread gradients back; see `resolve`.

Gradients meet in texels by atomic sums: their last bits change from run to run, as those of torch's `index_add` do.
"""

import warp as wp
from torch import Tensor

from ..core.lanes_warp import joined
from ..core.warp import lanes, launch

wp.set_module_options({"enable_backward": False})

LANES = 8  # a pixel has 16 samples or so


@wp.func
def four(light: wp.array2d(dtype=wp.float32), s: int):
    """Light for four channels: one value serves all, three leave the last one dark."""
    if light.shape[1] == 1:
        return wp.vec4(light[s, 0], light[s, 0], light[s, 0], light[s, 0])
    return wp.vec4(light[s, 0], light[s, 1], light[s, 2], 0.0)


@wp.kernel
def resolve(
    texels: wp.array(dtype=wp.vec4),
    first: wp.array(dtype=wp.int64),
    index: wp.array2d(dtype=wp.int32),
    weight: wp.array2d(dtype=wp.float32),
    light: wp.array2d(dtype=wp.float32),
    lanes: int,
    out: wp.array(dtype=wp.vec4),
):
    """The sum over a row's samples and their taps."""
    row, lane = wp.tid()
    total = wp.vec4()
    for s in range(int(first[row]) + lane, int(first[row + 1]), lanes):
        value = wp.vec4()
        for t in range(index.shape[1]):
            value += weight[s, t] * texels[index[s, t]]
        total += wp.cw_mul(four(light, s), value)
    total = joined(total, lanes)
    if lane == 0:
        out[row] = total


@wp.kernel
def spread(
    grad: wp.array(dtype=wp.vec4),
    first: wp.array(dtype=wp.int64),
    index: wp.array2d(dtype=wp.int32),
    weight: wp.array2d(dtype=wp.float32),
    light: wp.array2d(dtype=wp.float32),
    lanes: int,
    out: wp.array(dtype=wp.vec4),
):
    """Add a row's gradient to the texels that it reads."""
    row, lane = wp.tid()
    given = grad[row]
    for s in range(int(first[row]) + lane, int(first[row + 1]), lanes):
        lit = wp.cw_mul(four(light, s), given)
        for t in range(index.shape[1]):
            wp.atomic_add(out, index[s, t], weight[s, t] * lit)


def resolved(texels: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> Tensor:
    """`resolve.resolve_reference`."""
    rows, share = len(first) - 1, lanes(texels, LANES)
    out = texels.new_empty((rows, 4))
    launch(resolve, (rows, share), texels.contiguous(), first, index, weight, light, share, out)
    return out


def scattered(grad: Tensor, first: Tensor, index: Tensor, weight: Tensor, light: Tensor, texels: int) -> Tensor:
    """The transpose of `resolved`."""
    share = lanes(grad, LANES)
    out = grad.new_zeros((texels, 4))
    launch(spread, (len(first) - 1, share), grad.contiguous(), first, index, weight, light, share, out)
    return out
