"""Texture lookup: kernel against reference, torch's grid_sample, supersampling, and gradients."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import grid_sample

from neurotex.errors import ArgumentError
from neurotex.raster import FILTERS, TexelLayout, flatten_maps
from neurotex.raster.mipmap import level_of_detail, mip_levels, probes
from neurotex.raster.samples import sample_surface
from neurotex.raster.textures import (
    Taps,
    bilinear_taps,
    bilinear_taps_reference,
    gather_texels,
    gather_texels_reference,
    taps,
    taps_reference,
)

SHAPES, WRAPS = [(5, 7), (1, 1), (8, 4), (1, 6)], ["repeat", ("clamp", "mirror"), "clamp", ("mirror", "repeat")]


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


def test_mirrored_lookup_is_the_repeated_one_in_a_tiling_of_mirror_images():
    image, uv = torch.rand(3, 5, 7, dtype=torch.float64), _points(torch.float64)
    zero = torch.zeros(len(uv), dtype=torch.int64)
    index, weight = bilinear_taps(uv, zero, TexelLayout.of([(5, 7)], ["mirror"]))
    ours = gather_texels(image.flatten(1).T.contiguous(), index, weight)
    row = torch.cat([image, image.flip(2)], 2)
    tiling = torch.cat([row.flip(1), row], 1)  # the image itself at the bottom left, where UV is 0
    index, weight = bilinear_taps(uv / 2, zero, TexelLayout.of([(10, 14)], ["repeat"]))
    torch.testing.assert_close(ours, gather_texels(tiling.flatten(1).T.contiguous(), index, weight))


@pytest.mark.parametrize("name", ["nearest", "bilinear", "trilinear"])
def test_each_axis_wraps_as_its_own_name_says(name):
    image, uv = torch.rand(3, 4, 8), torch.tensor([[1.3, 0.4], [0.3, 1.4], [-0.2, -0.3]])
    zero, duv = torch.zeros(3, dtype=torch.int64), 0.3 * torch.eye(2).expand(3, 2, 2)

    def seen(uv: Tensor, wrap: str | tuple[str, str]) -> Tensor:
        layout = TexelLayout.of([(4, 8)], [wrap], filters=[name])
        return taps(uv, duv, zero, layout).gather(flatten_maps([image], layout))

    ours = seen(uv, ("mirror", "clamp"))
    torch.testing.assert_close(ours[0], seen(uv, "mirror")[0])
    torch.testing.assert_close(ours[1], seen(uv, "clamp")[1])
    beyond = torch.tensor([[0.2, -0.3]]).expand(3, 2)  # mirrored at u = 0
    torch.testing.assert_close(ours[2], seen(beyond, "clamp")[2])


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


MIXED = ["anisotropic", "trilinear", "anisotropic", "nearest"]


def _footprints(n: int, dtype: torch.dtype) -> Tensor:
    """`duv` of all sizes and shapes, some of them infinite, not a number, or 0."""
    duv = torch.randn(n, 2, 2, dtype=dtype) * 10 ** (5 * torch.rand(n, 1, 1, dtype=dtype) - 3)
    duv[:4] = torch.tensor([math.nan, math.inf, 1e30, 0.0], dtype=dtype)[:, None, None]
    duv[4, 0, 1], duv[5, 1, 0], duv[6, 1, 1] = math.nan, -math.inf, 1e30
    return duv


def _matrix(taps: Taps, width: int) -> Tensor:
    """The taps as a dense (points, texels) matrix."""
    points = torch.repeat_interleave(taps.first.diff())
    dense = torch.zeros(len(taps.first) - 1, width, dtype=taps.weight.dtype)
    at = (points[:, None].expand_as(taps.index), taps.index.long())
    return dense.index_put(at, taps.weight, accumulate=True)


@pytest.mark.parametrize("filters", [[name] * 4 for name in FILTERS] + [MIXED, ["nearest", "bilinear"] * 2])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-12)])
def test_the_filtering_kernel_equals_the_reference(filters, dtype, tolerance):
    # not on borders between texels, where the nearest one is a matter of rounding
    uv = torch.cat([torch.rand(700, 2, dtype=dtype) * 1.2 - 0.1, 20 * torch.randn(100, 2, dtype=dtype)])
    duv, texture, layout = (
        _footprints(800, dtype),
        torch.randint(4, (800,)),
        TexelLayout.of(SHAPES, WRAPS, filters=filters),
    )
    ours, expected = (f(uv, duv, texture, layout) for f in (taps, taps_reference))
    assert torch.equal(ours.first, expected.first)
    assert ours.index.shape == expected.index.shape
    ours, expected = (_matrix(t, layout.total) for t in (ours, expected))
    torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(ours.sum(1), torch.ones(800, dtype=dtype))
    assert float(ours.min()) >= 0


def test_levels_follow_their_texture():
    layout = TexelLayout.of(SHAPES, WRAPS, filters=MIXED)
    maps = [torch.rand(3, *shape) for shape in SHAPES]
    texels = flatten_maps(maps, layout)
    assert layout.first.tolist() == [0, 35 + 6 + 1, 43, 43 + 32 + 8 + 2 + 1]
    assert len(texels) == layout.total == 86 + 6
    for m, first, last, starts in zip(maps, layout.first, layout.last, layout.levels, strict=True):
        assert int(starts[0]) == int(first)
        for level, start in zip(mip_levels(m)[: int(last) + 1], starts, strict=False):
            count = level[0].numel()
            assert torch.equal(texels[int(start) : int(start) + count], level.flatten(1).T)


def test_maps_that_do_not_fit_the_layout_are_refused():
    with pytest.raises(ArgumentError, match="24 texels"):
        flatten_maps([torch.rand(3, 4, 6)], TexelLayout.of([(4, 5)], ["repeat"]))


def test_lookup_in_a_scene_of_many_filters_is_that_in_each_texture_alone():
    uv, duv, texture = torch.randn(400, 2), _footprints(400, torch.get_default_dtype()), torch.randint(4, (400,))
    maps = [torch.rand(2, *shape) for shape in SHAPES]
    layout = TexelLayout.of(SHAPES, WRAPS, filters=MIXED)
    together = taps(uv, duv, texture, layout).gather(flatten_maps(maps, layout))
    for k in range(4):
        layout = TexelLayout.of([SHAPES[k]], [WRAPS[k]], filters=[MIXED[k]])
        zero, here = texture[texture == k] * 0, texture == k
        alone = taps(uv[here], duv[here], zero, layout).gather(flatten_maps([maps[k]], layout))
        torch.testing.assert_close(together[here], alone)


def _clamped(image: Tensor, uv: Tensor, mode: str = "bilinear") -> Tensor:
    """Torch's own lookup of (C, H, W) at (n, 2)."""
    place = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], -1)
    return grid_sample(image[None], place[None, None], mode, "border", align_corners=False)[0, :, 0].T


