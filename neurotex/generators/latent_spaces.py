"""The spaces in which a style-based generator's latents can lie, and ways to stay where its textures are good."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError
from .protocol import Familied, Layered, Noisy, StyledPrior, classes, drawn, in_eval_mode, like, normal, out_channels

SPACES = ("z", "w", "w+", "gaussian", "noise")
SLOPE = 0.2  # of the leaky ReLU that a mapping network ends with


class LatentSpace(nn.Module):
    """A style-based generator entered at one of its spaces: itself a generator, whose latents lie there.

    | space | latent | |
    |---|---|---|
    | `"z"` | (z_dim,) | what it was trained with: standard normal |
    | `"w"` | (w_dim,) | one style, w = mapping(z): straightened out, easier to search (arXiv:1904.03189) |
    | `"w+"` | (num_ws, w_dim) | a style for each layer: fits more, also what the generator never makes |
    | `"gaussian"` | (w_dim,) | w after `GaussianPrior`: standard normal, so that distances mean something |
    | `"noise"` | (noise_dim,) | StyleGAN2's noise maps, at the mean style |

    `label` (c_dim,) is the class for a conditional generator. The mapping is kept, frozen, to draw latents from, and is
    neither among this module's parameters nor in its state (but for "z", which needs it). ArgumentError for a `space`
    that is not listed, or that this `generator` has not.
    """

    synthesis: Any  # a module, with what the space needs of it
    mapping: nn.Module

    def __init__(self, generator: nn.Module, space: str = "w", label: Tensor | None = None):
        super().__init__()
        if space not in SPACES:
            raise ArgumentError(f"there is no latent space '{space}': choose one of {', '.join(SPACES)}.")
        if not isinstance(generator, StyledPrior):
            raise ArgumentError(
                f"{type(generator).__name__} has no mapping and synthesis to part, or no latents to draw: optimise "
                "its own latents instead."
            )
        needs = {"w+": Layered, "noise": Noisy}.get(space)
        if needs is not None and not isinstance(generator.synthesis, needs):
            raise ArgumentError(f"{type(generator).__name__} has no space '{space}': use 'w' instead.")
        self.space, self.label = space, label
        self.synthesis = generator.synthesis
        if space == "z":
            self.mapping = generator.mapping
        seeded = torch.Generator().manual_seed(0)
        self.prior = GaussianPrior(sample_w(generator, 10_000, seeded, label)) if space == "gaussian" else None
        if (channels := out_channels(generator)) is not None:
            self.out_channels = channels
        if isinstance(generator, Familied):
            self.families = generator.families
        self._source: list[Any] = [generator]  # in a list, so that its mapping is neither a parameter nor in the state
        self.latent_shape = tuple(self.sample_latents(1, seeded).shape[1:])

    @torch.no_grad()
    def sample_latents(self, n: int, rng: torch.Generator | None = None, family: str | None = None) -> Tensor:
        """`n` latents, (n, *latent_shape), such that their textures are draws from the generator, of all its families
        or of one.

        ArgumentError for a `family` that it does not know.
        """
        source = self._source[0]
        if self.space == "z":
            return drawn(source, n, rng, family)
        if self.space == "noise":
            maps = self.synthesis.noise_maps()
            return normal(n, maps.shape[1:], rng, maps)
        w = sample_w(source, n, rng, self.label, family).to(like(self.synthesis))
        if self.space == "w+":
            return w[:, None].repeat(1, self.synthesis.num_ws, 1)
        return w if self.prior is None else self.prior.whiten(w.to(self.prior.mean))

    def forward(self, latent: Tensor) -> Float[Tensor, "n channels h w"]:
        if self.space == "z":
            return self.synthesis(_mapped(self.mapping, latent, self.label))
        if self.space == "noise":
            mean = self._source[0].mapping.w_avg.to(latent)
            return self.synthesis(mean.expand(len(latent), -1), latent)
        return self.synthesis(latent if self.prior is None else self.prior.unwhiten(latent))


def one_hot(generator: nn.Module, number: int | None) -> Float[Tensor, "c"] | None:
    """The label of class `number` for a conditional generator; None for one without classes. ArgumentError else."""
    count = classes(generator)
    if number is None and count:
        raise ArgumentError(f"this generator was trained with {count} classes: choose one from 0 to {count - 1}.")
    if number is None:
        return None
    if not 0 <= number < count:
        has = f"classes 0 to {count - 1}" if count else "no classes"
        raise ArgumentError(f"there is no class {number}: this generator has {has}.")
    return torch.eye(count)[number]


class GaussianPrior(nn.Module):
    """A Gaussian over styles, once the bend of the mapping's last leaky ReLU is undone (Wulff and Torralba 2020,
    arXiv:2009.06529): x = leaky_relu(w, 1 / 0.2), v = diag(σ)⁻¹ Eᵀ (x − mean), with E, σ² from the covariance of x.

    Styles w (…, d) go to v (…, d), about standard normal, and back; so far from the origin no texture is good. Made
    from samples of w (n, d), more than d of them; `floor` bounds σ from below, relative to its largest value.
    """

    mean: Float[Tensor, "d"]
    axes: Float[Tensor, "d d"]
    sigma: Float[Tensor, "d"]

    def __init__(self, samples: Float[Tensor, "n d"], floor: float = 1e-4):
        super().__init__()
        mean, covariance = moments(F.leaky_relu(samples, 1 / SLOPE))
        variance, axes = torch.linalg.eigh(covariance.double())
        sigma = variance.clamp(min=0).sqrt()
        self.register_buffer("mean", mean)
        self.register_buffer("axes", axes.to(mean))
        self.register_buffer("sigma", sigma.clamp(min=floor * float(sigma[-1])).to(mean))

    def whiten(self, w: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """w → v."""
        return (F.leaky_relu(w, 1 / SLOPE) - self.mean) @ self.axes / self.sigma

    def unwhiten(self, v: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """v → w."""
        return F.leaky_relu((v * self.sigma) @ self.axes.T + self.mean, SLOPE)

    def forward(self, w: Float[Tensor, "n *layers d"]) -> Float[Tensor, "n"]:
        """Mean of v² over a latent, w or w+, for a loss: 1 for the generator's own draws, more off their manifold."""
        return self.whiten(w).square().flatten(1).mean(1)


