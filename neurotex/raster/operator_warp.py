"""The sparse operator's kernels for NVIDIA GPUs; see `operator`, and `core.warp` for how such kernels run."""

import torch
import warp as wp
from torch import Tensor
from torch.nn.functional import pad

from ..core.lanes_warp import joined
from ..core.warp import lanes, launch
from .texels import PADDED

wp.set_module_options({"enable_backward": False})

LANES = 8  # a row has some tens of entries: so many threads read their neighbours' neighbours


@wp.kernel
def csr_product(
    pointers: wp.array(dtype=wp.int64),
    columns: wp.array(dtype=wp.int32),
    values: wp.array(dtype=wp.float32),
    x: wp.array(dtype=wp.vec4),
    lanes: int,
    out: wp.array(dtype=wp.vec4),
):
    """out = matrix @ x, one value for all four channels."""
    row, lane = wp.tid()
    total = wp.vec4()
    for k in range(int(pointers[row]) + lane, int(pointers[row + 1]), lanes):
        total += values[k] * x[columns[k]]
    total = joined(total, lanes)
    if lane == 0:
        out[row] = total


@wp.kernel
def csr_product_rgb(
    pointers: wp.array(dtype=wp.int64),
    columns: wp.array(dtype=wp.int32),
    values: wp.array(dtype=wp.vec3),
    x: wp.array(dtype=wp.vec4),
    lanes: int,
    out: wp.array(dtype=wp.vec4),
):
    """As `csr_product`, with a value of its own for each of the first three channels; the fourth is dark."""
    row, lane = wp.tid()
    total = wp.vec4()
    for k in range(int(pointers[row]) + lane, int(pointers[row + 1]), lanes):
        v = values[k]
        total += wp.cw_mul(wp.vec4(v[0], v[1], v[2], 0.0), x[columns[k]])
    total = joined(total, lanes)
    if lane == 0:
        out[row] = total


def product(x: Tensor, pointers: Tensor, columns: Tensor, values: Tensor, *transposed: Tensor) -> Tensor:
    """`operator.product_reference`, of up to four channels."""
    rows = len(pointers) - 1
    out = x.new_empty((rows, PADDED))
    share = lanes(x, LANES)
    four = pad(x, (0, PADDED - x.shape[1])).contiguous()
    if values.shape[1] == 1:
        launch(csr_product, (rows, share), pointers, columns, values[:, 0], four, share, out)
    else:
        launch(csr_product_rgb, (rows, share), pointers, columns, values, four, share, out)
    return out if x.shape[1] == PADDED else out[:, : x.shape[1]]


@wp.kernel
def merge_taps(
    first: wp.array(dtype=wp.int64),
    index: wp.array2d(dtype=wp.int32),
    weight: wp.array2d(dtype=wp.float32),
    light: wp.array2d(dtype=wp.float32),
    columns: wp.array(dtype=wp.int32),
    values: wp.array2d(dtype=wp.float32),
    lengths: wp.array(dtype=wp.int64),
):
    """Sum the taps of each pixel's samples into one sparse row; see `operator_kernels.merge_taps`."""
    row = wp.tid()
    taps = index.shape[1]
    base = int(first[row]) * taps
    n = int(0)
    for s in range(int(first[row]), int(first[row + 1])):
        for t in range(taps):
            w = weight[s, t]
            if w != 0.0:
                column = index[s, t]
                # neighbouring samples hit the texels that were added last: look backwards
                k = n - 1
                while k >= 0 and columns[base + wp.max(k, 0)] != column:
                    k -= 1
                if k < 0:
                    k = n
                    columns[base + k] = column
                    for c in range(values.shape[1]):
                        values[base + k, c] = 0.0
                    n += 1
                for c in range(values.shape[1]):
                    values[base + k, c] = values[base + k, c] + w * light[s, c]
    lengths[row] = wp.int64(n)


@wp.kernel
def compact_rows(
    first: wp.array(dtype=wp.int64),
    taps: int,
    pointers: wp.array(dtype=wp.int64),
    columns: wp.array(dtype=wp.int32),
    values: wp.array2d(dtype=wp.float32),
    out_columns: wp.array(dtype=wp.int32),
    out_values: wp.array2d(dtype=wp.float32),
):
    """Close the gaps that `merge_taps` leaves between rows."""
    row = wp.tid()
    base = int(first[row]) * taps
    target = int(pointers[row])
    for k in range(int(pointers[row + 1]) - target):
        out_columns[target + k] = columns[base + k]
        for c in range(values.shape[1]):
            out_values[target + k, c] = values[base + k, c]


def assemble(first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`operator.assemble_rows`, its entries in the order in which texels are first seen."""
    (samples, taps), rows, channels = weight.shape, len(first) - 1, light.shape[1]
    first = first.long()
    columns = torch.empty(samples * taps, dtype=torch.int32, device=weight.device)
    values = weight.new_empty((samples * taps, channels))
    pointers = first.new_zeros(rows + 1)  # in place: how long each row is, then where it ends
    launch(merge_taps, rows, first, index.int(), weight, light, columns, values, pointers[1:])
    pointers = pointers.cumsum(0)
    total = int(pointers[-1])
    packed = columns.new_empty(total), values.new_empty((total, channels))
    launch(compact_rows, rows, first, taps, pointers, columns, values, *packed)
    return pointers, *packed
