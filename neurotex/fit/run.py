"""`neurotex fit` as a function: photographs of an object → its texture, files and figures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import discrete, generators, storage
from ..errors import ArgumentError, SceneError
from ..interrupts import Interrupted, ctrl_c
from ..renderers import BakedScene, bake, render
from ..scene import (
    AmbientLight,
    GeneratedTexture,
    ImageTexture,
    Latent,
    Material,
    PyramidTexture,
    Scene,
    Texture,
    Views,
)
from . import losses, report, seams
from .adam import Adam
from .backproject import backproject
from .best import Best
from .checkpoint import Checkpoint
from .optimise import Fit
from .rehearsal import Rehearsal, calibrate, start_codes
from .search import BETAS, RATE, search_latent

# Adam's learning rate and momenta for each kind of parameter. A texel's gradient has hardly any noise, since every step
# sees all views: short memories converge fastest there.
RATES = {
    "pixels": (0.025, (0.5, 0.9)),  # from a start that is nearly there
    "stepped pixels": (0.01, (0.9, 0.99)),  # in units of `Step.spacing`: codes are to change, a few at a time
    "latents": (RATE, BETAS),
    "weights": (0.006, (0.9, 0.99)),
    "steps": (0.001, (0.9, 0.99)),  # what discrete steps learn, such as the colours of a palette
}
STEPS = {"pixels": 12, "latents": 200, "weights": 300, "both": 300}
THROUGH_STEPS = 40
LOOK = 3  # steps from one look at what ships to the next
TEMPERATURE = (0.3, 0.01)
CHECKPOINT_SECONDS = 10.0

GRID = 3  # samples per pixel in each direction: a fourth is no longer seen in what is fitted to photographs

# progress(stage's name, steps done, steps in all, loss or None while searching)
Progress = Callable[[str, int, int, float | None], None]


@dataclass(frozen=True)
class Options:
    """What to fit to what. `texture` is "pixels", a bundled generator's name or a checkpoint's path.

    `optimize` ("latents", "weights", "both"), `space` (where latents lie: see `generators.LatentSpace`), `label` (the
    number of a class) are for generators. `through` lists discrete steps ("palette:8") that the texture passes, in
    order; the first half of `steps` then runs without them, the second with them and with `imagined` views of what the
    first has found beside the photographs. `temperature` is that of `Fit`. `size` is the side of a
    pixel texture; `steps` defaults to what the kind of fit needs. `huber`, `ssim`, `prior` are those of `Fit`.
    """

    mesh: str
    views: str
    texture: str = "pixels"
    optimize: str = "latents"
    space: str = "w"
    label: int | None = None
    through: tuple[str, ...] = ()
    estimator: str = "straight_through"
    temperature: tuple[float, float] = TEMPERATURE
    imagined: int = 24
    size: int = 512
    steps: int | None = None
    holdout: str | None = None
    seed: int = 0
    device: str = "cpu"
    huber: float | None = None
    ssim: float = 0.0
    prior: float = 0.0


@dataclass
class Stage:
    """A part of a run with parameters and a schedule of its own. `prepare` sets the start when it begins afresh."""

    name: str
    texture: Texture
    groups: list[dict]
    steps: int
    prepare: Callable[[Fit, Callable[[int, int], None]], None] | None = None
    rehearsed: bool = False  # whether it fits what passes discrete steps


@dataclass
class Plan:
    """Everything a run needs, read and checked: made before anything is written."""

    options: Options
    scene: Scene
    material: Material
    source: Texture
    through: list[discrete.Step]
    stages: list[Stage]
    views: Views
    holdout: Views | None
    generator: nn.Module | None = None
    latent: Latent | None = None


def fit_views(options: Options, out: str | Path, *, resume: bool = False, progress: Progress | None = None) -> dict:
    """Fit, write everything to the folder `out`, and return the metrics (also in `out/metrics.json`).

    Ctrl-C leaves `out/checkpoint.safetensors` and raises Interrupted; `resume=True` continues from it, exactly.
    """
    began = time.perf_counter()
    plan = make_plan(options)
    out = Path(out)
    file = out / "checkpoint.safetensors"
    described = {**asdict(options), "through": list(options.through), "temperature": list(options.temperature)}
    checkpoint = Checkpoint.load(file) if resume else Checkpoint(described, 0, {})
    changed = [name for name, value in described.items() if checkpoint.options.get(name) != value]
    if changed:
        raise ArgumentError(f"{file} is of a run with another {', '.join(changed)}: repeat its options to resume it.")
    storage.make_folder(out / "textures")
    if resume:
        storage.sweep(out)

    baking = time.perf_counter()
    baked = bake(plan.scene, plan.views.size, grid=GRID)
    fitting = time.perf_counter()
    history = _run_stages(plan, baked, checkpoint, file, progress or (lambda *_: None))
    fitted = time.perf_counter()

    plan.material.base_color = finished = finish(plan, baked)
    plan.scene.eval()
    with torch.no_grad():
        images = baked()
    metrics = {
        "train_psnr_db": float(losses.psnr(images, plan.views.images.to(images)).mean()),
        "holdout_psnr_db": None,
        "steps": len(history),
        "bake_seconds": round(fitting - baking, 3),
        "fit_seconds": round(fitted - fitting, 3),
    }
    if plan.holdout is not None:
        metrics["holdout_psnr_db"] = holdout_psnr(plan)
    report.write_outputs(out, plan, images, finished, history, metrics)
    metrics["seconds"] = round(time.perf_counter() - began, 3)
    storage.write_json(out / "metrics.json", metrics)
    return metrics


def make_plan(options: Options) -> Plan:
    """Read every input and build scene and stages. Raises a NeurotexError for whatever cannot be used."""
    if options.optimize not in ("latents", "weights", "both"):
        raise ArgumentError(f"--optimize {options.optimize} is unknown: choose latents, weights or both.")
    steps, more = STEPS["pixels" if options.texture == "pixels" else options.optimize], THROUGH_STEPS
    if options.steps is not None:
        if options.steps < 1:
            raise ArgumentError(f"a fit takes at least 1 step, not {options.steps}.")
        steps = max(options.steps // 2, 1) if options.through else options.steps
        more = max(options.steps - steps, 1)
    if options.imagined < 0:
        raise ArgumentError(f"--imagined {options.imagined} is no number of views: give 0 or more.")
    if not all(0 < t < math.inf for t in options.temperature):
        raise ArgumentError("--temperature needs two numbers above 0, the first and the last.")
    if options.huber is not None and not options.huber > 0:
        raise ArgumentError(f"--huber {options.huber:g} is no difference between colours: give a number above 0.")
    device = _device(options.device)
    discrete.find_estimator(options.estimator)  # also where there is no step to use it
    through = [discrete.parse(text, options.estimator) for text in options.through]
    views = Views.load(options.views)
    holdout = Views.load(options.holdout) if options.holdout else None

    generator, latent = None, None
    if options.texture == "pixels":
        source: Texture = PyramidTexture(options.size)
        base = Stage("pixels", source, [_group("pixels", source)], steps, _backprojector(source))
    else:
        generator = generators.load(options.texture)
        label = generators.one_hot(generator, options.label)
        styled = generators.LatentSpace(generator, options.space, label)
        latent = Latent(styled, "skin").sample(options.seed)
        source = GeneratedTexture(styled, latent).maps()["base_color"]  # photographs are taken to show diffuse surfaces
        styled.requires_grad_(options.optimize != "latents")  # also what its own training keeps frozen
        kinds = {"latents": [latent], "weights": [styled], "both": [latent, styled]}[options.optimize]
        groups = [_group("latents" if module is latent else "weights", module) for module in kinds]
        base = Stage(options.optimize, source, groups, steps, _searcher(latent, options.seed))

    material = Material(source)
    scene = Scene.load(options.mesh, material, views.cameras, views.lights or [AmbientLight(1.0)])
    for mesh in scene.meshes():
        if mesh.uvs is None:
            raise SceneError(
                f"{options.mesh} has no UVs: unwrap it (in Blender: UV > Smart UV Project) and export again."
            )

    stages = [base]
    if through:
        if options.texture == "pixels":  # each texel for itself: a code must not move its neighbours
            source = ImageTexture(source.eval()().detach(), trainable=True)
            groups = [stepped_group(source, through)]
        else:
            groups = [{**group, "lr": group["lr"] / 10} for group in base.groups]
        groups += [_group("steps", step) for step in through if list(step.parameters())]
        name = "through " + ", ".join(options.through)
        stages.append(Stage(name, _stepped(source, through), groups, more, rehearsed=True))
    scene.to(device)
    for module in (source, *through):
        module.to(device)
    return Plan(options, scene, material, source, through, stages, views, holdout, generator, latent)


@torch.no_grad()
def finish(plan: Plan, baked: BakedScene) -> Texture:
    """The texture that ships, as a node that has what passes the steps, and these.

    What was fitted through steps ships as it is, to the texel. Else it is rounded to 8 bits, and before that texels are
    padded and seams closed; but not for `--optimize latents`: there the texture is what the generator makes of a
    latent, and nothing else.
    """
    texture = plan.source.eval()()
    if plan.through:
        return _stepped(ImageTexture(texture), plan.through)
    if plan.generator is None or plan.options.optimize != "latents":
        texture = _closed(plan, baked, texture)
    return ImageTexture((texture.clamp(0, 1) * 255).round() / 255)


def _closed(plan: Plan, baked: BakedScene, texture: Tensor) -> Tensor:
    """The texture (1, C, H, W) with what no view sees and no face covers filled, and its seams closed."""
    texture, size = texture[0], tuple(texture.shape[2:])
    inside = torch.stack([seams.island_mask(mesh, size) for mesh in plan.scene.meshes()]).any(0)
    texture = seams.fill_unknown(texture, inside | baked.seen(size))
    for mesh in plan.scene.meshes():
        texture = seams.close_seams(texture, mesh, inside)
    return texture[None]


def _stepped(texture: Texture, steps: list[discrete.Step]) -> Texture:
    for step in steps:
        texture = texture.through(step)
    return texture


@torch.no_grad()
def holdout_psnr(plan: Plan) -> float:
    """Mean PSNR in dB on views that were not fitted, rendered with the scene as it is now."""
    views = plan.holdout
    scene = Scene(list(plan.scene.nodes), views.cameras, views.lights or list(plan.scene.lights))
    images = render(scene.to(plan.options.device), views.size)
    return float(losses.psnr(images, views.images.to(images)).mean())


def _run_stages(plan: Plan, baked: BakedScene, checkpoint: Checkpoint, file: Path, progress: Progress) -> list[float]:
    """Run the stages from the checkpoint on; returns the losses of all steps."""
    options, state = plan.options, dict(checkpoint.state)
    past = state.pop("past", torch.zeros(0)).tolist()
    terms = {"huber": options.huber, "ssim": options.ssim, "prior": options.prior, "seed": options.seed}
    with ctrl_c() as stopped:
        for number in range(checkpoint.stage, len(plan.stages)):
            stage = plan.stages[number]
            keeper = _Keeper(file, checkpoint.options, number, past, stopped)
            if stage.rehearsed:
                keeper.rehearse(plan, baked, stage, state)
                rehearsal = keeper.rehearsal
                about = (rehearsal.scene, rehearsal.views, Adam(stage.groups), stage.steps)
                fit = Fit(*about, baked=rehearsal.baked, temperature=options.temperature, **terms)
            else:
                plan.material.base_color = stage.texture
                fit = Fit(plan.scene, plan.views, Adam(stage.groups), stage.steps, baked=baked, **terms)
            if state:
                fit.load_state_dict(state)
            elif stage.prepare is not None:
                stage.prepare(fit, keeper.while_searching(progress))
            fit.run(keeper.after_step(stage.name, progress))
            keeper.save(fit.state_dict())
            if keeper.best is not None:
                keeper.best.restore()
            past, state = past + fit.history, {}
        if stopped:  # pressed after the last step
            raise Interrupted
    return past


@dataclass
class _Keeper:
    """Writes a stage's checkpoint every few seconds, and stops the stage once Ctrl-C was pressed."""

    file: Path
    options: dict
    stage: int
    past: list[float]
    stopped: list
    saved: float = field(default_factory=time.perf_counter)
    rehearsal: Rehearsal | None = None
    best: Best | None = None

    def save(self, state: dict[str, Tensor]) -> None:
        state = {**state, "past": torch.tensor(self.past, dtype=torch.float64)}
        if self.rehearsal is not None:
            state["without steps"] = self.rehearsal.texture
            state.update({f"best.{name}": value for name, value in self.best.state_dict().items()})
        Checkpoint(self.options, self.stage, state).save(self.file)
        self.saved = time.perf_counter()

    def rehearse(self, plan: Plan, baked: BakedScene, stage: Stage, state: dict[str, Tensor]) -> None:
        """Prepare a fit through steps: anew, or as it was when `state` was saved."""
        options = plan.options
        texture = state.pop("without steps", None)
        if texture is None:
            with torch.no_grad():
                texture = plan.stages[self.stage - 1].texture.eval()()
            plan.stages[self.stage - 1].texture.train()
            texture = _closed(plan, baked, texture).clamp(0, 1) if plan.generator is None else texture
        common = (plan.scene, plan.material, stage.texture, texture, plan.views, options.imagined)
        self.rehearsal = Rehearsal(*common, options.seed, grid=GRID)
        self.best = Best(stage.texture, self.rehearsal.score)
        kept = {name.removeprefix("best."): state.pop(name) for name in list(state) if name.startswith("best.")}
        if kept:
            self.best.load_state_dict(kept)
            return
        calibrate(self.rehearsal, plan.through)
        if plan.generator is None:
            plan.source.image.data.copy_(texture)
        self.best.look()
        if plan.generator is None and len(plan.through) == 1:
            start_codes(self.rehearsal, plan.source, plan.through[0], self.best)
            self.best.restore()

    def while_searching(self, progress: Progress) -> Callable[[int, int], None]:
        def show(done: int, total: int) -> None:
            progress("search", done, total, None)
            if self.stopped:
                self.save({})
                raise Interrupted

        return show

    def after_step(self, name: str, progress: Progress) -> Callable[[Fit], None]:
        def show(fit: Fit) -> None:
            progress(name, fit.step_number, fit.steps, fit.history[-1])
            if self.best is not None and (fit.step_number % LOOK == 0 or fit.step_number == fit.steps):
                self.best.look()
            if self.stopped or time.perf_counter() - self.saved > CHECKPOINT_SECONDS:
                self.save(fit.state_dict())
            if self.stopped:
                raise Interrupted

        return show


def _group(kind: str, module: nn.Module) -> dict:
    rate, betas = RATES[kind]
    return {"params": list(module.parameters()), "lr": rate, "betas": betas}


def stepped_group(source: ImageTexture, through: list[discrete.Step]) -> dict:
    """An optimiser's group for pixels that pass steps."""
    rate, betas = RATES["stepped pixels"]
    return {"params": list(source.parameters()), "lr": rate * min(step.spacing for step in through), "betas": betas}


def _backprojector(source: PyramidTexture) -> Callable:
    def draw(fit: Fit, on_render: Callable) -> None:
        source.draw(backproject(fit.baked, fit.images, source.levels[-1].shape[-2:]))

    return draw


def _searcher(latent: Latent, seed: int) -> Callable:
    return lambda fit, on_render: search_latent(fit, latent, seed, on_render=on_render)


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1).to(name).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ArgumentError(f"device '{name}' cannot be used on this machine: try --device cpu.") from None
    return torch.device(name)
