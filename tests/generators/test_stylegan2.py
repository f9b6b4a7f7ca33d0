"""StyleGAN2 against NVIDIA's own results and against its definition; seamless tiles, noise, and torch's transforms."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, grad, stack_module_state, vmap

from neurotex.errors import ArgumentError, FileError
from neurotex.generators.nvidia import from_nvidia
from neurotex.generators.stylegan2 import StyledConv, StyleGAN2
from tests.generators import originals

TINY = {"img_resolution": 16, "z_dim": 6, "w_dim": 8, "channel_base": 64, "channel_max": 8, "conv_clamp": 256.0}


def tiny(**options) -> StyleGAN2:
    generator = StyleGAN2(**{**TINY, **options}).double().eval()
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith(("noise_strength", "bias")):  # zero at first, where many mistakes would not show
                parameter.add_(0.3 * torch.randn_like(parameter))
    return generator


@pytest.mark.parametrize("path", originals.files("stylegan2"))
def test_it_computes_what_the_original_does(path):
    kwargs, state, data = originals.read(path)
    generator = from_nvidia(kwargs, state)
    originals.check(generator, data)
    generator.synthesis.noise = "none"
    with torch.no_grad():
        originals.close(generator(data["z"], data.get("c")), data["image_no_noise"])


@pytest.mark.parametrize("path", originals.files("stylegan2"))
def test_kwargs_as_stylegan3_gives_them(path):
    """Flat, in half precision where there is a GPU, and clamped unless they say otherwise."""
    kwargs, state, _ = originals.read(path)
    flat = {**kwargs, **kwargs["synthesis_kwargs"], "num_fp16_res": 4, "fused_modconv_default": "inference_only"}
    del flat["synthesis_kwargs"], flat["conv_clamp"]
    assert from_nvidia(flat, state).config == from_nvidia(kwargs, state).config


@pytest.mark.parametrize("options", [{}, {"c_dim": 3, "img_channels": 9}, {"architecture": "resnet", "noise": "none"}])
def test_the_configuration_survives_json(options):
    generator = tiny(**options, mapping_kwargs={"num_layers": 2, "layer_features": 5})
    again = StyleGAN2(**json.loads(json.dumps(generator.config))).double()
    again.load_state_dict(generator.state_dict())
    z = generator.sample_latents(2, torch.Generator().manual_seed(0))
    c = torch.eye(3).double()[:2] if options.get("c_dim") else None
    assert generator.latent_shape == (6,)
    assert torch.equal(again(z, c), generator(z, c))
    assert again(z, c).shape == (2, options.get("img_channels", 3), 16, 16)


@pytest.mark.parametrize("double", [False, True])
def test_a_styled_convolution_is_what_the_papers_say(double):
    """Weights scaled and normalised per sample (equations 1 to 3), zeros between pixels, then the filter."""
    taps = torch.tensor([1.0, 3, 3, 1]) / 8 if double else None
    conv = StyledConv(3, 4, 5, 12, 2.0, "lrelu", True, False, taps, gain=0.5).double()
    torch.nn.init.normal_(conv.bias)
    torch.nn.init.normal_(conv.noise_strength)
    x, w = torch.randn(2, 3, 12 >> double, 12 >> double).double(), torch.randn(2, 5).double()
    for k in range(2):
        style = conv.affine.weight @ w[k] / math.sqrt(5) + 1
        weight = conv.weight * style[:, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        y = x[k : k + 1]
        if double:
            zeros = y.new_zeros(1, 3, 12, 12)
            zeros[..., ::2, ::2] = y
            y = F.conv2d(F.pad(zeros, (3, 2, 3, 2)), weight.flip(2, 3))
            kernel = 4 * torch.outer(taps, taps).double().expand(4, 1, 4, 4)
            y = F.conv2d(y, kernel, groups=4)
        else:
            y = F.conv2d(y, weight, padding=1)
        y = y + conv.noise_const * conv.noise_strength + conv.bias[:, None, None]
        y = (0.5 * math.sqrt(2) * F.leaky_relu(y, 0.2)).clamp(-1, 1)
        torch.testing.assert_close(conv(x, w, conv.noise_const[None, None])[k : k + 1], y)


@pytest.mark.parametrize("resample_filter", [(1, 3, 3, 1), (1, 1), (1, 5, 10, 10, 5, 1)])
@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_tiles_have_no_seam(architecture, resample_filter):
    """Rolling the constant by one cell, and the noise with it, rolls the texture: no pixel is an edge pixel."""
    generator = tiny(architecture=architecture, resample_filter=resample_filter, tileable=True)
    w = torch.randn(2, 8).double()
    before = generator.synthesis(w)
    with torch.no_grad():
        generator.synthesis.b4.const.copy_(generator.synthesis.b4.const.roll((1, 2), (1, 2)))
        for name, noise in generator.synthesis.named_parameters():
            if name.endswith("noise_const"):
                step = len(noise) // 4
                noise.copy_(noise.roll((step, 2 * step), (0, 1)))
    torch.testing.assert_close(generator.synthesis(w), before.roll((4, 8), (2, 3)), rtol=0, atol=1e-12)
    assert (before - before.roll(4, 2)).abs().max() > 0.1


def test_away_from_its_edges_a_tileable_texture_is_the_same():
    """A doubling reads one pixel of its input, and so two of its output, beyond the edge."""
    a, b = StyledConv(3, 4, 5, 32, None, "lrelu", False, False), StyledConv(3, 4, 5, 32, None, "lrelu", False, True)
    a.taps = b.taps = torch.tensor([1.0, 3, 3, 1]) / 8
    b.load_state_dict(a.state_dict())
    x, w = torch.randn(1, 3, 16, 16), torch.randn(1, 5)
    plain, tile = a(x, w, None), b(x, w, None)
    torch.testing.assert_close(plain[..., 2:-2, 2:-2], tile[..., 2:-2, 2:-2])
    assert (plain - tile)[..., 0, :].abs().max() > 0.01


def test_noise_is_fixed_random_or_none():
    generator, w = tiny(), torch.randn(2, 8).double()
    synthesis = generator.synthesis
    fixed = synthesis(w)
    assert torch.equal(synthesis(w), fixed)
    synthesis.noise = "random"
    first, second = synthesis(w), synthesis(w)
    assert (first - second).abs().max() > 0.01
    assert synthesis(w[:1].expand(2, -1)).std(0).max() > 0.01  # each sample has noise of its own
    synthesis.noise = "none"
    torch.testing.assert_close(synthesis(w), synthesis(w, torch.zeros(1, synthesis.noise_dim).double()))
    assert (synthesis(w) - fixed).abs().max() > 0.01


def test_noise_maps_are_a_latent():
    synthesis = tiny().synthesis
    w, maps = torch.randn(2, 8).double(), synthesis.noise_maps()
    assert maps.shape == (1, synthesis.noise_dim) == (1, 16 + 2 * 64 + 2 * 256)
    torch.testing.assert_close(synthesis(w, maps), synthesis(w))
    own = torch.randn(2, synthesis.noise_dim, requires_grad=True, dtype=torch.double)
    torch.testing.assert_close(synthesis(w, own)[1:], synthesis(w[1:], own[1:]))
    assert torch.autograd.gradcheck(lambda maps: synthesis(w, maps), (own,), fast_mode=True)
    with pytest.raises(ArgumentError, match=r"noise maps .* \(2 or 1, 656\)"):
        synthesis(w, own[:, 1:])


def test_noise_maps_are_frozen_parameters():
    generator = tiny()
    frozen = {name for name, p in generator.named_parameters() if not p.requires_grad}
    assert frozen == {name for name, _ in generator.named_parameters() if name.endswith("noise_const")}
    assert not [name for name, _ in tiny(use_noise=False).named_parameters() if "noise" in name]
    assert tiny(use_noise=False)(torch.randn(1, 6).double()).isfinite().all()
    with pytest.raises(ArgumentError, match="without noise"):
        tiny(use_noise=False).synthesis.noise_maps()


def test_w_plus_gives_each_layer_its_style():
    generator = tiny()
    synthesis, w = generator.synthesis, torch.randn(2, 8).double()
    plus = w[:, None].repeat(1, synthesis.num_ws, 1)
    assert synthesis.num_ws == 6
    torch.testing.assert_close(synthesis(plus), synthesis(w))
    for k in range(synthesis.num_ws):
        moved = plus.clone()
        moved[:, k] += 1
        assert (synthesis(moved) - synthesis(plus)).abs().max() > 1e-3


def test_truncation_pulls_towards_the_mean():
    mapping, z = tiny().mapping, torch.randn(3, 6).double()
    mapping.w_avg.normal_()
    torch.testing.assert_close(mapping(z, truncation=0.0), mapping.w_avg.expand(3, -1))
    torch.testing.assert_close(mapping(z, truncation=0.25), 0.75 * mapping.w_avg + 0.25 * mapping(z))


@pytest.mark.parametrize("options", [{}, {"architecture": "resnet", "tileable": True}])
def test_first_and_second_derivatives(options):
    generator = tiny(img_resolution=8, **options)
    w = generator.mapping(generator.sample_latents(1)).detach().requires_grad_()
    assert torch.autograd.gradcheck(generator.synthesis, (w,), fast_mode=True)
    assert torch.autograd.gradgradcheck(generator.synthesis, (w,), fast_mode=True)


def test_vmap_equals_a_loop():
    generator = tiny()
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


def test_memory_layout_does_not_show():
    """Weights that learn, and those that do not, run in different layouts."""
    generator = tiny().float()
    z = generator.sample_latents(2)
    learning = generator(z)
    torch.testing.assert_close(generator.requires_grad_(False)(z), learning)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"img_resolution": 24}, "power of two of 4 or more, not 24"),
        ({"architecture": "dense"}, "no architecture 'dense'"),
        ({"noise": "pink"}, "no noise 'pink'"),
        ({"activation": "swish"}, "no activation 'swish' here"),
        ({"resample_filter": (1, 2, 1)}, "even number of taps"),
        ({"z_dim": 0}, "not 0, 8, 8 and 0"),
    ],
)
def test_a_bad_configuration_is_refused(options, message):
    with pytest.raises(ArgumentError, match=message):
        StyleGAN2(**{**TINY, **options})


def test_bad_latents_are_refused():
    generator = tiny()
    with pytest.raises(ArgumentError, match=r"w of shape \(N, 8\) or w\+ of shape \(N, 6, 8\), not \(2, 5, 8\)"):
        generator.synthesis(torch.zeros(2, 5, 8).double())
    with pytest.raises(ArgumentError, match=r"takes z of shape \(N, 6\), not \(1, 8\)"):
        generator(torch.zeros(1, 8).double())
    with pytest.raises(ArgumentError, match="without classes"):
        generator(torch.zeros(1, 6).double(), torch.zeros(1, 2).double())
    with pytest.raises(ArgumentError, match=r"classes c of shape \(N, 3\), one-hot as a rule, but got none"):
        tiny(c_dim=3)(torch.zeros(1, 6).double())


def _original(**changes) -> tuple[dict, dict]:
    kwargs = {"z_dim": 6, "c_dim": 0, "w_dim": 8, "img_resolution": 8, "img_channels": 3}
    kwargs |= {"mapping_kwargs": {"num_layers": 2}, "synthesis_kwargs": {"channel_base": 64, "channel_max": 8}}
    network = StyleGAN2(8, z_dim=6, w_dim=8, mapping_kwargs={"num_layers": 2}, channel_base=64, channel_max=8)
    return {**kwargs, **changes}, network.state_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 3}, "unexpected keyword argument 'depth'"),
        ({"img_channels": 4}, r"synthesis.b4.torgb.bias is \(3,\) where its arguments say \(4,\)"),
        ({"c_dim": 2}, "mapping.embed.bias is absent"),
        ({"img_resolution": 16}, "synthesis.b16.* is absent"),
        ({"mapping_kwargs": {"num_layers": 10**9}}, "too few for 1000000000 layers"),
        ({"img_resolution": 1 << 4000}, "too few for 4001 layers"),
        ({"w_dim": 1 << 30}, "ask for more numbers than it has"),
        ({"w_dim": "8"}, "no StyleGAN2 that neurotex can rebuild"),
        ({"img_resolution": None}, "no StyleGAN2 that neurotex can rebuild"),
        ({"mapping_kwargs": [1]}, "no StyleGAN2 that neurotex can rebuild"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_built(changes, message):
    kwargs, state = _original(**changes)
    with pytest.raises(FileError, match=message):
        from_nvidia(kwargs, state)


def test_half_precision_weights_are_widened():
    kwargs, state = _original()
    generator = from_nvidia(kwargs, {name: tensor.half() for name, tensor in state.items()})
    assert {p.dtype for p in generator.parameters()} == {torch.float32}
    assert not generator.training
