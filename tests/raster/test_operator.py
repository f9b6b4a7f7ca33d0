"""The sparse operator against dense matrices."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex.raster import SparseOperator, assemble_rows
from neurotex.raster.operator import assemble_reference, product_reference, transpose

ROWS, WIDTH = 12, 9


def _taps(channels: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Samples per row from none to six; equal texels within a sample and a row, and weights of zero."""
    count = torch.randint(7, (ROWS,))
    count[3] = 0
    first = torch.cat([torch.zeros(1, dtype=torch.int64), count.cumsum(0)])
    samples = int(first[-1])
    index = torch.randint(WIDTH, (samples, 4), dtype=torch.int32)
    weight = torch.rand(samples, 4, dtype=dtype) * (torch.rand(samples, 4) < 0.8)
    return first, index, weight, torch.rand(samples, channels, dtype=dtype)


def _dense(pointers: Tensor, columns: Tensor, values: Tensor, width: int) -> Tensor:
    """(channels, rows, width)."""
    out = values.new_zeros(values.shape[1], len(pointers) - 1, width)
    for row in range(len(pointers) - 1):
        for k in range(int(pointers[row]), int(pointers[row + 1])):
            out[:, row, columns[k]] += values[k]
    return out


@pytest.fixture(params=[1, 3])
def matrix(request) -> tuple[Tensor, Tensor, Tensor]:
    return assemble_rows(*_taps(request.param, torch.float64))


@pytest.mark.parametrize("assemble", [assemble_rows, assemble_reference])
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_the_sums_of_their_samples_taps(assemble, channels):
    first, index, weight, light = _taps(channels, torch.float64)
    expected = torch.zeros(channels, ROWS, WIDTH, dtype=torch.float64)
    for row in range(ROWS):
        for s in range(int(first[row]), int(first[row + 1])):
            for t in range(4):
                expected[:, row, index[s, t]] += weight[s, t] * light[s]
    pointers, columns, values = assemble(first, index, weight, light)
    torch.testing.assert_close(_dense(pointers, columns, values, WIDTH), expected)
    for row in range(ROWS):  # merged, and nothing kept for a weight of zero
        held = columns[pointers[row] : pointers[row + 1]].tolist()
        s = slice(int(first[row]), int(first[row + 1]))
        assert sorted(held) == index[s][weight[s] != 0].unique().tolist()


def test_the_transpose_is_the_dense_transpose(matrix):
    flipped = _dense(*transpose(*matrix, WIDTH), ROWS)
    assert torch.equal(flipped, _dense(*matrix, WIDTH).mT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_product_equals_the_reference_and_the_dense_one(dtype, channels):
    matrix = assemble_rows(*_taps(channels, dtype))
    operator = SparseOperator(*matrix, WIDTH)
    assert operator.shape == (ROWS, WIDTH)
    assert operator.nnz == len(matrix[1])
    x = torch.rand(WIDTH, 3, dtype=dtype)
    expected = torch.einsum("crw,wc->rc", _dense(*matrix, WIDTH).expand(3, -1, -1), x)
    torch.testing.assert_close(operator(x), expected)
    torch.testing.assert_close(product_reference(x, *matrix), expected)


def test_the_product_passes_first_and_second_gradcheck(matrix):
    operator = SparseOperator(*matrix, WIDTH)
    x = torch.rand(WIDTH, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(operator, (x,))
    assert gradgradcheck(operator, (x,))


def test_the_product_takes_what_is_not_contiguous(matrix):
    operator = SparseOperator(*matrix, WIDTH)
    x = torch.rand(3, WIDTH, dtype=torch.float64)
    assert torch.equal(operator(x.T), operator(x.T.contiguous()))


def test_the_operator_keeps_torchs_contract():
    operator = SparseOperator(*assemble_rows(*_taps(1, torch.float64)), WIDTH)
    x = torch.rand(WIDTH, 3, dtype=torch.float64, requires_grad=True)
    buffers = (operator.pointers, operator.columns, operator.values)
    flipped = (operator.transposed_pointers, operator.transposed_columns, operator.transposed_values)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.neurotex.sparse_product.default, (x, *buffers, *flipped), test_utils=checks)
