import io
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.autograd import grad, gradcheck, gradgradcheck

from benchmarks.memory import rise
from neurotex.discrete import Palette, Surrogate
from neurotex.discrete.palette import kmeans
from neurotex.discrete.palette_lookup import (
    blend_backward_reference,
    blend_colors,
    blend_reference,
    nearest_backward_reference,
    nearest_colors,
    nearest_reference,
)
from neurotex.errors import ArgumentError

COLOURS = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.2], [0.2, 0.2, 0.9], [0.9, 0.9, 0.8]])
TEXTURES = hnp.arrays(np.float32, (2, 3, 3, 4), elements=st.floats(-1, 2, width=32)).map(torch.from_numpy)


@given(TEXTURES, st.integers(1, 9))
def test_the_output_is_the_nearest_colour_in_8_bits_and_stays(x, n):
    step = Palette(n).to(x)
    out, colors = step.hard(x).detach(), (step.colors.detach() * 255).round() / 255
    rows = out.movedim(1, -1).reshape(-1, 3)
    assert {tuple(row) for row in rows.tolist()} <= {tuple(color) for color in colors.tolist()}
    inside = x.clamp(0, 1).movedim(1, -1).reshape(-1, 3)
    distance = torch.cdist(inside, colors).amin(1)
    torch.testing.assert_close((inside - rows).norm(dim=1), distance, atol=1e-3, rtol=0)
    assert torch.equal(step.hard(out), out)


def test_the_first_of_equals_is_taken():
    step = Palette(torch.tensor([[0.0], [1.0], [0.0]]))
    assert step.nearest(torch.tensor([[[[0.1, 0.5, 0.9]]]])).flatten().tolist() == [0, 0, 1]


def _boundaries(channels: int, side: int) -> Tensor:
    """Texels amid cells, on their borders, and outside of the cube."""
    x = torch.rand(2, channels, side, side + 3)
    x[:, :, :3] = (x[:, :, :3] * 16).round() / 16
    x[0, :, 4] = 3 * x[0, :, 4] - 1
    return x


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("channels", [1, 3, 4, 13])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kernels_are_their_references_to_the_bit_where_colours_tie(channels, count, dtype):
    colors = (torch.rand(40, channels, dtype=dtype) * 8).round() / 8  # many at the same distance
    colors[20:30] = colors[:10]
    x = _boundaries(channels, 9).to(dtype)
    index, distance = torch.ops.neurotex.nearest_colors(x, colors, count)
    expected = nearest_reference(x, colors, count)
    assert torch.equal(index, expected[0])
    assert torch.equal(distance, expected[1])
    weights, grad = torch.rand(distance.shape, dtype=dtype), torch.rand(x.shape, dtype=dtype)
    for name, reference, inputs in (
        ("blend_colors", blend_reference, (weights,)),
        ("blend_colors_backward", blend_backward_reference, (grad, weights)),
        ("nearest_colors_backward", nearest_backward_reference, (weights, x)),
    ):
        found = getattr(torch.ops.neurotex, name)(*inputs, colors, index)
        torch.testing.assert_close(found, reference(*inputs, colors, index))


def test_many_colours_in_one_place_are_all_considered():
    colors = 0.5 + 1e-7 * torch.arange(1000.0)[:, None].expand(-1, 3).contiguous()
    x = 0.5 + 1e-4 * torch.rand(1, 3, 40, 40)
    for found, expected in zip(nearest_colors(x, colors, 8), nearest_reference(x, colors, 8), strict=True):
        assert torch.equal(found, expected)


def test_gradients_to_colours_are_those_of_differences_to_second_order():
    x = torch.rand(2, 3, 2, 3, dtype=torch.float64, requires_grad=True)
    colors = torch.rand(11, 3, dtype=torch.float64, requires_grad=True)

    def mean(x: Tensor, colors: Tensor) -> Tensor:
        index, distance = nearest_colors(x, colors, 8)
        return blend_colors((-distance / 0.3).softmax(1), colors, index)

    assert gradcheck(mean, (x, colors))
    assert gradgradcheck(mean, (x, colors))


