"""What a fit minimises, against the same figures computed another way."""

import numpy as np
import pytest
import torch
from kornia.metrics import ssim

from neurotex.fit.losses import evaluated, latent_prior, photometric, psnr, squared


def encode(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, written out here again on purpose."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(3, 4, 24, 20), torch.rand(3, 4, 24, 20)


def test_psnr_is_the_mean_over_all_pixels_clipped_and_encoded(pair):
    image, target = pair[0] * 1.5 - 0.2, pair[1]
    a, b = (encode(np.clip(x[:, :3].double().numpy(), 0, 1)) for x in (image, target))
    expected = 10 * np.log10(1 / ((a - b) ** 2).reshape(3, -1).mean(1))
    np.testing.assert_allclose(psnr(image, target).numpy(), expected, rtol=1e-5)


def test_psnr_of_equal_images_is_finite(pair):
    assert psnr(pair[0], pair[0]).tolist() == pytest.approx([120.0] * 3, abs=1e-3)


def test_psnr_of_photographs_without_alpha_is_over_what_the_mesh_covers(pair):
    image, target = pair[0].clone(), pair[1].clone()
    image[:, 3] = 0.5
    image[0, 3, 3:9, 4:7] = 1
    image[2, 3, 5, 6] = 1
    assert evaluated(image, target) is None  # of cut-out photographs all pixels count
    target[:, 3] = 1
    where = evaluated(image, target)
    assert where.sum((1, 2, 3)).tolist() == [18, 0, 1]
    first, second, third = psnr(image, target, where).tolist()
    assert first == pytest.approx(float(psnr(image[:1, :, 3:9, 4:7], target[:1, :, 3:9, 4:7])), rel=1e-5)
    assert third == pytest.approx(float(psnr(image[2:, :, 5:6, 6:7], target[2:, :, 5:6, 6:7])), rel=1e-5)
    assert np.isnan(second)
    image[:, 3] = 0.5
    assert bool(evaluated(image, target).all())  # covered in part is better than nothing


def test_photometric_is_the_mean_square_of_encoded_rgb_without_alpha(pair):
    a, b = (encode(x[:, :3].double().numpy()) for x in pair)
    assert float(photometric(*pair)) == pytest.approx(((a - b) ** 2).mean(), rel=1e-5)
    other_alpha = pair[0].clone()
    other_alpha[:, 3] = 0
    assert photometric(other_alpha, pair[1]) == photometric(*pair)


def test_huber_is_square_below_its_difference_and_a_line_of_the_same_slope_above():
    d, delta = torch.tensor([0.05, 0.1, 0.4], dtype=torch.float64), 0.1
    by_hand = torch.where(d <= delta, d**2, 2 * delta * d - delta**2)
    for k in range(3):
        assert float(squared(d[k], torch.zeros_like(d[k]), delta)) == pytest.approx(float(by_hand[k]))


def test_ssim_adds_the_structural_dissimilarity_of_kornia(pair):
    a, b = (torch.from_numpy(encode(x[:, :3].numpy())) for x in pair)
    dissimilarity = ((1 - ssim(a, b, window_size=11)) / 2).mean()
    total = float(photometric(*pair, ssim=0.3))
    assert total == pytest.approx(float(photometric(*pair) + 0.3 * dissimilarity), rel=1e-4)


def test_the_prior_is_the_negative_log_density_of_a_normal_per_dimension():
    z = torch.randn(1, 7)
    normal = torch.distributions.Normal(0.0, 1.0)
    relative = normal.log_prob(torch.zeros(())) - normal.log_prob(z)
    assert float(latent_prior(z)) == pytest.approx(float(relative.mean()), rel=1e-5)