def _case(name: str, n: int = 300) -> tuple[TexelLayout, Tensor, Tensor, Tensor, Tensor]:
    """One clamped texture with that filter: layout, image, uv, duv, texture numbers."""
    layout = TexelLayout.of([(24, 33)], ["clamp"], filters=[name])
    image, uv = torch.rand(3, 24, 33, dtype=torch.float64), torch.rand(n, 2, dtype=torch.float64) * 1.4 - 0.2
    duv = torch.randn(n, 2, 2, dtype=torch.float64) * 10 ** (3 * torch.rand(n, 1, 1, dtype=torch.float64) - 3)
    return layout, image, uv, duv, torch.zeros(n, dtype=torch.int64)


def test_nearest_lookup_is_torchs():
    layout, image, uv, duv, texture = _case("nearest")
    found = taps(uv, duv[:, :0], texture, layout)
    assert found.index.shape == (300, 1)
    torch.testing.assert_close(found.gather(flatten_maps([image], layout)), _clamped(image, uv, "nearest"))


def test_trilinear_lookup_is_a_blend_of_two_bilinear_ones():
    layout, image, uv, duv, texture = _case("trilinear")
    level = level_of_detail(duv, layout.shape.expand(300, 2), layout.last.expand(300))
    assert len(level.floor().unique()) == 6
    levels = torch.stack([_clamped(m, uv) for m in mip_levels(image)])  # levels, n, c
    low, n = level.long(), torch.arange(300)
    blend = levels[low, n].lerp(levels[(low + 1).clamp_max(5), n], (level - low)[:, None])
    torch.testing.assert_close(taps(uv, duv, texture, layout).gather(flatten_maps([image], layout)), blend)