def test_colours_under_vmap_are_each_others_own():
    colors, x = torch.rand(4, 9, 3), torch.rand(1, 3, 5, 5)
    slope = torch.func.grad(lambda c: nearest_colors(x, c, 2)[1].sum())
    torch.testing.assert_close(torch.func.vmap(slope)(colors), torch.stack([slope(c) for c in colors]))


def test_a_colours_gradient_is_the_sum_over_its_texels():
    step = Palette(5).double()
    x = torch.rand(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    seed = torch.rand_like(x)
    step(x).backward(seed)
    assert step.colors.grad is not None
    owner, expected = step.nearest(x).flatten(), torch.zeros_like(step.colors)
    for k in range(5):
        expected[k] = seed.movedim(1, -1).reshape(-1, 3)[owner == k].sum(0)
    torch.testing.assert_close(step.colors.grad, expected)
    assert torch.equal(x.grad, seed)


def test_given_colours_are_fixed_and_a_number_is_learned():
    assert list(Palette(COLOURS).parameters()) == []
    assert [tuple(p.shape) for p in Palette(7).parameters()] == [(7, 3)]
    assert torch.equal(Palette(COLOURS).state_dict()["colors"], COLOURS)


def _clusters(noise: float) -> tuple[Tensor, Tensor]:
    owner = torch.randint(4, (1, 40, 40))
    return owner, (COLOURS[owner] + noise * torch.randn(1, 40, 40, 3)).movedim(-1, 1)


def test_calibrate_finds_well_separated_clusters():
    owner, x = _clusters(0.02)
    step = Palette(4)
    step.calibrate(x)
    found = torch.cdist(COLOURS, step.colors).argmin(1)
    assert sorted(found.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(step.colors[found].detach(), COLOURS, atol=5e-3, rtol=0)
    assert torch.equal(step.nearest(x), found[owner].int())


def test_calibrate_repeats_and_leaves_fixed_colours_alone():
    _, x = _clusters(0.1)
    first, second, fixed = Palette(3), Palette(3), Palette(COLOURS)
    for step in (first, second, fixed):
        step.calibrate(x)
    assert torch.equal(first.colors, second.colors)
    assert torch.equal(fixed.colors, COLOURS)


def test_calibrate_survives_fewer_texels_colours_than_asked_for():
    step = Palette(6)
    step.calibrate(COLOURS.T[None, :, :, None].repeat(1, 1, 5, 1))
    assert bool(step.colors.isfinite().all())
    assert bool((torch.cdist(COLOURS, step.colors).amin(1) < 1e-5).all())


def _spent(x: Tensor, colors: Tensor) -> float:
    """What k-means lowers: the mean squared distance of texels to the nearest colour."""
    return float(torch.cdist(x.movedim(1, -1).reshape(-1, x.shape[1]), colors).amin(1).square().mean())


def test_of_several_starts_the_best_is_taken():
    """Twelve colours of very different sizes, for twelve: a single start often has two in one and one between two."""
    worst, gains = 0.0, []
    for seed in range(6):
        rng = torch.Generator().manual_seed(seed)
        colors = torch.rand(12, 3, generator=rng)
        owner = torch.multinomial(torch.rand(12, generator=rng) ** 3 + 0.02, 2500, replacement=True, generator=rng)
        noise = 0.015 * torch.randn(2500, 3, generator=rng)
        x = (colors[owner] + noise).clamp(0, 1).T.reshape(1, 3, 50, 50)
        one, several = (_spent(x, kmeans(x, 12, starts=starts)) for starts in (1, 6))
        worst = max(worst, several / one)
        gains.append(several / one)
        assert several < 1.6 * _spent(x, colors)
    assert worst < 1.05  # runs are compared by means of small cells
    assert min(gains) < 0.8


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 12))
def test_a_few_distinct_colours_are_found_exactly(texels, distinct, count):
    """However many are asked for: fewer than there are, as many, more of them, or more than there are texels."""
    rng = torch.Generator().manual_seed(texels + 100 * distinct)
    colors = (torch.rand(distinct, 3, generator=rng) * 255).round() / 255
    owner = torch.randint(distinct, (texels,), generator=rng)
    x = colors[owner].T.reshape(1, 3, texels, 1)
    found = kmeans(x, count)
    assert found.shape == (count, 3)
    assert bool(((found >= 0) & (found <= 1)).all())
    there = colors[owner.unique()]
    if count >= len(there):
        assert float(torch.cdist(there, found).amin(1).max()) < 1e-6
    else:
        assert _spent(x, found) <= float(x.flatten(2).var(2, correction=0).sum()) + 1e-6  # that of a single one


