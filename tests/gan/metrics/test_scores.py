"""Scores against closed forms and direct sums, on features that are given."""

import math

import pytest
import torch

from neurotex.errors import ArgumentError

pytest.importorskip("torchmetrics")

from neurotex.gan.metrics import (
    FID,
    KID,
    Features,
    InceptionScore,
    Perceptual,
    PrecisionRecall,
    TextureFeatures,
    perceptual_distance,
)


def scored(metric, real, fake, batch=64):
    for part in real.split(batch):
        metric.update(part, real=True)
    for part in fake.split(batch):
        metric.update(part, real=False)
    return metric.compute()


def gaussian(mean, covariance, n):
    """n points whose mean and covariance are the given ones exactly."""
    x = torch.randn(n, len(mean), dtype=torch.float64)
    x = x - x.mean(0)
    x = x @ torch.linalg.inv(torch.linalg.cholesky(x.T.cov())).mT
    return x @ torch.linalg.cholesky(covariance).mT + mean


def test_fid_of_two_gaussians():
    """|μ₁ − μ₂|² + Σ (σ₁ − σ₂)² where covariances share their axes."""
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    a, b = torch.tensor([1.0, 2, 3]).double(), torch.tensor([2.0, 0.5, 3]).double()
    mean = torch.tensor([0.3, -1, 2]).double()
    real = gaussian(torch.zeros(3).double(), turn @ a.square().diag() @ turn.mT, 200)
    fake = gaussian(mean, turn @ b.square().diag() @ turn.mT, 300)
    expected = mean.square().sum() + (a - b).square().sum()
    assert scored(FID(Features(3)), real, fake).item() == pytest.approx(expected.item(), rel=1e-9)
    assert scored(FID(Features(3)), real, real).item() == pytest.approx(0, abs=1e-9)


def test_fid_keeps_digits_that_float32_loses():
    real = torch.randn(200, 3)
    far = [scored(FID(Features(3)), real + shift, 1.1 * real + shift).item() for shift in (0, 1024)]
    assert far[1] == pytest.approx(far[0], rel=1e-2)


def test_kid_is_the_unbiased_double_sum():
    real, fake = torch.randn(30, 4).double(), 0.3 + torch.randn(30, 4).double()

    def kernel(x, y):
        return (x @ y / 4 + 1) ** 3

    n = 30
    within = [
        sum(kernel(s[i], s[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1)) for s in (real, fake)
    ]
    between = sum(kernel(x, y) for x in real for y in fake) / n**2
    mean, deviation = scored(KID(Features(4), subset_size=n, subsets=2), real, fake)
    assert mean.item() == pytest.approx((sum(within) - 2 * between).item(), rel=1e-9)
    assert deviation.item() == pytest.approx(0, abs=1e-9)


def test_kid_is_about_zero_for_one_distribution_and_draws_the_same_subsets():
    real, fake = torch.randn(2, 400, 4)
    before = torch.random.get_rng_state()
    first, second = (scored(KID(Features(4), subset_size=100, subsets=20), real, fake) for _ in range(2))
    assert first == second
    assert torch.equal(before, torch.random.get_rng_state())
    assert abs(first[0]) < 2 * first[1]
    other = scored(KID(Features(4), subset_size=100, subsets=20), real, fake + 1)
    assert other[0] > 5 * first[1]


def test_precision_and_recall_where_they_are_obvious():
    metric = PrecisionRecall(Features(2), k=3)
    two = torch.cat([torch.randn(50, 2), torch.randn(50, 2) + 100])
    assert [v.item() for v in scored(metric, two, two)] == [1, 1]
    metric.reset()
    assert [v.item() for v in scored(metric, two, two + 1000)] == [0, 0]
    metric.reset()
    # one of two modes: all that is made is right, half of what there is is not made
    precision, recall = (v.item() for v in scored(metric, two, two[:50]))
    assert precision == 1
    assert recall == 0.5
    metric.reset()
    precision, recall = (v.item() for v in scored(metric, two[:50], two))
    assert (precision, recall) == (0.5, 1)


def test_precision_and_recall_do_not_mind_order_turns_or_scale():
    real, fake = torch.randn(80, 3).double(), 0.7 * torch.randn(60, 3).double()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    first = scored(PrecisionRecall(Features(3)), real, fake)
    other = scored(PrecisionRecall(Features(3)), 5 * real.flip(0) @ turn + 2, 5 * fake @ turn + 2, batch=7)
    assert first == other
    assert 0 < first[1] < first[0]


class Classes(torch.nn.Module):
    num_features = 4

    def forward(self, images):
        return self.logits(images)

    def logits(self, images):
        return images.flatten(1)


def test_inception_score_from_one_class_to_all():
    sure = 40 * torch.eye(4).repeat(50, 1).view(-1, 4, 1, 1)
    for images, expected in ((sure, 4.0), (sure[:1].repeat(200, 1, 1, 1), 1.0), (0 * sure, 1.0)):
        metric = InceptionScore(Classes(), splits=2)
        metric.update(images)
        assert metric.compute()[0].item() == pytest.approx(expected, rel=0.05)
        assert metric.compute() == metric.compute()


def test_perceptual_is_the_mean_over_pairs():
    features, a, b = TextureFeatures(), torch.rand(5, 3, 32, 32), torch.rand(5, 3, 32, 32)
    metric = Perceptual(features)
    metric.update(a[:2], b[:2])
    metric.update(a[2:], b[2:])
    assert metric.compute().item() == pytest.approx(perceptual_distance(a, b, features).mean().item(), rel=1e-5)


def test_images_go_through_the_network():
    features = TextureFeatures()
    real, fake = torch.rand(8, 3, 32, 32), torch.rand(8, 3, 32, 32) ** 2
    by_images = scored(FID(features), real, fake, batch=3).item()
    assert by_images == pytest.approx(scored(FID(Features(204)), features(real), features(fake)).item(), rel=1e-3)
    assert math.isfinite(by_images)


def test_misuse_is_refused():
    with pytest.raises(ArgumentError, match="knows none"):
        InceptionScore(TextureFeatures())
    with pytest.raises(ArgumentError, match="no maps"):
        Perceptual(Features(3))
    with pytest.raises(ArgumentError, match="k >= 1"):
        PrecisionRecall(Features(3), k=0)
    with pytest.raises(ArgumentError, match="subset_size >= 2"):
        KID(Features(3), subset_size=1)
    with pytest.raises(ArgumentError, match="subsets of 1000"):
        scored(KID(Features(3)), torch.randn(9, 3), torch.randn(9, 3))
    with pytest.raises(ArgumentError, match="4 images of each kind"):
        scored(PrecisionRecall(Features(3)), torch.randn(9, 3), torch.randn(3, 3))
    metric = FID(Features(3))
    metric.update(torch.randn(3, 3), real=False)
    with pytest.raises(ArgumentError, match="seen 0 and 3"):
        metric.compute()
