"""What is added to the adversarial loss: penalties of slopes that are too steep.

A penalty has a `weight` and is added in every `every`-th step, times weight · every (lazy regularisation, Karras et al.
2020, arXiv:1912.04958, section 3.1; the trainer multiplies), and is `of` one of the two networks:

- "discriminator": penalty(discriminator, real, fake) → scalar, from images as the discriminator sees them;
- "generator": penalty(generator, latents) → scalar.

The verdict D(x) on an image is the mean of its logits. What a penalty draws comes from torch's global generators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from ..generators.protocol import Styled, drawn, layers


@dataclass(frozen=True)
class R1:
    """½ E|∇D(x)|² over real images x (Mescheder et al. 2018, arXiv:1801.04406, equation 9).

    Added `weight` times, 0 or more, every `every` steps.
    """

    weight: float = 10.0
    every: int = 16
    of: ClassVar[str] = "discriminator"

    def __post_init__(self) -> None:
        _check(self)

    def __call__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Float[Tensor, "n channels height width"],
        fake: Float[Tensor, "m channels height width"],
    ) -> Float[Tensor, ""]:
        return slopes(discriminator, real).square().sum(1).mean() / 2


@dataclass(frozen=True)
class R2:
    """½ E|∇D(x)|² over fakes x (Mescheder et al. 2018). Added `weight` times, 0 or more, every `every` steps."""

    weight: float = 10.0
    every: int = 16
    of: ClassVar[str] = "discriminator"

    def __post_init__(self) -> None:
        _check(self)

    def __call__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Float[Tensor, "n channels height width"],
        fake: Float[Tensor, "m channels height width"],
    ) -> Float[Tensor, ""]:
        return slopes(discriminator, fake).square().sum(1).mean() / 2


@dataclass(frozen=True)
class GradientPenalty:
    """E(|∇D(x)| − target)², x somewhere between a real image and a fake (Gulrajani et al. 2017, arXiv:1704.00028).

    As many real images as fakes; each pair draws its place between them evenly. Added `weight` times, 0 or more,
    every `every` steps.
    """

    weight: float = 10.0
    target: float = 1.0
    every: int = 1
    of: ClassVar[str] = "discriminator"

    def __post_init__(self) -> None:
        _check(self)

    def __call__(
        self,
        discriminator: Callable[[Tensor], Tensor],
        real: Float[Tensor, "n channels height width"],
        fake: Float[Tensor, "m channels height width"],
    ) -> Float[Tensor, ""]:
        if real.shape != fake.shape:
            raise ArgumentError(
                f"a GradientPenalty pairs real images with fakes, but there are {tuple(real.shape)} and "
                f"{tuple(fake.shape)}: give as many of the same size."
            )
        t = torch.rand(len(real), 1, 1, 1, dtype=real.dtype, device=real.device)
        return (slopes(discriminator, torch.lerp(real, fake, t)).norm(dim=1) - self.target).square().mean()


class PathLength(nn.Module):
    """E(|Jᵀ y| − a)²: steps of one length in w change the image alike, wherever and in whichever direction.

    Karras et al. 2020, arXiv:1912.04958, section 3.2. J is the Jacobian of `generator.synthesis` at the style w, y
    white noise of variance 1 / pixels, and a, the buffer `mean`, the moving average of the lengths: it keeps 1 − decay
    of itself each time. Where `generator.synthesis` takes a style per layer (it says how many, `num_ws`), a length is
    the root of the mean square over layers. One latent in `shrink` is enough, which saves time. Added `weight` times,
    0 or more, every `every` steps. ArgumentError for a `decay` outside of (0, 1] and other numbers out of range.
    """

    mean: Float[Tensor, ""]

    of = "generator"

    def __init__(self, weight: float = 2.0, every: int = 4, decay: float = 0.01, shrink: int = 2) -> None:
        super().__init__()
        if not 0 < decay <= 1 or shrink < 1:
            raise ArgumentError(
                f"a PathLength has a decay above 0 and up to 1, and a shrink of 1 or more, not {decay} and {shrink}."
            )
        self.weight, self.every, self.decay, self.shrink = weight, every, decay, shrink
        _check(self)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: nn.Module, latents: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        if not isinstance(generator, Styled):
            raise ArgumentError(
                f"PathLength needs a generator in two parts, mapping and synthesis, which a {type(generator).__name__} "
                "has not: use Smoothness, which takes every generator."
            )
        w = generator.mapping(latents[: max(len(latents) // self.shrink, 1)])
        count = layers(generator.synthesis)
        w = w if count is None else w[:, None].repeat(1, count, 1)
        w = w if w.requires_grad else w.requires_grad_()
        image = generator.synthesis(w)
        noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
        (slope,) = torch.autograd.grad((image * noise).sum(), w, create_graph=True)
        lengths = slope.flatten(1).norm(dim=1) / math.sqrt(count or 1)
        mean = self.mean.to(lengths).lerp(lengths.mean(), self.decay)
        self.mean.copy_(mean.detach())
        return (lengths - mean).square().mean()


@dataclass(frozen=True)
class Smoothness:
    """Squared change per pixel over a small step in latent space, divided by that step squared.

    What `PathLength` does, by a finite difference: for every generator with `sample_latents`. The step is finite on
    purpose: it penalises how far the edges of a pattern move, and lets them be as sharp as they like. Added
    `weight` times, 0 or more, every `every` steps; `step` is above 0.
    """

    weight: float = 0.2
    step: float = 0.3
    every: int = 4
    of: ClassVar[str] = "generator"

    def __post_init__(self) -> None:
        _check(self)
        if self.step <= 0:
            raise ArgumentError(f"a Smoothness takes a step above 0, not {self.step}.")

    def __call__(self, generator: nn.Module, latents: Float[Tensor, "n *latent"]) -> Float[Tensor, ""]:
        moved = latents + self.step * drawn(generator, len(latents)).to(latents)
        here, there = generator(torch.cat([latents, moved])).chunk(2)
        return (there - here).square().mean() / self.step**2


def slopes(
    discriminator: Callable[[Tensor], Tensor], images: Float[Tensor, "n channels height width"]
) -> Float[Tensor, "n pixels"]:
    """∇D at each image, flat; it can be differentiated again."""
    images = images.detach().requires_grad_()
    verdicts = discriminator(images).reshape(len(images), -1).mean(1)
    (slope,) = torch.autograd.grad(verdicts.sum(), images, create_graph=True)
    return slope.flatten(1)


def _check(penalty) -> None:
    """ArgumentError for a weight or a number of steps that cannot be meant."""
    if penalty.weight < 0 or penalty.every < 1:
        raise ArgumentError(
            f"{type(penalty).__name__} takes a weight of 0 or more, added every 1 step or more, "
            f"not {penalty.weight} every {penalty.every}."
        )
