"""One generator feeds several maps, and runs once."""

import pytest
import torch

import neurotex as nt
from neurotex.errors import ArgumentError, SceneError
from neurotex.scene.channels import ChannelTexture, NormalsFromXY


class Maps(torch.nn.Module):
    """(N, 5) → (N, 9, 8, 8) in [-1, 1]: as MaterialGAN's. Counts how often it is called."""

    latent_shape = (5,)

    def __init__(self):
        super().__init__()
        self.out = torch.nn.Linear(5, 9 * 64)
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return torch.tanh(self.out(z)).view(-1, 9, 8, 8)


@pytest.fixture
def maps() -> nt.GeneratedTexture:
    generator = Maps()
    return nt.GeneratedTexture(generator, nt.Latent(generator).sample(), wrap="clamp", filter="nearest")


def test_channels_have_the_values_and_the_sampler_of_the_texture(maps):
    part = ChannelTexture(maps, 3, 5)
    assert torch.equal(part(), maps()[:, 3:5])
    assert (part.wrap, part.filter) == ("clamp", "nearest")
    assert "channels 3 to 4" in repr(part)


@pytest.mark.parametrize("bake", [False, True])
def test_one_generator_feeds_several_maps_and_runs_once_per_render(bake, maps, torus):
    colour, bumps, rough = (ChannelTexture(maps, *part) for part in ((0, 3), (3, 5), (5, 6)))
    torus.material = nt.Material(colour, roughness=rough, normal=bumps.through(NormalsFromXY()))
    scene = nt.Scene(torus, nt.orbit(2, 3.0), [nt.Flash(7.0)])
    render = nt.bake(scene, 24) if bake else lambda: nt.render(scene, 24)
    maps.generator.calls = 0
    render().square().sum().backward()
    assert maps.generator.calls == 1
    slope = maps.generator.out.weight.grad.view(9, 64, 5).abs().sum((1, 2))
    assert (slope[:6] > 0).all()
    assert not slope[6:].any()


def test_normals_are_unit_and_keep_their_x_and_y():
    value = torch.rand(2, 2, 16, 16, dtype=torch.double)
    normals = 2 * NormalsFromXY()(value) - 1
    torch.testing.assert_close(normals.norm(dim=1), torch.ones(2, 16, 16).double(), rtol=0, atol=1e-7)
    slopes = 2 * value - 1
    inside = slopes.norm(dim=1, keepdim=True) < 1
    assert torch.equal(normals[:, :2][inside.expand(-1, 2, -1, -1)], slopes[inside.expand(-1, 2, -1, -1)])
    assert (normals[:, 2] >= 0).all()
    steep = torch.tensor([0.9, 0.8]).double().view(1, 2, 1, 1)
    for xy in (steep, 0.5 + 0.2 * steep, torch.tensor([1.0, 0.5]).double().view(1, 2, 1, 1)):
        xy = xy.clone().requires_grad_()
        NormalsFromXY()(xy).sum().backward()
        assert xy.grad.isfinite().all()
    assert torch.autograd.gradcheck(NormalsFromXY(), (0.5 + 0.3 * (value[:, :, :2, :2] - 0.5)).requires_grad_())


def test_channels_that_are_not_there_are_refused(maps):
    with pytest.raises(ArgumentError, match="not 3 to 3"):
        ChannelTexture(maps, 3, 3)
    with pytest.raises(SceneError, match="channels 7 to 9 of a GeneratedTexture are wanted, but it has 9"):
        ChannelTexture(maps, 7, 10)()
