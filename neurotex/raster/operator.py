"""The baked scene: an image that is linear in its texels, as one sparse matrix and its transpose."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from ..core import checked
from ..core.op import Linear, Op
from ..core.threads import parallel_for
from ..errors import ArgumentError
from . import operator_kernels as kernels
from .texels import PADDED


class SparseOperator(nn.Module):
    """y = A x for a fixed sparse A (rows × columns), applied to up to four channels at once.

    Kept as compressed rows of A and of Aᵀ, with 32-bit columns: forward and backward each stream their own copy in
    order. `pointers` (rows + 1) say where the rows begin in `columns` (nnz), each in [0, `width`). `values` is
    (nnz, 1), or (nnz, 3) where the channels differ. All this is checked once, here: raises ArgumentError.
    """

    pointers: Int[Tensor, "rows_plus_1"]
    columns: Int[Tensor, "nnz"]
    values: Float[Tensor, "nnz channels"]
    transposed_pointers: Int[Tensor, "columns_plus_1"]
    transposed_columns: Int[Tensor, "nnz"]
    transposed_values: Float[Tensor, "nnz channels"]

    def __init__(
        self,
        pointers: Int[Tensor, "rows_plus_1"],
        columns: Int[Tensor, "nnz"],
        values: Float[Tensor, "nnz channels"],
        width: int,
    ):
        super().__init__()
        pointers, columns, values = _checked_matrix(pointers, columns, values, width)
        self.shape = (len(pointers) - 1, width)
        matrices = {"": (pointers, columns, values), "transposed_": transpose(pointers, columns, values, width)}
        for prefix, matrix in matrices.items():
            for name, tensor in zip(("pointers", "columns", "values"), matrix, strict=True):
                self.register_buffer(prefix + name, tensor, persistent=False)

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self.columns)

    def forward(self, x: Float[Tensor, "columns c"]) -> Float[Tensor, "rows c"]:
        """A x, of 1 to 4 channels; the gradient is Aᵀ times the incoming one."""
        self._check("A x", x, self.shape[1])
        return _product(x, *self.matrix(), *self.transposed())

    def transposed_product(self, y: Float[Tensor, "rows c"]) -> Float[Tensor, "columns c"]:
        """Aᵀ y; its gradient is A times the incoming one."""
        self._check("Aᵀ y", y, self.shape[0])
        return _product(y, *self.transposed(), *self.matrix())

    def _check(self, what: str, x: Tensor, rows: int) -> None:
        """Shape and type alone: a step of a fit comes this way."""
        if torch.compiler.is_compiling():
            return
        if not isinstance(x, Tensor):
            raise ArgumentError(f"{what} takes a tensor, not a {type(x).__name__}.")
        if x.ndim != 2 or x.shape[0] != rows or not 1 <= x.shape[1] <= PADDED:
            raise ArgumentError(f"{what} of a {self.shape} operator takes ({rows}, 1 to 4), not {tuple(x.shape)}.")
        if x.dtype != self.values.dtype:
            raise ArgumentError(f"{what} of a {self.values.dtype} operator takes that type, not {x.dtype}.")

    def matrix(self) -> tuple[Tensor, Tensor, Tensor]:
        """A by rows: where each begins in the others, columns (to be read as uint32), values."""
        return self.pointers, self.columns, self.values

    def transposed(self) -> tuple[Tensor, Tensor, Tensor]:
        """Aᵀ by rows, that is A by columns."""
        return self.transposed_pointers, self.transposed_columns, self.transposed_values

    def extra_repr(self) -> str:
        return f"{self.shape[0]} x {self.shape[1]}, nnz={self.nnz}"


@checked.door()
def _checked_matrix(
    pointers: Int[Tensor, "rows_plus_1"], columns: Int[Tensor, "nnz"], values: Float[Tensor, "nnz channels"], width: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The matrix as kernels take it."""
    width = checked.whole("width", width)
    if values.shape[1] not in (1, 3):
        raise ArgumentError(f"values of an operator have 1 channel or 3, not {values.shape[1]}.")
    checked.runs("pointers", pointers, len(columns), "entry")
    checked.indices("columns", columns, width, "column")
    return pointers.long().contiguous(), columns.int().contiguous(), values.contiguous()


def _product_cpu(x: Tensor, pointers: Tensor, columns: Tensor, values: Tensor, *transposed: Tensor) -> Tensor:
    out = x.new_empty((len(pointers) - 1, PADDED))
    kernel = kernels.csr_product if values.shape[1] == 1 else kernels.csr_product_rgb
    matrix = (pointers.numpy(), columns.numpy().view(np.uint32), values.numpy())
    parallel_for(
        kernel, len(out), *matrix, pad(x, (0, PADDED - x.shape[1])).contiguous().numpy(), out.numpy(), grain=1024
    )
    return out if x.shape[1] == PADDED else out[:, : x.shape[1]]


def _product_fake(x: Tensor, pointers: Tensor, *rest: Tensor) -> Tensor:
    return x.new_empty((pointers.shape[0] - 1, PADDED))[:, : x.shape[1]]


