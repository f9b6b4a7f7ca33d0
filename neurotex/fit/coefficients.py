"""Coefficients of a JPEG by descent: each block's cosines take whole steps, for better pictures.

Of random changes (`trials`) the quantiser of a JPEG rounds most away. Here changes are what it cannot round: single
steps of its own coefficients, the best by a quadratic around the present texels; and the real codec has the last word.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..core.typed import sides
from ..discrete import Jpeg
from ..renderers import BakedMatrix
from ..shading import srgb_to_linear
from . import coefficient_kernels as kernels
from .codes import encoded_weight
from .trials import TileErrors

ROUNDS = 4  # of a descent: each proposes codes, and keeps the tiles that the codec confirms
LUMA, CHROMA = 6, 4  # coefficients whose frequencies add up to less: others hardly reach a pixel that mixes texels
SWEEPS = 2  # over the blocks of each plane, in a round
MOST = 4  # steps in one block before the next one


@torch.no_grad()
def search_coefficients(
    baked: BakedMatrix,
    images: Float[Tensor, "views channels image_h image_w"],
    step: Jpeg,
    x: Float[Tensor, "1 3 h w"],
    rounds: int = ROUNDS,
) -> Float[Tensor, "1 3 h w"]:
    """A texture whose file has other coefficients than that of `x`, for a picture that is closer to `images` (linear).

    For a scene with one texture. Squared differences of encoded pixels never rise: `step.hard` says what becomes of a
    proposal, and tiles that it does not make better stay, as do those that the border cuts.
    """
    height, width = (side // step.tile * step.tile for side in x.shape[2:])
    if not height or not width:
        return x
    errors = TileErrors(baked, images, step, sides(x))
    descent = _Descent(errors, step, height, width)
    total, shares = errors(x)
    for _ in range(rounds):
        proposed = x.clone()
        proposed[..., :height, :width] = descent.propose(x)
        _, tried = errors(proposed)
        found = torch.where(errors.spread((tried <= shares).to(x)) > 0, proposed, x)
        after, tiles = errors(found)
        if after >= total:
            break
        x, total, shares = found, after, tiles
    return x


class _Descent:
    """Coordinate descent over the coefficients of the whole tiles of a texture, (height, width)."""

    def __init__(self, errors: TileErrors, step: Jpeg, height: int, width: int):
        self.errors, self.step, self.side = errors, step, (height, width)
        number = np.full(errors.size, -1, np.int64)
        number.flat[errors.baked.texel.cpu().numpy()] = np.arange(len(errors.baked.texel))
        self.column = np.ascontiguousarray(number[:height, :width])
        frequency = (torch.arange(8)[:, None] + torch.arange(8)).flatten()
        self.kept = [(frequency < limit).nonzero()[:, 0].cpu() for limit in (LUMA, CHROMA)]
        patches = (patch.cpu()[..., kept] for patch, kept in zip(self.step.patches(), self.kept, strict=True))
        self.patches = [patch.to(errors.expected).cpu().contiguous().numpy() for patch in patches]
        self.barred: list[Tensor] = []  # per plane: what the codec has refused

    def propose(self, x: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 height width"]:
        """The whole tiles of a texture, as they become better codes."""
        height, width = self.side
        whole = x[..., :height, :width]
        luma, chroma = self.step.codes(whole)
        present = _split(luma, chroma)
        shown, target = self.errors.show(x)[:, :3], self.errors.target
        weight = encoded_weight(shown, target).cpu().contiguous().numpy()
        residual = (shown - target).cpu().contiguous().numpy()
        planes = self.step.planes(luma, chroma).to(shown).cpu().contiguous().numpy()
        light = srgb_to_linear(torch.arange(256) / 255).to(shown).cpu().numpy()
        pointers, rows, values = (t.cpu().numpy() for t in self.errors.baked.operator.transposed())
        codes = [part.clone() for part in present]
        self.barred = self.barred or [torch.zeros(part.shape, dtype=torch.bool) for part in codes]
        for plane, part in enumerate(codes):
            kept, patch = self.kept[plane > 0], self.patches[plane > 0]
            tile = np.array(self.side) // np.array(part.shape[:2])
            corners = np.ascontiguousarray(np.indices(part.shape[:2]).reshape(2, -1).T)
            origins = corners * tile - (np.array(patch.shape[:2]) - tile) // 2
            barred = self.barred[plane].view(-1, 64)[:, kept].numpy()
            change = np.zeros(barred.shape)
            arrays = (weight, residual, planes, self.column, light, origins, plane, patch, barred, change)
            for _ in range(SWEEPS):
                kernels.descend_coefficients(pointers, rows.view(np.uint32), values, *arrays, MOST)
            part.view(-1, 64)[:, kept] += torch.from_numpy(change).to(part)
        proposed = self.step.becoming(codes[0][None], torch.stack(codes[1:]), whole)
        found = _split(*self.step.codes(proposed))
        for barred, asked, became, was in zip(self.barred, codes, found, present, strict=True):
            barred |= ((asked != became) & (asked != was)).cpu()
        return proposed


def _split(luma: Float[Tensor, "1 _ _ 8 8"], chroma: Float[Tensor, "2 _ _ 8 8"]) -> list[Tensor]:
    """Codes plane by plane."""
    return [part.contiguous() for part in (*luma, *chroma)]
