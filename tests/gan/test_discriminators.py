"""StyleGAN2's discriminator against NVIDIA's own results, patches against pix2pix's figures, and seamless verdicts."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from neurotex.errors import ArgumentError
from neurotex.gan.discriminators import (
    Conv,
    MinibatchStandardDeviation,
    PatchDiscriminator,
    StyleGAN2Discriminator,
    TextureDiscriminator,
)

FILES = sorted((Path(__file__).parents[1] / "golden" / "gan").glob("discriminator_*.npz"))
TINY = {"img_resolution": 16, "channel_base": 64, "channel_max": 6}


def recorded(path: Path) -> tuple[StyleGAN2Discriminator, dict[str, torch.Tensor]]:
    with np.load(path) as file:
        data = {name: torch.from_numpy(file[name]) for name in file.files if name != "kwargs"}
        discriminator = StyleGAN2Discriminator(**json.loads(str(file["kwargs"])))
    names = [name for name in data if name.startswith("state/")]
    discriminator.load_state_dict({name.removeprefix("state/"): data.pop(name) for name in names})
    return discriminator, data


def tiny(**options) -> StyleGAN2Discriminator:
    discriminator = StyleGAN2Discriminator(**{**TINY, **options}).double()
    for name, parameter in discriminator.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    return discriminator


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_computes_what_the_original_does(path):
    discriminator, data = recorded(path)
    images = data["images"].requires_grad_()
    logits = discriminator(images, data.get("c"))
    (slope,) = torch.autograd.grad(logits.sum(), images)
    for ours, theirs in ((logits, data["logits"]), (slope, data["slope"])):
        assert ours.shape == theirs.shape
        assert (ours - theirs).norm() <= 1e-4 * theirs.norm()


def test_every_architecture_was_recorded():
    assert [path.stem.removeprefix("discriminator_") for path in FILES] == ["orig", "resnet", "skip"]


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
@pytest.mark.parametrize("tileable", [False, True])
def test_first_and_second_derivatives(architecture, tileable):
    discriminator = tiny(img_resolution=8, img_channels=1, channel_max=3, architecture=architecture, tileable=tileable)
    images = torch.randn(2, 1, 8, 8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(discriminator, (images,), fast_mode=True)
    assert torch.autograd.gradgradcheck(discriminator, (images,), fast_mode=True)


@pytest.mark.parametrize("architecture", ["resnet", "skip", "orig"])
def test_a_tileable_verdict_does_not_depend_on_where_the_texture_starts(architecture):
    tileable = tiny(architecture=architecture, tileable=True)
    plain = tiny(architecture=architecture)
    plain.load_state_dict(tileable.state_dict())
    textures = torch.randn(4, 3, 16, 16, dtype=torch.double)
    for shift in ((4, 0), (0, 8), (12, 4)):
        rolled = textures.roll(shift, (2, 3))
        torch.testing.assert_close(tileable(rolled), tileable(textures), rtol=0, atol=1e-12)
        assert (plain(rolled) - plain(textures)).abs().max() > 1e-3
    assert (tileable(textures.roll(1, 3)) - tileable(textures)).abs().max() > 1e-5


def test_halving_is_a_blur_and_every_second_pixel():
    conv = Conv(2, 3, 3, conv_clamp=2.0, halve=True, gain=0.5).double()
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(2, 2, 12, 12, dtype=torch.double)
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.double) / 8
    y = F.conv2d(F.pad(x, (2, 2, 2, 2)), torch.outer(taps, taps).expand(2, 1, 4, 4), groups=2)
    y = F.conv2d(y, conv.weight / math.sqrt(18), conv.bias)[..., ::2, ::2]
    y = (0.5 * math.sqrt(2) * F.leaky_relu(y, 0.2)).clamp(-1, 1)
    torch.testing.assert_close(conv(x), y)
    assert conv(x).abs().max() == 1


@pytest.mark.parametrize(("n", "groups"), [(8, 2), (6, 2), (5, 1), (3, 1), (7, 7), (1, 1)])
def test_deviations_are_of_every_so_manieth_image(n, groups):
    """Groups of 4, 3, 5 (where 5 is allowed), 3, 1 and 1: the largest that divide the batch evenly."""
    limit = 5 if n == 5 else 4
    x = torch.randn(n, 6, 3, 2, dtype=torch.double)
    y = MinibatchStandardDeviation(limit, 2)(x)
    assert torch.equal(y[:, :6], x)
    for i in range(n):
        group = x[i % groups :: groups]
        for k, run in enumerate((slice(0, 3), slice(3, 6))):
            expected = (group[:, run].var(0, unbiased=False) + 1e-8).sqrt().mean()
            torch.testing.assert_close(y[i, 6 + k], expected.expand(3, 2))


def test_without_deviations_images_are_classified_alone():
    discriminator, images = tiny(mbstd_num_channels=0), torch.randn(5, 3, 16, 16, dtype=torch.double)
    torch.testing.assert_close(discriminator(images)[2:3], discriminator(images[2:3]))
    discriminator = tiny()
    assert (discriminator(images[:4])[2:3] - discriminator(images[2:3])).abs().max() > 1e-4


def test_classes_change_the_verdict():
    discriminator, images = tiny(c_dim=3), torch.randn(2, 3, 16, 16, dtype=torch.double)
    first, second = (discriminator(images, torch.eye(3).double()[[k, k]]) for k in range(2))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("tileable", [False, True])
def test_every_weight_learns(tileable):
    for discriminator in (tiny(c_dim=2, tileable=tileable), PatchDiscriminator(3, 4, 2, tileable=tileable).double()):
        images = torch.randn(4, 3, 16, 16, dtype=torch.double)
        classes = [torch.eye(2).double()[[0, 1, 0, 1]]] if "c_dim" in discriminator.config else []
        discriminator(images, *classes).sum().backward()
        for name, parameter in discriminator.named_parameters():
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "discriminator", [tiny(architecture="skip", conv_clamp=256.0), PatchDiscriminator(3, 4, 2, True).double()]
)
def test_the_configuration_survives_json(discriminator):
    again = type(discriminator)(**json.loads(json.dumps(discriminator.config))).double()
    again.load_state_dict(discriminator.state_dict())
    images = torch.randn(2, 3, 16, 16, dtype=torch.double)
    torch.testing.assert_close(again.eval()(images), discriminator.eval()(images))


@pytest.mark.parametrize(("layers", "patch", "logits"), [(3, 70, 30), (1, 16, 126), (4, 142, 14)])
def test_patches_are_as_large_as_in_pix2pix(layers, patch, logits):
    """One logit's slope covers its patch, and no pixel beyond."""
    discriminator = PatchDiscriminator(1, 2, layers)
    image = torch.randn(1, 1, 256, 256, requires_grad=True)
    verdicts = discriminator(image)
    assert verdicts.shape == (1, logits, logits)
    verdicts[0, logits // 2, logits // 2].backward()
    reached = (image.grad[0, 0] != 0).nonzero()
    assert (reached.max(0).values - reached.min(0).values + 1).tolist() == [patch, patch]


def test_rolled_images_roll_the_patches():
    discriminator = PatchDiscriminator(2, 4, 3, tileable=True).double()
    image = torch.randn(2, 2, 16, 32, dtype=torch.double)
    logits = discriminator(image)
    assert logits.shape == (2, 2, 4)
    rolled = discriminator(image.roll((8, 16), (2, 3)))
    torch.testing.assert_close(rolled, logits.roll((1, 2), (1, 2)), rtol=0, atol=1e-12)


def test_away_from_the_edges_a_tileable_verdict_is_the_same():
    """Logits whose patches of 16 pixels lie within the image."""
    plain, tileable = (PatchDiscriminator(2, 4, 1, tileable=t) for t in (False, True))
    tileable.load_state_dict(plain.state_dict())
    image = torch.randn(1, 2, 64, 64)
    a, b = plain(image), tileable(image)
    assert (a.shape, b.shape) == ((1, 30, 30), (1, 32, 32))
    torch.testing.assert_close(a[:, 4:26, 4:26], b[:, 4:26, 4:26])
    assert (a - b[:, :30, :30])[:, 0].abs().max() > 0.01


def test_spectral_normalisation_bounds_every_convolution():
    discriminator = PatchDiscriminator(3, 4, 2, spectral=True)
    for _ in range(50):  # an iteration of the power method each
        discriminator(torch.randn(1, 3, 16, 16))
    for conv in discriminator.convs:
        assert torch.linalg.matrix_norm(conv.weight.flatten(1), 2).item() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tiny(img_resolution=24), "power of two of 8 or more, not 24"),
        (lambda: tiny(img_resolution=4), "power of two of 8 or more, not 4"),
        (lambda: tiny(architecture="dense"), "no architecture 'dense'"),
        (lambda: tiny(channel_base=8), "channel_base 8 is at least img_resolution"),
        (lambda: tiny(mbstd_group_size=0), "mbstd_group_size is 1 or more"),
        (lambda: tiny(mbstd_num_channels=4), "4 does not divide the 6 features"),
        (lambda: tiny()(torch.zeros(1, 4, 16, 16)), r"\(N, 3, 16, 16\), not \(1, 4, 16, 16\)"),
        (lambda: tiny(c_dim=2)(torch.zeros(1, 3, 16, 16)), r"classes c of shape \(N, 2\), but got none"),
        (
            lambda: tiny()(torch.zeros(1, 3, 16, 16), torch.zeros(1, 2)),
            r"no classes, but got c of shape \(1, 2\)",
        ),
        (lambda: PatchDiscriminator(layers=0), "layers are above 0"),
        (lambda: PatchDiscriminator()(torch.zeros(1, 3, 16, 32)), "24 or more"),
        (lambda: PatchDiscriminator(tileable=True)(torch.zeros(1, 3, 20, 32)), r"that 8 divides, not \(20, 32\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


# --- TextureDiscriminator ---------------------------------------------------------------------------------------------


def test_a_texture_without_seam_is_classified_the_same_wherever_it_is_cut():
    discriminator = TextureDiscriminator(6, (4, 6)).double()
    images = torch.randn(3, 6, 16, 16, dtype=torch.double)
    logits = discriminator(images)
    assert logits.shape == (3, 4, 4)
    torch.testing.assert_close(discriminator(images.roll((4, 8), (2, 3))), logits.roll((1, 2), (1, 2)))


def test_it_sees_a_lack_of_variety():
    discriminator = TextureDiscriminator(3, (4, 6))
    images = torch.randn(2, 3, 16, 16)
    assert not torch.allclose(discriminator(images)[:1], discriminator(images[:1].repeat(2, 1, 1, 1))[:1])
