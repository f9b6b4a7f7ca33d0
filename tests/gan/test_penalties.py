"""Penalties against finite differences, closed forms, and the second derivatives that training takes."""

import copy
import math

import pytest
import torch
from torch import nn

from neurotex.errors import ArgumentError
from neurotex.gan.penalties import R1, R2, GradientPenalty, PathLength, Smoothness
from neurotex.generators import MaterialGenerator
from neurotex.generators.stylegan2 import StyleGAN2


class Net(nn.Module):
    """Smooth, with logits per patch."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 1, 2)
        self.double()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.second(torch.tanh(self.first(image)))[:, 0]


def images(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 2, 4, 4, dtype=torch.double)


@torch.no_grad()
def differences(net: nn.Module, image: torch.Tensor, h: float = 1e-5) -> torch.Tensor:
    """The gradient of the mean logit of one image (pixels,), by central differences."""
    steps = h * torch.eye(image.numel(), dtype=torch.double).view(-1, *image.shape)
    return (net(image + steps) - net(image - steps)).flatten(1).mean(1) / (2 * h)


@pytest.mark.parametrize("kind", [R1, R2])
def test_r1_and_r2_are_mean_squared_slopes(kind):
    net, real, fake = Net(), images(3), images(5)
    seen = real if kind is R1 else fake
    expected = torch.stack([differences(net, x).square().sum() for x in seen]).mean() / 2
    torch.testing.assert_close(kind()(net, real, fake).detach(), expected, rtol=1e-6, atol=0)


def test_the_gradient_penalty_looks_between_real_and_fake():
    net, real, fake = Net(), images(), images()
    torch.manual_seed(5)
    penalty = GradientPenalty(target=0.25)(net, real, fake)
    torch.manual_seed(5)
    t = torch.rand(3, 1, 1, 1, dtype=torch.double)
    between = (1 - t) * real + t * fake
    lengths = torch.stack([differences(net, x).norm() for x in between])
    torch.testing.assert_close(penalty.detach(), (lengths - 0.25).square().mean(), rtol=1e-6, atol=0)


def test_a_linear_discriminator_in_closed_form():
    weight = torch.randn(32, dtype=torch.double, requires_grad=True)
    linear = lambda x: x.flatten(1) @ weight  # noqa: E731
    for penalty in (R1(), R2()):
        added = penalty(linear, images(), images())
        torch.testing.assert_close(added, weight.square().sum() / 2)
        torch.testing.assert_close(torch.autograd.grad(added, weight)[0], weight)
    added = GradientPenalty()(linear, images(), images())
    torch.testing.assert_close(added, (weight.norm() - 1) ** 2)
    flat = GradientPenalty()(lambda x: 0 * linear(x), images(), images())
    torch.testing.assert_close(flat, torch.ones_like(flat))
    assert torch.autograd.grad(flat, weight)[0].isfinite().all()


@pytest.mark.parametrize("penalty", [R1(), R2(), GradientPenalty()])
def test_slopes_of_penalties_reach_the_weights_alone(penalty):
    """Against finite differences along a random direction in weight space."""
    net, real, fake = Net(), images().requires_grad_(), images().requires_grad_()

    def added() -> torch.Tensor:
        torch.manual_seed(3)
        return penalty(net, real, fake)

    weights = [net.first.weight, net.first.bias, net.second.weight]
    slopes = torch.autograd.grad(added(), [*weights, real, fake], allow_unused=True)
    assert slopes[-1] is None
    assert slopes[-2] is None
    for weight, slope in zip(weights, slopes, strict=False):
        direction, values = torch.randn_like(weight), []
        for h in (1e-5, -2e-5):
            with torch.no_grad():
                weight.add_(h * direction)
            values.append(added().item())
        with torch.no_grad():
            weight.add_(1e-5 * direction)
        assert slope.abs().sum() > 0
        assert (slope * direction).sum().item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


class Linear(nn.Module):
    """z (N, 3) → w (N, 4) → image (N, 2, 3, 5), both linear; with `num_ws`, layers' styles are summed up."""

    def __init__(self, num_ws: int | None) -> None:
        super().__init__()
        self.mapping, self.synthesis = nn.Linear(3, 4).double(), nn.Linear(4, 30).double()
        inner = self.synthesis.forward
        self.synthesis.forward = lambda w: inner(w if num_ws is None else w.sum(1)).view(-1, 2, 3, 5)
        if num_ws is not None:
            self.synthesis.num_ws = num_ws


