"""Texture lookup: kernel against reference, torch's grid_sample, and gradients."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn.functional import grid_sample

from neurotex.raster import TexelLayout, bilinear_taps, gather_texels
from neurotex.raster.textures import bilinear_taps_reference, gather_texels_reference

SHAPES, WRAPS = [(5, 7), (1, 1), (8, 4), (1, 6)], ["repeat", "clamp", "clamp", "repeat"]


def _points(dtype: torch.dtype) -> torch.Tensor:
    """Inside, far outside, and exactly on texel centres and borders."""
    edges = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0, 1 / 14, 1 / 8])
    return torch.cat([torch.rand(300, 2) * 1.2 - 0.1, 50 * torch.randn(100, 2), torch.cartesian_prod(edges, edges)]).to(
        dtype
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-13)])
def test_the_kernel_equals_the_reference(dtype, tolerance):
    uv = _points(dtype)
    texture = torch.randint(4, (len(uv),))
    layout = TexelLayout.of(SHAPES, WRAPS)
    # as dense rows: where a point lies on a texel's border up to rounding, either side's taps are right
    rows = [
        torch.zeros(len(uv), layout.total, dtype=dtype).scatter_add(1, index.long(), weight)
        for index, weight in (f(uv, texture, layout) for f in (bilinear_taps, bilinear_taps_reference))
    ]
    torch.testing.assert_close(rows[0], rows[1], rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gathering_kernel_equals_its_reference(dtype):
    texels, index = torch.rand(50, 3, dtype=dtype), torch.randint(50, (9000, 4), dtype=torch.int32)
    weight = torch.randn(9000, 4, dtype=dtype)
    torch.testing.assert_close(gather_texels(texels, index, weight), gather_texels_reference(texels, index, weight))


def test_textures_lie_one_after_the_other():
    layout = TexelLayout.of(SHAPES, WRAPS)
    assert layout.total == 35 + 1 + 32 + 6
    assert layout.first.tolist() == [0, 35, 36, 68]
    uv, texture = _points(torch.float32)[:400], torch.arange(4).repeat_interleave(100)
    index, _ = bilinear_taps(uv, texture, layout)
    ends = layout.first + layout.shape.prod(1)
    assert bool((index >= layout.first[texture, None]).all())
    assert bool((index < ends[texture, None]).all())


def test_weights_sum_to_one():
    uv = _points(torch.float64)
    _, weight = bilinear_taps(uv, torch.zeros(len(uv), dtype=torch.int64), TexelLayout.of([(5, 7)], ["repeat"]))
    assert bool((weight >= 0).all())
    torch.testing.assert_close(weight.sum(1), torch.ones(len(uv), dtype=torch.float64))


def test_clamped_lookup_is_torchs_grid_sample():
    image, uv = torch.rand(3, 5, 7, dtype=torch.float64), _points(torch.float64)
    layout = TexelLayout.of([(5, 7)], ["clamp"])
    index, weight = bilinear_taps(uv, torch.zeros(len(uv), dtype=torch.int64), layout)
    ours = gather_texels(image.flatten(1).T.contiguous(), index, weight)
    place = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)
    expected = grid_sample(image[None], place[None, None], padding_mode="border", align_corners=False)[0, :, 0].T
    torch.testing.assert_close(ours, expected)


def test_repeated_lookup_is_the_clamped_one_in_a_tiling():
    image, uv = torch.rand(3, 5, 7, dtype=torch.float64), 0.9 * torch.rand(200, 2, dtype=torch.float64) - 0.45
    zero = torch.zeros(200, dtype=torch.int64)
    index, weight = bilinear_taps(uv + 7, zero, TexelLayout.of([(5, 7)], ["repeat"]))
    tiled_index, tiled_weight = bilinear_taps((uv + 1) / 2, zero, TexelLayout.of([(10, 14)], ["clamp"]))
    ours = gather_texels(image.flatten(1).T.contiguous(), index, weight)
    tiled = gather_texels(image.tile(1, 2, 2).flatten(1).T.contiguous(), tiled_index, tiled_weight)
    torch.testing.assert_close(ours, tiled)


def test_row_0_is_at_v_1_and_column_0_at_u_0():
    image = torch.arange(6.0).view(1, 2, 3)  # rows (0, 1, 2) and (3, 4, 5)
    corners = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    index, weight = bilinear_taps(corners, torch.zeros(4, dtype=torch.int64), TexelLayout.of([(2, 3)], ["clamp"]))
    assert gather_texels(image.flatten(1).T.contiguous(), index, weight)[:, 0].tolist() == [0, 2, 3, 5]


def test_weights_pass_gradcheck_in_uv():
    uv = torch.rand(20, 2, dtype=torch.float64, requires_grad=True)
    texture, layout = torch.randint(4, (20,)), TexelLayout.of(SHAPES, WRAPS)
    assert gradcheck(lambda uv: bilinear_taps(uv, texture, layout)[1], (uv,))


def test_lookup_passes_gradcheck_in_texels_and_weights():
    index = torch.randint(9, (6, 4))
    texels = torch.rand(9, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(6, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda texels, weight: gather_texels(texels, index, weight), (texels, weight))
