"""Latent spaces: the same textures by every entrance, a prior that knows its samples, and paths between latents."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import neurotex as nt
from neurotex.errors import ArgumentError
from neurotex.generators.latent_spaces import GaussianPrior, LatentSpace, lerp, moments, sample_w, slerp, truncate
from neurotex.generators.stylegan2 import StyleGAN2
from neurotex.generators.stylegan3 import StyleGAN3


def tiny(**options) -> StyleGAN2:
    return StyleGAN2(8, z_dim=6, w_dim=5, channel_base=64, channel_max=8, mapping_kwargs={"num_layers": 2}, **options)


class OneStyle(torch.nn.Module):
    """z (N, 4) → w (N, 6) → texture (N, 3, 2, 2): no layer has a style of its own."""

    latent_shape = (4,)

    def __init__(self):
        super().__init__()
        self.mapping = torch.nn.Linear(4, 6)
        self.synthesis = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.Unflatten(1, (3, 2, 2)))

    def sample_latents(self, n, rng=None):
        return torch.randn(n, 4, generator=rng)

    def forward(self, z):
        return self.synthesis(self.mapping(z))


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("space", "shape"), [("z", (6,)), ("w", (5,)), ("w+", (4, 5)), ("gaussian", (5,))])
def test_every_space_leads_to_the_generators_textures(space, shape):
    generator = tiny()
    entrance = LatentSpace(generator, space)
    assert entrance.latent_shape == shape
    latents = entrance.sample_latents(3, seeded())
    assert latents.shape == (3, *shape)
    torch.testing.assert_close(
        entrance(latents), generator(generator.sample_latents(3, seeded())), rtol=1e-3, atol=1e-4
    )


def test_noise_maps_are_a_space():
    generator = tiny()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.ones_(parameter)
    entrance = LatentSpace(generator, "noise")
    assert entrance.latent_shape == (generator.synthesis.noise_dim,)
    a, b = entrance(entrance.sample_latents(2, seeded()))
    assert (a - b).abs().max() > 0.01
    mean = generator.synthesis(generator.mapping.w_avg[None])
    torch.testing.assert_close(entrance(generator.synthesis.noise_maps()), mean)


def test_a_class_goes_with_every_latent():
    generator, label = tiny(c_dim=3), torch.tensor([0.0, 1, 0])
    z = generator.sample_latents(2, seeded())
    expected = generator(z, label.expand(2, -1))
    for space in ("z", "w", "w+"):
        entrance = LatentSpace(generator, space, label)
        torch.testing.assert_close(entrance(entrance.sample_latents(2, seeded())), expected)
    assert (generator(z, torch.eye(3)[:2]) - expected).abs().max() > 1e-3


def test_it_is_a_generator_of_a_scene():
    entrance = LatentSpace(tiny(), "w+")
    latent = nt.Latent(entrance).sample()
    texture = nt.GeneratedTexture(entrance, latent)()
    texture.sum().backward()
    assert latent.value.grad.shape == (1, 4, 5)
    assert {name.split(".")[0] for name, _ in entrance.named_parameters()} == {"synthesis"}
    assert {name.split(".")[0] for name, _ in LatentSpace(tiny(), "z").named_parameters()} == {"synthesis", "mapping"}


def test_what_a_generator_lacks_is_refused():
    with pytest.raises(ArgumentError, match="no latent space 'v'"):
        LatentSpace(tiny(), "v")
    with pytest.raises(ArgumentError, match="Linear has no mapping and synthesis"):
        LatentSpace(torch.nn.Linear(2, 2))
    assert LatentSpace(OneStyle()).latent_shape == (6,)
    with pytest.raises(ArgumentError, match=r"OneStyle has no space 'w\+'"):
        LatentSpace(OneStyle(), "w+")
    third = StyleGAN3(16, z_dim=4, w_dim=4, channel_base=32, num_layers=4)
    with pytest.raises(ArgumentError, match="StyleGAN3 has no space 'noise'"):
        LatentSpace(third, "noise")


def test_moments_are_those_of_the_samples():
    samples = torch.randn(50, 3, dtype=torch.double) @ torch.randn(3, 3, dtype=torch.double) + 2
    mean, covariance = moments(samples)
    centred = samples - samples.mean(0)
    torch.testing.assert_close(mean, samples.mean(0))
    torch.testing.assert_close(covariance, centred.T @ centred / 49)
    with pytest.raises(ArgumentError, match="two samples"):
        moments(samples[:1])


def test_styles_repeat_with_the_seed():
    generator = tiny()
    assert torch.equal(sample_w(generator, 4, seeded()), sample_w(generator, 4, seeded()))
    torch.testing.assert_close(
        sample_w(generator, 4, seeded()), generator.mapping(generator.sample_latents(4, seeded()))
    )


@pytest.fixture
def bent() -> torch.Tensor:
    """Correlated normals through a leaky ReLU: what the prior takes a mapping's samples for."""
    x = torch.randn(4000, 4, dtype=torch.double) @ torch.randn(4, 4, dtype=torch.double) + torch.randn(4).double()
    return torch.nn.functional.leaky_relu(x, 0.2)


