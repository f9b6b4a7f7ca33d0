"""The stages of a fit, one after another, each with a checkpoint to go on from."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..core import storage
from ..core.interrupts import Interrupted, Stop, stoppable
from ..renderers import BakedScene
from ..scene import ImageTexture
from .adam import Adam
from .best import Best
from .checkpoint import Checkpoint
from .finish import closed
from .optimise import Fit
from .plan import GRID, Plan
from .rehearsal import Rehearsal, calibrate, start_codes

LOOK = 3  # steps from one look at what ships to the next
CHECKPOINT_SECONDS = 10.0

# progress(stage's name, steps done, steps in all, loss or None while searching)
Progress = Callable[[str, int, int, float | None], None]


def run_stages(
    plan: Plan, baked: BakedScene, checkpoint: Checkpoint, file: Path, progress: Progress
) -> tuple[list[float], float]:
    """Run the stages from `checkpoint` on, keeping it in `file`. Returns the losses of all steps, and the seconds that
    they took, those before the checkpoint included. Interrupted after a signal, with `file` written."""
    options, state = plan.options, dict(checkpoint.state)
    terms = {"huber": options.huber, "ssim": options.ssim, "prior": options.prior, "seed": options.seed}
    with storage.of_this_run(file):
        if not 0 <= checkpoint.stage < len(plan.stages):
            raise ValueError(f"it is in stage {checkpoint.stage} of {len(plan.stages)}")
        past = _losses(state.pop("past", torch.zeros(0)))
    keeper = _Keeper(file, checkpoint, past)
    for number in range(checkpoint.stage, len(plan.stages)):
        stage = plan.stages[number]
        keeper.stage = number
        if stage.rehearsed:
            rehearsal = keeper.rehearse(plan, baked, state)
            about = (rehearsal.scene, rehearsal.views, Adam(stage.groups), stage.steps)
            fit = Fit(*about, baked=rehearsal.baked, temperature=options.temperature, **terms)
        else:
            plan.material.base_color = stage.texture
            fit = Fit(plan.scene, plan.views, Adam(stage.groups), stage.steps, baked=baked, **terms)
        if state:
            with storage.of_this_run(file):
                fit.load_state_dict(state)
        with stoppable() as stop:
            if not state and stage.prepare is not None:
                stage.prepare(fit, keeper.while_searching(progress, stop))
            try:
                fit.run(keeper.after_step(stage.name, progress))
            except Interrupted:
                keeper.save(fit.state_dict())
                raise
            keeper.save(fit.state_dict())
        if keeper.best is not None:
            keeper.best.restore()
        keeper.past, state = keeper.past + fit.history, {}
    return keeper.past, keeper.seconds


class _Keeper:
    """Writes a stage's checkpoint every few seconds."""

    def __init__(self, file: Path, checkpoint: Checkpoint, past: list[float]):
        self.file, self.options, self.stage, self.past = file, checkpoint.options, checkpoint.stage, past
        self._seconds, self._began = checkpoint.seconds, time.perf_counter()
        self._saved = self._began
        self.rehearsal: Rehearsal | None = None
        self.best: Best | None = None

    @property
    def seconds(self) -> float:
        """What the run has taken so far, in all processes that it was resumed in."""
        return self._seconds + time.perf_counter() - self._began

    def save(self, state: dict[str, Tensor]) -> None:
        state = {**state, "past": torch.tensor(self.past, dtype=torch.float64)}
        if self.rehearsal is not None and self.best is not None:
            state["without steps"] = self.rehearsal.texture
            state.update({f"best.{name}": value for name, value in self.best.state_dict().items()})
        Checkpoint(self.options, self.stage, state, self.seconds).save(self.file)
        self._saved = time.perf_counter()

    def rehearse(self, plan: Plan, baked: BakedScene, state: dict[str, Tensor]) -> Rehearsal:
        """Prepare a fit through steps: anew, or as it was when `state` was saved."""
        before, stage = plan.stages[self.stage - 1], plan.stages[self.stage]
        with torch.no_grad():
            texture = before.texture.eval()()
        before.texture.train()
        if state:
            with storage.of_this_run(self.file):
                texture = _like(state.pop("without steps"), texture)
        elif plan.generator is None:
            texture = closed(plan, baked, texture).clamp(0, 1)
        common = (plan.scene, plan.material, stage.texture, texture, plan.views, plan.options.imagined)
        rehearsal = self.rehearsal = Rehearsal(*common, plan.options.seed, grid=GRID)
        best = self.best = Best(stage.texture, rehearsal.score)
        if state:
            kept = {name.removeprefix("best."): state.pop(name) for name in list(state) if name.startswith("best.")}
            with storage.of_this_run(self.file):
                best.load_state_dict(kept)
            return rehearsal
        calibrate(rehearsal, plan.through)
        pixels = plan.source if isinstance(plan.source, ImageTexture) else None
        if pixels is not None:
            pixels.image.data.copy_(texture)
        best.look()
        if pixels is not None and len(plan.through) == 1:
            start_codes(rehearsal, pixels, plan.through[0], best)
            best.restore()
        return rehearsal

    def while_searching(self, progress: Progress, stop: Stop) -> Callable[[int, int], None]:
        def show(done: int, total: int) -> None:
            progress("search", done, total, None)
            if stop.signal is not None:  # the search is short, and begins again
                self.save({})
                raise Interrupted(stop.signal)

        return show

    def after_step(self, name: str, progress: Progress) -> Callable[[Fit], None]:
        def show(fit: Fit) -> None:
            progress(name, fit.step_number, fit.steps, fit.history[-1])
            if self.best is not None and (fit.step_number % LOOK == 0 or fit.step_number == fit.steps):
                self.best.look()
            if time.perf_counter() - self._saved > CHECKPOINT_SECONDS:
                self.save(fit.state_dict())

        return show


def _losses(values: Tensor) -> list[float]:
    if values.dim() != 1 or not values.is_floating_point() or not bool(values.isfinite().all()):
        raise ValueError("its losses are no row of numbers")
    return values.tolist()


def _like(value: Tensor, expected: Tensor) -> Tensor:
    if (value.shape, value.dtype) != (expected.shape, expected.dtype) or not bool(value.isfinite().all()):
        raise ValueError(f"its texture is {tuple(value.shape)}, {value.dtype}, or no number, unlike this run's")
    return value.to(expected.device)
