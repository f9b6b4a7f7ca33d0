"""`neurotex train` as a function: textures, or nothing but pictures of objects wearing them → a generator."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..core import storage
from ..core.interrupts import Interrupted as Interrupted
from ..core.memory import memory_for
from ..core.run import Run
from ..errors import MissingError, TrainingError
from ..generators.files import save
from ..generators.protocol import as_texels, drawn
from . import seeds
from .log import Log
from .metrics.features import SMALLEST
from .options import Machine, Options
from .pictures import picture, sheet
from .plan import make_trainer
from .processes import Alone, Processes
from .trainer import Trainer

SAMPLES = 48

# progress(images done, images in all, what the last step measured, images per second)
Progress = Callable[[int, int, dict[str, float], float], None]


# what a run writes to its folder
FILES = (
    "generator.safetensors",
    "metrics.json",
    "log.jsonl",
    f"samples/{'[0-9]' * 7}.png",
    "tensorboard/events.out.tfevents.*",
)


# 8 parameters: two say what and whereto, the others have defaults and are named
def train_generator(
    options: Options,
    out: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    fabric: Processes | None = None,
    progress: Progress | None = None,
    minutes: float = Machine.minutes,
    scores: bool = True,
) -> dict:
    """Train, write everything to the folder `out`, and return the metrics (also in `out/metrics.json`).

    Every so many `minutes` `out` gets a sheet of samples, `generator.safetensors` and a checkpoint. Ctrl-C and SIGTERM
    leave these and raise Interrupted; `resume=True` continues, exactly. What an earlier run has left in `out` is
    refused, or with `overwrite=True` replaced.

    `options` say what to train on what, `fabric` is what `launch` gives, `progress(done, total, measured, rate)` is
    called after each step, and with `scores` the generator is measured at the end. ArgumentError for options that
    cannot be used, and where those of a resumed run have changed.
    """
    fabric = fabric or Alone()
    run = Run(
        out,
        FILES,
        asdict(options),
        resume=resume,
        overwrite=overwrite,
        writes=fabric.is_global_zero,
        free=["images"],
    )
    what = f"training textures of {options.size} x {options.size} in batches of {options.batch}"
    remedy = "turn down --batch or --size, or turn up --accumulate"
    with memory_for(what, remedy):
        trainer = make_trainer(options, fabric)
        if run.state is not None:
            with storage.of_this_run(run.file):
                restore(trainer, run.state)
        with run.folder("samples"):
            return _run(trainer, run, options, progress, minutes, scores)


def _run(trainer: Trainer, run: Run, options: Options, progress: Progress | None, minutes: float, scores: bool) -> dict:
    fabric, writes, out = trainer.fabric, run.writes, run.out
    total = math.ceil(options.images / options.batch)
    with Log(out, trainer.steps_done, writes) as log:

        def watch(trainer: Trainer, measured: dict[str, float]) -> None:
            done = trainer.steps_done
            log(done, measured)
            if progress is not None and writes:
                progress(done * options.batch, total * options.batch, measured, done * options.batch / trainer.seconds)
            if writes and done < total and run.due(60 * minutes):
                _keep(trainer, run, log)

        try:
            trainer.train(total, watch)
        except Interrupted:
            if writes:
                _keep(trainer, run, log)
            raise
        if writes:  # also where no step was left: a run may have been killed after its last one
            _keep(trainer, run, log)
            metrics = {"images": trainer.steps_done * options.batch, "seconds": trainer.seconds, **log.means()}
            metrics["images_per_second"] = metrics["images"] / max(trainer.seconds, 1e-9)
            storage.write_json(out / "metrics.json", metrics)
        else:
            metrics = {}
    fabric.broadcast(0)  # the others wait for the first, which writes
    if scores:
        metrics |= _scores(trainer)
        if writes:
            storage.write_json(out / "metrics.json", metrics)
    return metrics


def restore(trainer: Trainer, state: dict) -> None:
    """Load the state of a run into the trainer of the same run. ValueError, KeyError, … where it is of another."""
    done, seconds = state["steps_done"], state["seconds"]
    if type(done) is not int or done < 0 or type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
        raise ValueError(f"it has done {done} steps in {seconds} seconds")
    for part, own in trainer.state_dict().items():
        if part not in ("steps_done", "seconds", "optimizers"):
            for name, value in own.items():
                _check_like(state[part][name], value, f"{name} of the {part}")
    for optimizer, found in zip(trainer.optimizers, state["optimizers"], strict=True):
        own = optimizer.state_dict()["param_groups"]
        if _settings(own) != _settings(found["param_groups"]):
            raise ValueError("its optimizer has other settings")
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if bool(found["state"]) != bool(done):
            raise ValueError("its optimizer has made another number of steps")
        for number, moments in found["state"].items():
            if moments.keys() != {"step", "exp_avg", "exp_avg_sq"}:
                raise ValueError(f"its optimizer has other moments, {', '.join(map(str, moments))}")
            for name, value in moments.items():
                like = torch.zeros(()) if name == "step" else parameters[number]
                _check_like(value, like, f"{name} of its optimizer's parameter {number}")
    trainer.load_state_dict(state)


def _settings(groups: list[dict]) -> list[dict]:
    """Of an optimizer, as JSON has them, without learning rates, which follow a schedule."""
    return json.loads(json.dumps([{k: v for k, v in group.items() if not k.endswith("lr")} for group in groups]))


def _check_like(found: object, own: Tensor, what: str) -> None:
    if not isinstance(found, Tensor) or (found.shape, found.dtype) != (own.shape, own.dtype):
        raise ValueError(f"{what} is no tensor of shape {tuple(own.shape)} and {own.dtype}")
    if not bool(found.isfinite().all()):
        raise ValueError(f"{what} is no number any more")


def _scores(trainer: Trainer) -> dict[str, float]:
    """The scores of the averaged generator; nothing, and a warning, where that cannot be said."""
    if trainer.data.size < SMALLEST:
        warnings.warn(f"scores are of images of {SMALLEST} pixels or more: there are none of these.", stacklevel=2)
        return {}
    try:
        return trainer.evaluate()
    except MissingError as error:
        warnings.warn(f"there are no scores: {error}", stacklevel=2)
        return {}


# ---------------------------------------------------------------- what a run leaves


def sample_sheet(textures: Tensor, columns: int = 8) -> Image.Image:
    """Textures (N, 3 or 6, h, w) in [-1, 1], side by side; materials are lit."""
    shown = picture(textures) if textures.shape[1] in (6, 7) else as_texels(textures[:, :3])
    return sheet(shown.clamp(0, 1), columns)


def _keep(trainer: Trainer, run: Run, log: Log) -> None:
    """Log, samples, generator, and last the checkpoint, each whole or not at all.

    In this order nothing is missed by a run that is killed in between and goes on from the checkpoint before: it makes
    all of these again, and drops what the log has beyond that.
    """
    for name, value in trainer.generator.named_parameters():
        if not value.isfinite().all():
            raise TrainingError(
                f"{name} of the generator is no number any more: resume the last checkpoint in {run.out}."
            )
    latents = drawn(trainer.average.module, SAMPLES, seeds.generator(0))
    sheet = sample_sheet(trainer.sample(latents))
    log.picture(trainer.steps_done, sheet)
    log.flush()
    with storage.replacing(run.out / "samples" / f"{trainer.steps_done:07d}.png") as file:
        sheet.save(file)
    save(trainer.average.centre(), run.out / "generator.safetensors")
    run.save(trainer.state_dict())
