"""Texture features: shape, invariance, scale, and that they tell textures from worse ones."""

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.gan.metrics.features import GROUPS, TYPICAL, TextureFeatures, statistics
from tests.tiny import base_colours

SIZE = 64


@pytest.fixture(scope="module")
def textures():
    return base_colours(96, SIZE, 0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_any_number_of_channels_and_any_size(channels, size):
    features = TextureFeatures(channels)
    found = features(torch.rand(2, channels, *size))
    assert found.shape == (2, features.num_features)
    assert found.isfinite().all()


def test_every_statistic_has_its_scale_and_its_group():
    named = [name for group in GROUPS for name in group]
    assert sorted(named) == sorted(TYPICAL) == sorted(statistics(torch.rand(1, 3, 32, 32)))


def test_batches_do_not_matter(textures):
    features = TextureFeatures()
    assert torch.allclose(features(textures[:20]), torch.cat([features(t[None]) for t in textures[:20]]), atol=1e-3)
    assert features(textures[:0]).shape == (0, features.num_features)


def test_where_a_texture_begins_hardly_matters(textures):
    features = TextureFeatures()
    there, rolled = features(textures), features(textures.roll((5, 11), (2, 3)))
    assert (there - rolled).square().mean().sqrt() < 0.02  # of features that vary by about one
    assert (there - rolled)[:, :12].abs().max() < 1e-4  # those of the colour group do not see it at all


def test_features_have_about_unit_variance_in_every_group(textures):
    features = TextureFeatures()
    found = features(textures)
    assert found.mean(0).abs().mean() < 0.7
    sizes = (12, 102, 54, 36)
    variances = [group.var(0).sum() / (features.num_features / 4) for group in found.split(sizes, 1)]
    assert all(0.5 < v < 2 for v in variances), variances


def test_a_flat_picture_has_features():
    found = TextureFeatures()(torch.zeros(1, 3, 32, 32))
    assert found.isfinite().all()
    assert found.abs().max() < 20


def test_noise_below_a_step_of_8_bits_goes_unseen(textures):
    features, noise = TextureFeatures(), torch.randn_like(textures) / 255
    clean = features(textures)
    faint, strong = (features((textures + s * noise).clamp(0, 1)) - clean for s in (0.2, 8))
    assert faint.square().mean() < 0.02 * strong.square().mean()


def test_gradients_reach_the_images_and_are_those_of_the_features():
    images = (0.2 + 0.6 * torch.rand(1, 3, 32, 32, dtype=torch.float64)).requires_grad_()
    direction, probe = torch.randn_like(images), torch.randn(TextureFeatures().num_features, dtype=torch.float64)
    features = TextureFeatures()
    (slope,) = torch.autograd.grad((features(images) @ probe).sum(), images)
    step = 1e-6
    with torch.no_grad():
        difference = (features(images + step * direction) - features(images - step * direction)) @ probe
    assert (slope * direction).sum() == pytest.approx(difference.item() / (2 * step), rel=1e-4)


def test_maps_see_colour_and_every_octave(textures):
    shapes = [tuple(m.shape) for m in TextureFeatures().maps(textures[:2])]
    assert shapes == [(2, 4, 16, 16), (2, 13, 32, 32), (2, 13, 24, 24), (2, 13, 24, 24), (2, 13, 24, 24)]


def test_bad_images_are_refused():
    with pytest.raises(ArgumentError, match="at least 32 pixels"):
        TextureFeatures()(torch.rand(1, 3, 16, 64))
    with pytest.raises(ArgumentError, match="3 channels"):
        TextureFeatures()(torch.rand(1, 6, 32, 32))
    with pytest.raises(ArgumentError, match="at least one channel"):
        TextureFeatures(0)