@torch.no_grad()
def sample_w(
    generator: StyledPrior,
    n: int,
    rng: torch.Generator | None = None,
    label: Tensor | None = None,
    family: str | None = None,
) -> Float[Tensor, "n w"]:
    """`n` styles of latents from the generator's prior, for `moments` or a `GaussianPrior`; `label` (c_dim,) if any;
    of all its families, or of one.

    ArgumentError for a `family` that it does not know.
    """
    weight = like(generator.mapping)  # the mapping stays where it was when a `LatentSpace` moves
    with in_eval_mode(generator.mapping):
        return _mapped(generator.mapping, drawn(generator, n, rng, family).to(weight), label)


def _mapped(mapping: nn.Module, z: Tensor, label: Tensor | None) -> Tensor:
    return mapping(z) if label is None else mapping(z, label.to(z).expand(len(z), -1))


def moments(samples: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "d"], Float[Tensor, "d d"]]:
    """Mean and covariance of samples, of w for instance. ArgumentError for fewer than two."""
    if len(samples) < 2:
        raise ArgumentError(f"a covariance needs two samples or more, not {len(samples)}.")
    return samples.mean(0), samples.T.cov()


def truncate(w: Tensor, mean: Float[Tensor, "d"], truncation: float, layers: int | None = None) -> Tensor:
    """Styles (…, d) pulled towards their mean: less variety, better textures. 1 leaves them, 0 leaves the mean.

    Of w+ (N, num_ws, d), only the first `layers` if given: coarse structure without the palette. `truncation` may lie
    beyond, too: above 1 it exaggerates.
    """
    if layers is None:
        return mean.lerp(w, truncation)
    return torch.cat([mean.lerp(w[:, :layers], truncation), w[:, layers:]], 1)


def lerp(a: Tensor, b: Tensor, t: float | Float[Tensor, "k"]) -> Tensor:
    """Straight from `a` (t = 0) to `b` (t = 1), for styles. Both are (1, *shape); k values of t make (k, *shape)."""
    t = _steps(a, t)
    return (1 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: float | Float[Tensor, "k"]) -> Tensor:
    """The same along the arc, for latents of a normal prior, whose length then stays likely (White 2016,
    arXiv:1609.04468): sin((1 − t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b with the angle Ω between them.
    """
    t = _steps(a, t)
    x, y = (v / v.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny) for v in (a, b))
    # twice the arctangent keeps its precision where the arc cosine has none: near 0 and π
    angle = 2 * torch.atan2((x - y).norm(dim=-1, keepdim=True), (x + y).norm(dim=-1, keepdim=True))
    angle = angle.clamp(min=1e-6, max=math.pi - 1e-4)  # at 0 the limit is the straight line; at π any arc will do
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _steps(a: Tensor, t: float | Tensor) -> Tensor:
    return torch.as_tensor(t, dtype=a.dtype, device=a.device).reshape(-1, *[1] * (a.ndim - 1))
