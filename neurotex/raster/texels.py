"""From maps, stored plane by plane, to the list of texels that taps refer to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..core.op import Linear, Op
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import texel_kernels as kernels

PADDED = 4  # channels of a texel, unused ones 0: four floats make one vector register


@checked.door()
def take_texels(planes: Float[Tensor, "channels n"], index: Int[Tensor, "m"]) -> Float[Tensor, "m 4"]:
    """The texels at `index` (ascending, none twice) of 1 to 4 planes, each as four neighbouring channels.

    What a baked scene reads: only texels that some view sees. Differentiable in `planes`. ArgumentError for more
    planes.
    """
    if not 1 <= len(planes) <= PADDED:
        raise ArgumentError(f"texels have 1 to {PADDED} channels, but planes has {len(planes)}.")
    checked.ascending("index", index, planes.shape[1], "texel")
    return take_texels_unchecked(planes, index.long())


def number_seen(
    indices: Sequence[Int[Tensor, "_ taps"]], total: int
) -> tuple[Int[Tensor, "m"], list[Int[Tensor, "_ taps"]]]:
    """Which of `total` texels the taps in `indices` read, ascending, and the taps as places in that list.

    A view sees a part of a texture only; what it does not see need not be decoded. ArgumentError where `indices` is
    empty.
    """
    total = checked.whole("total", total)
    if len(indices) == 0:
        raise ArgumentError("indices is empty: pass the taps of one view at least.")
    for index in indices:
        _check_taps(index)
        checked.indices("an index", index, total, "texel")
    return number_seen_unchecked(indices, total)


@checked.door()
def _check_taps(index: Int[Tensor, "_ taps"]) -> None:
    """The door looks."""


def number_seen_unchecked(
    indices: Sequence[Int[Tensor, "_ taps"]], total: int
) -> tuple[Int[Tensor, "m"], list[Int[Tensor, "_ taps"]]]:
    """`number_seen` of texels that exist."""
    texel, *renumbered = _number(total, list(indices))
    return texel, renumbered


def number_seen_reference(total: int, indices: Sequence[Tensor]) -> list[Tensor]:
    """`number_seen` in plain tensor language."""
    seen = torch.zeros(total, dtype=torch.bool, device=indices[0].device)
    for index in indices:
        seen[index.flatten()] = True
    numbers = seen.cumsum(0, dtype=torch.int32) - 1
    return [seen.nonzero()[:, 0], *(numbers[index].to(index.dtype) for index in indices)]


def _number_seen_cpu(total: int, indices: Sequence[Tensor]) -> list[Tensor]:
    seen, numbers, texel = np.zeros(total, np.uint8), np.empty(total, np.int32), torch.empty(total, dtype=torch.int64)
    for index in indices:
        parallel_for(kernels.mark, len(index), index.contiguous().numpy(), seen, grain=1 << 14)
    count = kernels.number(seen, numbers, texel.numpy())
    renumbered = [torch.empty(index.shape, dtype=index.dtype) for index in indices]
    for index, out in zip(indices, renumbered, strict=True):
        parallel_for(kernels.renumber, len(index), index.contiguous().numpy(), numbers, out.numpy(), grain=1 << 14)
    return [texel[:count].clone(), *renumbered]


def take_reference(planes: Float[Tensor, "channels n"], index: Int[Tensor, "m"]) -> Float[Tensor, "m 4"]:
    """`take_texels` in plain tensor language."""
    return torch.nn.functional.pad(planes[:, index].T, (0, PADDED - len(planes))).contiguous()


def _put_reference(texels: Tensor, index: Tensor, channels: int, n: int) -> Tensor:
    return texels.new_zeros((channels, n)).index_copy(1, index, texels[:, :channels].T)


def _take_cpu(planes: Tensor, index: Tensor) -> Tensor:
    out = planes.new_empty((len(index), PADDED))
    parallel_for(kernels.take_texels, len(index), planes.contiguous().numpy(), index.numpy(), out.numpy(), grain=4096)
    return out


def _put_cpu(texels: Tensor, index: Tensor, channels: int, n: int) -> Tensor:
    out = texels.new_empty((channels, n))
    parallel_for(kernels.put_texels, n, texels.contiguous().numpy(), index.numpy(), out.numpy(), grain=1 << 14)
    return out


# each is the other's transpose, so both can be differentiated any number of times
take_texels_unchecked = Op(
    "take_texels(Tensor planes, Tensor index) -> Tensor",
    reference=take_reference,
    cpu=_take_cpu,
    cuda=f"{__name__}_warp.take",
    fake=lambda planes, index: planes.new_empty((index.shape[0], PADDED)),
    derivative=Linear(lambda grad, shape, index: _put(grad, index, *shape)),
)
_put = Op(
    "put_texels(Tensor texels, Tensor index, int channels, int n) -> Tensor",
    reference=_put_reference,
    cpu=_put_cpu,
    cuda=f"{__name__}_warp.put",
    fake=lambda texels, index, channels, n: texels.new_empty((channels, n)),
    derivative=Linear(lambda grad, shape, index, *size: take_texels_unchecked(grad, index)),
)
_number = Op(
    "number_seen(int total, Tensor[] indices) -> Tensor[]",
    reference=number_seen_reference,
    cpu=_number_seen_cpu,
    cuda=f"{__name__}_warp.number_seen",
)
