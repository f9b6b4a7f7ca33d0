"""StyleGAN3 against NVIDIA's own results, its equivariance, and torch's transforms."""

import json

import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from neurotex.errors import ArgumentError, FileError
from neurotex.generators.nvidia import from_nvidia
from neurotex.generators.stylegan3 import FilteredConv, StyleGAN3, plan_bands
from tests.generators import originals

TINY = {"img_resolution": 16, "z_dim": 6, "w_dim": 8, "channel_base": 64, "channel_max": 8}
TINY |= {"num_layers": 4, "margin_size": 3}
R = {"conv_kernel": 1, "use_radial_filters": True}


def tiny(**options) -> StyleGAN3:
    generator = StyleGAN3(**{**TINY, **options}).double().eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("bias") or "input.affine" in name:  # constant at first, where mistakes would not show
                parameter.add_(0.2 * torch.randn_like(parameter))
        for name, buffer in generator.named_buffers():
            if name.endswith("magnitude_ema"):
                buffer.uniform_(0.5, 2)
    return generator


@pytest.mark.parametrize("path", originals.files("stylegan3"))
def test_it_computes_what_the_original_does(path):
    kwargs, state, data = originals.read(path)
    generator = from_nvidia(kwargs, state)
    originals.check(generator, data)


@pytest.mark.parametrize("path", originals.files("stylegan3"))
def test_it_designs_the_filters_that_the_original_does(path):
    kwargs, state, _ = originals.read(path)
    config = from_nvidia(kwargs, state).config
    designed = StyleGAN3(**config).state_dict()
    filters = [name for name in state if name.endswith("_filter")]
    assert len(filters) == 2 * kwargs["num_layers"]
    for name in filters:
        torch.testing.assert_close(designed[name], state[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("options", [{}, {"c_dim": 3, "img_channels": 9, **R}])
def test_the_configuration_survives_json(options):
    generator = tiny(**options)
    again = StyleGAN3(**json.loads(json.dumps(generator.config))).double()
    again.load_state_dict(generator.state_dict())
    z = generator.sample_latents(2, torch.Generator().manual_seed(0))
    c = torch.eye(3).double()[:2] if options.get("c_dim") else None
    assert torch.equal(again(z, c), generator(z, c))
    assert again(z, c).shape == (2, options.get("img_channels", 3), 16, 16)


def test_w_plus_gives_each_layer_its_style():
    synthesis, w = tiny().synthesis, torch.randn(2, 8).double()
    plus = w[:, None].repeat(1, synthesis.num_ws, 1)
    assert synthesis.num_ws == 6
    torch.testing.assert_close(synthesis(plus), synthesis(w))
    for k in range(synthesis.num_ws):
        moved = plus.clone()
        moved[:, k, ::2] += 1
        assert (synthesis(moved) - synthesis(plus)).abs().max() > 1e-3


def test_styles_and_weights_may_have_any_length():
    """Demodulation: the output has variance 1 for inputs of variance 1, however weights and styles are scaled."""
    before, after = plan_bands(16, 64, 8, 4, 2, 2.0, 2**2.1, 2**0.3, 3)[:2]
    conv = FilteredConv(5, before, after, 3, 6, 2, False, None).double()
    x, w = torch.randn(2, before.channels, before.size, before.size).double(), torch.zeros(2, 5).double()
    expected = conv(x, w)
    with torch.no_grad():
        conv.weight.mul_(1e-3)
        conv.affine.bias.mul_(100)
    torch.testing.assert_close(conv(x, w), expected)


def _change(a, b):
    return float((a - b).norm() / b.norm())


def test_moving_the_input_moves_the_texture():
    """By a quarter of the image, which is whole pixels: equal but for what filters alias. T and R."""
    for options, tolerance in (({}, 0.005), (R, 1e-4)):
        synthesis = StyleGAN3(32, z_dim=6, w_dim=8, channel_base=256, channel_max=16, num_layers=8, **options).synthesis
        w = torch.randn(1, 8)
        with torch.no_grad():
            still = synthesis(w)
            synthesis.input.transform[0, 2] = -0.25
            moved = synthesis(w)
        assert _change(moved[..., 8:], still[..., :-8]) < tolerance
        assert _change(moved, still) > 0.2


def test_turning_the_input_turns_the_texture_of_r():
    """By a quarter turn about the centre."""
    synthesis = StyleGAN3(32, z_dim=6, w_dim=8, channel_base=256, channel_max=16, num_layers=8, **R).synthesis
    w = torch.randn(1, 8)
    with torch.no_grad():
        still = synthesis(w)
        synthesis.input.transform[:2, :2] = torch.tensor([[0.0, -1], [1, 0]])
        turned = synthesis(w)
    assert min(_change(turned, still.rot90(k, (2, 3))) for k in (1, 3)) < 1e-4
    assert _change(turned, still) > 0.2


@pytest.mark.parametrize("options", [{}, R])
def test_first_and_second_derivatives(options):
    generator = tiny(**options)
    w = generator.mapping(generator.sample_latents(1)).detach().requires_grad_()
    assert torch.autograd.gradcheck(generator.synthesis, (w,), fast_mode=True)
    assert torch.autograd.gradgradcheck(generator.synthesis, (w,), fast_mode=True)


@pytest.mark.parametrize("options", [{}, R])
def test_vmap_equals_a_loop(options):
    generator = tiny(**options)
    z = generator.sample_latents(3)
    one = lambda latent: generator(latent[None])[0]  # noqa: E731
    torch.testing.assert_close(vmap(one)(z), torch.stack([one(latent) for latent in z]))
    batched = z.clone().requires_grad_()
    (expected,) = torch.autograd.grad(generator(batched).square().sum(), batched)
    torch.testing.assert_close(vmap(grad(lambda latent: one(latent).square().sum()))(z), expected)


def test_the_gradient_of_every_weight_and_ensembles_through_func():
    generator, other = tiny(), tiny()
    z = generator.sample_latents(2)
    slopes = grad(lambda p: functional_call(generator, p, (z,)).square().sum())(dict(generator.named_parameters()))
    assert all(slope.isfinite().all() and slope.abs().sum() > 0 for slope in slopes.values())
    weights, buffers = stack_module_state([generator, other])
    both = vmap(lambda p, b: functional_call(generator, (p, b), (z,)))(weights, buffers)
    torch.testing.assert_close(both, torch.stack([generator(z), other(z)]))


def test_bad_configurations_are_refused():
    with pytest.raises(ArgumentError, match="num_layers 2, num_critical 2"):
        StyleGAN3(**{**TINY, "num_layers": 2})
    with pytest.raises(ArgumentError, match="first_cutoff 9"):
        StyleGAN3(**TINY, first_cutoff=9.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin_size": 4}, "where its arguments say"),
        ({"margin_size": 1 << 40}, "margin_size is 1099511627776, above 1024"),
        ({"num_layers": 10**9}, "too few for 1000000000 layers"),
        ({"first_stopband": 0}, "no StyleGAN3 that neurotex can rebuild"),
        ({"noise": "const"}, "unexpected keyword argument 'noise'"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_built(changes, message):
    state = StyleGAN3(**TINY).state_dict()
    kwargs = {**TINY, "c_dim": 0, "img_channels": 3, "num_fp16_res": 4, "magnitude_ema_beta": 0.99}
    assert from_nvidia(kwargs, state).config == StyleGAN3(**TINY).config
    with pytest.raises(FileError, match=message):
        from_nvidia({**kwargs, **changes}, state)