def product_reference(x: Tensor, pointers: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """The product in plain tensor language."""
    rows = torch.repeat_interleave(torch.arange(len(pointers) - 1, device=x.device), pointers.diff())
    out = x.new_zeros((len(pointers) - 1, x.shape[1]))
    if values.shape[1] == 3:  # a fourth channel has no light
        values = pad(values, (0, x.shape[1] - 3))
    return out.index_add(0, rows, values * x[columns.long()])


@checked.door()
def assemble_rows(
    first: Int[Tensor, "rows_plus_1"],
    index: Int[Tensor, "samples taps"],
    weight: Float[Tensor, "samples taps"],
    light: Float[Tensor, "samples channels"],
) -> tuple[Tensor, Tensor, Tensor]:
    """One sparse row per pixel from the taps of its samples: (pointers int64, columns int32, values).

    Row r owns samples `first[r] : first[r + 1]`. A tap's entry is its weight times its sample's light (1 or 3
    channels); entries that fall on the same texel are summed, zero weights dropped. ArgumentError for another number of
    channels.
    """
    if light.shape[1] not in (1, 3):
        raise ArgumentError(f"light has 1 channel or 3, not {light.shape[1]}.")
    checked.runs("first", first, len(index), "sample")
    checked.indices("index", index, checked.BITS31, "texel")
    return assemble_rows_unchecked(first, index, weight, light)


def assemble_rows_unchecked(
    first: Int[Tensor, "rows_plus_1"],
    index: Int[Tensor, "samples taps"],
    weight: Float[Tensor, "samples taps"],
    light: Float[Tensor, "samples channels"],
) -> tuple[Tensor, Tensor, Tensor]:
    """`assemble_rows` of samples that exist."""
    return _assemble(first, index, weight.detach(), light.detach())


def _assemble_cpu(first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (samples, taps), channels, rows = weight.shape, light.shape[1], len(first) - 1
    start, taken = first.long().numpy(), [t.contiguous().numpy() for t in (index.int(), weight, light)]
    columns = np.empty(samples * taps, np.int32)
    values = np.empty((samples * taps, channels), taken[1].dtype)
    lengths = np.empty(rows, np.int64)
    parallel_for(kernels.merge_taps, rows, start, *taken, columns, values, lengths, grain=256)
    pointers = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
    packed = np.empty(pointers[-1], np.int32), np.empty((pointers[-1], channels), values.dtype)
    parallel_for(kernels.compact_rows, rows, start, taps, pointers, columns, values, *packed, grain=256)
    return torch.from_numpy(pointers), torch.from_numpy(packed[0]), torch.from_numpy(packed[1])


def assemble_reference(first: Tensor, index: Tensor, weight: Tensor, light: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """`assemble_rows` in plain tensor language: sort the (row, texel) pairs and sum equal ones."""
    rows = torch.repeat_interleave(torch.arange(len(first) - 1, device=index.device), first.diff())
    width = int(index.max()) + 1 if index.numel() else 1
    key = (rows[:, None] * width + index).flatten()
    entry = (weight[..., None] * light[:, None]).flatten(0, 1)
    kept = (weight != 0).flatten()
    unique, place = key[kept].unique(return_inverse=True)
    values = entry.new_zeros((len(unique), entry.shape[1])).index_add(0, place, entry[kept])
    lengths = torch.bincount(unique // width, minlength=len(first) - 1)
    pointers = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return pointers, (unique % width).int(), values


def transpose(pointers: Tensor, columns: Tensor, values: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compressed rows of the transposed matrix, which has `width` rows."""
    return _transpose(pointers, columns, values, width)


def transpose_reference(pointers: Tensor, columns: Tensor, values: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """`transpose` in plain tensor language."""
    columns, order = columns.sort(stable=True)
    rows = torch.searchsorted(pointers, order, right=True) - 1
    begin = torch.searchsorted(columns, torch.arange(width + 1, device=columns.device, dtype=columns.dtype))
    return begin, rows.int(), values[order]


def _transpose_cpu(pointers: Tensor, columns: Tensor, values: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    out = torch.zeros(width + 1, dtype=torch.int64), torch.empty_like(columns), torch.empty_like(values)
    kernels.transpose_csr(*(t.contiguous().numpy() for t in (pointers, columns, values, *out)))
    return out


# The transposed matrix comes along for the backward pass; its own transpose is the matrix itself, so the product can be
# differentiated any number of times.
_product = Op(
    "sparse_product(Tensor x, Tensor pointers, Tensor columns, Tensor values, "
    "Tensor transposed_pointers, Tensor transposed_columns, Tensor transposed_values) -> Tensor",
    reference=lambda x, pointers, columns, values, *transposed: product_reference(x, pointers, columns, values),
    cpu=_product_cpu,
    cuda=f"{__name__}_warp.product",
    fake=_product_fake,
    derivative=Linear(lambda grad, shape, *pair: _product(grad, *pair[3:], *pair[:3])),
)
_assemble = Op(
    "assemble_rows(Tensor first, Tensor index, Tensor weight, Tensor light) -> (Tensor, Tensor, Tensor)",
    reference=assemble_reference,
    cpu=_assemble_cpu,
    cuda=f"{__name__}_warp.assemble",
)
_transpose = Op(
    "transpose_rows(Tensor pointers, Tensor columns, Tensor values, int width) -> (Tensor, Tensor, Tensor)",
    reference=transpose_reference,
    cpu=_transpose_cpu,
)
