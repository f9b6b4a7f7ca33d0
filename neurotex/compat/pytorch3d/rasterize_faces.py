"""The operator under `fragments.rasterize`: kernels on CPU, the reference elsewhere, and its derivative.

Torch's operators take tensors and numbers one by one, hence the long lists of arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...core.op import Backward, Op
from ...core.threads import parallel_for
from . import fragment_gradient_kernels as gradient_kernels
from . import fragment_kernels as kernels
from .blank_layers import blank_layers
from .fragments_reference import rasterize_faces_backward_reference, rasterize_faces_reference
from .places import EPSILON, SMALL, pixel_centres

RUNS = 4  # of bands per thread: a thread that is held up leaves more of them to the others
BAND_BYTES = 1 << 18  # outputs of a band of rows that a kernel fills at a time: they stay in the L2 cache


def _rows(width: int, layers: int, itemsize: int) -> int:
    """Rows of a band: their outputs fill BAND_BYTES, and never more than 16."""
    return min(16, max(1, BAND_BYTES // (width * layers * (8 + 5 * itemsize))))


# 10 parameters: the op's schema, which torch wants flat
def _rasterize_faces_cpu(
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
    pix, zbuf, bary, dists = blank_layers((len(first), height, width, layers), corners)
    x_of, y_of = (centres.numpy() for centres in pixel_centres((height, width), corners))
    faces, number = corners.detach().contiguous().numpy(), x_of.dtype.type
    areas, boxes = np.empty(len(faces), x_of.dtype), np.empty((len(faces), 4), np.int32)
    radius = np.sqrt(number(blur))
    parallel_for(kernels.setup_faces, len(faces), faces, x_of, -y_of, radius, cull, areas, boxes, grain=2048)
    rows = _rows(width, layers, x_of.itemsize)
    bands = -(-height // rows)
    count = len(first) * bands
    offsets, cost = np.zeros(count + 1, np.int64), np.full(count, rows * width * layers // 2, np.int64)
    order = kernels.bin_faces(boxes, np.array([*first, len(faces)]), rows, bands, offsets, cost)
    # runs of bands with about the same work in each
    runs = min(RUNS * torch.get_num_threads(), count)
    total = cost.cumsum()
    cuts = np.searchsorted(total, total[-1] / runs * np.arange(runs + 1))
    cuts[-1] = count
    modes = (perspective, clip, number(EPSILON), number(SMALL))
    out = (pix.numpy(), zbuf.numpy(), bary.numpy(), dists.numpy())
    work = (cuts, order, offsets, rows, bands, faces)
    place = (areas, boxes, x_of, y_of)
    if layers == 1 and blur == 0 and not len(neighbours):
        parallel_for(kernels.nearest_faces, runs, *work, *place, *modes, *out, pieces=RUNS)
    else:
        soft = (neighbours.numpy(), *place, number(blur))
        parallel_for(kernels.face_layers, runs, *work, *soft, *modes, *out, pieces=RUNS)
    return pix, zbuf, bary, dists


# 10 parameters: the op's schema, which torch wants flat
def _rasterize_faces_fake(
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
    return blank_layers((len(first), height, width, layers), corners)


def _backward_cpu(
    corners: Tensor,
    pix: Tensor,
    grad_zbuf: Tensor | None,
    grad_bary: Tensor | None,
    grad_dists: Tensor | None,
    perspective: bool,
    clip: bool,
) -> Tensor:
    x_of, y_of = (centres.numpy() for centres in pixel_centres((pix.shape[1], pix.shape[2]), corners))
    number = x_of.dtype.type
    given = []
    for grad, axes in ((grad_zbuf, 4), (grad_bary, 5), (grad_dists, 4)):
        wanted = grad is not None
        given += [wanted, grad.detach().contiguous().numpy() if wanted else np.empty((0,) * axes, x_of.dtype)]
    threads = min(torch.get_num_threads(), pix.shape[0] * pix.shape[1])
    out = np.zeros((threads, *corners.shape), np.float64)
    modes = (perspective, clip, number(EPSILON), number(SMALL))
    faces = corners.detach().contiguous().numpy()
    parallel_for(gradient_kernels.faces_backward, threads, pix.numpy(), faces, x_of, y_of, *modes, *given, out)
    return torch.from_numpy(out.sum(0)).to(corners.dtype)


def _backward_fake(corners: Tensor, *_: object) -> Tensor:
    return torch.empty_like(corners)


rasterize_faces = Op(
    "rasterize_faces(Tensor corners, int[] first, Tensor neighbours, int height, int width, int layers, float blur, "
    "bool perspective, bool clip, bool cull) -> (Tensor, Tensor, Tensor, Tensor)",
    reference=rasterize_faces_reference,
    cpu=_rasterize_faces_cpu,
    cuda=f"{__name__}_warp.forward",
    fake=_rasterize_faces_fake,
    derivative=Backward(
        lambda grads, inputs, outputs: (
            rasterize_faces_backward(inputs[0], outputs[0], *grads[1:], *inputs[7:9]),
            *[None] * 9,
        ),
        reads=(0,),
    ),
)
rasterize_faces_backward = Op(
    "rasterize_faces_backward(Tensor corners, Tensor pix, Tensor? grad_zbuf, Tensor? grad_bary, Tensor? grad_dists, "
    "bool perspective, bool clip) -> Tensor",
    reference=rasterize_faces_backward_reference,
    cpu=_backward_cpu,
    cuda=f"{__name__}_gradient_warp.backward",
    fake=_backward_fake,
)