def test_anisotropic_lookup_is_the_mean_of_trilinear_ones_along_the_footprint():
    layout, image, uv, duv, texture = _case("anisotropic")
    count, level, axis = probes(duv, layout.shape.expand(300, 2), layout.last.expand(300), 5)
    trilinear = TexelLayout.of([(24, 33)], ["clamp"], filters=["trilinear"])
    texels = flatten_maps([image], layout)
    expected = torch.zeros(300, 3, dtype=torch.float64)
    for k in range(5):
        place = uv + ((k + 0.5) / count - 0.5)[:, None] * axis
        round_one = (torch.eye(2) / torch.tensor([33, 24])[:, None]) * 2 ** level[:, None, None]
        seen = taps(place, round_one, texture, trilinear).gather(texels)
        expected += torch.where((k < count)[:, None], seen / count[:, None], 0)
    found = taps(uv, duv, texture, layout, 5)
    assert found.first.diff().unique().tolist() == [1, 2, 3, 4, 5]
    torch.testing.assert_close(found.gather(texels), expected)


@pytest.mark.parametrize("name", ["trilinear", "anisotropic"])
def test_a_magnified_texture_is_bilinear(name):
    layout, image, uv, duv, texture = _case(name)
    found = taps(uv, duv.clamp(-1, 1) / 100, texture, layout)
    assert bool((found.weight[:, 4:] == 0).all())
    torch.testing.assert_close(found.gather(flatten_maps([image], layout)), _clamped(image, uv))


@pytest.mark.parametrize("name", ["trilinear", "anisotropic"])
@pytest.mark.parametrize("size", [math.inf, math.nan, 1e30])
def test_an_endless_footprint_sees_the_mean(name, size):
    layout, image, uv, duv, texture = _case(name)
    found = taps(uv, torch.full_like(duv, size), texture, layout).gather(flatten_maps([image], layout))
    torch.testing.assert_close(found, image.mean((1, 2)).expand(300, 3))


@pytest.mark.parametrize("name", FILTERS)
def test_weights_pass_gradcheck_in_uv_and_footprint(name):
    layout, _, uv, duv, texture = _case(name, 12)
    uv, duv = uv.requires_grad_(), (duv / 10).requires_grad_(layout.mipmapped)
    weight = taps(uv, duv, texture, layout).weight
    assert weight.requires_grad
    assert name != "anisotropic" or len(weight) > 12
    assert gradcheck(lambda uv, duv: taps(uv, duv, texture, layout).weight, (uv, duv))


@pytest.mark.parametrize("name", ["trilinear", "anisotropic"])
def test_gradients_are_finite_whatever_the_footprint(name):
    layout, image, uv, _, texture = _case(name)
    uv, duv = uv.requires_grad_(), _footprints(300, torch.float64).requires_grad_()
    taps(uv, duv, texture, layout).gather(flatten_maps([image], layout)).sum().backward()
    assert bool(uv.grad.isfinite().all())
    assert bool(duv.grad.isfinite().all())


