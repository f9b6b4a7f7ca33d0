"""The tile generator: seamless, in range, repeatable, differentiable, and plain under torch's function transforms."""

import json

import pytest
import torch
from torch.func import functional_call, grad, vmap

from neurotex.errors import ArgumentError
from neurotex.generators.tile import TileGenerator, upsample, wrap

TINY = {"size": 16, "latent_dim": 4, "style_dim": 6, "widths": (4, 3), "colours": 3}


@pytest.fixture
def tiny() -> TileGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TileGenerator(**TINY).double()


def test_shapes_range_and_interface(tiny):
    z = tiny.sample_latents(4, torch.Generator().manual_seed(1))
    assert tiny.latent_shape == (4,)
    assert z.shape == (4, 4)
    texture = tiny(z)
    assert texture.shape == (4, tiny.out_channels, 16, 16)
    assert texture.abs().max() <= 1
    assert torch.equal(texture, tiny.synthesis(tiny.mapping(z)))


def test_the_configuration_survives_json(tiny):
    again = TileGenerator(**json.loads(json.dumps(tiny.config))).double()
    again.load_state_dict(tiny.state_dict())
    z = tiny.sample_latents(2)
    assert torch.equal(again(z), tiny(z))


def test_samples_repeat_with_the_seed(tiny):
    first, second = (tiny.sample_latents(3, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(tiny(first), tiny(second))


def test_latents_change_the_texture(tiny):
    a, b = tiny(tiny.sample_latents(2, torch.Generator().manual_seed(3)))
    assert (a - b).abs().mean() > 0.01


def test_it_tiles_exactly(tiny):
    """Rolling the constant by one cell rolls the texture: no pixel is an edge pixel."""
    z = tiny.sample_latents(2, torch.Generator().manual_seed(2))
    before = tiny(z)
    constant = tiny.synthesis.constant
    step = 16 // constant.shape[-1]
    with torch.no_grad():
        constant.copy_(constant.roll((1, 2), (2, 3)))
    torch.testing.assert_close(tiny(z), before.roll((step, 2 * step), (2, 3)), rtol=0, atol=1e-12)


def test_upsampling_is_bilinear_away_from_the_edge_and_wraps_at_it():
    x = torch.randn(2, 3, 6, 5, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    up = upsample(x)
    plain = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(up[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1])
    torch.testing.assert_close(upsample(x.roll((1, -2), (2, 3))), up.roll((2, -4), (2, 3)))


def test_wrap_is_circular_padding():
    x = torch.randn(1, 2, 4, 3)
    assert torch.equal(wrap(x), torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular"))


def test_gradcheck():
    tiny = TileGenerator(size=8, latent_dim=4, style_dim=4, widths=(2, 2), colours=2).double()
    z = tiny.sample_latents(1, torch.Generator().manual_seed(5)).requires_grad_()
    assert torch.autograd.gradcheck(tiny, (z,), fast_mode=True)
    style = tiny.mapping(z).detach().requires_grad_()
    assert torch.autograd.gradcheck(tiny.synthesis, (style,), fast_mode=True)


def test_vmap_equals_a_loop(tiny):
    z = tiny.sample_latents(3, torch.Generator().manual_seed(6))
    one = lambda latent: tiny(latent[None])[0]  # noqa: E731
    torch.testing.assert_close(vmap(one)(z), torch.stack([one(latent) for latent in z]))

    def energy(latent):
        return one(latent).square().sum()

    batched = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(tiny(batched).square().sum(), batched)
    torch.testing.assert_close(vmap(grad(energy))(z), expected)


def test_the_gradient_of_every_weight_through_func(tiny):
    z = tiny.sample_latents(2, torch.Generator().manual_seed(8))
    weights = dict(tiny.named_parameters())
    slopes = grad(lambda p: functional_call(tiny, p, (z,)).square().sum())(weights)
    assert all(slope.isfinite().all() and slope.abs().sum() > 0 for slope in slopes.values())


def test_a_size_that_does_not_halve_is_refused():
    with pytest.raises(ArgumentError, match="100 pixels"):
        TileGenerator(size=100, widths=(8, 8, 8, 8))
    with pytest.raises(ArgumentError, match="must be even"):
        TileGenerator(latent_dim=7)


def test_each_half_of_the_latent_has_its_own_say(tiny):
    """The first half alone shares the pixels out; the second alone mixes the paint."""
    z = tiny.sample_latents(1, torch.Generator().manual_seed(9)).repeat(8, 1)
    z[:, 2:] = tiny.sample_latents(8, torch.Generator().manual_seed(10))[:, 2:]
    claims = []
    tiny.synthesis.levels[-1].claim.register_forward_hook(lambda module, args, output: claims.append(output))
    assert tiny(z).std(0).mean() > 0.01
    torch.testing.assert_close(claims[0], claims[0][:1].expand_as(claims[0]))
