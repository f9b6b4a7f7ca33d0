"""Pixels into images and back."""

import torch
from torch.autograd import gradcheck, gradgradcheck

from neurotex.raster.pixels import place_pixels, place_reference


def test_the_kernel_is_the_reference():
    for total, covered in ((1, 0), (1, 1), (70_000, 20_000)):
        pixel = torch.randperm(total)[:covered].sort().values
        colour, alpha = torch.rand(covered, 4), torch.rand(covered)
        assert torch.equal(place_pixels(colour, alpha, pixel, total), place_reference(colour, alpha, pixel, total))


def test_gradients_reach_the_colour():
    colour = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    alpha, pixel = torch.rand(5, dtype=torch.float64), torch.tensor([0, 2, 3, 7, 11])
    assert gradcheck(lambda c: place_pixels(c, alpha, pixel, 12), (colour,))
    assert gradgradcheck(lambda c: place_pixels(c, alpha, pixel, 12).square(), (colour,))
    torch.library.opcheck(torch.ops.neurotex.place_pixels, (colour, alpha, pixel, 12))
