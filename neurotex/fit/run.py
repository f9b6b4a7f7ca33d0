"""`neurotex fit` as a function: photographs of an object → its texture, files and figures."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import torch

from ..core import storage
from ..core.memory import memory_for
from ..errors import ArgumentError
from ..renderers import bake
from . import losses, report
from .checkpoint import Checkpoint
from .finish import finish, holdout_psnr, warn_of_blind
from .plan import GRID, Options, make_plan
from .stages import Progress, run_stages

# what a run writes to its folder
FILES = (
    "checkpoint.safetensors",
    "metrics.json",
    "report.html",
    "model.glb",
    "turntable.gif",
    "latent.safetensors",
    "generator.safetensors",
    *(f"textures/base_color.{kind}" for kind in ("png", "jpg", "dds")),
)


def fit_views(
    options: Options,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Fit, write everything to the folder `out`, and return the metrics (also in `out/metrics.json`).

    Ctrl-C or SIGTERM leaves `out/checkpoint.safetensors` and raises Interrupted; `resume=True` continues from it,
    exactly. What an earlier run has left in `out` is refused, or with `overwrite=True` replaced.

    `options` say what to fit to what. `progress(stage, done, total, loss)` is called after each step. ArgumentError for
    options that cannot be used, and where those of a resumed run have changed.
    """
    if resume and overwrite:
        raise ArgumentError("a run is either resumed or overwritten: give one of the two.")
    began = time.perf_counter()
    out = Path(out)
    file = out / "checkpoint.safetensors"
    described = {**asdict(options), "through": list(options.through), "temperature": list(options.temperature)}
    if resume:
        checkpoint = Checkpoint.load(file)
        changed = [name for name, value in described.items() if checkpoint.options.get(name, _ABSENT) != value]
        if changed:
            raise ArgumentError(
                f"{file} is of a run with another {', '.join(changed)}: repeat its options to resume it."
            )
    else:
        checkpoint = Checkpoint(described, 0, {})
        if not overwrite:
            storage.claim(out, FILES, overwrite=False)
    texels = f"a texture of {options.size} x {options.size}" if options.texture == "pixels" else "a generator"
    remedy = "turn down --size" if options.texture == "pixels" else "take a smaller generator"
    with memory_for(f"a fit of {texels}", remedy):
        plan = make_plan(options)
    photographs = "{} photographs of {} x {} pixels".format(len(plan.views.cameras), *plan.views.size[::-1])
    short = memory_for(f"a fit of {texels} to {photographs}", f"{remedy}, or give fewer or smaller photographs")
    with short, storage.new_folder(out, "textures"):
        storage.sweep(out, out / "textures")
        if overwrite:
            storage.claim(out, FILES, overwrite=True)
        baking = time.perf_counter()
        baked = bake(plan.scene, plan.views.size, grid=GRID)
        baking = time.perf_counter() - baking
        warn_of_blind(plan.views, baked)
        history, fitting = run_stages(plan, baked, checkpoint, file, progress or (lambda *_: None))

        plan.material.base_color = finished = finish(plan, baked)
        plan.scene.eval()
        with torch.no_grad():
            images = baked()
        targets = plan.views.images.to(images)
        judged = losses.judged(images, targets)
        metrics = {
            "train_psnr_db": float(losses.psnr(images, targets, judged).nanmean()),
            "holdout_psnr_db": None if plan.holdout is None else holdout_psnr(plan),
            "judged_pixels": "all" if judged is None else "covered",
            "steps": len(history),
            "bake_seconds": round(baking, 3),
            "fit_seconds": round(fitting, 3),
        }
        report.write_outputs(out, plan, images, finished, history, metrics)
        metrics["seconds"] = round(checkpoint.seconds + time.perf_counter() - began, 3)
        storage.write_json(out / "metrics.json", metrics)
    return metrics


_ABSENT = object()
