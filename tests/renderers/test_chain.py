"""latent → generator → discrete step → image → loss: one backward pass, held to finite differences in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import neurotex as nt
from neurotex.discrete import Levels, Palette, Step, Surrogate, Threshold

SIZE = 16
STEPS = [lambda e: Levels(4, e), lambda e: Threshold(0.5, e), lambda e: Palette(5, e)]
each_step = pytest.mark.parametrize("make_step", STEPS, ids=["levels", "threshold", "palette"])
each_renderer = pytest.mark.parametrize("baked", [False, True], ids=["render", "bake"])


def _chain(torus: nt.Mesh, generator: nn.Module, step: Step, baked: bool) -> tuple[nt.Latent, Callable[[], Tensor]]:
    """The latent, and the loss as a function of the current values."""
    latent = nt.Latent(generator).bind(torch.randn(4))
    torus.material = nt.Material(nt.GeneratedTexture(generator, latent).through(step))
    scene = nt.Scene(torus, nt.orbit(2, 3.0, 35.0), [nt.Flash((7.0, 6.0, 5.0))]).double()
    target = torch.rand(2, 3, SIZE, SIZE, dtype=torch.float64)
    image = nt.bake(scene, SIZE, grid=2) if baked else lambda: nt.render(scene, SIZE, grid=2)
    return latent, lambda: (image()[:, :3] - target).square().mean()


@each_step
@each_renderer
def test_gradients_equal_finite_differences(torus, tiny_generator, make_step, baked):
    latent, loss = _chain(torus, tiny_generator, make_step(Surrogate(0.5)), baked)
    leaves = [latent.value, *tiny_generator.parameters()]
    slopes = torch.autograd.grad(loss(), leaves)
    for leaf, slope in zip(leaves, slopes, strict=True):
        for _ in range(2):  # along random directions: each checks all entries of the gradient at once
            direction = torch.randn_like(leaf)
            direction /= direction.norm()
            values = []
            with torch.no_grad():
                start, h = leaf.clone(), 1e-5
                for k in (-2, -1, 1, 2):
                    leaf.copy_(start + k * h * direction)
                    values.append(loss().item())
                leaf.copy_(start)
            # the five-point rule: error h⁴
            expected = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
            found = float((slope * direction).sum())
            assert abs(found - expected) <= 1e-6 * float(slope.norm())


@each_step
@each_renderer
def test_straight_through_is_the_rests_gradient_at_the_exact_texture(torus, tiny_generator, make_step, baked):
    step = make_step("straight_through")
    latent, loss = _chain(torus, tiny_generator, step, baked)
    leaves = [latent.value, *tiny_generator.parameters()]
    found = torch.autograd.grad(loss(), leaves)

    node = torus.material.base_color
    soft = node.source()
    exact = step.hard(soft).detach().requires_grad_()

    class Leaf(nt.Texture):
        def compute(self, evaluation: object) -> Tensor:
            return exact

    torus.material.base_color = Leaf()
    (rest,) = torch.autograd.grad(loss(), exact)
    assert bool(rest.any())
    for ours, expected in zip(found, torch.autograd.grad(soft, leaves, rest), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-12, rtol=1e-12)
