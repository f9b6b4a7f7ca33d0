import pytest
import torch
from torch import Tensor, nn
from torch.autograd import grad
from torch.nn.functional import conv2d, interpolate

from neurotex.discrete import Perturbation, Step
from neurotex.errors import ArgumentError

KERNEL = torch.tensor([[1.0, -2, 0.5], [3, 4, -1], [0.3, 2, 1]], dtype=torch.float64)[None, None]


class Blur(Step):
    """Linear, or quadratic, in texels at most 1 away."""

    def __init__(self, estimator: object, power: int = 1):
        super().__init__(estimator)
        self.power, self.calls = power, 0

    def hard(self, x: Tensor) -> Tensor:
        self.calls += 1
        return conv2d(x**self.power, KERNEL.to(x), padding=1)


class Halve(Step):
    """Gives another shape."""

    reshapes = True

    def hard(self, x: Tensor) -> Tensor:
        return interpolate(x, scale_factor=0.5, mode="area").sum(1, keepdim=True)


def _draws(make, x: Tensor, after: Tensor, count: int, **options) -> Tensor:
    """Gradients by as many independent perturbations of one pair: a batch."""
    batch = x.expand(count, -1, -1, -1).clone().requires_grad_()
    step = make(Perturbation(pairs=1, **options))
    return grad(step(batch), batch, after.expand(count, -1, -1, -1))[0]


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("reach", [None, 1, 2])
def test_it_is_unbiased_for_linear_and_quadratic_steps(unbiased, power, reach):
    x, seed = torch.rand(1, 1, 4, 5, dtype=torch.float64), torch.randn(1, 1, 4, 5, dtype=torch.float64)
    leaf = x.clone().requires_grad_()
    (exact,) = grad(conv2d(leaf**power, KERNEL, padding=1), leaf, seed)
    unbiased(_draws(lambda e: Blur(e, power), x, seed, 50_000, reach=reach), exact)


def test_a_reach_cuts_the_variance_of_a_local_step():
    """From all texels to the 3 × 3 that matter: measured 36 times less for 16² texels."""
    x, seed = torch.rand(1, 1, 16, 16, dtype=torch.float64), torch.randn(1, 1, 16, 16, dtype=torch.float64)
    all_of_it, near = (_draws(Blur, x, seed, 2000, reach=reach).var(0).mean() for reach in (None, 1))
    assert float(all_of_it / near) > 12


def test_a_reach_that_is_too_short_is_biased():
    x, seed = torch.rand(1, 1, 3, 3, dtype=torch.float64), torch.ones(1, 1, 3, 3, dtype=torch.float64)
    found = _draws(Blur, x, seed, 20_000, reach=0).mean(0)
    torch.testing.assert_close(found, torch.full_like(found, 4.0), atol=0.4, rtol=0)  # the middle weight alone


def test_a_step_that_reshapes():
    x, seed = torch.rand(1, 2, 4, 4, dtype=torch.float64), torch.tensor([[[[1.0, 2], [3, 4]]]], dtype=torch.float64)
    found = _draws(Halve, x, seed, 50_000).mean(0)
    expected = interpolate(seed, scale_factor=2.0, mode="nearest")[0].expand(2, -1, -1) / 4
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    with pytest.raises(ArgumentError, match="another shape"):
        Halve(Perturbation(reach=1))


def test_more_pairs_less_variance_and_as_many_calls():
    x, seed = torch.rand(500, 1, 4, 4, dtype=torch.float64, requires_grad=True), torch.ones(500, 1, 4, 4).double()
    spread = []
    for pairs in (1, 8):
        step = Blur(Perturbation(pairs=pairs))
        spread.append(grad(step(x), x, seed)[0].var(0).mean())
        assert step.calls == 1 + 2 * pairs
    assert 5 < float(spread[0] / spread[1]) < 12


def test_the_seed_alone_decides():
    def gradients(seed: int, torch_seed: int) -> list[Tensor]:
        torch.manual_seed(torch_seed)
        step, x = Blur(Perturbation(seed=seed)), torch.full((2, 1, 4, 4), 0.5, requires_grad=True)
        return [grad(step(x).sum(), x)[0] for _ in range(2)]

    first, again, other = gradients(0, 1), gradients(0, 2), gradients(1, 1)
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(first[0], first[1])  # each backward pass has draws of its own
    assert not torch.equal(first[0][0], first[0][1])  # and each texture
    assert not torch.equal(first[0], other[0])


def test_it_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    step, x = Blur(Perturbation()), torch.rand(1, 1, 4, 4, requires_grad=True)
    state = torch.get_rng_state()
    step(x).sum().backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_what_the_step_learns_has_its_true_gradient(codes):
    colors = torch.rand(5, 3)
    straight, tried = codes(colors), codes(colors, "perturbation")
    x = torch.rand(1, 3, 6, 6)
    for step in (straight, tried):
        step(x.clone().requires_grad_()).square().sum().backward()
    assert torch.equal(straight.colors.grad, tried.colors.grad)


def test_under_vmap_each_texture_is_tried_by_itself():
    x = torch.rand(6, 1, 4, 4)
    one = Blur(Perturbation())
    found = torch.func.vmap(torch.func.grad(lambda t: one(t[None]).sum()))(x)
    batch = x.clone().requires_grad_()
    (expected,) = grad(Blur(Perturbation())(batch).sum(), batch)
    torch.testing.assert_close(found, expected)
    assert one.calls == 1 + 2 * 4


def test_a_fit_through_a_step_that_can_only_be_called():
    class Stamp(nn.Module):
        """Not a Step's subclass method by method: just something with `hard`."""

        def hard(self, x: Tensor) -> Tensor:
            return (x > 0.5).to(x)

    x, estimator = torch.full((1, 1, 2, 2), 0.45, requires_grad=True), Perturbation(0.2, pairs=4)
    optimiser, target = torch.optim.Adam([x], 0.05), torch.tensor([[[[1.0, 0], [0, 1]]]])
    for _ in range(40):
        optimiser.zero_grad()
        (estimator(Stamp(), x) - target).square().sum().backward()
        optimiser.step()
    assert torch.equal(Stamp().hard(x), target)


@pytest.mark.parametrize("options", [{"scale": 0.0}, {"scale": float("nan")}, {"pairs": 0}, {"reach": -1}])
def test_nonsense_is_refused(options):
    with pytest.raises(ArgumentError):
        Perturbation(**options)


def test_it_is_differentiated_once():
    """A second derivative of differences is refused; it was 0."""
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    y = Blur(Perturbation())(x)
    (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(ArgumentError, match="a slope from perturbations is differentiated once"):
        slope.sum().backward()
