"""What a fit minimises, and how its result is measured.

Both look at images as a person does: sRGB-encoded, over black. Images are linear and premultiplied, as `render` gives
them; alpha itself is not compared.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import huber_loss

from ..errors import ArgumentError
from ..shading import linear_to_srgb


def photometric(
    image: Float[Tensor, "views channels h w"],
    target: Float[Tensor, "other_views target_channels target_h target_w"],
    *,
    huber: float | None = None,
    ssim: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean squared difference of the encoded RGB, plus `ssim` times the structural dissimilarity (1 − SSIM) / 2.

    With `huber` (a difference in [0, 1]) larger differences count linearly: for photographs with outliers.
    ArgumentError for images of different sizes.
    """
    if image.shape[0] != target.shape[0] or image.shape[2:] != target.shape[2:]:
        raise ArgumentError(f"image {tuple(image.shape)} and target {tuple(target.shape)} must be of one size.")
    a, b = linear_to_srgb(image[:, :3]), linear_to_srgb(target[:, :3])
    loss = squared(a, b, huber)
    if ssim:
        from kornia.losses import ssim_loss  # kornia takes a third of a second to import: only where it is used

        loss = loss + ssim * ssim_loss(a, b, window_size=11)
    return loss


def squared(a: Tensor, b: Tensor, huber: float | None = None) -> Float[Tensor, ""]:
    """Mean squared difference; beyond `huber` it goes on as a straight line of the same slope.

    `a` and `b` are of the same shape, whatever it is (…, C).
    """
    return (a - b).square().mean() if huber is None else 2 * huber_loss(a, b, delta=huber)


def latent_prior(latent: Float[Tensor, "n *shape"]) -> Float[Tensor, ""]:
    """Negative log density of a standard normal per dimension, up to a constant: mean(z²) / 2."""
    return latent.square().mean() / 2


@torch.no_grad()
def evaluated(
    image: Float[Tensor, "views 4 h w"], target: Float[Tensor, "views 4 h w"]
) -> Bool[Tensor, "views 1 h w"] | None:
    """The pixels to measure by: all (None) of photographs that are cut out. Where none is, the rest is background,
    which no texture can explain: then those that the mesh covers wholly (or in part, where that is all there is)."""
    if bool((target[:, 3] < 1).any()):
        return None
    wholly = image[:, 3:] > 0.999
    return wholly if bool(wholly.any()) else image[:, 3:] > 0


@torch.no_grad()
def psnr(
    image: Float[Tensor, "views channels h w"],
    target: Float[Tensor, "views target_channels h w"],
    evaluated: Bool[Tensor, "views 1 h w"] | None = None,
) -> Float[Tensor, "views"]:
    """Peak signal-to-noise ratio of each view in dB: over black, clipped to [0, 1] and sRGB-encoded.

    Over all pixels, or those `evaluated`; NaN for a view that has none.
    """
    a, b = (linear_to_srgb(x[:, :3].clamp(0, 1)) for x in (image, target))
    squares = (a - b).square()
    if evaluated is None:
        error = squares.mean((1, 2, 3))
    else:
        error = (squares.mean(1, keepdim=True) * evaluated).sum((1, 2, 3)) / evaluated.sum((1, 2, 3))
    return -10 * error.clamp_min(1e-12).log10()
