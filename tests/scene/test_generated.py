"""What a generator makes is a material: its maps by name."""

import pytest
import torch

import neurotex as nt
from neurotex.errors import SceneError
from neurotex.scene.channels import NormalsFromXY
from neurotex.scene.generated import GeneratedTexture


class Linear(torch.nn.Module):
    """(N, 5) → (N, out_channels, 8, 8) in [-1, 1]. Counts how often it is called."""

    latent_shape = (5,)

    def __init__(self, out_channels: int | None):
        super().__init__()
        if out_channels is not None:
            self.out_channels = out_channels
        self.out = torch.nn.Linear(5, (out_channels or 3) * 64)
        self.calls = 0

    def forward(self, z):
        self.calls += 1
        return torch.tanh(self.out(z)).view(len(z), -1, 8, 8)


def texture(channels: int | None) -> GeneratedTexture:
    generator = Linear(channels)
    return GeneratedTexture(generator, nt.Latent(generator).sample(), filter="nearest")


@pytest.mark.parametrize("channels", [None, 3])
def test_three_channels_are_a_base_color(channels):
    skin = texture(channels)
    assert skin.maps() == {"base_color": skin}


def test_six_channels_are_a_material():
    skin = texture(6)
    value, maps = skin(), skin.maps()
    assert list(nt.Material(**maps).maps()) == ["base_color", "roughness", "metallic", "normal"]
    assert torch.equal(maps["base_color"](), value[:, :3])
    assert torch.equal(maps["normal"](), NormalsFromXY()(value[:, 3:5]))
    assert torch.equal(maps["roughness"](), value[:, 5:])
    assert {each.filter for each in maps.values()} == {"nearest"}


@pytest.mark.parametrize("space", ["z", "w+"])
def test_maps_are_those_of_a_latent_space_too(space):
    torch.manual_seed(0)
    generator = nt.generators.MaterialGenerator(16, 6, 4, 6, (4, 3)).eval()
    entrance = nt.generators.LatentSpace(generator, space)
    maps = GeneratedTexture(entrance, nt.Latent(entrance).sample()).maps()
    assert [maps[name]().shape[1] for name in ("base_color", "normal", "roughness")] == [3, 3, 1]


def test_a_material_is_rendered_with_one_call_of_the_generator_and_learns_from_light(torus):
    """Light and shade alone say what bumps there are."""
    skin = texture(6)
    torus.material = nt.Material(**skin.maps())
    scene = nt.Scene([torus], nt.orbit(2, 3.0, elevation=40.0), [nt.Flash(7.0)])
    skin.generator.calls = 0
    nt.render(scene, 24).square().mean().backward()
    assert skin.generator.calls == 1
    slope = skin.generator.out.weight.grad.view(6, -1).abs().sum(1)
    assert (slope > 0).all()


def test_other_numbers_of_channels(recwarn):
    skin = texture(9)
    with pytest.warns(UserWarning, match="makes 9 channels: the first 3"):
        maps = skin.maps()
    assert list(maps) == ["base_color"]
    assert torch.equal(maps["base_color"](), skin()[:, :3])
    with pytest.raises(SceneError, match="makes 1: build a scene"):
        texture(1).maps()


@pytest.mark.parametrize("space", [None, "w+"])
def test_a_scene_in_train_mode_leaves_its_generator_as_it_was(space):
    generator = nt.generators.MaterialGenerator(16, 6, 4, 6, (4, 3)).eval()
    entrance = generator if space is None else nt.generators.LatentSpace(generator, space)
    skin = GeneratedTexture(entrance, nt.Latent(entrance).sample())
    soft = skin.maps()["base_color"].through(nt.discrete.Levels(4)).train()
    assert soft.step.training
    assert torch.equal(skin(), skin())  # no grain is drawn anew
    generator.train()
    skin = GeneratedTexture(generator, nt.Latent(generator).sample()).train()
    assert not torch.equal(skin(), skin())
    skin.eval()
    assert torch.equal(skin(), skin())