def test_colours_of_smooth_pictures_are_no_worse_for_being_looked_at_as_cells():
    ramp = torch.linspace(0, 1, 64)
    x = torch.stack([ramp.expand(64, -1), ramp[:, None].expand(-1, 64), torch.full((64, 64), 0.3)])[None]
    assert _spent(x, kmeans(x, 4)) == pytest.approx(2 * (0.5**2) / 12, rel=0.05)  # four squares of side 1/2
    assert kmeans(x.double(), 4).dtype == torch.float64


def test_the_surrogate_is_a_mean_of_colours():
    step = Palette(COLOURS, Surrogate(10.0))
    out = step(torch.rand(1, 3, 2, 2))
    torch.testing.assert_close(out, COLOURS.mean(0)[None, :, None, None].expand_as(out), atol=0.05, rtol=0)


def test_a_palette_from_a_texture_is_its_k_means_in_all_channels():
    _, x = _clusters(0.02)
    step = Palette.from_texture(torch.cat([x, x[:, :1]], 1), 4)
    assert isinstance(step.colors, torch.nn.Parameter)
    torch.testing.assert_close(
        torch.cdist(torch.cat([COLOURS, COLOURS[:, :1]], 1), step.colors.detach()).amin(1),
        torch.zeros(4),
        atol=2e-2,
        rtol=0,
    )


def test_learned_colours_outside_are_shown_at_the_border_and_come_back():
    step = Palette(2)
    with torch.no_grad():
        step.colors.copy_(torch.tensor([[-0.5, 0.5, 0.5], [1.5, 0.5, 0.5]]))
    out = step(torch.tensor([0.1, 0.5, 0.5])[None, :, None, None])
    assert out[0, 0].item() == 0
    assert grad(out.sum(), step.colors, retain_graph=True)[0][0].tolist() == [0, 1, 1]  # would lead further out
    assert grad(-out.sum(), step.colors)[0][0].tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("count", "channels", "stored", "mode"),
    [(2, 3, "P", "RGB"), (256, 3, "P", "RGB"), (257, 3, "RGB", "RGB"), (9, 4, "P", "RGBA"), (9, 1, "L", "L")],
)
def test_the_file_is_the_palette_of_numbers_where_there_is_one(count, channels, stored, mode):
    step, x = Palette(torch.rand(count, channels)), torch.rand(1, channels, 30, 40)
    data, suffix = step.encode(x)
    image = Image.open(io.BytesIO(data))
    assert (image.mode, suffix) == (stored, ".png")
    picture = torch.from_numpy(np.array(image.convert(mode))).view(30, 40, channels).movedim(-1, 0)
    assert torch.equal(picture / 255, step.hard(x)[0])
    if stored == "P":
        assert torch.equal(torch.from_numpy(np.array(image)), step.nearest(x)[0].byte())


def test_another_number_of_channels_is_refused():
    with pytest.raises(ArgumentError, match="have 3 channels, but the texture has 4"):
        Palette(5)(torch.rand(1, 4, 2, 2))


@pytest.mark.parametrize("colors", [torch.tensor([[0, 128, 255]]), torch.tensor([[0.0, 2, 0]]), COLOURS * torch.nan])
def test_colours_that_are_none_are_refused(colors):
    with pytest.raises(ArgumentError, match=r"floats in \[0, 1\]"):
        Palette(colors)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_a_large_palette_takes_little_memory():
    step = Palette(256)
    x = torch.rand(1, 3, 1024, 1024, requires_grad=True)
    seed = torch.ones_like(x)
    step(x[..., :8, :8]).sum().backward()  # loads the kernels
    assert rise(lambda: step(x).backward(seed)) < 100 * 2**20  # distances to all colours would be 1024 of these


@pytest.mark.parametrize("colors", [0, -1, torch.zeros(3), torch.zeros(0, 3)])
def test_a_palette_without_colours_is_refused(colors):
    with pytest.raises(ArgumentError, match="palette"):
        Palette(colors)
