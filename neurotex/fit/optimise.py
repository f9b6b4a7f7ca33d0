"""The loop that moves parameters until the renders look like the photographs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor

from ..core import checked
from ..core.interrupts import stoppable
from ..core.memory import memory_for
from ..core.progress import Bar
from ..discrete import Estimator, Perturbation, Step, expected_loss
from ..discrete.estimators.protocol import Tempered
from ..errors import ArgumentError, SceneError
from ..renderers import BakedScene, bake
from ..scene import Scene, Views
from .adam import Adam
from .objective import Objective

WARM_UP = 5  # steps over which the learning rate rises: Adam's first estimates of scale are poor


class Fit:
    """A fit of everything `optimizer` holds, to `views`, in `steps` full-batch steps.

        fit = nt.Fit(scene, views, torch.optim.Adam(latent.parameters(), lr=0.05), steps=200)
        fit.run()

    The scene is baked once (its cameras must be the views'); each step renders all views. The loss is that of
    `losses.photometric` with `huber` and `ssim`, plus `prior` times `losses.latent_prior` of every bound latent. The
    learning rates that the optimizer came with rise over a few steps and fall to 0 along a half cosine. `losses` of
    the run so far are in `history`. `state_dict` and `load_state_dict` stop and continue a run exactly.

    Of discrete steps in the scene: `temperature` (first, last) is where their estimators' temperatures go, by a
    constant factor from step to step, in units of each step (`Step.unit`); without it they stay. What estimators draw
    at random depends on `seed` and the number of the step alone. Score-function steps compare `draws` renders.

    The bake takes `grid` × `grid` samples per pixel. ArgumentError for numbers out of these ranges, other numbers of
    cameras and views, and LBFGS; SceneError where no view sees a mesh, or nothing of what the optimizer holds.
    """

    # 12 parameters: four say what is fitted, the others have defaults and are named
    def __init__(
        self,
        scene: Scene,
        views: Views,
        optimizer: torch.optim.Optimizer | Adam,
        steps: int,
        *,
        huber: float | None = None,
        ssim: float = 0.0,
        prior: float = 0.0,
        temperature: tuple[float, float] | None = None,
        draws: int = 4,
        seed: int = 0,
        grid: int = 4,
        baked: BakedScene | None = None,
    ):
        if len(scene.cameras) != len(views.cameras):
            raise ArgumentError(
                f"the scene has {len(scene.cameras)} cameras, but there are {len(views.cameras)} views."
            )
        if steps < 1:
            raise ArgumentError(f"a fit takes at least 1 step, not {steps}.")
        if isinstance(optimizer, torch.optim.LBFGS):
            raise ArgumentError("LBFGS renders as often as it likes within a step: give an optimizer such as Adam.")
        if temperature is not None and not all(0 < t < math.inf for t in temperature):
            raise ArgumentError(
                f"temperatures are above 0, but this fit is to go from {temperature[0]} to {temperature[1]}."
            )
        self.scene = scene
        self.optimizer = optimizer
        self.temperature, self.draws, self.seed = temperature, draws, seed
        self.steps = steps
        self.baked = bake(scene, views.size, grid=grid) if baked is None else baked
        if len(self.baked.pixel) == 0:
            raise SceneError("no view sees any mesh: mesh and cameras must share one space and one unit of length.")
        self.history: list[float] = []
        self._rates = [group["lr"] for group in optimizer.param_groups]
        self.objective = Objective(scene, self.baked, views.images, huber=huber, ssim=ssim, prior=prior)

    @property
    def images(self) -> Float[Tensor, "views channels h w"]:
        """The photographs, in the precision and on the device of the bake."""
        return self.objective.images

    @property
    def step_number(self) -> int:
        """Steps done."""
        return len(self.history)

    def memory(self) -> AbstractContextManager:
        """A context in which memory that runs out is told as this fit's: OutOfMemoryError."""
        count, _, height, width = self.images.shape
        what = f"a step of a fit to {count} views of {width} x {height} pixels"
        return memory_for(what, "give fewer or smaller views, or a smaller texture or generator")

    def loss(self) -> Tensor:
        """The loss now, as a tensor with a gradient."""
        return self.objective()

    def step(self) -> float:
        """One step of the optimizer; returns the loss before it.

        ArgumentError where the loss is no longer finite, and where torch records no gradients.
        """
        checked.gradients("a fit")
        done = self.step_number
        factor = min(1.0, (done + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done / self.steps))
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        if self.temperature is not None:
            self._set_temperatures(*self.temperature, done / max(self.steps - 1, 1))
        with self.memory():
            self.optimizer.zero_grad()
            with torch.random.fork_rng():
                torch.manual_seed((self.seed * 1_000_003 + done) % 2**63)
                loss = expected_loss(self.loss, self.scene, self.draws)
            value = float(loss.detach())  # read once: a GPU is waited for
            if not math.isfinite(value):
                raise ArgumentError(f"the loss is {value} at step {done + 1}: {self._remedy()}.")
            if loss.requires_grad:
                loss.backward()
            if all(p.grad is None for group in self.optimizer.param_groups for p in group["params"]):
                raise SceneError(
                    "nothing of what the optimizer holds is seen: give it parameters of the scene's textures, as in "
                    "torch.optim.Adam(latent.parameters())."
                )
            self.optimizer.step()
        self.history.append(value)
        return value

    def _remedy(self) -> str:
        """What may help where the loss is no longer finite."""
        if any(p.dtype == torch.float16 for group in self.optimizer.param_groups for p in group["params"]):
            return "optimizers lose small gradients in float16, give them bfloat16 or float32"
        return "lower the learning rate or check inputs"

    def _set_temperatures(self, first: float, last: float, progress: float) -> None:
        """Those at a share `progress` of the way: first^(1 − p) last^p."""
        for step, estimator in self._estimators():
            if isinstance(estimator, Tempered):
                estimator.temperature = step.unit * first * (last / first) ** progress

    def _estimators(self) -> list[tuple[Step, Estimator]]:
        return [(module, module.estimator) for module in self.scene.modules() if isinstance(module, Step)]

    def run(self, on_step: Callable[[Fit], None] | None = None, progress: bool | None = None) -> list[float]:
        """Do the steps that are left, calling `on_step(self)` after each; returns the history of losses.

        Ctrl-C and SIGTERM end the step first, then raise `Interrupted`, a KeyboardInterrupt: `state_dict()` is whole,
        and another `run()` goes on. Where `on_step` is given, `progress` (see `core.progress`) is shown only if asked
        for.
        """
        with stoppable() as stop, Bar("fit", self.steps, progress if on_step is None else bool(progress)) as bar:
            while self.step_number < self.steps:
                loss = self.step()
                bar(self.step_number, f"loss {loss:.2e}")
                if on_step is not None:
                    on_step(self)
                stop.check()
        return self.history

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to continue: scene parameters, optimizer moments, history. Plain tensors by name."""
        state = {f"scene.{name}": p.detach() for name, p in self.scene.named_parameters()}
        for number, moments in self.optimizer.state_dict()["state"].items():
            state.update({f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in moments.items()})
        state["history"] = torch.tensor(self.history, dtype=torch.float64)
        calls = [estimator.calls for _, estimator in self._estimators() if isinstance(estimator, Perturbation)]
        state["calls"] = torch.tensor(calls, dtype=torch.int64)  # their draws count on
        return state

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue from `state`, which `state_dict` returned for the same scene and optimizer.

        ArgumentError if it is of another fit; nothing is changed then.
        """
        parameters = dict(self.scene.named_parameters())
        for name, parameter in parameters.items():
            _check_like(state, f"scene.{name}", parameter)
        moved = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key in state:
            if key.startswith("optimizer."):
                number, _, name = key.removeprefix("optimizer.").partition(".")
                if not number.isdecimal() or int(number) >= len(moved):
                    raise ArgumentError(f"this state is of another fit: there is no parameter for its {key}.")
                if state[key].dim():  # as large as what it is of, or one number, such as a count
                    _check_like(state, key, moved[int(number)])
                moments.setdefault(int(number), {})[name] = state[key].clone()
        history, calls = (state.get(name) for name in ("history", "calls"))
        perturbed = [estimator for _, estimator in self._estimators() if isinstance(estimator, Perturbation)]
        if history is None or history.dim() != 1 or len(history) > self.steps or not bool(history.isfinite().all()):
            raise ArgumentError(f"this state is of another fit: its history has no losses of up to {self.steps} steps.")
        if calls is None or (calls.shape, calls.dtype) != ((len(perturbed),), torch.int64):
            raise ArgumentError(f"this state is of another fit: it has no draws of {len(perturbed)} estimators.")
        if bool(moments) != bool(len(history)) or len({frozenset(each) for each in moments.values()}) > 1:
            raise ArgumentError("this state is of another fit: it lacks some of the optimizer's.")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        for name, parameter in parameters.items():
            parameter.copy_(state[f"scene.{name}"])
        self.history = history.tolist()
        for estimator, count in zip(perturbed, calls.tolist(), strict=True):
            estimator.calls = count


def _check_like(state: dict[str, Tensor], key: str, expected: Tensor) -> None:
    found = state.get(key)
    if found is None or (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise ArgumentError(
            f"this state is of another fit: it has no {key} of shape {tuple(expected.shape)} and {expected.dtype}."
        )
    if not bool(found.isfinite().all()):
        raise ArgumentError(f"this state cannot be continued: its {key} has values that are no numbers.")
