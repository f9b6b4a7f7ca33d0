"""Texels that samples read, with which weights, and their sums into pixels."""

import pytest
import torch
from torch import Tensor

from neurotex.core.op import OPS
from neurotex.raster.layout import TexelLayout
from neurotex.raster.textures import _table

WRAPS = ["repeat", "clamp", "mirror", ("mirror", "repeat")]
SHAPES = [(5, 7), (16, 24), (1, 1), (33, 8)]


def _points(n: int = 600) -> tuple[Tensor, Tensor, Tensor]:
    """UVs in and around the square, some on borders; slopes from none to beyond a texture, and not numbers."""
    uv = 3 * torch.rand(n, 2) - 1
    uv[:60] = torch.randint(-8, 17, (60, 2)) / 8
    slopes = torch.randn(n, 2, 2) * 10 ** (3 * torch.rand(n, 1, 1) - 2.5)
    slopes[:20] = 0
    slopes[20], slopes[21], slopes[22, 0, 0] = torch.nan, torch.inf, torch.nan
    return uv, slopes, torch.randint(len(SHAPES), (n,))


def test_bilinear_taps(held):
    uv, _, texture = _points()
    layout = TexelLayout.of(SHAPES, WRAPS)
    _, weight = held(OPS["bilinear_taps"], uv, texture, layout.first, layout.shape, layout.wraps, precise=True)
    assert bool((weight >= 0).all())
    held(OPS["bilinear_taps"], uv.T.contiguous().T, texture.int(), *_table(layout)[:3], precise=True)


@pytest.mark.parametrize(
    "filters",
    [
        ["nearest"] * 4,
        ["trilinear"] * 4,
        ["anisotropic"] * 4,
        ["nearest", "bilinear", "trilinear", "anisotropic"],
        ["anisotropic", "nearest", "bilinear", "bilinear"],
    ],
)
def test_filtered_taps(held, filters):
    uv, slopes, texture = _points()
    if "nearest" in filters:
        uv += 1e-3  # on a border, either texel is the nearest
    layout = TexelLayout.of(SHAPES, WRAPS, filters=filters)
    table = *_table(layout), ",".join(filters), layout.total, 8
    given = [held.placed(x) for x in (uv, slopes, texture, *table)]
    op = OPS["filtered_taps"]
    first, index, weight = op.kernels[held.kind](*given)
    expected = op.reference(given[0].double(), given[1].double(), *given[2:])
    assert torch.equal(first, expected[0])
    texels = torch.rand(layout.total, 3, dtype=torch.float64, device=index.device)
    seen, right = ((texels[i.long()] * w.double()[..., None]).sum(1) for i, w in ((index, weight), expected[1:]))
    torch.testing.assert_close(seen, right, rtol=0, atol=1e-6)  # where a weight is 0, any texel will do


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gathered_texels(held, channels):
    index = torch.randint(50, (200, 8))
    held(OPS["gather_texels"], torch.rand(50, channels), index, torch.rand(200, 8))
    held(OPS["gather_texels"], torch.rand(channels, 50).T, index.int(), torch.rand(200, 8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("taps", [1, 4, 8])
def test_resolved_pixels_and_spread_gradients(held, channels, taps):
    first = torch.cat([torch.zeros(1, dtype=torch.int64), torch.randint(20, (70,)).cumsum(0)])
    samples = int(first[-1])
    index = torch.randint(90, (samples, taps), dtype=torch.int32)
    arguments = first, index, torch.rand(samples, taps), torch.rand(samples, channels)
    held(OPS["resolve"], torch.rand(90, 4), *arguments)
    held(OPS["spread"], torch.randn(70, 4), *arguments, 90)
    held(OPS["spread"], torch.randn(4, 70).T, *arguments, 90)
