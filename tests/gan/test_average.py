"""The averaged generator."""

import pytest
import torch
from torch import nn

from neurotex.errors import ArgumentError
from neurotex.gan.average import Average
from neurotex.generators import StyleGAN2


def test_a_value_halves_in_its_half_life():
    module = nn.Linear(1, 1, bias=False)
    nn.init.ones_(module.weight)
    average = Average(module, half_life=100)
    nn.init.zeros_(module.weight)
    for _ in range(10):
        average.update(module, batch=10, seen=10**9)
    assert average.module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_early_on_it_follows_faster():
    module = nn.Linear(1, 1, bias=False)
    early, late = Average(module, 1000, ramp=0.05), Average(module, 1000, ramp=0.05)
    with torch.no_grad():
        module.weight += 1
    early.update(module, 10, seen=100)  # half-life of 5 images
    late.update(module, 10, seen=10**9)
    gap = (module.weight - early.module.weight).item(), (module.weight - late.module.weight).item()
    assert gap[0] == pytest.approx(0.25, rel=1e-4)
    assert gap[1] == pytest.approx(0.5**0.01, rel=1e-4)


def test_it_is_always_in_eval_mode_and_takes_running_statistics_as_they_are():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(module)
    module(torch.randn(64, 2) + 3)
    average.update(module, 1, 1)
    average.train()
    assert not average.module[1].training
    assert module[1].training
    assert torch.equal(average.module[1].running_mean, module[1].running_mean)
    assert average.module[1].num_batches_tracked == 1
    assert not any(p.requires_grad for p in average.parameters())


def test_the_mean_style_is_that_of_many_latents():
    generator = StyleGAN2(16, z_dim=4, w_dim=6, mapping_kwargs={"num_layers": 2}, channel_base=64, channel_max=8)
    average = Average(generator)
    centred = average.centre()
    expected = generator.mapping(torch.randn(200_000, 4)).mean(0)
    torch.testing.assert_close(centred.mapping.w_avg, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("bad", [{"half_life": 0}, {"ramp": -1.0}])
def test_bad_values_are_refused(bad):
    with pytest.raises(ArgumentError, match="above 0"):
        Average(nn.Linear(1, 1), **bad)
