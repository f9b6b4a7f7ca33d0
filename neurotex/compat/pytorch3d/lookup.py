"""Texture lookup in PyTorch3D's conventions, which are those of torch's `grid_sample`.

`textures` has the lookup of the embedded renderer, as taps that can be baked; this one is for presets that must agree
with others to the last digit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample, pad

from ...core import checked
from ...errors import ArgumentError

PADDINGS = ("border", "zeros", "reflection", "repeat")
SAMPLINGS = ("bilinear", "nearest")
ROUNDING = 1e-5


@checked.door(mixed=["uv"])
def sample_texture(
    image: Float[Tensor, "*batch c h w"],
    uv: Float[Tensor, "*points 2"],
    *,
    align_corners: bool = True,
    padding_mode: str = "border",
    sampling_mode: str = "bilinear",
) -> Float[Tensor, "*points c"]:
    """The texture at `uv`; (0, 0) is bottom-left, row 0 is v = 1.

    `image` is (C, H, W), or (N, C, H, W) with `uv` (N, …, 2): one texture for each of the N. With `align_corners` 0
    and 1 are the centres of the outermost texels, else their outer edges. `padding_mode` says what is outside [0, 1]:
    the "border" texels, "zeros", a "reflection", or the texture again ("repeat", which PyTorch3D does not have; with
    `align_corners` the last texel of one copy lies on the first of the next). `sampling_mode` is "bilinear" or
    "nearest"; the latter has no gradient to `uv`. Differentiable in both; defined for textures of one texel and `uv`
    however far outside (NaN reads as 0).
    """
    if padding_mode not in PADDINGS:
        raise ArgumentError(f"padding_mode '{padding_mode}' is unknown: choose one of {', '.join(PADDINGS)}.")
    if sampling_mode not in SAMPLINGS:
        raise ArgumentError(f"sampling_mode '{sampling_mode}' is unknown: choose one of {', '.join(SAMPLINGS)}.")
    if image.ndim not in (3, 4) or 0 in image.shape[-2:]:
        raise ArgumentError(f"a texture is (C, H, W) or (N, C, H, W) with texels in it, not {tuple(image.shape)}.")
    if image.ndim == 4 and (uv.ndim < 2 or len(uv) != len(image)):
        raise ArgumentError(f"{len(image)} textures need uv ({len(image)}, ..., 2), not {tuple(uv.shape)}.")
    batch, points = (image, uv) if image.ndim == 4 else (image[None], uv[None])
    grid = points.reshape(len(batch), -1, 1, 2)
    grid = _folded(grid, padding_mode)
    if padding_mode == "repeat":
        padding_mode = "border"
        if not align_corners:
            batch, grid = _framed(batch, grid)
    # from [0, 1] to [-1, 1], v upwards to rows downwards: as lerp rounds it, since PyTorch3D does so
    top_left = grid.new_tensor([-1.0, 1.0])
    grid = torch.lerp(top_left, -top_left, grid)
    texels = grid_sample(batch, grid.to(batch), sampling_mode, padding_mode, align_corners)
    return texels[..., 0].transpose(1, 2).reshape(*uv.shape[:-1], image.shape[-3])


def _folded(uv: Tensor, padding_mode: str) -> Tensor:
    """Coordinates with the same texels that are never far outside: there, or on NaN, `grid_sample` leaves its memory.

    Integer parts are detached, as they have no slope. What lies in [0, 1] stays as it is, 1 itself too, and what lies
    a rounding beyond: a chart that ends at 1 would show the texels at 0 on its border.
    """
    uv = uv.nan_to_num()
    if padding_mode == "repeat":
        return uv - torch.where((uv >= -ROUNDING) & (uv <= 1 + ROUNDING), 0, uv.detach().floor())
    if padding_mode == "reflection":
        return uv - torch.where((uv >= -2) & (uv <= 3), 0, 2 * (uv.detach() / 2).floor())
    return uv.clamp(-2, 3)


def _framed(image: Tensor, uv: Tensor) -> tuple[Tensor, Tensor]:
    """A texture with one texel more on every side, from the opposite one, and coordinates in it."""
    size = uv.new_tensor([image.shape[-1], image.shape[-2]])
    return pad(image, (1, 1, 1, 1), mode="circular"), (uv * size + 1) / (size + 2)
