"""Passes between convolutions: kernels against plain tensor language, values and slopes, in float32 and bfloat16."""

import math

import pytest
import torch

from neurotex.generators import passes
from neurotex.generators.filters import wrap

TYPES = [torch.float32, torch.bfloat16]


def near(a, b, dtype):
    scale = float(b.float().abs().max()) + 1e-6
    return float((a.float() - b.float()).abs().max()) <= (2e-6 if dtype == torch.float32 else 3e-2) * scale


def seeded(*shape, grad=True):
    rng = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=rng).requires_grad_(grad)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("width", [0, 1, 3])
def test_modulated_is_a_product_wrapped_around(width, dtype):
    x, style = seeded(3, 5, 8, 7).detach().to(dtype).requires_grad_(), seeded(3, 5)
    found, plain = passes.modulated(x, style, width), passes.modulated_reference(x, style, width)
    assert found.shape == (3, 5, 8 + 2 * width, 7 + 2 * width)
    assert found.dtype == dtype
    assert near(found, plain, dtype)
    grad = seeded(*found.shape, grad=False).to(dtype)
    for one, other in zip(*(torch.autograd.grad(y, (x, style), grad) for y in (found, plain)), strict=True):
        assert near(one, other, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("offsets", [None, 1, 3])
@pytest.mark.parametrize(("slope", "bound"), [(1.0, math.inf), (0.2, math.inf), (0.0, 2.0)])
def test_finished_is_scale_bias_noise_and_activation(offsets, slope, bound, dtype):
    y, scale, bias = seeded(3, 5, 8, 7).detach().to(dtype).requires_grad_(), seeded(3, 5), seeded(5)
    offset = None if offsets is None else seeded(offsets, 1, 8, 7)
    given = [value for value in (y, scale, bias, offset) if value is not None]
    found = passes.finished(y, scale, bias, offset, slope, bound)
    # in float32, so that both see the same numbers on either side of a bend
    plain = passes.finished_reference(y.float(), scale, bias, offset, slope, bound)
    assert found.dtype == dtype
    assert near(found, plain, dtype)
    apart = ((plain.abs() > 0.05) & ((plain.abs() - bound).abs() > 0.05)).float().detach()
    grad = (seeded(*found.shape, grad=False) * apart).to(dtype)
    slopes = torch.autograd.grad(found, given, grad), torch.autograd.grad(plain, given, grad.float())
    for one, other in zip(*slopes, strict=True):
        assert near(one, other, dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_channels_may_come_last(dtype):
    x = seeded(2, 3, 5, 4, grad=False).to(dtype, memory_format=torch.channels_last).requires_grad_()
    found = passes.wrapped(x, 1)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, wrap(x, 1))
    grad = seeded(2, 3, 7, 6, grad=False).to(dtype, memory_format=torch.channels_last)
    (folded,) = torch.autograd.grad(found, x, grad)
    assert near(folded, passes.folded_reference(grad, 1), dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_wrapping_and_folding_are_each_others_transpose(dtype):
    x, padded = seeded(2, 3, 5, 4, grad=False).to(dtype), seeded(2, 3, 9, 8, grad=False).to(dtype)
    x.requires_grad_()
    assert torch.equal(passes.wrapped(x, 2), wrap(x, 2))
    (folded,) = torch.autograd.grad(passes.wrapped(x, 2), x, padded)
    assert near(folded, passes.folded_reference(padded, 2), dtype)
    left = (passes.wrapped(x, 2).double() * padded.double()).sum()
    assert float(left.detach()) == pytest.approx(float((x.double() * folded.double()).sum().detach()), rel=2e-2)


def test_second_derivatives():
    """Penalties of slopes differentiate twice: against finite differences, in double precision."""
    x, style, bias, offset = (seeded(*s).detach().double() for s in ((2, 2, 4, 3), (2, 2), (2,), (1, 1, 4, 3)))
    for value in (x, style, bias, offset):
        value.requires_grad_()

    def both(x, style, bias, offset):
        return passes.finished(passes.modulated(x, style, 1)[..., 1:-1, 1:-1], style, bias, offset, 0.2).square()

    assert torch.autograd.gradgradcheck(both, (x, style, bias, offset))


def test_second_derivatives_of_kernels_are_those_of_the_reference():
    x, style, bias = seeded(2, 3, 6, 5), seeded(2, 3), seeded(3)

    def twice(modulate, finish):
        y = finish(modulate(x, style, 1), style, bias, None, 0.2, math.inf)
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (x, style, bias))

    kernels = twice(passes.modulated, passes.finished)
    for one, other in zip(kernels, twice(passes.modulated_reference, passes.finished_reference), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-3 * float(other.abs().max()))


def test_transforms_of_torch_reach_through():
    x, style = seeded(4, 2, 5, 5, grad=False), seeded(4, 2, grad=False)

    def loss(x, style):
        return passes.finished(passes.modulated(x[None], style[None], 1), style[None], style.new_ones(2)).square().sum()

    each = torch.func.vmap(torch.func.grad(loss))(x, style)
    for k in range(4):
        one = x[k].clone().requires_grad_()
        (grad,) = torch.autograd.grad(loss(one, style[k]), one)
        assert torch.allclose(each[k], grad, rtol=1e-4, atol=1e-4)
