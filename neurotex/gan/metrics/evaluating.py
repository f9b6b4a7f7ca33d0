"""All scores of a generator at once, from two streams of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.progress import Bar
from ...errors import ArgumentError
from ...generators.protocol import as_texels
from .features import TextureFeatures
from .scores import FID, KID, Features, PrecisionRecall

SCORES = ("fid", "kid", "precision", "recall")
NEIGHBOURS = 3


@torch.no_grad()
def evaluate(
    real: Iterable[Tensor],
    fake: Iterable[Tensor],
    features: nn.Module | None = None,
    scores: Sequence[str] = SCORES,
    channels: int | None = None,
    progress: bool | None = None,
) -> dict[str, float]:
    """Scores of fakes against real images, from batches (n, c, h, w) in [-1, 1]; what lies beyond is clipped.

    `features` is a feature network, by default `TextureFeatures`. With `channels`, only the first so many are looked
    at: 3 for the base colour of material maps. With "kid" comes "kid_std", its standard deviation over 100 subsets of
    half of the images, or of 1,000 if that is less. Each image goes through the network once, whatever the scores.
    Under torch.distributed every process brings batches of its own, and all get the scores of all images. `progress`
    is that of `neurotex.core.progress`.
    """
    if not scores or set(scores) - set(SCORES):
        raise ArgumentError(f"scores must be some of {', '.join(SCORES)}; got {', '.join(scores) or 'none'}.")
    seen_real, features = _seen(real, features, channels, "real", progress)
    seen_fake, features = _seen(fake, features, channels, "fake", progress)
    fewest = min(len(seen_real), len(seen_fake))
    if fewest <= NEIGHBOURS:
        raise ArgumentError(f"scores of {fewest} images say nothing: give both sides more than {NEIGHBOURS}.")

    given = Features(seen_real.shape[1])
    metrics = {}
    if "fid" in scores:
        metrics["fid"] = FID(given)
    if "kid" in scores:
        metrics["kid"] = KID(given, subset_size=min(1000, fewest // 2))
    if {"precision", "recall"} & set(scores):
        metrics["precision_recall"] = PrecisionRecall(given, NEIGHBOURS)
    found: dict[str, float] = {}
    for name, metric in metrics.items():
        metric = metric.to(seen_real.device)
        metric.update(seen_real, real=True)
        metric.update(seen_fake, real=False)
        result = metric.compute()
        values = [result.item()] if isinstance(result, Tensor) else [value.item() for value in result]
        names = {"fid": ("fid",), "kid": ("kid", "kid_std"), "precision_recall": ("precision", "recall")}[name]
        found |= dict(zip(names, values, strict=True))
    return {name: found[name] for name in (*SCORES, "kid_std") if name.removesuffix("_std") in scores}


def _seen(
    batches: Iterable[Tensor], features: nn.Module | None, channels: int | None, what: str, progress: bool | None
) -> tuple[Float[Tensor, "n features"], nn.Module]:
    """The features of all images in float64, and the network."""
    seen = []
    with Bar(f"{what} images", None, progress) as bar:
        for batch in batches:
            if not batch.isfinite().all():
                raise ArgumentError(
                    f"the {what} images are not finite: a generator whose weights overflow has diverged."
                )
            images = as_texels(batch[:, :channels]).clamp(0, 1)
            features = TextureFeatures(images.shape[1]).to(images.device) if features is None else features
            seen.append(features(images).double())
            bar(sum(map(len, seen)))
    if features is None or not seen:
        raise ArgumentError(f"there are no {what} images: the iterable is empty (one that is used up counts as empty).")
    return torch.cat(seen), features
