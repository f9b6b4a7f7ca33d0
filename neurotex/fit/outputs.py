"""What a fit leaves behind: files to use and pictures to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import generators
from ..core import storage
from ..renderers import on_background, save_gif, turntable
from ..scene import Scene, Texture, save_texture
from . import report
from .plan import Plan

# what a run writes to its folder, beside its checkpoint
FILES = (
    "metrics.json",
    *report.FILES,
    "model.glb",
    "turntable.gif",
    "latent.safetensors",
    "generator.safetensors",
    *(f"textures/base_color.{kind}" for kind in ("png", "jpg", "dds")),
)
FOLDERS = ("textures", "report")


# 7 parameters: what was planned, what was found, and what was measured of it
def write_outputs(
    out: Path,
    plan: Plan,
    scene: Scene,
    textures: Sequence[Texture],
    images: Tensor,
    history: list[float],
    metrics: dict,
) -> None:
    """Write textures, model, turntable, report and what was learned of generators to `out`, which has all `FOLDERS`.

    `scene` wears `textures`, which its targets have become, and is seen in `images`, (views, 4, height, width), linear.
    """
    ((target, texture),) = zip(plan.targets, textures, strict=True)
    file = save_texture(texture, out / "textures" / "base_color")
    with torch.no_grad():
        pictures = {file.relative_to(out).as_posix(): texture.eval()()}
    scene.save(out / "model.glb")
    save_gif([on_background(image) for image in turntable(scene)], out / "turntable.gif")
    value = None if target.latent is None else target.latent.value
    if target.generator is not None and value is not None:
        storage.write_tensors(out / "latent.safetensors", {plan.options.space: value.detach().cpu()})
        if plan.options.optimize != "latents":
            generators.save(target.generator, out / "generator.safetensors")
    report.write_report(out, plan, images, pictures, history, metrics)
