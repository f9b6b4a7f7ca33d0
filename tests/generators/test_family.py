"""The generator by families: it tiles, moves and turns as its latent says, and comes back from a file."""

import math

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.generators import FamilyGenerator, LatentSpace, load, save
from neurotex.generators.family import TAIL
from neurotex.generators.fields import FIELDS, Fields, waves

NAMES = ("bricks", "marble", "rust")


@pytest.fixture(scope="module")
def tiny() -> FamilyGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FamilyGenerator(64, NAMES, 6, 20, (8, 6), substances=4).eval()


def latents(generator: FamilyGenerator, n: int, **how: object) -> torch.Tensor:
    return generator.sample_latents(n, torch.Generator().manual_seed(1), **how)


def test_latents_are_of_one_family_each(tiny):
    z = latents(tiny, 60)
    assert z.shape == (60, *tiny.latent_shape) == (60, 6 + TAIL + 3)
    shares = z[:, -3:]
    assert torch.equal(shares.sum(1), torch.ones(60))
    assert (shares.sum(0) > 5).all()
    assert torch.equal(latents(tiny, 5, family="marble")[:, -3:], torch.tensor([0.0, 1, 0]).expand(5, 3))
    assert torch.equal(latents(tiny, 5, family="rust")[:, :-3], latents(tiny, 5, family="marble")[:, :-3])
    with pytest.raises(ArgumentError, match="'paisley': choose one of bricks, marble, rust"):
        latents(tiny, 1, family="paisley")


@torch.no_grad()
def test_a_place_moves_the_whole_material(tiny):
    """By a multiple of the coarsest texel, exactly: x to the right, y down."""
    z = latents(tiny, 3)
    moved = z.clone()
    z[:, 6:10] = torch.tensor([1.0, 0, 1, 0])
    x, y = 2 * math.pi * 8 / 64, 2 * math.pi * 20 / 64
    moved[:, 6:10] = 3 * torch.tensor([math.cos(x), math.sin(x), math.cos(y), math.sin(y)])
    material = tiny(z)
    assert material.shape == (3, 7, 64, 64)
    assert torch.allclose(material.roll((20, 8), (2, 3)), tiny(moved), atol=1e-4)


@torch.no_grad()
def test_a_form_turns_fields_alone_and_has_no_length(tiny):
    z = latents(tiny, 2)
    longer, other = z.clone(), z.clone()
    longer[:, 10:12] *= 5
    other[:, 10:12] = other[:, 10:12].flip(1)
    assert torch.allclose(tiny(z), tiny(longer), atol=1e-4)
    assert (tiny(z) - tiny(other)).abs().mean() > 1e-3


@torch.no_grad()
def test_styles_per_layer_and_normals_of_unit_length(tiny):
    space = LatentSpace(tiny, "w+")
    z = latents(tiny, 2)
    w = tiny.mapping(z)
    assert torch.allclose(space(w[:, None].repeat(1, tiny.synthesis.num_ws, 1)), tiny(z))
    assert tiny(z)[:, 3:5].square().sum(1).max() < 1


def test_every_number_of_a_latent_has_a_gradient(tiny):
    z = latents(tiny, 2).requires_grad_()
    tiny(z).square().sum().backward()
    assert (z.grad.abs() > 0).all()
    one = torch.func.grad(lambda z: tiny(z[None]).square().sum())(z.detach()[0])
    assert torch.allclose(one, z.grad[0], rtol=1e-3, atol=1e-3 * z.grad.abs().max())


@torch.no_grad()
def test_mixed_precision_keeps_what_is_seen(tiny):
    z = latents(tiny, 4)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = tiny(z)
    assert mixed.dtype == torch.float32
    assert (mixed - tiny(z)).abs().mean() < 0.02


def test_it_comes_back_from_a_file(tiny, tmp_path):
    save(tiny, tmp_path / "family.safetensors")
    again = load(tmp_path / "family.safetensors")
    assert again.families == NAMES
    assert torch.equal(again(latents(tiny, 2)), tiny(latents(tiny, 2)))


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="of 64 texels, not of 128"):
        FamilyGenerator(128, NAMES, widths=(8, 8))
    with pytest.raises(ArgumentError, match="different names"):
        FamilyGenerator(32, ("a", "a"), widths=(8,))
    with pytest.raises(ArgumentError, match="more than 6 numbers"):
        FamilyGenerator(32, NAMES, style_dim=6, widths=(8,))


def test_fields_keep_their_variance_as_the_form_turns():
    fields = Fields(64, (8.0,))
    angle = torch.linspace(0, 6, 9)
    seen = fields(waves(), torch.stack([angle.cos(), angle.sin()], 1), torch.zeros(9, 2))
    assert seen.shape == (9, FIELDS * 3, 64, 64)
    assert torch.allclose(seen.mean((2, 3)), torch.zeros(()), atol=1e-5)
    assert 0.8 < seen.std((0, 2, 3)).min() <= seen.std((0, 2, 3)).max() < 1.2
    power = torch.fft.rfft2(seen).abs().square().mean((0, 1))
    k = torch.hypot(torch.fft.fftfreq(64, 1 / 64)[:, None], torch.arange(33.0))
    assert power[(k > 4) & (k < 16)].sum() > 0.999 * power.sum()
