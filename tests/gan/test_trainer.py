"""Adversarial training: each update touches its own side, and who computes how is not seen in the outcome."""

import copy
import math
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from neurotex.errors import ArgumentError, TrainingError
from neurotex.gan import seeds
from neurotex.gan.losses import Hinge, NonSaturating
from neurotex.gan.penalties import R1, PathLength
from neurotex.gan.trainer import Trainer, adam_pair
from neurotex.generators import StyleGAN2


class Points:
    """2 × 2 pictures of two values each."""

    channels, size = 2, 2

    def __call__(self, numbers):
        rows = [torch.rand(2, 1, 1, generator=seeds.generator(int(number))) for number in numbers]
        return torch.stack(rows).expand(-1, -1, 2, 2) * 0.4 + 0.3


class Made(nn.Module):
    latent_shape = (3,)

    def __init__(self, norm=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8) if norm else nn.Identity(), nn.Linear(8, 8))

    def sample_latents(self, n, rng=None):
        return torch.randn(n, 3, generator=rng)

    def forward(self, z):
        return torch.tanh(self.layers(z)).view(-1, 2, 2, 2)


class Critic(nn.Sequential):
    def __init__(self, norm=False):
        norm = nn.BatchNorm1d(16) if norm else nn.Identity()
        super().__init__(nn.Flatten(), nn.Linear(8, 16), norm, nn.LeakyReLU(0.2), nn.Linear(16, 1))


def tiny(norm=False, **options):
    torch.manual_seed(0)
    options = {"batch": 8, "penalties": [R1(0.1, every=2)], **options}
    return Trainer(Made(norm), Critic(norm), Points(), **options)


def snapshot(module):
    return copy.deepcopy(module.state_dict())


def same(module, before):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("norm", [False, True])
def test_each_update_touches_its_own_side(norm):
    trainer = tiny(norm)
    parts, measured = list(trainer._draw()), {}
    before = snapshot(trainer.generator.layers[0])
    fakes = trainer._teach_discriminator(parts, measured)
    assert same(trainer.generator.layers[0], before)
    assert all(p.grad is None for p in trainer.generator.parameters())
    assert all(p.grad is None for p in trainer.discriminator.parameters())
    learned = snapshot(trainer.discriminator[1])
    trainer._teach_generator(parts, fakes, measured)
    assert same(trainer.discriminator[1], learned)
    assert all(p.grad is None for p in trainer.discriminator.parameters())
    assert not same(trainer.generator.layers[0], before)
    assert set(measured) == {"loss/discriminator", "loss/generator", "penalty/R1", "verdict/real"}


def test_what_was_frozen_stays_frozen():
    torch.manual_seed(0)
    critic = Critic()
    critic[1].requires_grad_(False)
    trainer = Trainer(Made(), critic, Points(), batch=4)
    before = snapshot(critic[1])
    trainer.train(2)
    assert same(critic[1], before)
    assert not critic[1].weight.requires_grad
    assert critic[4].weight.requires_grad


def test_batch_norm_learns_in_training_and_is_fixed_in_what_is_kept():
    trainer = tiny(norm=True)
    trainer.train(3)
    assert trainer.generator.training
    assert trainer.generator.layers[1].num_batches_tracked == 3
    latents = torch.randn(5, 3)
    together = trainer.sample(latents)
    torch.testing.assert_close(together[:1], trainer.sample(latents[:1]))
    assert torch.equal(trainer.average.module.layers[1].running_mean, trainer.generator.layers[1].running_mean)


def test_it_learns_where_the_data_lie():
    trainer = tiny(batch=64, half_life=1000)
    before = trainer.sample(torch.randn(256, 3)).mean()
    trainer.train(300)
    samples = trainer.sample(torch.randn(256, 3))
    assert abs(samples.mean() - 0.5) < 0.1 < abs(before - 0.5)
    assert samples.std() < 0.25


def test_a_resumed_run_is_bitwise_the_uninterrupted_one():
    trainer = tiny(norm=True, penalties=[R1(0.1, every=2)])
    trainer.train(3)
    state = copy.deepcopy(trainer.state_dict())
    trainer.train(6)
    torch.rand(7)  # whatever else went on
    again = tiny(norm=True, penalties=[R1(0.1, every=2)])
    again.load_state_dict(state)
    again.train(6)
    for name in ("generator", "discriminator", "average"):
        assert same(getattr(again, name), snapshot(getattr(trainer, name)))
    assert again.steps_done == 6


def test_a_step_leaves_torchs_generator_as_it_was():
    trainer = tiny()
    state = torch.get_rng_state()
    trainer.step()
    assert torch.equal(torch.get_rng_state(), state)


