"""Lookup against its definition, texel by texel, and where others are undefined."""

import itertools

import pytest
import torch
from torch.autograd import gradcheck

import neurotex as nt
from neurotex.compat.pytorch3d.lookup import PADDINGS, sample_texture

EVERY = list(itertools.product([True, False], PADDINGS, ["bilinear", "nearest"]))


def _away_from_kinks(uv: torch.Tensor, size: tuple[int, int], align_corners: bool) -> torch.Tensor:
    """Coordinates in the middle half between two texel centres, or between a centre and an edge: nowhere a kink."""
    scale = torch.tensor([size[1], size[0]]) - float(align_corners)
    half = 2 * (uv * scale).double()
    return (half.floor() + 0.25 + 0.5 * (half - half.floor())) / 2 / scale


@pytest.mark.parametrize("align_corners", [True, False])
def test_texel_centres_give_texels_and_row_0_is_v_1(align_corners):
    image = torch.rand(3, 4, 5)
    y, x = torch.meshgrid(torch.arange(4), torch.arange(5), indexing="ij")
    uv = torch.stack([x / 4, 1 - y / 3], -1) if align_corners else torch.stack([(x + 0.5) / 5, 1 - (y + 0.5) / 4], -1)
    for mode in ("bilinear", "nearest"):
        read = sample_texture(image, uv, align_corners=align_corners, sampling_mode=mode)
        torch.testing.assert_close(read, image.movedim(0, -1))


def test_paddings_continue_a_row_as_their_names_say():
    """Texels a b c d read at every centre from two texels left of the row to five right of it."""
    row = torch.tensor([1.0, 2, 3, 4])
    image = row.expand(1, 1, 4)
    place = torch.arange(-2, 9)
    said = {
        ("border", True): "11123444444",
        ("border", False): "11123444444",
        ("zeros", True): "00123400000",
        ("zeros", False): "00123400000",
        ("reflection", True): "32123432123",
        ("reflection", False): "21123443211",
        ("repeat", True): "23123423123",
        ("repeat", False): "34123412341",
    }
    for (padding, align), texels in said.items():
        u = place / 3 if align else (place + 0.5) / 4
        read = sample_texture(image, torch.stack([u, u * 0 + 0.5], -1), align_corners=align, padding_mode=padding)
        expected = torch.tensor([float(c) for c in texels])[:, None]
        if (padding, align) == ("repeat", True):  # where two copies meet, their last and first texel lie on each other
            shared = (place % 3 == 0) & (place != 0) & (place != 3)
            read, expected = read[~shared], expected[~shared]
        torch.testing.assert_close(read, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("padding", ["repeat", "border"])
def test_bilinear_lookup_is_its_definition(padding):
    """The embedded renderer's convention: 0 and 1 are the outer edges, texel centres at + 0.5."""
    image, uv = torch.rand(3, 6, 9, dtype=torch.float64), 3 * torch.randn(500, 2, dtype=torch.float64)
    size = torch.tensor([9, 6])
    place = torch.stack([uv[:, 0], 1 - uv[:, 1]], 1) * size - 0.5
    low = place.floor()
    expected = torch.zeros(500, 3, dtype=torch.float64)
    for corner in itertools.product([0, 1], [0, 1]):
        tap = low.long() + torch.tensor(corner)
        tap = tap % size if padding == "repeat" else tap.clamp_min(0).minimum(size - 1)
        weight = (1 - (place - low - torch.tensor(corner)).abs()).prod(1)
        expected += weight[:, None] * image[:, tap[:, 1], tap[:, 0]].T
    torch.testing.assert_close(sample_texture(image, uv, align_corners=False, padding_mode=padding), expected)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_repeat_has_a_period_of_one_and_keeps_what_lies_inside(align_corners, mode):
    image, uv = torch.rand(2, 7, 5), torch.rand(300, 2)
    options = {"align_corners": align_corners, "sampling_mode": mode, "padding_mode": "repeat"}
    inside = sample_texture(image, uv, **options)
    for shift in ((1, 0), (0, -1), (-3, 8)):
        moved = uv + torch.tensor(shift)
        kept = ((moved - moved.floor() - uv).abs() < 1e-6).all(1)  # rounding may carry a coordinate over an edge
        same = sample_texture(image, moved, **options)[kept]
        assert float(((same - inside[kept]).abs().amax(1) < 1e-4).float().mean()) > 0.98  # "nearest" has edges inside
    if align_corners:
        border = sample_texture(image, uv, **{**options, "padding_mode": "border"})
        assert torch.equal(inside, border)
        corners = torch.tensor([[0.0, 0], [1, 1], [1, 0], [1 + 1e-6, -1e-6]])
        expected = sample_texture(image, corners, **{**options, "padding_mode": "border"})
        assert torch.equal(sample_texture(image, corners, **options), expected)


def test_repeat_blends_across_the_seam():
    image = torch.tensor([[[1.0, 0, 0, 3]]])
    seam = torch.tensor([[0.0, 0.5], [1.0, 0.5], [-2.0, 0.3]])
    read = sample_texture(image, seam, align_corners=False, padding_mode="repeat")
    torch.testing.assert_close(read, torch.full((3, 1), 2.0))


@pytest.mark.parametrize(("align_corners", "padding", "mode"), EVERY)
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 1)])
def test_single_texels_and_coordinates_far_outside_are_defined(align_corners, padding, mode, size):
    image = (1 + torch.rand(2, *size)).requires_grad_()
    uv = torch.tensor([[0.3, 0.6], [-5.2, 7.9], [1e6, -1e6], [1e30, 1e30], [-3e38, 0.5]], requires_grad=True)
    options = {"align_corners": align_corners, "padding_mode": padding, "sampling_mode": mode}
    read = sample_texture(image, uv, **options)
    low, high = (0.0, 2.0) if padding == "zeros" else (1.0, 2.0)
    assert bool((read >= low).all() and (read <= high).all())
    if size == (1, 1) and padding != "zeros":
        torch.testing.assert_close(read, image[:, 0, 0].expand(5, 2))
    for grad in torch.autograd.grad(read.sum(), (image, uv)):
        assert bool(grad.isfinite().all())


