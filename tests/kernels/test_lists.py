"""Sparse products, and what moves between lists, planes and images."""

import pytest
import torch
from torch import Tensor

from neurotex.core.op import OPS

ROWS, WIDTH = 37, 23


def _taps(channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Samples per row from none to six; equal texels within a sample and a row, and weights of zero."""
    count = torch.randint(7, (ROWS,))
    count[3] = 0
    first = torch.cat([torch.zeros(1, dtype=torch.int64), count.cumsum(0)])
    samples = int(first[-1])
    index = torch.randint(WIDTH, (samples, 4), dtype=torch.int32)
    weight = torch.rand(samples, 4) * (torch.rand(samples, 4) < 0.8)
    return first, index, weight, torch.rand(samples, channels)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("colours", [1, 3])
def test_sparse_product(held, channels, colours):
    matrix = OPS["assemble_rows"].reference(*_taps(colours))
    transposed = OPS["transpose_rows"].reference(*matrix, WIDTH)
    held(OPS["sparse_product"], torch.rand(WIDTH, channels), *matrix, *transposed)
    held(OPS["sparse_product"], torch.rand(ROWS, channels), *transposed, *matrix)
    held(OPS["sparse_product"], torch.rand(channels, ROWS).T, *transposed, *matrix)  # not contiguous


@pytest.mark.parametrize("colours", [1, 3])
def test_transposed_rows(held, colours):
    if held.kind == "CUDA":
        pytest.skip("a sort of torch's, on a GPU")
    held(OPS["transpose_rows"], *OPS["assemble_rows"].reference(*_taps(colours)), WIDTH)


@pytest.mark.parametrize("colours", [1, 3])
def test_assembled_rows(held, colours):
    """Entries of a row may come in any order: both are sorted by texel."""
    taps = [held.placed(x) for x in _taps(colours)]
    op = OPS["assemble_rows"]
    ours, right = op.kernels[held.kind](*taps), op.reference(*taps)
    assert torch.equal(ours[0], right[0])
    assert ours[1].dtype == right[1].dtype
    rows = torch.repeat_interleave(ours[0].diff())
    order = (rows * WIDTH + ours[1]).argsort()
    assert torch.equal(ours[1][order], right[1])
    torch.testing.assert_close(ours[2][order], right[2], rtol=1e-6, atol=1e-7)


def test_nothing_is_assembled_of_nothing(held):
    none = torch.zeros(5, dtype=torch.int64), torch.empty(0, 4, dtype=torch.int32), torch.empty(0, 4), torch.empty(0, 1)
    pointers, columns, values = held(OPS["assemble_rows"], *none)
    assert pointers.tolist() == [0] * 5
    assert len(columns) == len(values) == 0


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_texels_taken_and_put(held, channels):
    index = (torch.rand(200) < 0.3).nonzero()[:, 0]
    held(OPS["take_texels"], torch.rand(channels, 200), index, close=0)
    held(OPS["take_texels"], torch.rand(200, channels).T, index, close=0)
    held(OPS["put_texels"], torch.rand(len(index), 4), index, channels, 200, close=0)
    held(OPS["put_texels"], torch.rand(4, len(index)).T, index, channels, 200, close=0)
    held(OPS["put_texels"], torch.rand(0, 4), index[:0], channels, 200, close=0)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_seen_texels_are_numbered(held, kind):
    indices = [torch.randint(5, 300, (n, taps), dtype=kind) for n, taps in ((40, 4), (0, 4), (9, 8))]
    texel, *numbers = held(OPS["number_seen"], 301, indices)
    for number, index in zip(numbers, indices, strict=True):
        assert torch.equal(texel[number.long()], index.long())


def test_pixels_placed_and_picked(held):
    pixel = (torch.rand(200) < 0.3).nonzero()[:, 0]
    held(OPS["place_pixels"], torch.rand(len(pixel), 4), torch.rand(len(pixel)), pixel, 200, close=0)
    held(OPS["place_pixels"], torch.rand(0, 4), torch.rand(0), pixel[:0], 200, close=0)
    held(OPS["pick_pixels"], torch.rand(200, 4), pixel, close=0)
    held(OPS["pick_pixels"], torch.rand(4, 200).T, pixel, close=0)