@pytest.mark.parametrize("num_ws", [None, 6])
def test_path_lengths_of_a_linear_generator_in_closed_form(num_ws):
    """|Jᵀ y| with J the matrix of the synthesis; each layer that it is repeated to sees the same."""
    generator, penalty, mean = Linear(num_ws), PathLength(decay=0.25, shrink=2).double(), 0.0
    for call in range(3):
        torch.manual_seed(call)
        added = penalty(generator, torch.randn(7, 3, dtype=torch.double))
        torch.manual_seed(call)
        torch.randn(7, 3, dtype=torch.double)
        noise = torch.randn(3, 2, 3, 5, dtype=torch.double).flatten(1) / math.sqrt(15)
        lengths = (noise @ generator.synthesis.weight).norm(dim=1)
        mean = 0.75 * mean + 0.25 * lengths.mean()
        torch.testing.assert_close(added, (lengths - mean).square().mean())
        mean = mean.detach()
        torch.testing.assert_close(penalty.mean, mean)
    (slope,) = torch.autograd.grad(added, generator.synthesis.weight)
    assert slope.abs().sum() > 0
    again = PathLength().double()
    again.load_state_dict(penalty.state_dict())
    assert torch.equal(again.mean, penalty.mean)


def stylegan2() -> StyleGAN2:
    return StyleGAN2(8, z_dim=4, w_dim=4, channel_base=32, channel_max=4, mapping_kwargs={"num_layers": 2})


@pytest.mark.parametrize("make", [stylegan2, lambda: MaterialGenerator(16, 3, 4, 8, (4, 4)).eval()])
@pytest.mark.parametrize("penalty", [PathLength(), Smoothness()])
def test_generators_are_charged_through_both_parts(make, penalty):
    generator, penalty = make(), copy.deepcopy(penalty)
    added = penalty(generator, generator.sample_latents(4))
    added.backward()
    assert added.item() > 0
    for part in (generator.mapping, generator.synthesis):
        reached = [p.grad.abs().sum().item() for p in part.parameters() if p.grad is not None]
        assert all(map(math.isfinite, reached))
        assert sum(reached) > 0


def test_one_latent_and_a_frozen_mapping_are_enough():
    generator = stylegan2()
    generator.mapping.requires_grad_(False)
    PathLength()(generator, generator.sample_latents(1)).backward()
    assert generator.synthesis.b8.conv1.weight.grad.abs().sum() > 0


def test_smoothness_is_a_difference_quotient(tiny_generator):
    tiny_generator.sample_latents = lambda n: torch.randn(n, 4)
    z = torch.randn(6, 4)
    torch.manual_seed(1)
    added = Smoothness(step=0.5)(tiny_generator, z)
    torch.manual_seed(1)
    moved = z + 0.5 * torch.randn(6, 4)
    torch.testing.assert_close(added, 4 * (tiny_generator(moved) - tiny_generator(z)).square().mean())


def test_attributes_say_when_and_whom_to_charge():
    assert (R1().weight, R1().every, R1().of) == (10, 16, "discriminator")
    assert {p.of for p in (R2(), GradientPenalty())} == {"discriminator"}
    assert {p.of for p in (PathLength(), Smoothness())} == {"generator"}
    assert (PathLength(3.0, 8).weight, PathLength(3.0, 8).every) == (3, 8)


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (lambda: PathLength()(nn.Linear(2, 3), torch.randn(2, 2)), "mapping and synthesis, which a Linear has not"),
        (lambda: GradientPenalty()(Net(), images(2), images(3)), r"\(2, 2, 4, 4\) and \(3, 2, 4, 4\): give as many"),
        (lambda: R1(-1.0), "R1 takes a weight of 0 or more"),
        (lambda: R2(every=0), "every 0"),
        (lambda: PathLength(every=0), "every 0"),
        (lambda: PathLength(decay=0.0), "decay above 0 and up to 1"),
        (lambda: PathLength(shrink=0), "shrink of 1 or more"),
        (lambda: Smoothness(step=0.0), "step above 0"),
    ],
)
def test_what_cannot_be_added_is_refused(penalty, message):
    with pytest.raises(ArgumentError, match=message):
        penalty()
