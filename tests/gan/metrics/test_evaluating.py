"""Evaluation of streams of images: every score at once, and each as it is alone."""

import sys

import pytest
import torch

from neurotex.errors import ArgumentError, MissingError
from neurotex.gan import metrics
from neurotex.gan.procedural import materials

pytest.importorskip("torchmetrics")

from neurotex.gan.metrics import FID, TextureFeatures, evaluate


@pytest.fixture(scope="module")
def textures():
    """Two sets of one distribution, in [-1, 1]."""
    return [materials(48, 32, seed)[:, :3] for seed in range(2)]


def test_all_scores_and_each_alone(textures):
    real, fake = textures
    found = evaluate(real.split(20), iter(fake.split(30)))
    assert list(found) == ["fid", "kid", "precision", "recall", "kid_std"]
    assert evaluate([real], [fake], scores=["recall"]) == {"recall": pytest.approx(found["recall"])}
    fid = FID(TextureFeatures())
    fid.update((real + 1) / 2, real=True)
    fid.update((fake + 1) / 2, real=False)
    assert found["fid"] == pytest.approx(fid.compute().item(), rel=1e-4)


def test_worse_textures_score_worse(textures):
    real, fake = textures
    noise = torch.randn_like(fake)
    scores = [evaluate([real], [fake + s * noise]) for s in (0, 0.1, 0.5)]
    for name, sign in (("fid", 1), ("kid", 1), ("recall", -1)):
        values = [sign * score[name] for score in scores]
        assert values == sorted(values), name
        assert values[0] < values[2]
    assert abs(scores[0]["kid"]) < 3 * scores[0]["kid_std"] < scores[2]["kid"]


def test_first_channels_alone(textures):
    real, fake = textures
    maps = [torch.cat([images, torch.randn(48, 3, 32, 32)], 1) for images in textures]
    assert evaluate([maps[0]], [maps[1]], channels=3) == evaluate([real], [fake])  # nothing is random, either
    assert evaluate([maps[0][:8]], [maps[1][:8]], scores=["fid"])["fid"] > 0  # six channels have features, too


def test_bad_input_is_refused(textures):
    real, fake = textures
    with pytest.raises(ArgumentError, match="some of fid, kid"):
        evaluate([real], [fake], scores=["fid", "is"])
    with pytest.raises(ArgumentError, match="no fake images"):
        evaluate([real], [])
    with pytest.raises(ArgumentError, match="more than 3"):
        evaluate([real], [fake[:3]])
    with pytest.raises(ArgumentError, match="fake images are not finite"):
        evaluate([real], [fake / 0])


def test_without_torchmetrics_only_scores_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    monkeypatch.delitem(sys.modules, "neurotex.gan.metrics.scores")
    monkeypatch.delitem(vars(metrics), "FID", raising=False)  # as of the first use
    with pytest.raises(MissingError, match=r"pip install 'neurotex\[train\]'"):
        _ = metrics.FID
    assert metrics.TextureFeatures()(torch.rand(1, 3, 32, 32)).isfinite().all()
