"""The perceptual distance: zero at equality, growing with damage, and differentiable."""

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.gan.metrics import TextureFeatures, perceptual_distance
from tests.tiny import base_colours


class TwoMaps(torch.nn.Module):
    """Two smooth maps of different size, for checking derivatives."""

    num_features = 1

    def maps(self, images):
        return [images.sin() + 2, torch.nn.functional.avg_pool2d(images, 2) ** 2 + 0.1]


def test_gradcheck():
    a, b = (torch.rand(2, 3, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x, y: perceptual_distance(x, y, TwoMaps()), (a, b))


def test_by_hand():
    """Unit vectors at right angles are √2 apart everywhere: squared, 2 in one map, 0 in the other."""

    class Maps(torch.nn.Module):
        def maps(self, images):
            return [images, torch.ones_like(images)]

    a, b = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    a[:, 0], b[:, 1] = 5.0, 0.3
    assert perceptual_distance(a, b, Maps()).item() == pytest.approx(1.0)


def test_damage_is_seen_in_proportion():
    images, features = base_colours(6, 64, 0), TextureFeatures()
    noise = torch.randn_like(images)
    none, little, much = (perceptual_distance(images, images + s * noise, features) for s in (0.0, 0.02, 0.1))
    assert torch.equal(none, torch.zeros(6))
    assert (little > 0).all()
    assert (much > 2 * little).all()
    colour = perceptual_distance(images, (images + torch.tensor([0.2, 0, -0.1])[:, None, None]).clamp(0, 1), features)
    assert (colour > 0).all()


def test_a_step_down_the_gradient_brings_pictures_together():
    features = TextureFeatures()
    target, image = base_colours(2, 32, 1).split(1)
    image = (0.1 + 0.8 * image).requires_grad_()
    before = perceptual_distance(image, target, features).sum()
    (slope,) = torch.autograd.grad(before, image)
    assert slope.isfinite().all()
    after = perceptual_distance(image - 0.01 * slope.sign(), target, features).sum()
    assert after < before


def test_a_network_without_maps_is_refused():
    with pytest.raises(ArgumentError, match="no maps"):
        perceptual_distance(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), torch.nn.Identity())
