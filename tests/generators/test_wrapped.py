import pytest
import torch

import neurotex as nt
from neurotex.generators import wrap


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(5, 3 * 4 * 4)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layer(z).tanh().view(-1, 3, 4, 4)


def test_any_module_becomes_a_generator_of_a_scene():
    net = Net()
    generator = wrap(net, 5)
    assert generator.latent_shape == (5,)
    assert set(generator.parameters()) == set(net.parameters())
    latent = nt.Latent(generator).sample()
    torch.testing.assert_close(nt.GeneratedTexture(generator, latent)(), (net(latent.value) + 1) / 2)


def test_latents_are_normal_draws_that_repeat():
    generator = wrap(Net(), (5,))
    first, second = (generator.sample_latents(3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == (3, 5)
    assert torch.equal(first, second)


@pytest.mark.parametrize("module", [torch.nn.Identity(), torch.nn.Unflatten(1, (5, 1)), torch.nn.Flatten(0)])
def test_what_returns_no_texture_is_refused_by_name(module):
    with pytest.raises(nt.ArgumentError, match=rf"{type(module).__name__} must return \(N, C, H, W\)"):
        wrap(module, 5)(torch.zeros(2, 5))
