"""The stages of a fit, one after another, each with a checkpoint to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core import storage
from ..core.interrupts import Interrupted as Interrupted
from ..core.interrupts import Stop, stoppable
from ..core.run import Run
from ..renderers import BakedScene
from ..scene import ImageTexture
from .adam import Adam
from .best import Best
from .finish import closed
from .optimise import Fit
from .plan import GRID, Plan
from .starts import calibrate, start_codes
from .validation import Reference

LOOK = 3  # steps from one look at what is exported to the next
CHECKPOINT_SECONDS = 10.0

# progress(stage's name, steps done, steps in all, loss or None while searching)
Progress = Callable[[str, int, int, float | None], None]


@dataclass(frozen=True)
class Done:
    """The losses of all steps, the seconds that they took, and those of the run before it was resumed."""

    losses: list[float]
    seconds: float
    seconds_before: float


def run_stages(plan: Plan, baked: BakedScene, run: Run, progress: Progress) -> Done:
    """Run the stages, from the state of `run` on, and keep it there. Interrupted after a signal, with it written."""
    keeper = _Keeper(plan, baked, run)
    before = keeper.seconds_before
    while keeper.stage < len(plan.stages):
        keeper.run_stage(progress)
    return Done(keeper.past, keeper.seconds, before)


@dataclass
class _Through:
    """What a stage of discrete steps knows beside its fit."""

    textures: list[Tensor]  # without steps
    reference: Reference
    best: Best


class _Keeper:
    """Where a run is, and how it comes back there: stage, losses so far, and what the stage has to remember."""

    def __init__(self, plan: Plan, baked: BakedScene, run: Run):
        self.plan, self.baked, self.run = plan, baked, run
        self.stage, self.past, self.seconds_before = 0, list[float](), 0.0
        self._state: dict = {}  # of the stage that is resumed
        self._began = time.perf_counter()
        if run.state is not None:
            with storage.of_this_run(run.file):
                self._load(run.state)

    def _load(self, state: dict) -> None:
        stage, seconds = state["stage"], state["seconds"]
        if type(stage) is not int or not 0 <= stage < len(self.plan.stages):
            raise ValueError(f"it is in stage {stage} of {len(self.plan.stages)}")
        if type(seconds) is not float or not 0 <= seconds < math.inf:
            raise ValueError(f"it took {seconds} seconds")
        if not isinstance(state["fit"], dict):
            raise TypeError("its fit has no names")
        self.stage, self.seconds_before, self.past, self._state = stage, seconds, _losses(state["past"]), state

    @property
    def seconds(self) -> float:
        """What the run has taken so far, in all processes that it was resumed in."""
        return self.seconds_before + time.perf_counter() - self._began

    def run_stage(self, progress: Progress) -> None:
        """The next stage, from its start or as it was when it was saved."""
        plan, stage, state = self.plan, self.plan.stages[self.stage], self._state.get("fit", {})
        options = plan.options
        terms = {"huber": options.huber, "ssim": options.ssim, "prior": options.prior, "seed": options.seed}
        scene, views, baked, through = plan.wearing(stage.textures), plan.views, self.baked, None
        if stage.stepped:
            through = self._prepare_steps()
            views, baked = through.reference.views, through.reference.baked
            scene, terms["temperature"] = scene.replace(cameras=views.cameras), options.temperature
        fit = Fit(scene, views, Adam(stage.groups), stage.steps, baked=baked.of(scene), **terms)
        if state:
            with storage.of_this_run(self.run.file):
                fit.load_state_dict(state)
        with stoppable() as stop:
            if not state and stage.prepare is not None:
                stage.prepare(fit, self._while_searching(progress, stop))
            try:
                fit.run(self._after_step(stage.name, progress, through))
            except Interrupted:
                self._save(fit, through)
                raise
            self._save(fit, through)
        if through is not None:
            through.best.restore()
        self.stage, self.past, self._state = self.stage + 1, self.past + fit.history, {}

    def _save(self, fit: Fit | None, through: _Through | None = None) -> None:
        state: dict = {
            "stage": self.stage,
            "seconds": self.seconds,
            "past": torch.tensor(self.past, dtype=torch.float64),
            "fit": {} if fit is None else fit.state_dict(),
        }
        if through is not None:
            state["without steps"], state["best"] = through.textures, through.best.state_dict()
        self.run.save(state)

    def _prepare_steps(self) -> _Through:
        """What a fit through steps looks at: anew, or as it was when it was saved."""
        plan, stage, state = self.plan, self.plan.stages[self.stage], self._state
        textures = self._without_steps()
        nodes = [
            ImageTexture(texture, leaf.wrap, False, *leaf.reading[1:])
            for texture, leaf in zip(textures, stage.leaves, strict=True)
        ]
        options = plan.options
        reference = Reference(plan.wearing(nodes), plan.views, options.imagined, options.seed, grid=GRID)
        best = Best(nn.ModuleList(stage.textures), reference.validation.score(plan.wearing(stage.textures)))
        through = _Through(textures, reference, best)
        if state.get("fit"):
            with storage.of_this_run(self.run.file):
                best.load_state_dict(state["best"])
            return through
        leaves = [leaf if isinstance(leaf, ImageTexture) else None for leaf in stage.leaves]
        for texture, leaf, steps in zip(textures, leaves, stage.through, strict=True):
            calibrate(steps, texture, reference.baked)
            if leaf is not None:
                leaf.image.data.copy_(texture)
        best.look()
        for texture, leaf, steps in zip(textures, leaves, stage.through, strict=True):
            if leaf is not None and len(steps) == 1:
                start_codes(reference.baked, reference.views.images, texture, leaf, steps[0], best)
                best.restore()
        return through

    def _without_steps(self) -> list[Tensor]:
        """The textures that the stage before has left."""
        textures = []
        for target, leaf in zip(self.plan.targets, self.plan.stages[self.stage - 1].textures, strict=True):
            with torch.no_grad():
                texture = leaf.eval()()
            leaf.train()
            if target.generator is None and not self._state.get("fit"):
                texture = closed(self.plan, self.baked, texture).clamp(0, 1)
            textures.append(texture)
        if self._state.get("fit"):
            with storage.of_this_run(self.run.file):
                pairs = zip(self._state["without steps"], textures, strict=True)
                textures = [_like(saved, texture) for saved, texture in pairs]
        return textures

    def _while_searching(self, progress: Progress, stop: Stop) -> Callable[[int, int], None]:
        def show(done: int, total: int) -> None:
            progress("search", done, total, None)
            if stop.signal is not None:  # the search is short, and begins again
                self._save(None)
                raise Interrupted(stop.signal)

        return show

    def _after_step(self, name: str, progress: Progress, through: _Through | None) -> Callable[[Fit], None]:
        def show(fit: Fit) -> None:
            progress(name, fit.step_number, fit.steps, fit.history[-1])
            if through is not None and (fit.step_number % LOOK == 0 or fit.step_number == fit.steps):
                through.best.look()
            if self.run.due(CHECKPOINT_SECONDS):
                self._save(fit, through)

        return show


def _losses(values: Tensor) -> list[float]:
    if values.dim() != 1 or not values.is_floating_point() or not bool(values.isfinite().all()):
        raise ValueError("its losses are no row of numbers")
    return values.tolist()


def _like(value: Tensor, expected: Tensor) -> Tensor:
    if (value.shape, value.dtype) != (expected.shape, expected.dtype) or not bool(value.isfinite().all()):
        raise ValueError(f"its texture is {tuple(value.shape)}, {value.dtype}, or no number, unlike this run's")
    return value.to(expected.device)
