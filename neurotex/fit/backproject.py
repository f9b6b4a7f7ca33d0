"""A start for plain pixels: photographs projected back onto the texture, and a few steps of least squares.

Where a scene is baked to a matrix A, photographs y are A x for linear texels x. Solving that in x by conjugate
gradients converges in a handful of products, where gradient descent on encoded texels needs dozens.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..images.colour import encoding_slope, linear_to_srgb
from ..renderers import BakedMatrix
from .conjugate_gradients import conjugate_gradients
from .seams import fill_unknown

STEEPEST = 200.0  # bound of the weights below: black pixels count, but not for everything


@torch.no_grad()
def least_squares(
    baked: BakedMatrix, images: Float[Tensor, "views channels image_h image_w"], iterations: int = 3
) -> Float[Tensor, "texels 3"]:
    """Linear albedo, in [0, 1], of the texels that are seen, so that the baked image comes close to `images`.

    Conjugate gradients on the normal equations from the mean of what each texel's pixels say. Residuals weigh as much
    as they show in sRGB: by the squared slope of its curve at the target.
    """
    target = baked.rows(images[:, :3]).clamp(0, 1)
    weight = encoding_slope(target, linear_to_srgb(target)).square().mean(1, keepdim=True).clamp_max(STEEPEST)

    def normal(x: Tensor) -> Tensor:
        return baked.operator.transposed_product(weight * baked.operator(x))

    seen = baked.operator.transposed_product(weight * target)
    # rows of AᵀWA sum to this: its inverse is the preconditioner, and turns sums over pixels into means
    total = normal(torch.ones_like(seen)).clamp_min(1e-9)
    return conjugate_gradients(normal, seen, seen / total, total, iterations).clamp(0, 1)


def backproject(
    baked: BakedMatrix, images: Float[Tensor, "views channels image_h image_w"], size: tuple[int, int]
) -> Float[Tensor, "3 h w"]:
    """The texture of a scene with one, sRGB-encoded: `least_squares` where it is seen, what is around elsewhere."""
    height, width = size
    texels = linear_to_srgb(least_squares(baked, images))
    picture = texels.new_zeros((3, height * width)).index_copy(1, baked.texel, texels.T)
    return fill_unknown(picture.view(3, height, width), baked.seen((height, width)))
