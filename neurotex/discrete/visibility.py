"""The z-test as a step: which of the surfaces behind a pixel shows; soft layers are its surrogate."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from .estimators import Estimator
from .estimators.common import LEAST, logits
from .step import Categorical


class Visibility(Categorical):
    """Layers of a pixel (N, 2, K, *places) to how much each shows, (N, K, *places); what is left over is background.

    A layer's two numbers are its depth z along the view axis, in scene units, and the log-odds o of covering the
    pixel: above 0 inside of a face, below outside, −∞ for an empty layer. Layers come in any order.

    `hard` shows the nearest layer that covers, the first of equals, and nothing where none does. Estimators that draw
    codes draw among the layers that cover: they soften the order of depths and leave silhouettes as they are.
    Temperatures are in units of depth: layers that lie closer together mix.
    """

    domain = None
    reshapes = True

    def __init__(self, estimator: str | Estimator = "surrogate"):
        super().__init__(estimator)

    def hard(self, x: Float[Tensor, "n 2 k *places"]) -> Float[Tensor, "n k *places"]:
        """One for the nearest layer that covers the pixel, zero for the others."""
        depth, covers = x[:, 0], _covers(x[:, 1])
        nearest = torch.where(covers, depth, torch.inf).argmin(1, keepdim=True)
        return torch.zeros_like(depth).scatter(1, nearest, covers.any(1, keepdim=True).to(depth))

    def soft(self, x: Float[Tensor, "n 2 k *places"], temperature: float) -> Float[Tensor, "n k *places"]:
        """Nearness times coverage, as in the Soft Rasterizer (Liu et al. 2019, arXiv:1904.01786), over the background:

            p_k = sigmoid(o_k),    A = 1 − Π_k (1 − p_k),    w_k = A p_k exp(−z_k / T) / Σ_j p_j exp(−z_j / T)

        A is the soft silhouette. Where coverage is certain, as |o| → ∞, w tends to `hard` as T → 0. Scaled by 1 / A
        these are the weights of PyTorch3D's softmax_rgb_blend at T = gamma (zfar − znear), with odds −dists / sigma,
        but for the least weight of its background.
        """
        depth, odds = x[:, 0], x[:, 1]
        there = odds > -torch.inf
        odds = torch.where(there, odds, LEAST)
        nearness = logits(torch.where(there, -depth, LEAST), temperature)
        # 1 − sigmoid(o) = sigmoid(−o); as a sum of logarithms the product has a gradient where it vanishes, too
        silhouette = -torch.expm1(logsigmoid(-odds).sum(1, keepdim=True))
        return silhouette * (nearness + logsigmoid(odds)).softmax(1)

    def options(self, x: Float[Tensor, "n 2 k *places"]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """The layers that cover, scored by −depth; and the background, which is drawn where none does."""
        covers = _covers(x[:, 1])
        background = torch.where(covers.any(1, keepdim=True), LEAST, 0.0).to(x.dtype)
        scores = torch.cat([torch.where(covers, -x[:, 0], LEAST), background], 1)
        return scores, lambda weights: weights[:, :-1]


def _covers(odds: Tensor) -> Tensor:
    """By the sign: a distance that is rounded to zero still is a positive or a negative one."""
    return ~odds.signbit()