def test_accumulating_is_the_same_training():
    whole, parts = tiny(), tiny(accumulate=4)
    for _ in range(5):
        a, b = whole.step(), parts.step()
        assert a.keys() == b.keys()
        assert all(math.isclose(a[name], b[name], abs_tol=1e-5) for name in a)
    for p, q in zip(whole.generator.parameters(), parts.generator.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-5, rtol=1e-4)


def test_learning_rates_follow_the_schedule():
    trainer = tiny(schedule=lambda step: 0.5**step, optimizers=None)
    trainer.train(3)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]
    assert rates == pytest.approx([0.0025 / 4, 0.0025 * 2 / 3 / 4])


def test_lazy_penalties_slow_down_adam():
    generator, critic = Made(), Critic()
    makes, learns = adam_pair(generator, critic, (1.0, 1.0), (0.5, 0.9), [R1(1.0, every=16)])
    assert makes.defaults["lr"] == 1.0
    c = 16 / 17
    assert learns.defaults["lr"] == c
    assert learns.defaults["betas"] == (0.5**c, 0.9**c)


class Learning(nn.Module):
    """A penalty with a weight and a state of its own."""

    of, weight, every = "generator", 1.0, 1

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(3.0))
        self.register_buffer("calls", torch.tensor(0.0))

    def forward(self, generator, latents):
        self.calls += 1
        return (self.factor * generator(latents)).square().mean()


def test_penalties_learn_along_and_keep_their_state():
    torch.manual_seed(0)
    penalty = Learning()
    trainer = Trainer(Made(), Critic(), Points(), batch=4, penalties=[penalty])
    trainer.train(2)
    assert penalty.factor != 3
    assert trainer.state_dict()["penalty 0"]["calls"] == 2


def test_path_lengths_of_a_style_based_generator():
    torch.manual_seed(0)
    generator = StyleGAN2(8, 2, 4, w_dim=4, mapping_kwargs={"num_layers": 2}, channel_base=32, channel_max=4)

    class Eight(Points):
        size = 8

        def __call__(self, numbers):
            return super().__call__(numbers).repeat(1, 1, 4, 4)

    critic = nn.Sequential(nn.Flatten(), nn.Linear(128, 1))
    trainer = Trainer(generator, critic, Eight(), batch=4, penalties=[PathLength(2.0, every=2)], loss=Hinge())
    measured = trainer.train(3)
    assert measured["penalty/PathLength"] > 0


class Doubling(nn.Module):
    def forward(self, textures, numbers):
        assert len(numbers) == len(textures)
        return 2 * textures


def test_the_discriminator_sees_what_is_observed_and_augmented():
    seen = []

    class Watching(Critic):
        def forward(self, images):
            seen.append(images.detach())
            return super().forward(images)

    torch.manual_seed(0)
    generator = Made()
    latents = next(iter(Trainer(generator, Critic(), Points(), batch=4)._draw()))[1]
    expected = 2 * generator(latents).detach() + 1
    trainer = Trainer(
        generator, Watching(), Points(), batch=4, observe=Doubling(), augment=lambda images, numbers: images + 1
    )
    trainer.step()
    assert torch.equal(seen[1], expected)
    assert seen[0].min() >= 1.3


def test_a_loss_that_is_no_number_stops_the_run():
    class Broken(NonSaturating):
        def generator(self, fake):
            return fake.mean() * float("nan")

    trainer = tiny(loss=Broken())
    with pytest.raises(TrainingError, match="loss/generator is no number any more at step 0"):
        trainer.train(2)
    assert trainer.steps_done == 0


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": 6, "accumulate": 4}, {"accumulate": 0}])
def test_a_batch_that_cannot_be_shared_is_refused(wrong):
    with pytest.raises(ArgumentError, match="batch"):
        tiny(**wrong)


def test_a_penalty_of_nobody_is_refused():
    penalty = Learning()
    penalty.of = "critic"
    with pytest.raises(ArgumentError, match="generator or the discriminator"):
        tiny(penalties=[penalty])


def test_autocast_around_all_steps_sees_every_step_s_weights():
    """torch keeps casts of weights for as long as its context lasts."""
    found = []
    for around in (True, False):
        trainer, losses = tiny(), []
        with torch.autocast("cpu", torch.bfloat16) if around else nullcontext():
            for _ in range(3):
                with nullcontext() if around else torch.autocast("cpu", torch.bfloat16):
                    losses.append(trainer.step())
        found.append([{name: value for name, value in loss.items() if name.startswith("loss/")} for loss in losses])
    assert found[0] == found[1]
    assert found[0][0] != found[0][2]
