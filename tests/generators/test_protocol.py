"""What every generator of the package says of itself, in the same words."""

import inspect

import pytest
import torch

from neurotex import generators
from neurotex.errors import ArgumentError
from neurotex.generators import protocol


def material():
    return generators.MaterialGenerator(16, 6, 4, 8, (4, 4))


def stylegan2():
    return generators.StyleGAN2(8, z_dim=4, w_dim=8, channel_base=32, channel_max=4, mapping_kwargs={"num_layers": 2})


def stylegan3():
    return generators.StyleGAN3(
        16, z_dim=4, w_dim=8, channel_base=64, channel_max=4, num_layers=4, mapping_kwargs={"num_layers": 2}
    )


def wrapped():
    return generators.wrap(torch.nn.Sequential(torch.nn.Linear(4, 48), torch.nn.Unflatten(1, (3, 4, 4))), 4)


STYLED = {"material": material, "stylegan2": stylegan2, "stylegan3": stylegan3}
MAKE = {**STYLED, "wrapped": wrapped}
MAKE |= {f"w of {name}": lambda make=make: generators.LatentSpace(make(), "w") for name, make in STYLED.items()}
MAKE["noise"] = lambda: generators.LatentSpace(stylegan2(), "noise")
MAKE["gaussian"] = lambda: generators.LatentSpace(material(), "gaussian")


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_latents_are_drawn_by_the_same_words(make):
    generator = make().eval()
    assert isinstance(generator, protocol.Sampled)
    words = list(inspect.signature(generator.sample_latents).parameters)
    assert words[:2] == ["n", "rng"]
    assert words[2:] in ([], ["family"])  # one more word where there are families to choose from
    first, second = (generator.sample_latents(n=2, rng=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert tuple(first.shape[1:]) == protocol.latent_shape(generator) == tuple(generator.latent_shape)
    textures = generator(first)
    assert textures.shape[1] == (protocol.out_channels(generator) or 3)
    torch.manual_seed(5)
    alone = generator.sample_latents(2)
    torch.manual_seed(5)
    assert torch.equal(alone, generator.sample_latents(2))


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_draws_follow_the_weights_and_not_torch_s_default(make):
    generator = make().eval()
    expected = generator.sample_latents(2, torch.Generator().manual_seed(3))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(generator.sample_latents(2, torch.Generator().manual_seed(3)), expected)
    finally:
        torch.set_default_dtype(torch.float32)
    drawn = generator.double().sample_latents(2, torch.Generator().manual_seed(3))
    assert drawn.dtype == torch.float64
    torch.testing.assert_close(drawn.float(), expected, rtol=1e-3, atol=1e-4)
    if not isinstance(generator, generators.LatentSpace):  # a space keeps the mapping that it draws through
        assert generator.to("meta").sample_latents(2, torch.Generator().manual_seed(3)).is_meta


@pytest.mark.parametrize("make", STYLED.values(), ids=STYLED)
def test_style_based_ones_say_what_their_parts_are(make):
    generator = make()
    assert isinstance(generator, protocol.Styled)
    assert isinstance(generator.mapping, protocol.Conditional)
    assert isinstance(generator.mapping, protocol.Centred)
    assert protocol.classes(generator) == 0
    assert isinstance(generator.synthesis, protocol.Layered)
    styles = generator.mapping(generator.sample_latents(1))[:, None].repeat(1, protocol.layers(generator.synthesis), 1)
    assert generator.synthesis(styles).shape[1] == protocol.out_channels(generator)
    assert isinstance(generator.synthesis, protocol.Noisy) == (make is stylegan2)


def test_a_plain_module_says_nothing_and_is_a_generator_all_the_same():
    module = torch.nn.Linear(4, 4)
    assert protocol.latent_shape(module) is protocol.out_channels(module) is protocol.layers(module) is None
    with pytest.raises(ArgumentError, match="has no mapping and synthesis"):
        generators.LatentSpace(module)


def test_normal_draws_are_of_the_default_type_where_nothing_else_is_said():
    expected = protocol.normal(3, (2,), torch.Generator().manual_seed(0))
    assert torch.equal(expected, torch.randn(3, 2, generator=torch.Generator().manual_seed(0)))
    torch.set_default_dtype(torch.float64)
    try:
        drawn = protocol.normal(3, (2,), torch.Generator().manual_seed(0))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(drawn, expected.double())


def test_eval_mode_for_a_while():
    module = torch.nn.Sequential(torch.nn.Dropout(), torch.nn.BatchNorm1d(2).eval())
    with protocol.in_eval_mode(module):
        assert not any(part.training for part in module.modules())
    assert [part.training for part in module.modules()] == [True, True, False]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("make", [*MAKE.values(), lambda: generators.load("materials")], ids=[*MAKE, "bundled"])
def test_networks_work_in_half_precision(make, dtype):
    torch.manual_seed(0)
    generator = make().eval()
    z = protocol.normal(1, protocol.latent_shape(generator), torch.Generator().manual_seed(0))
    full = generator(z.requires_grad_())
    expected = torch.autograd.grad(full.square().mean(), z)[0]
    z = z.detach().to(dtype).requires_grad_()
    found = generator.to(dtype)(z)
    assert found.dtype == dtype
    assert float((found - full).abs().max()) < 32 * torch.finfo(dtype).eps * max(float(full.abs().max()), 1)
    (slope,) = torch.autograd.grad(found.float().square().mean(), z)
    assert bool(slope.isfinite().all())
    assert bool(slope.any()) == bool(expected.any())  # noise has no strength yet
