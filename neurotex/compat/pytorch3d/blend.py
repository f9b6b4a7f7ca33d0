"""From the layers of a pixel to its colour: the hard z-test, and soft layers as its surrogate.

Layers come as (…, K), nearest first; `covered` says which of them hold a face. Formulas, defaults and rounding are
those of PyTorch3D 0.7.9 (`renderer/blending.py`), after Liu et al., Soft Rasterizer (2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from ...errors import ArgumentError

EPS = 1e-10  # the least weight of the background


@dataclass(frozen=True)
class Blend:
    """`sigma` softens silhouettes (squared NDC units), `gamma` the order of depths (shares of `znear` … `zfar`).

    `background` is the colour where nothing is seen, 3 numbers.
    """

    sigma: float = 1e-4
    gamma: float = 1e-4
    background: Sequence[float] | Tensor = (1.0, 1.0, 1.0)
    znear: float = 1.0
    zfar: float = 100.0

    def __post_init__(self) -> None:
        if torch.as_tensor(self.background).shape != (3,):
            raise ArgumentError(f"a background is 3 numbers, but this is {self.background}.")
        if not (self.sigma > 0 and self.gamma > 0):
            raise ArgumentError(f"sigma and gamma are above 0, but sigma is {self.sigma} and gamma {self.gamma}.")
        if not self.zfar > self.znear:
            raise ArgumentError(f"zfar must be beyond znear, but znear is {self.znear} and zfar {self.zfar}.")


def hard_rgb_blend(
    colors: Float[Tensor, "*pixels k 3"], covered: Bool[Tensor, "*pixels k"], blend: Blend
) -> Float[Tensor, "*pixels 4"]:
    """The nearest layer's colour and alpha 1, or the background and alpha 0."""
    nearest = covered[..., :1]
    background = torch.as_tensor(blend.background).to(colors)
    return torch.cat([torch.where(nearest, colors[..., 0, :], background), nearest.to(colors)], dim=-1)


def softmax_rgb_blend(
    colors: Float[Tensor, "*pixels k 3"],
    covered: Bool[Tensor, "*pixels k"],
    dists: Float[Tensor, "*pixels k"],
    zbuf: Float[Tensor, "*pixels k"],
    blend: Blend,
) -> Float[Tensor, "*pixels 4"]:
    """The surrogate of the discrete z-test: all layers, weighted by how near and how surely inside they are.

        p_k = sigmoid(−d_k / σ)                 probability of being inside face k, d its signed squared distance
        ζ_k = (z_far − z_k) / (z_far − z_near)  nearness
        w_k = p_k exp(ζ_k / γ),                 w_background = exp(ε / γ)
        rgb = Σ_k w_k c_k / Σ_k w_k,            alpha = 1 − Π_k (1 − p_k)

    with both sums over the background too. As σ, γ → 0 it becomes the z-test, whose own derivative is zero almost
    everywhere; for σ, γ > 0 gradients reach positions through `dists` and `zbuf`, and hidden layers' colours.
    """
    zbuf, dists = _filled(zbuf, covered, blend.zfar), _filled(dists, covered, 0)
    inside = torch.sigmoid(-dists / blend.sigma) * covered
    # differences of ζ are small against their rounding: the order of operations is PyTorch3D's
    nearness = (blend.zfar - zbuf) / (blend.zfar - blend.znear) * covered
    # exp(ζ / γ) overflows: all weights are divided by the largest one
    nearest = nearness.max(-1, keepdim=True).values.clamp_min(EPS)
    weights = inside * ((nearness - nearest) / blend.gamma).exp()
    behind = ((EPS - nearest) / blend.gamma).exp().clamp_min(EPS)
    background = torch.as_tensor(blend.background).to(colors)
    total = (weights[..., None, :] @ colors)[..., 0, :] + behind * background
    rgb = total / (weights.sum(-1, keepdim=True) + behind)
    return torch.cat([rgb, _silhouette(dists, covered, blend.sigma)], dim=-1)


def sigmoid_alpha_blend(
    colors: Float[Tensor, "*pixels k 3"],
    covered: Bool[Tensor, "*pixels k"],
    dists: Float[Tensor, "*pixels k"],
    blend: Blend,
) -> Float[Tensor, "*pixels 4"]:
    """The nearest layer's colour as it is, with the soft silhouette 1 − Π_k (1 − sigmoid(−d_k / σ)) as alpha."""
    alpha = _silhouette(_filled(dists, covered, 0), covered, blend.sigma)
    return torch.cat([colors[..., 0, :], alpha], dim=-1)


def _silhouette(dists: Tensor, covered: Tensor, sigma: float) -> Tensor:
    # 1 − sigmoid(−x) = sigmoid(x); as a sum of logarithms the product has a gradient where it vanishes, too
    outside = (logsigmoid(dists / sigma) * covered).sum(-1, keepdim=True)
    return -torch.expm1(outside)


def _filled(layers: Tensor, covered: Tensor, value: float) -> Tensor:
    """Something harmless in empty layers, whatever they hold."""
    return torch.where(covered, layers, value)
