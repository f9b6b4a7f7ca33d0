"""From what was fitted to the texture that is exported, and what it is worth."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from ..core.typed import sides
from ..renderers import BakedScene, render
from ..scene import ImageTexture, Scene, Texture, Views
from . import losses, seams
from .plan import Plan, stepped

NAMED = 5  # views that a warning names at most


@torch.no_grad()
def finish(plan: Plan, baked: BakedScene) -> list[Texture]:
    """What each target is exported as: a node that has what passes the steps, and these.

    What was fitted through steps is exported as it is, to the texel. Else it is rounded to 8 bits, and before that
    texels are padded and seams closed; but not for `--optimize latents`: there the texture is what the generator makes
    of a latent, and nothing else.
    """
    finished: list[Texture] = []
    last = plan.stages[-1]
    for target, leaf, steps in zip(plan.targets, last.leaves, last.through, strict=True):
        texture = leaf.eval()()
        if steps:
            finished.append(stepped(ImageTexture(texture), steps))
            continue
        if target.generator is None or plan.options.optimize != "latents":
            texture = closed(plan, baked, texture)
        finished.append(ImageTexture((texture.clamp(0, 1) * 255).round() / 255))
    return finished


def closed(plan: Plan, baked: BakedScene, texture: Tensor) -> Tensor:
    """The texture (1, C, H, W) with what no view sees and no face covers filled, and its seams closed."""
    texture, size = texture[0], sides(texture)
    inside = torch.stack([seams.island_mask(mesh, size) for mesh in plan.scene.meshes()]).any(0)
    texture = seams.fill_unknown(texture, inside | baked.seen(size))
    for mesh in plan.scene.meshes():
        texture = seams.close_seams(texture, mesh, inside)
    return texture[None]


@torch.no_grad()
def holdout_psnr(plan: Plan, scene: Scene) -> float | None:
    """Mean PSNR in dB of `scene` on views that were not fitted; None where there are none, or none sees it."""
    views = plan.holdout
    if views is None:
        return None
    images = render(scene, views.size, cameras=views.cameras, lights=views.lights or None)
    targets = views.images.to(images)
    level = float(losses.psnr(images, targets, losses.evaluated(images, targets)).nanmean())
    if math.isfinite(level):
        return level
    warnings.warn(f"no view of {plan.options.holdout} sees the mesh: nothing is measured by it.", stacklevel=2)
    return None


def warn_of_blind(views: Views, baked: BakedScene) -> None:
    """Name views that see nothing of the mesh. If none does, a `Fit` refuses it."""
    height, width = views.size
    seen = torch.bincount(baked.pixel.long() // (height * width), minlength=len(views.cameras))
    blind = [name for name, pixels in zip(views.names, seen.tolist(), strict=True) if pixels == 0]
    if 0 < len(blind) < len(views.names):
        names = ", ".join(blind[:NAMED]) + (", …" if len(blind) > NAMED else "")
        warnings.warn(f"{len(blind)} of {len(views.names)} views see nothing of the mesh: {names}.", stacklevel=3)
