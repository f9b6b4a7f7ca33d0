"""From what was fitted to the texture that ships, and what it is worth."""

from __future__ import annotations

import torch
from torch import Tensor

from ..renderers import BakedScene, render
from ..scene import ImageTexture, Scene, Texture
from . import losses, seams
from .plan import Plan, stepped


@torch.no_grad()
def finish(plan: Plan, baked: BakedScene) -> Texture:
    """The texture that ships, as a node that has what passes the steps, and these.

    What was fitted through steps ships as it is, to the texel. Else it is rounded to 8 bits, and before that texels are
    padded and seams closed; but not for `--optimize latents`: there the texture is what the generator makes of a
    latent, and nothing else.
    """
    texture = plan.source.eval()()
    if plan.through:
        return stepped(ImageTexture(texture), plan.through)
    if plan.generator is None or plan.options.optimize != "latents":
        texture = closed(plan, baked, texture)
    return ImageTexture((texture.clamp(0, 1) * 255).round() / 255)


def closed(plan: Plan, baked: BakedScene, texture: Tensor) -> Tensor:
    """The texture (1, C, H, W) with what no view sees and no face covers filled, and its seams closed."""
    texture, size = texture[0], tuple(texture.shape[2:])
    inside = torch.stack([seams.island_mask(mesh, size) for mesh in plan.scene.meshes()]).any(0)
    texture = seams.fill_unknown(texture, inside | baked.seen(size))
    for mesh in plan.scene.meshes():
        texture = seams.close_seams(texture, mesh, inside)
    return texture[None]


@torch.no_grad()
def holdout_psnr(plan: Plan) -> float:
    """Mean PSNR in dB on views that were not fitted, rendered with the scene as it is now."""
    views = plan.holdout
    scene = Scene(list(plan.scene.nodes), views.cameras, views.lights or list(plan.scene.lights))
    images = render(scene.to(plan.options.device), views.size)
    return float(losses.psnr(images, views.images.to(images)).mean())
