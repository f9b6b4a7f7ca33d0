"""`neurotex fit` as a function: photographs of an object → its texture, files and figures."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

import torch

from ..core import storage
from ..core.memory import memory_for
from ..core.run import Run
from ..renderers import bake
from . import losses
from .finish import finish, holdout_psnr, warn_of_blind
from .options import Options
from .outputs import FILES, FOLDERS, write_outputs
from .plan import GRID, make_plan
from .stages import Progress, run_stages


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
    began = time.perf_counter()
    run = Run(out, FILES, asdict(options), resume=resume, overwrite=overwrite)
    texels = f"a texture of {options.size} x {options.size}" if options.texture == "pixels" else "a generator"
    remedy = "turn down --size" if options.texture == "pixels" else "take a smaller generator"
    with memory_for(f"a fit of {texels}", remedy):
        plan = make_plan(options)
    photographs = "{} photographs of {} x {} pixels".format(len(plan.views.cameras), *plan.views.size[::-1])
    short = memory_for(f"a fit of {texels} to {photographs}", f"{remedy}, or give fewer or smaller photographs")
    with short, run.folder(*FOLDERS):
        baking = time.perf_counter()
        baked = bake(plan.scene, plan.views.size, grid=GRID)
        baking = time.perf_counter() - baking
        warn_of_blind(plan.views, baked)
        done = run_stages(plan, baked, run, progress or (lambda *_: None))

        textures = finish(plan, baked)
        scene = plan.wearing(textures).eval()
        with torch.no_grad():
            images = baked.of(scene)()
        targets = plan.views.images.to(images)
        evaluated = losses.evaluated(images, targets)
        metrics = {
            "train_psnr_db": float(losses.psnr(images, targets, evaluated).nanmean()),
            "holdout_psnr_db": None if plan.holdout is None else holdout_psnr(plan, scene),
            "evaluated_pixels": "all" if evaluated is None else "covered",
            "steps": len(done.losses),
            "bake_seconds": round(baking, 3),
            "fit_seconds": round(done.seconds, 3),
        }
        write_outputs(run.out, plan, scene, textures, images, done.losses, metrics)
        metrics["seconds"] = round(done.seconds_before + time.perf_counter() - began, 3)
        storage.write_json(run.out / "metrics.json", metrics)
    return metrics