@pytest.mark.parametrize(("align_corners", "padding", "mode"), EVERY)
def test_gradients_pass_gradcheck(align_corners, padding, mode):
    image = torch.rand(2, 4, 5, dtype=torch.float64, requires_grad=True)
    uv = _away_from_kinks(2 * torch.randn(12, 2), (4, 5), align_corners).requires_grad_()
    options = {"align_corners": align_corners, "padding_mode": padding, "sampling_mode": mode}
    assert gradcheck(lambda image, uv: sample_texture(image, uv, **options), (image, uv))


def test_a_batch_has_a_texture_for_each():
    images, uv = torch.rand(2, 3, 4, 5), torch.rand(2, 6, 7, 2)
    read = sample_texture(images, uv)
    assert read.shape == (2, 6, 7, 3)
    for k in range(2):
        assert torch.equal(read[k], sample_texture(images[k], uv[k]))
    assert sample_texture(images[0], uv[:, :0]).shape == (2, 0, 7, 3)


def test_what_cannot_be_read_is_refused():
    image, uv = torch.rand(3, 4, 4), torch.rand(5, 2)
    for wrong, options in (
        ("padding_mode 'mirror'", {"padding_mode": "mirror"}),
        ("cubic", {"sampling_mode": "cubic"}),
    ):
        with pytest.raises(nt.ArgumentError, match=wrong):
            sample_texture(image, uv, **options)
    for shape in ((4, 4), (3, 0, 4), (1, 1, 3, 4, 4)):
        with pytest.raises(Exception, match=r"a texture is|image"):
            sample_texture(torch.rand(shape), uv)
    with pytest.raises(nt.ArgumentError, match="2 textures need uv"):
        sample_texture(torch.rand(2, 3, 4, 4), uv)
