"""`neurotex train` as a function: textures, or nothing but pictures of objects wearing them → a generator."""

from __future__ import annotations

import json
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import storage
from ..errors import ArgumentError, FileError, MissingError, TrainingError
from ..generators.files import save
from ..interrupts import Interrupted, ctrl_c
from . import seeds
from .checkpoint import load_state, save_state
from .metrics.features import SMALLEST
from .pictures import picture, sheet
from .plan import Options, make_trainer
from .processes import Alone, Processes
from .trainer import Trainer

MINUTES = 5.0  # between two checkpoints
SAMPLES = 48

# progress(images done, images in all, what the last step measured, images per second)
Progress = Callable[[int, int, dict[str, float], float], None]


def train_generator(
    options: Options,
    out: str | Path,
    *,
    resume: bool = False,
    fabric: Processes | None = None,
    progress: Progress | None = None,
    minutes: float = MINUTES,
    scores: bool = True,
) -> dict:
    """Train, write everything to the folder `out`, and return the metrics (also in `out/metrics.json`).

    Every so many `minutes` `out` gets a checkpoint, `generator.safetensors` and a sheet of samples. Ctrl-C leaves these
    and raises Interrupted; `resume=True` continues, exactly.
    """
    fabric = fabric or Alone()
    out = Path(out)
    file = out / "checkpoint.safetensors"
    about = json.loads(json.dumps(asdict(options)))
    state = None
    if resume:
        state, found = load_state(file)
        changed = [name for name, value in about.items() if found.get(name) != value and name != "images"]
        if changed:
            raise ArgumentError(
                f"{file} is of a run with another {', '.join(changed)}: repeat its options to resume it."
            )
    trainer = make_trainer(options, fabric)
    if state is not None:
        trainer.load_state_dict(state)
    if fabric.is_global_zero:
        storage.make_folder(out / "samples")
        if resume:
            storage.sweep(out)
    total = math.ceil(options.images / options.batch)
    with _Log(out, trainer.steps_done, fabric.is_global_zero) as log, ctrl_c() as pressed:
        saved = time.monotonic()

        def watch(trainer: Trainer, measured: dict[str, float]) -> None:
            nonlocal saved
            done = trainer.steps_done
            log(done, measured)
            if progress is not None and fabric.is_global_zero:
                progress(done * options.batch, total * options.batch, measured, done * options.batch / trainer.seconds)
            # all processes stop if one is asked to, and keep what they have when the first one's clock says so
            late = fabric.is_global_zero and time.monotonic() - saved > 60 * minutes
            flags = torch.tensor([float(bool(pressed)), float(late)], device=fabric.device)
            asked, late = (fabric.all_reduce(flags) > 0).tolist()
            if asked or late or done == total:
                if fabric.is_global_zero:
                    _keep(trainer, out, about, log)
                saved = time.monotonic()
            if asked and done < total:
                raise Interrupted

        measured = trainer.train(total, watch)
    metrics = {"images": trainer.steps_done * options.batch, "seconds": trainer.seconds, **measured}
    if fabric.is_global_zero:
        storage.write_json(out / "metrics.json", metrics)
    if scores:
        metrics |= _scores(trainer)
        if fabric.is_global_zero:
            storage.write_json(out / "metrics.json", metrics)
    return metrics


def _scores(trainer: Trainer) -> dict[str, float]:
    """What the averaged generator is judged to be; nothing, and a warning, where that cannot be said."""
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
    shown = picture(textures) if textures.shape[1] == 6 else (textures[:, :3] + 1) / 2
    return sheet(shown.clamp(0, 1), columns)


def _keep(trainer: Trainer, out: Path, about: dict, log: _Log) -> None:
    """Checkpoint, generator, samples: in this order, each whole or not at all."""
    for name, value in trainer.generator.named_parameters():
        if not value.isfinite().all():
            raise TrainingError(f"{name} of the generator is no number any more: resume the last checkpoint in {out}.")
    save_state(out / "checkpoint.safetensors", trainer.state_dict(), about)
    save(trainer.average.centre(), out / "generator.safetensors")
    latents = trainer.average.module.sample_latents(SAMPLES, seeds.generator(0))
    sheet = sample_sheet(trainer.sample(latents))
    with storage.replacing(out / "samples" / f"{trainer.steps_done:07d}.png") as file:
        sheet.save(file)
    log.picture(trainer.steps_done, sheet)
    log.flush()


class _Log:
    """A line of JSON for each step, and TensorBoard's scalars and pictures where it is installed."""

    def __init__(self, out: Path, begun: int, writes: bool):
        self.file = out / "log.jsonl"
        self.begun, self.writes = begun, writes
        self.board = None
        self.lines: list[str] = []

    def __enter__(self) -> _Log:
        if self.writes:
            kept = self.file.read_text().splitlines() if self.begun and self.file.is_file() else []
            # what an earlier process did beyond its last checkpoint is done again
            kept = [line for line in kept if json.loads(line)["step"] <= self.begun]
            with storage.replacing(self.file) as temporary:
                temporary.write_text("".join(line + "\n" for line in kept))
            try:
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(self.file.parent / "tensorboard"), purge_step=self.begun + 1)
            except ModuleNotFoundError:
                pass
        return self

    def __call__(self, step: int, measured: dict[str, float]) -> None:
        if self.writes:
            self.lines.append(json.dumps({"step": step, **measured}))
            if self.board is not None:
                for name, value in measured.items():
                    self.board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Onto disk with what there is."""
        lines, self.lines = self.lines, []
        try:
            with self.file.open("a") as stream:
                stream.writelines(line + "\n" for line in lines)
        except OSError as error:
            raise FileError(f"{self.file} cannot be written ({error.strerror}): check free space.") from None

    def picture(self, step: int, sheet: Image.Image) -> None:
        if self.board is not None:
            self.board.add_image("samples", np.array(sheet), step, dataformats="HWC")

    def __exit__(self, *_: object) -> None:
        if self.writes:
            self.flush()
            if self.board is not None:
                self.board.close()