def test_what_several_probes_see_passes_gradcheck_in_the_maps():
    layout = TexelLayout.of(SHAPES[::2], WRAPS[::2], filters=["anisotropic", "trilinear"])
    maps = [torch.rand(2, *shape, dtype=torch.float64, requires_grad=True) for shape in SHAPES[::2]]
    uv, duv = torch.rand(8, 2, dtype=torch.float64), torch.randn(8, 2, 2, dtype=torch.float64) / 3
    found = taps(uv, duv, torch.arange(8) % 2, layout)
    assert len(found.index) > 8
    assert gradcheck(lambda *maps: found.gather(flatten_maps(maps, layout)), maps)


def test_values_of_points_are_handed_to_their_rows():
    found = Taps(torch.tensor([0, 2, 3]), torch.zeros(3, 8, dtype=torch.int32), torch.ones(3, 8))
    assert found.per_row(torch.tensor([[5.0], [7.0]])).flatten().tolist() == [5, 5, 7]


def test_what_cannot_be_looked_up_is_refused():
    layout, _, uv, duv, texture = _case("trilinear")
    with pytest.raises(ArgumentError, match="derivatives=2"):
        taps(uv, duv[:, :0], texture, layout)
    with pytest.raises(ArgumentError, match="between 1 and 16"):
        taps(uv, duv, texture, layout, 17)


def _ground(size: tuple[int, int], roll: float) -> tuple[Tensor, Tensor, Tensor]:
    """Screen space, faces and UV of a plane from 2 to 12 units ahead, seen from 1/2 above it, the camera rolled."""
    x, depth = torch.tensor([[-20.0, 2], [20, 2], [20, 12], [-20, 12]]).unbind(1)
    turn = torch.tensor([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    place = 2 * size[0] * torch.stack([x, 0.5 - 0.15 * depth], 1) @ turn.T
    centre = torch.tensor([size[1] / 2, size[0] / 2])
    screen = torch.cat([place + depth[:, None] * centre, depth[:, None].expand(4, 2)], 1)
    return screen, torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.stack([x, depth], 1)


@pytest.mark.parametrize("roll", [0.0, 0.6])
@pytest.mark.parametrize("pattern", ["noise", "checks"])
def test_filters_see_what_many_samples_see(roll, pattern):
    """A plane at a grazing angle, minified 16 times along its depth, against 16 × 16 samples per pixel."""
    size, texels = (48, 64), 256
    screen, faces, uv = _ground(size, roll)
    checks = (torch.arange(texels) // 8 % 2)[:, None] != (torch.arange(texels) // 8 % 2)
    image = torch.rand(3, texels, texels) if pattern == "noise" else checks.to(uv).expand(3, -1, -1)
    slopes = sample_surface(screen, faces, uv, size, derivatives=2).derivatives * texels
    uv = uv * 16 / torch.linalg.matrix_norm(slopes, 2).median()

    def render(name: str, grid: int) -> Tensor:
        layout = TexelLayout.of([(texels, texels)], ["repeat"], filters=[name])
        samples = sample_surface(screen, faces, uv, size, grid, derivatives=2)
        found = taps(samples.values, samples.derivatives, torch.zeros_like(samples.face), layout)
        colour = found.gather(flatten_maps([image], layout)) / grid**2
        return torch.zeros(size[0] * size[1], 3).index_add(0, samples.pixel, colour)

    expected = render("bilinear", 16)
    seen = sample_surface(screen, faces, uv, size, 16).pixel.bincount(minlength=len(expected)) == 256  # not the rim
    error = {name: float((render(name, 1) - expected)[seen].square().mean().sqrt()) for name in FILTERS}
    assert error["nearest"] > error["bilinear"]
    assert error["trilinear"] < error["bilinear"] / 2
    assert error["anisotropic"] < error["bilinear"] / 2
    assert error["anisotropic"] < error["trilinear"] / 1.3
