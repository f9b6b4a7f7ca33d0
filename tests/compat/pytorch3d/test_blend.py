"""Blending: worked out by hand, the limits in which soft layers become the z-test, and gradients that never break."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

import neurotex as nt
from neurotex.compat.pytorch3d.blend import Blend, hard_rgb_blend, sigmoid_alpha_blend, softmax_rgb_blend

GREY = (0.25, 0.5, 0.75)


def _layers(pixels: int, k: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colours, which layers hold a face (0 to all of them), distances around 0, and ascending depths."""
    colors = torch.rand(pixels, k, 3, dtype=dtype)
    covered = torch.arange(k) < torch.arange(pixels)[:, None] % (k + 1)
    dists = 1e-4 * torch.randn(pixels, k, dtype=dtype)
    zbuf = 2 + 0.05 * torch.arange(k) + 0.02 * torch.rand(pixels, k, dtype=dtype)
    return colors, covered, *(torch.where(covered, t, -1) for t in (dists, zbuf))


def test_the_hard_blend_takes_the_nearest_layer_or_the_background():
    colors, covered, _, _ = _layers(8, 3)
    image = hard_rgb_blend(colors, covered, Blend(background=GREY))
    seen = covered[:, 0]
    assert torch.equal(image[seen], torch.cat([colors[seen, 0], torch.ones(int(seen.sum()), 1).double()], 1))
    assert torch.equal(image[~seen], torch.tensor([[*GREY, 0.0]]).double().expand(int((~seen).sum()), 4))


def test_the_soft_blend_is_its_formula():
    """Two layers and the background, with numbers that float64 holds without any trick."""
    blend = Blend(sigma=2e-4, gamma=0.1, background=GREY, znear=1.0, zfar=10.0)
    colors = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]).double()
    dists, zbuf = torch.tensor([[-1e-4, 3e-4]]).double(), torch.tensor([[3.0, 4.0]]).double()
    image = softmax_rgb_blend(colors, torch.ones(1, 2, dtype=torch.bool), dists, zbuf, blend)[0]
    inside = [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(1.5))]
    weight = [p * math.exp((10 - z) / 9 / 0.1) for p, z in zip(inside, (3, 4), strict=True)]
    total = sum(weight) + 1
    expected = [(w + g) / total for w, g in zip([*weight, 0], GREY, strict=True)]
    torch.testing.assert_close(image[:3], torch.tensor(expected).double(), rtol=1e-6, atol=1e-9)
    assert float(image[3]) == pytest.approx(1 - (1 - inside[0]) * (1 - inside[1]))


def test_soft_layers_become_the_z_test_as_sigma_and_gamma_vanish():
    colors, covered, dists, zbuf = _layers(50, 4)
    blend = Blend(sigma=1e-9, gamma=1e-6, background=GREY)
    inside = torch.where(covered, -dists.abs() - 1e-5, dists)
    soft = softmax_rgb_blend(colors, covered, inside, zbuf, blend)
    torch.testing.assert_close(soft, hard_rgb_blend(colors, covered, blend), atol=1e-6, rtol=0)


def test_hidden_layers_have_a_say_in_the_soft_blend_only():
    colors, covered, dists, zbuf = _layers(5, 4)
    colors.requires_grad_()
    soft = softmax_rgb_blend(colors, covered, dists, zbuf, Blend(gamma=1e-2))
    hidden = torch.autograd.grad(soft.sum(), colors)[0][:, 1:]
    assert bool((hidden[covered[:, 1:]] > 0).all())
    hard = hard_rgb_blend(colors, covered, Blend())
    assert not bool(torch.autograd.grad(hard.sum(), colors)[0][:, 1:].any())


def test_silhouettes_are_the_probability_of_being_inside_any_face():
    colors, covered, dists, _ = _layers(12, 3)
    image = sigmoid_alpha_blend(colors, covered, dists, Blend(sigma=1e-4))
    inside = torch.sigmoid(-dists / 1e-4) * covered
    torch.testing.assert_close(image[:, 3], 1 - (1 - inside).prod(1))
    assert torch.equal(image[:, :3], colors[:, 0])
    assert not bool(image[~covered[:, 0], 3].any())


@pytest.mark.parametrize("empty", [-1.0, math.inf, math.nan])
def test_what_empty_layers_hold_does_not_matter(empty):
    colors, covered, dists, zbuf = _layers(9, 4)

    def blended(value: float) -> list[Tensor]:
        leaves = [torch.where(covered, t, value).requires_grad_() for t in (dists, zbuf)]
        soft = softmax_rgb_blend(colors, covered, *leaves, Blend(gamma=1e-2))
        image = torch.cat([soft, sigmoid_alpha_blend(colors, covered, leaves[0], Blend())], 1)
        return [image.detach(), *torch.autograd.grad(image[:, :5].sum() + image[:, 7].sum(), leaves)]

    for a, b in zip(blended(0.0), blended(empty), strict=True):
        torch.testing.assert_close(a, b)


def test_gradients_pass_gradcheck():
    colors, covered, dists, zbuf = _layers(6, 3)
    leaves = [t.requires_grad_() for t in (colors, 1e4 * dists, zbuf)]

    def blend(function, *names):
        def call(colors, scaled, zbuf, background):
            inputs = {"dists": 1e-4 * scaled, "zbuf": zbuf}
            return function(colors, covered, *(inputs[n] for n in names), Blend(gamma=1e-2, background=background))

        background = torch.tensor(GREY).double().requires_grad_()
        return gradcheck(call, (*leaves, background), eps=1e-7, atol=1e-5)

    assert blend(hard_rgb_blend)
    assert blend(softmax_rgb_blend, "dists", "zbuf")
    assert blend(sigmoid_alpha_blend, "dists")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_stay_finite_at_any_softness(dtype):
    """Sigmoids that saturate, weights that overflow without care, depths beyond both planes, equal depths."""
    colors, covered, dists, zbuf = _layers(40, 4, dtype)
    zbuf = torch.where(covered, zbuf * torch.tensor([1, 1, 0.01, 100], dtype=dtype)[torch.randint(4, (40, 1))], -1)
    zbuf[::5] = torch.where(covered[::5], 2.0, -1)
    for sigma in (1e-12, 1e-4, 1e4):
        for gamma in (1e-12, 1e-4, 1e4):
            leaves = [t.detach().clone().requires_grad_() for t in (colors, 100 * dists, zbuf)]
            blend = Blend(sigma, gamma)
            image = softmax_rgb_blend(leaves[0], covered, leaves[1], leaves[2], blend)
            image = image + sigmoid_alpha_blend(leaves[0], covered, leaves[1], blend)
            assert bool(image.isfinite().all())
            for grad in torch.autograd.grad((image * torch.rand_like(image)).sum(), leaves):
                assert bool(grad.isfinite().all())


def test_what_cannot_be_blended_is_refused():
    for sigma, gamma in ((0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(nt.ArgumentError, match="sigma and gamma"):
            Blend(sigma, gamma)
    with pytest.raises(nt.ArgumentError, match="zfar"):
        Blend(znear=2.0, zfar=1.0)
