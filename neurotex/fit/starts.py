"""Where a fit through discrete steps starts: what steps learn from data, and codes better than the nearest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.typed import sides
from ..discrete import Dither, Jpeg, Palette, Step
from ..renderers import BakedMatrix, BakedScene
from ..scene import ImageTexture
from .best import Best
from .codes import can_search, few_codes, hold, search_codes
from .coefficients import search_coefficients
from .trials import search_by_trial


@torch.no_grad()
def calibrate(steps: Sequence[Step], texture: Float[Tensor, "1 c h w"], baked: BakedScene) -> None:
    """Let `steps` learn from `texture`, which passes them in order, what they learn from data: of texels that are seen.

    `baked` has one texture, of this size, and says which these are.
    """
    value = texture
    seen = baked.seen(sides(value))
    for step in steps:
        step.calibrate(value[:, :, seen][:, :, None])
        value = step.hard(value)


@torch.no_grad()
def start_codes(
    baked: BakedScene,
    images: Float[Tensor, "views channels image_h image_w"],
    texture: Float[Tensor, "1 c h w"],
    leaf: ImageTexture,
    step: Step,
    best: Best,
) -> None:
    """Look at starts for `leaf`, trainable pixels that become codes in `step`: better ones than the nearest.

    For levels and palettes they are those of error diffusion in linear light, which keeps what a pixel averages, and
    those that a direct search makes of the nearest and of these. The leaf is set so that it just becomes them, as near
    to `texture` as can be. A palette to learn is searched again from the colours that views show most. For steps with
    tiles they are what trials find. `images` are what the views of `baked`, a scene of one texture, are to show, and
    `best` keeps what was seen to be best.
    """
    if step.tile is not None and isinstance(baked, BakedMatrix):
        if isinstance(step, Jpeg):
            found = search_coefficients(baked, images, step, texture)
        else:
            found = search_by_trial(baked, images, step, texture)
        leaf.image.copy_(found)
        best.look()
    if not few_codes(step):
        return
    learned = {k: v.clone() for k, v in step.state_dict().items()}
    palette = isinstance(step, Palette)
    diffuse = Dither(palette=step, linear=True) if palette else Dither(step.levels, linear=True)
    diffused = diffuse.to(texture.device).hard(texture)
    starts: list[Callable[[], Tensor]] = [lambda: diffused]
    if can_search(baked, step):
        starts += [partial(search_codes, baked, images, step, start) for start in (texture, diffused)]
    for start in starts:
        step.load_state_dict(learned)
        leaf.image.copy_(hold(step, start(), texture))
        best.look()
    if isinstance(step, Palette) and list(step.parameters()) and can_search(baked, step):
        step.calibrate(_as_shown(baked, texture))
        leaf.image.copy_(hold(step, search_codes(baked, images, step, texture), texture))
        best.look()


def _as_shown(
    baked: BakedMatrix, texture: Float[Tensor, "1 c h w"], draws: int = 1 << 16, seed: int = 0
) -> Float[Tensor, "1 c {draws} 1"]:
    """Texels drawn as often as the views' pixels show them, by the light that they send there."""
    rows = baked.operator.shape[0]
    light = baked.operator.transposed_product(texture.new_ones(rows, 1))[:, 0].cpu()
    drawn = torch.multinomial(light, draws, replacement=True, generator=torch.Generator().manual_seed(seed))
    return texture.flatten(2)[..., baked.texel[drawn.to(baked.texel.device)], None]
