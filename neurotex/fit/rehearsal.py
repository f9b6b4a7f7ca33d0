"""Fitting through discrete steps: what is looked at, what judges, and where it starts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.typed import sides
from ..discrete import Dither, Jpeg, Palette, Step
from ..renderers import BakedMatrix, BakedScene, bake
from ..scene import ImageTexture, Material, Scene, Texture, Views
from ..scene.shipping import shown_as_shipped
from ..shading import linear_to_srgb
from . import losses
from .best import Best
from .codes import can_search, few_codes, hold, search_codes
from .coefficients import search_coefficients
from .imagined import imagine, join
from .trials import search_by_trial

JUDGES = 8  # views that are never fitted


class Rehearsal:
    """The photographs, `count` imagined views of the texture that was fitted without steps, and more that judge.

    `texture` is that one, (1, C, H, W). The material wears `worn`, the node to be fitted; both have one size and
    sampler. `scene`, `views` and `baked` are for the fit; `score()` is the mean squared difference, in encoded pixels,
    between what `worn` shows the judges in eval mode and what they imagined. Bakes take `grid` × `grid` samples per
    pixel.
    """

    # 8 parameters: six say what is drawn and from where, the others have defaults
    def __init__(
        self,
        scene: Scene,
        material: Material,
        worn: Texture,
        texture: Float[Tensor, "1 c h w"],
        views: Views,
        count: int,
        seed: int = 0,
        *,
        grid: int = 4,
    ):
        self.texture = texture
        self.material = material
        material.base_color = ImageTexture(texture, worn.wrap, False, *worn.reading[1:])
        judged = imagine(scene, views, JUDGES, seed + 1, grid=grid)
        self.views = join(views, imagine(scene, views, count, seed, grid=grid)) if count else views
        self.wear(worn)
        self.scene, self.baked = self._prepare(scene, self.views, grid)
        _, self._judges = self._prepare(scene, judged, grid)
        self._expected = self._judges.rows(linear_to_srgb(judged.images[:, :3]))

    def wear(self, worn: Texture) -> None:
        """Fit and judge another node, of the same size and sampler."""
        self.material.base_color = self.worn = worn

    def _prepare(self, scene: Scene, views: Views, grid: int) -> tuple[Scene, BakedScene]:
        stage = scene.replace(cameras=views.cameras)
        return stage, bake(stage, views.size, grid=grid)

    @torch.no_grad()
    def score(self) -> float:
        """How far what ships is from the texture without steps, where the judges look."""
        with shown_as_shipped(self.worn):
            rows = linear_to_srgb(self._judges.padded_pixels())[:, :3]
        return float(losses.squared(rows, self._expected))


@torch.no_grad()
def calibrate(rehearsal: Rehearsal, steps: list[Step]) -> None:
    """Let the steps learn from the texture without steps what they learn from data, from texels that some view sees."""
    value = rehearsal.texture
    seen = rehearsal.baked.seen(sides(value))
    for step in steps:
        step.calibrate(value[:, :, seen][:, :, None])
        value = step.hard(value)


@torch.no_grad()
def start_codes(rehearsal: Rehearsal, leaf: ImageTexture, step: Step, best: Best) -> None:
    """Look at starts for `leaf`, trainable pixels that become codes in `step`: better ones than the nearest.

    For levels and palettes they are those of error diffusion in linear light, which keeps what a pixel averages, and
    those that a direct search makes of the nearest and of these. The leaf is set so that it just becomes them, as near
    to the texture as can be. A palette to learn is searched again from the colours that views show most. For steps with
    tiles they are what trials find. `rehearsal` says what is looked at, and `best` keeps what was seen to be best.
    """
    images, baked = rehearsal.views.images, rehearsal.baked
    if step.tile is not None and isinstance(baked, BakedMatrix):
        if isinstance(step, Jpeg):
            found = search_coefficients(baked, images, step, rehearsal.texture)
        else:
            found = search_by_trial(baked, images, step, rehearsal.texture)
        leaf.image.copy_(found)
        best.look()
    if not few_codes(step):
        return
    texture, learned = rehearsal.texture, {k: v.clone() for k, v in step.state_dict().items()}
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
