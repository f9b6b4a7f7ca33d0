"""The sRGB transfer function against kornia, its own inverse, and finite differences."""

import pytest
import torch
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch.autograd import gradcheck, gradgradcheck

from neurotex.images import colour
from neurotex.images.colour import linear_to_srgb, srgb_to_linear

OUTSIDE = [-2.0, -1e-3, 0.0, 1e-12, 0.003, 0.0032, 0.04, 0.041, 0.5, 1.0, 1.7]  # both sides of both kinks


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_directions_are_kornias(dtype):
    x = torch.linspace(0, 1, 3 * 1001, dtype=dtype).view(1, 3, 7, 143)
    torch.testing.assert_close(srgb_to_linear(x), rgb_to_linear_rgb(x))
    torch.testing.assert_close(linear_to_srgb(x), linear_rgb_to_rgb(x))


def test_encoding_undoes_decoding():
    x = torch.tensor([*OUTSIDE, *torch.rand(100).tolist()], dtype=torch.float64)
    # the standard's rounded constants leave a step of 3e-8 at the kink
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(x)), x, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("f", [srgb_to_linear, linear_to_srgb])
def test_gradients_pass_gradcheck_inside_and_outside(f):
    x = torch.tensor(OUTSIDE, dtype=torch.float64, requires_grad=True)
    assert gradcheck(f, (x,), eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("f", [srgb_to_linear, linear_to_srgb])
def test_forward_and_batched_gradients_are_the_backward_ones(f):
    x = torch.tensor(OUTSIDE, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(f(x).sum(), x)
    _, forward = torch.func.jvp(f, (x.detach(),), (torch.ones_like(x),))
    torch.testing.assert_close(forward, slope)
    torch.testing.assert_close(torch.func.vmap(torch.func.grad(f))(x.detach()), slope)


def test_the_slope_of_encoding_is_its_gradient():
    x = torch.tensor(OUTSIDE, dtype=torch.float64, requires_grad=True)
    encoded = linear_to_srgb(x)
    (slope,) = torch.autograd.grad(encoded.sum(), x)
    torch.testing.assert_close(colour.encoding_slope(x.detach(), encoded.detach()), slope)


@pytest.mark.parametrize("f", [srgb_to_linear, linear_to_srgb])
def test_no_gradient_is_nan_or_infinite(f):
    x = torch.tensor([*OUTSIDE, -1e30, 1e-45, 0.0031308, 0.04045, 1e6], requires_grad=True)
    f(x).sum().backward()
    assert bool(x.grad.isfinite().all())
    assert bool((x.grad > 0).all())


@pytest.mark.parametrize("name", ["srgb_decode", "srgb_encode"])
def test_kernels_are_their_references(name):
    kernel, backward = getattr(torch.ops.neurotex, name), getattr(torch.ops.neurotex, name + "_backward")
    reference = getattr(colour, name[5:] + "_reference")
    x = torch.cat([torch.tensor([*OUTSIDE, 1e-40, 7.0, 50.0, torch.nan, torch.inf, -torch.inf]), torch.rand(1000)])
    y = kernel(x)
    torch.testing.assert_close(y, reference(x), rtol=2e-6, atol=0, equal_nan=True)
    grad = torch.randn(len(x))
    expected = getattr(colour, name[5:] + "_backward_reference")(x, y, grad)
    finite = x.isfinite()
    torch.testing.assert_close(backward(x, y, grad)[finite], expected[finite])


@pytest.mark.parametrize("f", [srgb_to_linear, linear_to_srgb])
def test_the_second_derivative_is_right(f):
    x = torch.tensor([0.01, 0.2, 0.9], dtype=torch.float64, requires_grad=True)
    assert gradgradcheck(f, (x,))
