"""The material generator: seamless, repeatable, its maps belong together, and plain under torch's transforms."""

import json

import pytest
import torch
from torch.func import functional_call, grad, vmap

from neurotex import generators
from neurotex.errors import ArgumentError
from neurotex.generators.material import MaterialGenerator

TINY = {"size": 16, "latent_dim": 4, "style_dim": 6, "widths": (4, 3), "substances": 3, "num_layers": 2}


@pytest.fixture(params=[3, 6, 7])
def tiny(request) -> MaterialGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MaterialGenerator(out_channels=request.param, **TINY).double().eval()


def test_shapes_and_interface(tiny):
    z = tiny.sample_latents(4, torch.Generator().manual_seed(1))
    assert tiny.latent_shape == (4,)
    assert z.shape == (4, 4)
    texture = tiny(z)
    assert texture.shape == (4, tiny.out_channels, 16, 16)
    assert texture.abs().max() < 1.5
    assert torch.equal(texture, tiny.synthesis(tiny.mapping(z)))


def test_each_layer_may_have_a_style_of_its_own(tiny):
    w = tiny.mapping(tiny.sample_latents(2))
    layers = w[:, None].repeat(1, tiny.synthesis.num_ws, 1)
    torch.testing.assert_close(tiny.synthesis(layers), tiny.synthesis(w))
    before = tiny.synthesis(layers)
    for layer in range(tiny.synthesis.num_ws):
        changed = layers.clone()
        changed[:, layer] += 1
        assert not torch.allclose(tiny.synthesis(changed), before)
    space = generators.LatentSpace(tiny, "w+")
    assert space.latent_shape == (tiny.synthesis.num_ws, 6)


def test_the_configuration_survives_a_file(tiny, tmp_path):
    again = MaterialGenerator(**json.loads(json.dumps(tiny.config))).double().eval()
    again.load_state_dict(tiny.state_dict())
    z = tiny.sample_latents(2)
    assert torch.equal(again(z), tiny(z))
    generators.save(tiny.float(), tmp_path / "made.safetensors")
    loaded = generators.load(tmp_path / "made.safetensors")
    assert torch.equal(loaded(z.float()), tiny(z.float()))
    (facts,) = generators.info(tmp_path / "made.safetensors")["networks"].values()
    assert facts["channels"] == tiny.out_channels
    assert facts["num_ws"] == tiny.synthesis.num_ws


def test_grain_is_fixed_but_in_training(tiny):
    z = tiny.sample_latents(2)
    assert torch.equal(tiny(z), tiny(z))
    tiny.train()
    assert not torch.equal(tiny(z), tiny(z))


def test_it_tiles_exactly(tiny):
    """Moving the waves by a cell of the coarsest level rolls the texture: no pixel is an edge pixel. Grain stays."""
    tiny.synthesis.maps.noise.zero_()
    z = tiny.sample_latents(2, torch.Generator().manual_seed(2))
    before = tiny(z)
    with torch.no_grad():
        for level in tiny.synthesis.levels:
            across, down = level.waves.cycles
            level.waves.phases -= (2 * across + down) / 4
    torch.testing.assert_close(tiny(z), before.roll((4, 8), (2, 3)), rtol=0, atol=1e-12)


def test_textures_do_not_share_a_layout():
    """What one style draws, another that differs in places alone draws elsewhere, at every level."""
    torch.manual_seed(0)
    generator = MaterialGenerator(64, 3, 4, 6, (4, 4, 4, 4)).eval()  # of 4, 8, 16 and 32 pixels
    w = generator.mapping(generator.sample_latents(1))
    generator.synthesis.maps.noise.zero_()
    with torch.no_grad():
        for level in generator.synthesis.levels:
            level.waves.place.weight.zero_()
        before = generator.synthesis(w)
        for level in generator.synthesis.levels:
            place = level.waves.place.bias.unflatten(0, (2, -1))
            place[0], place[1] = 1, 0  # a quarter of the width, both ways
        after = generator.synthesis(w)
    torch.testing.assert_close(after, before.roll((-16, -16), (2, 3)), rtol=0, atol=2e-5)


def test_grain_has_unit_variance_and_no_seam():
    torch.manual_seed(0)
    noise = MaterialGenerator(64, widths=(4, 4)).synthesis.maps.noise[0]
    torch.testing.assert_close(noise.std((1, 2), unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
    inside = noise.diff(dim=2).square().mean((1, 2))
    across = (noise[:, :, 0] - noise[:, :, -1]).square().mean(1)
    assert (across < 2.5 * inside).all()
    assert inside[0] > 3 * inside[1] > 3 * inside[2]


def test_normals_are_the_slopes_of_the_heights():
    torch.manual_seed(0)
    generator = MaterialGenerator(out_channels=6, **TINY).double().eval()
    seen = {}
    from neurotex.generators import material

    slopes = material.slopes
    material.slopes = lambda height: seen.setdefault("xy", slopes(seen.setdefault("height", height)))
    try:
        texture = generator(generator.sample_latents(2))
    finally:
        material.slopes = slopes
    assert torch.equal(texture[:, 3:5], seen["xy"])
    height = seen["height"][:, 0].double()
    across, apart = height.roll(-1, 2) - height.roll(1, 2), torch.full_like(height, 2 * 128 / height.shape[2])
    upwards, none = height.roll(1, 1) - height.roll(-1, 1), torch.zeros_like(height)
    normal = torch.linalg.cross(torch.stack([apart, none, across], 1), torch.stack([none, apart, upwards], 1), dim=1)
    expected = torch.nn.functional.normalize(normal, dim=1)[:, :2]
    torch.testing.assert_close(seen["xy"].double(), expected, rtol=1e-5, atol=1e-6)
    assert (texture[:, 3:5].square().sum(1) < 1).all()


def test_gradcheck(tiny):
    z = tiny.sample_latents(1, torch.Generator().manual_seed(5)).requires_grad_()
    assert torch.autograd.gradcheck(tiny, (z,), fast_mode=True)
    style = tiny.mapping(z).detach().requires_grad_()
    assert torch.autograd.gradcheck(tiny.synthesis, (style,), fast_mode=True)


def test_vmap_equals_a_loop(tiny):
    z = tiny.sample_latents(3, torch.Generator().manual_seed(6))
    one = lambda latent: tiny(latent[None])[0]  # noqa: E731
    torch.testing.assert_close(vmap(one)(z), torch.stack([one(latent) for latent in z]))
    energy = lambda latent: one(latent).square().sum()  # noqa: E731
    batched = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(tiny(batched).square().sum(), batched)
    torch.testing.assert_close(vmap(grad(energy))(z), expected)


def test_the_gradient_of_every_weight_through_func(tiny):
    z = tiny.sample_latents(2, torch.Generator().manual_seed(8))
    weights = dict(tiny.named_parameters())
    slopes = grad(lambda p: functional_call(tiny, p, (z,)).square().sum())(weights)
    assert all(slope.isfinite().all() and slope.abs().sum() > 0 for slope in slopes.values())


def test_what_cannot_be_is_refused():
    with pytest.raises(ArgumentError, match="100 pixels"):
        MaterialGenerator(size=100, widths=(8, 8, 8, 8))
    with pytest.raises(ArgumentError, match="6 or 7 as materials, not 4"):
        MaterialGenerator(out_channels=4)
