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
def test_a_generator_in_a_scene_draws_nothing_anew_whatever_mode_it_came_in(space):
    generator = nt.generators.MaterialGenerator(16, 6, 4, 6, (4, 3)).train()
    entrance = generator if space is None else nt.generators.LatentSpace(generator, space)
    skin = GeneratedTexture(entrance, nt.Latent(entrance).sample())
    soft = skin.maps()["base_color"].through(nt.discrete.Levels(4)).train()
    assert soft.step.training
    assert torch.equal(skin(), skin())
    entrance.train()  # whoever asks for it gets it, until the scene's mode is set again
    assert not torch.equal(skin(), skin())
    assert torch.equal(skin.train()(), skin())


class Normalised(torch.nn.Module):
    """What behaves otherwise in train mode: batch norm, dropout, spectral norm."""

    def __init__(self):
        super().__init__()
        first = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(5, 12))
        last = torch.nn.Linear(12, 3 * 16)
        self.layers = torch.nn.Sequential(first, torch.nn.BatchNorm1d(12), torch.nn.Dropout(0.5), last)

    def forward(self, z):
        return torch.tanh(self.layers(z)).view(len(z), 3, 4, 4)


@pytest.mark.parametrize("trained", ["latent", "weights"])
def test_a_fit_leaves_statistics_of_a_generator_as_they_were(torus, trained):
    generator = nt.generators.wrap(Normalised(), 5).train()
    generator(torch.randn(64, 5))  # its own training has measured something
    skin = GeneratedTexture(generator, nt.Latent(generator).sample())
    torus.material = nt.Material(skin)
    scene = nt.Scene(torus, nt.orbit(2, 3.0), nt.Flash(7.0)).train()
    before = {name: value.clone() for name, value in generator.named_buffers()}
    weights = [value.clone() for value in generator.parameters()]
    assert torch.equal(skin(), skin())
    module = skin.latent if trained == "latent" else generator
    views = nt.Views(list(scene.cameras), torch.rand(2, 4, 16, 16), list(scene.lights), ["a", "b"])
    nt.Fit(scene, views, torch.optim.Adam(module.parameters(), lr=0.1), 3).run()
    assert not generator.training
    assert len(before) >= 5
    for name, value in generator.named_buffers():
        assert torch.equal(value, before[name]), name
    moved = [not torch.equal(*pair) for pair in zip(generator.parameters(), weights, strict=True)]
    assert any(moved) == (trained == "weights")


def test_styles_are_drawn_without_measuring_anything():
    class Styled(torch.nn.Module):
        latent_shape = (4,)

        def __init__(self):
            super().__init__()
            self.mapping = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout())
            self.synthesis = torch.nn.Sequential(torch.nn.Linear(4, 48), torch.nn.Unflatten(1, (3, 4, 4)))

        def sample_latents(self, n, rng=None):
            return torch.randn(n, 4, generator=rng)

    generator = Styled()
    space = nt.generators.LatentSpace(generator, "w")
    assert torch.equal(*(space.sample_latents(3, torch.Generator().manual_seed(0)) for _ in range(2)))
    assert int(generator.mapping[1].num_batches_tracked) == 0
    assert generator.mapping[2].training


def families() -> nt.generators.FamilyGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nt.generators.FamilyGenerator(32, ("bricks", "rust"), 4, 12, (6,), 3)


def test_a_metallic_generator_has_a_map_for_it():
    generator = families()
    maps = nt.GeneratedTexture(generator, nt.Latent(generator).sample(3)).maps()
    assert list(maps) == ["base_color", "normal", "roughness", "metallic"]
    nt.Material(**maps)
    with nt.scene.Evaluation() as evaluation:
        metallic, normal = evaluation(maps["metallic"]), evaluation(maps["normal"])
    assert metallic.shape == (1, 1, 32, 32)
    assert normal.shape == (1, 3, 32, 32)


@pytest.mark.parametrize("space", ["z", "w", "w+", "gaussian"])
def test_a_latent_of_a_family(space):
    generator = families()
    entered = nt.generators.LatentSpace(generator, space)
    bricks, rust = (nt.Latent(entered, family=name).sample(0).value for name in generator.families)
    assert not torch.equal(bricks, rust)
    if space == "z":
        assert torch.equal(bricks[0, -2:].detach(), torch.tensor([1.0, 0]))
    with pytest.raises(nt.errors.ArgumentError, match="family 'wool': its families are bricks, rust"):
        nt.Latent(entered, "skin", family="wool")
    with pytest.raises(nt.errors.ArgumentError, match="it knows none"):
        nt.Latent((4,), family="wool")
