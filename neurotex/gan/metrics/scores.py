"""Scores of generators, as torchmetrics: update batch by batch, compute, reset; many processes are synchronised.

All take images in [0, 1], as feature networks do, and the network as first argument. Features are kept in float64.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError, MissingError
from .neighbours import precision, radii
from .perceptual import perceptual_distance

try:
    from torchmetrics import Metric
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore as _InceptionScore
    from torchmetrics.image.kid import KernelInceptionDistance
    from torchmetrics.utilities.data import dim_zero_cat
except ModuleNotFoundError as error:
    raise MissingError("torchmetrics is not installed: pip install 'neurotex[train]'") from error


class FID(FrechetInceptionDistance):
    """Fréchet distance of two Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500).

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½). `update(images, real=True)`, `update(images, real=False)`, `compute()`. From
    n images it comes out too high, by about 1/n: compare at equal n only, and take several times as many images as
    there are features. With fewer, the covariances have no full rank, and most of the figure is that bias; take `KID`.
    """

    def __init__(self, features: nn.Module, **metric: Any) -> None:
        super().__init__(feature=_Double(features), normalize=True, **metric)

    def compute(self) -> Float[Tensor, ""]:
        _refuse_few(2, self.real_features_num_samples, self.fake_features_num_samples)
        return super().compute()


class KID(KernelInceptionDistance):
    """Squared maximum mean discrepancy of features under the kernel (x·y / num_features + 1)³ (Bińkowski et al. 2018).

    arXiv:1801.01401. `compute()` gives mean and standard deviation over `subsets` random subsets of `subset_size`
    images, the same ones every time. The estimate is unbiased whatever the number of images, and so it is as often
    below zero as above where both sides have one distribution.
    """

    def __init__(self, features: nn.Module, subset_size: int = 1000, subsets: int = 100, **metric: Any) -> None:
        if subset_size < 2 or subsets < 1:
            raise ArgumentError(f"KID needs subset_size >= 2 and subsets >= 1, got {subset_size} and {subsets}.")
        with warnings.catch_warnings():  # that features are kept in memory
            warnings.simplefilter("ignore")
            super().__init__(feature=_Double(features), subsets=subsets, subset_size=subset_size, **metric)

    def compute(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        real, fake = _counted(self.real_features), _counted(self.fake_features)
        if min(real, fake) < self.subset_size:
            raise ArgumentError(
                f"KID of {real} real and {fake} fake images cannot draw subsets of {self.subset_size}: "
                f"give more images, or a smaller subset_size."
            )
        with _same_draws():
            return super().compute()


class InceptionScore(_InceptionScore):
    """exp E KL(p(class | image) ‖ p(class)) (Salimans et al. 2016, arXiv:1606.03498): are images clear, and various?

    For fakes alone: `update(images)`; `compute()` gives mean and standard deviation over `splits` parts. Classes come
    from the network's `logits`, so it needs a network that has them, such as `Inception`.
    """

    def __init__(self, features: nn.Module, splits: int = 10, **metric: Any) -> None:
        if not hasattr(features, "logits"):
            raise ArgumentError(
                f"an Inception score is about classes, and {type(features).__name__} knows none: use Inception(path)."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().__init__(feature=_Logits(features), splits=splits, **metric)

    def compute(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        _refuse_few(2 * self.splits, _counted(self.features))
        with _same_draws():
            return super().compute()


class PrecisionRecall(Metric):
    """How many fakes could be real, and how many reals could be fakes (Kynkäänniemi et al. 2019, arXiv:1904.06991).

    The space that a set fills is taken to be the balls around its features that reach to their k-th neighbour in it.
    `compute()` gives precision, the share of fakes within the reals' balls, and recall, the converse, both in [0, 1].
    Exact, in chunks; time grows with the square of the number of images. As k neighbours lie nearer the more images
    there are, compare at equal numbers only.
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    real_features: list[Tensor]  # one tensor, once processes have joined theirs
    fake_features: list[Tensor]

    def __init__(self, features: nn.Module, k: int = 3, **metric: Any) -> None:
        super().__init__(**metric)
        if k < 1:
            raise ArgumentError(f"precision and recall look at the k-th neighbour, k >= 1; got {k}.")
        self.network, self.k = _Double(features), k
        self.add_state("real_features", [], dist_reduce_fx="cat")
        self.add_state("fake_features", [], dist_reduce_fx="cat")

    def update(self, images: Float[Tensor, "n c h w"] | Float[Tensor, "n features"], real: bool) -> None:
        (self.real_features if real else self.fake_features).append(self.network(images))

    def compute(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        _refuse_few(self.k + 1, _counted(self.real_features), _counted(self.fake_features))
        real, fake = dim_zero_cat(self.real_features), dim_zero_cat(self.fake_features)
        return precision(fake, real, radii(real, self.k)), precision(real, fake, radii(fake, self.k))


class Perceptual(Metric):
    """Mean `perceptual_distance` of pairs of images: `update(a, b)`."""

    higher_is_better = False
    is_differentiable = True
    full_state_update = False

    def __init__(self, features: nn.Module, **metric: Any) -> None:
        super().__init__(**metric)
        if not hasattr(features, "maps"):
            raise ArgumentError(f"{type(features).__name__} has no maps(images) to compare by: use TextureFeatures.")
        self.network = features
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> None:
        self.total = self.total + perceptual_distance(a, b, self.network).double().sum()
        self.count = self.count + len(a)

    def compute(self) -> Float[Tensor, ""]:
        _refuse_few(1, self.count)
        return self.total / self.count


class Features(nn.Module):
    """A feature network for what is features already, (n, num_features): they pass as they are."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Float[Tensor, "n features"]) -> Float[Tensor, "n features"]:
        return features


class _Double(nn.Module):
    """The features in float64: differences of moments and cubes of products lose half of the digits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.num_features = network, network.num_features

    def forward(self, images: Float[Tensor, "n *image"]) -> Float[Tensor, "n features"]:
        return self.network(images).double()


class _Logits(nn.Module):
    network: Any  # a module with `logits`

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        return self.network.logits(images).double()


def _counted(features: list[Tensor] | Tensor) -> int:
    return len(features) if isinstance(features, Tensor) else sum(len(batch) for batch in features)


def _refuse_few(needed: int, *counts: int | Tensor) -> None:
    if min(int(count) for count in counts) < needed:
        seen = " and ".join(str(int(count)) for count in counts)
        raise ArgumentError(f"this score needs {needed} images of each kind or more, and has seen {seen}: update it.")


@contextmanager
def _same_draws() -> Iterator[None]:
    """Random numbers that are the same every time, and leave the caller's as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
