"""Adversarial training: each side's update touches that side only, and a resumed run is the same run."""

import copy
import json
from dataclasses import replace

import pytest
import torch

from neurotex.errors import FileError
from neurotex.gan.discriminator import Discriminator, sliced_distance
from neurotex.gan.procedural import procedural
from neurotex.gan.train import TrainConfig, Trainer, train
from neurotex.generators.files import load

TINY = TrainConfig(
    steps=3, size=16, batch=4, latent_dim=4, style_dim=8, widths=(6, 4), critic_widths=(4, 6), bank=8, r1_every=2
)


@pytest.fixture(autouse=True)
def _one_thread():
    """The networks here are tiny: handing them to a second thread takes longer than computing them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def snapshot(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(module.state_dict())


def same(module: torch.nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_each_update_touches_its_own_side():
    trainer = Trainer(TINY)
    rng = torch.Generator().manual_seed(0)
    makers, judges = [trainer.generator], [trainer.discriminator]
    before = [snapshot(m) for m in makers + judges]
    fake = trainer.generator(trainer.generator.sample_latents(4, rng))

    trainer.update_discriminator(trainer.real_batch(rng), fake.detach())
    assert same(trainer.generator, before[0])
    assert all(p.grad is None for p in trainer.generator.parameters())
    assert not same(trainer.discriminator, before[1])

    before = [snapshot(m) for m in makers + judges]
    slopes = [p.grad.clone() for p in trainer.discriminator.parameters()]
    trainer.update_generator(fake, torch.zeros(()))
    assert not same(trainer.generator, before[0])
    assert same(trainer.discriminator, before[1])
    assert all(torch.equal(p.grad, slope) for p, slope in zip(trainer.discriminator.parameters(), slopes, strict=True))


def test_a_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path):
    whole = Trainer(TINY)
    for _ in range(3):
        whole.step()
    first = Trainer(TINY)
    for _ in range(2):
        first.step()
    first.save(tmp_path / "checkpoint.pt")
    second = Trainer(TINY)
    second.load(tmp_path / "checkpoint.pt")
    second.step()
    for name in ("generator", "average", "discriminator", "encoder"):
        assert same(getattr(second, name), snapshot(getattr(whole, name)))
    assert not same(whole.generator, snapshot(whole.average))


def test_the_run_leaves_its_files(tmp_path):
    average = train(TINY, tmp_path, every=2)
    assert (tmp_path / "checkpoint.pt").is_file()
    assert (tmp_path / "samples-000003.png").is_file()
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    z = average.sample_latents(2, torch.Generator().manual_seed(0))
    assert torch.equal(load(tmp_path / "generator.safetensors")(z), average(z))
    with pytest.raises(FileError, match="other settings"):
        train(replace(TINY, seed=1), tmp_path, resume=True)


def test_resuming_from_nothing_is_refused(tmp_path):
    with pytest.raises(FileError, match="no checkpoint"):
        train(TINY, tmp_path, resume=True)


def test_the_discriminator_learns_to_tell():
    """Against a generator that stands still, a few updates lower the loss well below chance (2 ln 2)."""
    trainer = Trainer(replace(TINY, judge_rate=0.02, batch=8))
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        fake = trainer.generator(trainer.generator.sample_latents(8, rng))
    real = trainer.real_batch(rng)
    losses = [trainer.update_discriminator(real, fake) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_discriminator_sees_a_lack_of_variety():
    texture = procedural(2, 16, seed=0) * 2 - 1
    judge = Discriminator((4, 6))
    varied, copies = judge(texture)[0], judge(texture[:1].expand(2, -1, -1, -1))[0]
    assert not torch.allclose(varied, copies)


def test_sliced_distance_ignores_places_but_not_patterns():
    texture = procedural(2, 64, seed=0, family="spots") * 2 - 1
    shifted = texture.roll((16, 32), (2, 3))
    near = sliced_distance(texture, shifted, torch.Generator().manual_seed(0))
    far = sliced_distance(texture, texture.flip(0), torch.Generator().manual_seed(0))
    assert sliced_distance(texture, texture, torch.Generator().manual_seed(0)) == 0
    assert near < 0.3 * far
