"""Pixels from texels: kernel against reference, and the gradient against finite differences."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex.raster.resolve import resolve, resolve_reference
from neurotex.raster.texels import number_seen, take_reference, take_texels


def _case(channels: int, texels: int = 50, dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    counts = torch.tensor([3, 0, 1, 7, 2])
    first = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    n = int(first[-1])
    index = torch.randint(texels, (n, 5), dtype=torch.int32)
    index[1] = 4  # a sample may read one texel several times
    return (
        torch.randn(texels, 4, dtype=dtype),
        first,
        index,
        torch.rand(n, 5).to(dtype),
        torch.rand(n, channels).to(dtype),
    )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("texels", [5, 500])  # few: every thread sums by itself
def test_the_kernel_is_the_reference(channels, texels):
    arguments = _case(channels, texels)
    x = arguments[0].requires_grad_()
    ours, expected = resolve(*arguments), resolve_reference(*arguments)
    torch.testing.assert_close(ours, expected)
    probe = torch.randn_like(ours)
    gradients = [torch.autograd.grad((image * probe).sum(), x)[0] for image in (ours, expected)]
    torch.testing.assert_close(*gradients)


def test_light_in_three_colours_leaves_the_fourth_channel_dark():
    assert bool((resolve(*_case(3))[:, 3] == 0).all())


@pytest.mark.parametrize("channels", [1, 3])
def test_gradients_are_right(channels):
    texels, first, index, weight, light = _case(channels, 9)
    for wanted in ((texels,), (weight,), (light,), (texels, weight, light)):
        for tensor in (texels, weight, light):
            tensor.requires_grad_(any(tensor is w for w in wanted))
        assert gradcheck(lambda *_: resolve(texels, first, index, weight, light), wanted)
    light.requires_grad_(False)
    weight.requires_grad_(False)
    assert gradgradcheck(lambda x: resolve(x, first, index, weight, light).square(), (texels.requires_grad_(),))


def test_no_samples_make_dark_pixels():
    empty = torch.zeros(0, 4)
    rows = resolve(torch.rand(9, 4), torch.zeros(4, dtype=torch.int64), empty.int(), empty, empty[:, :1])
    assert rows.shape == (3, 4)
    assert bool((rows == 0).all())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_texels_are_taken_and_put_back(channels):
    planes = torch.randn(channels, 30, dtype=torch.float64, requires_grad=True)
    index = torch.randperm(30)[:12].sort().values
    torch.testing.assert_close(take_texels(planes, index), take_reference(planes, index))
    assert gradcheck(take_texels, (planes, index))
    assert gradgradcheck(lambda p: take_texels(p, index) ** 2, (planes,))
    torch.library.opcheck(torch.ops.neurotex.take_texels, (planes, index))


def test_resolve_keeps_torchs_contract():
    arguments = _case(3)
    torch.library.opcheck(torch.ops.neurotex.resolve, (arguments[0].requires_grad_(), *arguments[1:]))


def test_seen_texels_are_numbered_in_order():
    indices = [torch.randint(300, (70, 4), dtype=torch.int32), torch.randint(300, (9, 4), dtype=torch.int32)]
    texel, renumbered = number_seen(indices, 400)
    assert torch.equal(texel, torch.cat(indices).unique().long())
    for index, number in zip(indices, renumbered, strict=True):
        assert torch.equal(texel[number.long()], index.long())