def test_the_prior_makes_styles_standard_normal(bent):
    prior = GaussianPrior(bent)
    v = prior.whiten(bent)
    torch.testing.assert_close(v.mean(0), torch.zeros(4).double(), rtol=0, atol=1e-9)
    torch.testing.assert_close(v.T.cov(), torch.eye(4).double(), rtol=0, atol=1e-9)
    kurtosis = (v**4).mean(0)
    torch.testing.assert_close(kurtosis, torch.full_like(kurtosis, 3), rtol=0, atol=0.4)  # normal: 3
    torch.testing.assert_close(prior.unwhiten(v), bent)


def test_the_prior_tells_samples_from_strangers(bent):
    prior = GaussianPrior(bent)
    assert prior(bent).mean() == pytest.approx(1, abs=0.01)
    assert (prior(3 * bent + 2) > 3).double().mean() > 0.8
    plus = torch.stack([bent[:7], bent[7:14]], 1)
    torch.testing.assert_close(prior(plus), (prior(bent[:7]) + prior(bent[7:14])) / 2)
    w = bent[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(prior, (w,))


def test_directions_without_variance_do_not_blow_up():
    samples = torch.randn(100, 3).double() @ torch.randn(3, 6).double()
    prior = GaussianPrior(torch.nn.functional.leaky_relu(samples, 0.2))
    assert prior(prior.unwhiten(torch.randn(5, 6).double())).isfinite().all()
    assert prior.sigma.min() > 0


def test_truncation_takes_the_first_layers_only():
    w, mean = torch.randn(2, 4, 5), torch.randn(5)
    torch.testing.assert_close(truncate(w, mean, 0.5), (w + mean) / 2)
    some = truncate(w, mean, 0.0, layers=3)
    torch.testing.assert_close(some[:, :3], mean.expand(2, 3, -1))
    assert torch.equal(some[:, 3:], w[:, 3:])


def test_paths_start_and_end_where_they_should():
    a, b = torch.randn(2, 1, 4, 6).double().unbind()
    for path in (lerp, slerp):
        torch.testing.assert_close(path(a, b, torch.tensor([0.0, 1.0])), torch.cat([a, b]))
        assert path(a, b, torch.linspace(0, 1, 5)).shape == (5, 4, 6)
        assert path(a, b, 0.3).shape == a.shape
    torch.testing.assert_close(lerp(a, b, 0.25), 0.75 * a + 0.25 * b)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_slerp_turns_evenly_and_keeps_the_length(seed, t):
    a, b = torch.nn.functional.normalize(torch.randn(2, 1, 5, generator=seeded(seed)).double(), dim=-1).unbind()
    c = slerp(a, b, t)
    assert float(c.norm()) == pytest.approx(1)
    angle = math.acos(float((a * b).sum()))
    assert float((a * c).sum()) == pytest.approx(math.cos(t * angle), abs=1e-9)


def test_slerp_between_equals_is_straight():
    a = torch.randn(1, 5, requires_grad=True)
    path = slerp(a, a.detach() * (1 + 1e-6), torch.linspace(0, 1, 3))
    torch.testing.assert_close(path, a.expand(3, -1), rtol=1e-4, atol=1e-5)
    path.sum().backward()
    assert a.grad.isfinite().all()
