"""`neurotex fit` as a function: photographs of an object → its texture, files and figures."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import discrete, generators, storage
from ..errors import ArgumentError, SceneError
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
from .checkpoint import Checkpoint
from .optimise import Fit
from .search import BETAS, RATE, search_latent

# Adam's learning rate and momenta for each kind of parameter. A texel's gradient has hardly any noise, since every step
# sees all views: short memories converge fastest there.
RATES = {
    "pixels": (0.025, (0.5, 0.9)),  # from a start that is nearly there
    "stepped pixels": (0.05, (0.5, 0.9)),
    "latents": (RATE, BETAS),
    "weights": (0.006, (0.9, 0.99)),
    "steps": (0.005, (0.9, 0.99)),  # what discrete steps learn, such as the colours of a palette
}
STEPS = {"pixels": 12, "stepped pixels": 24, "latents": 200, "weights": 300, "both": 300}
CHECKPOINT_SECONDS = 10.0

GRID = 3  # samples per pixel in each direction: a fourth is no longer seen in what is fitted to photographs

# progress(stage's name, steps done, steps in all, loss or None while searching)
Progress = Callable[[str, int, int, float | None], None]


@dataclass(frozen=True)
class Options:
    """What to fit to what. `texture` is "pixels", a bundled generator's name or a checkpoint's path.

    `optimize` ("latents", "weights", "both") is for generators. `through` lists discrete steps ("palette:8") that the
    texture passes, in order; the first half of the steps then runs without them. `size` is the side of a pixel
    texture; `steps` defaults to what the kind of fit needs. `huber`, `ssim`, `prior` are those of `Fit`.
    """

    mesh: str
    views: str
    texture: str = "pixels"
    optimize: str = "latents"
    through: tuple[str, ...] = ()
    estimator: str = "straight_through"
    size: int = 512
    steps: int | None = None
    holdout: str | None = None
    seed: int = 0
    device: str = "cpu"
    huber: float | None = None
    ssim: float = 0.0
    prior: float = 0.0


class Interrupted(Exception):
    """The run was stopped by Ctrl-C; what it had done is in its checkpoint."""


@dataclass
class Stage:
    """A part of a run with parameters and a schedule of its own. `prepare` sets the start when it begins afresh."""

    name: str
    texture: Texture
    groups: list[dict]
    steps: int
    prepare: Callable[[Fit, Callable[[int, int], None]], None] | None = None


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
    described = {**asdict(options), "through": list(options.through)}
    checkpoint = Checkpoint.load(file) if resume else Checkpoint(described, 0, {})
    changed = [name for name, value in described.items() if checkpoint.options.get(name) != value]
    if changed:
        raise ArgumentError(f"{file} is of a run with another {', '.join(changed)}: repeat its options to resume it.")
    storage.make_folder(out / "textures")

    baking = time.perf_counter()
    baked = bake(plan.scene, plan.views.size, grid=GRID)
    fitting = time.perf_counter()
    history = _run_stages(plan, baked, checkpoint, file, progress or (lambda *_: None))
    fitted = time.perf_counter()

    texture = finish_texture(plan, baked)
    plan.material.base_color = ImageTexture(texture)
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
    report.write_outputs(out, plan, images, texture, history, metrics)
    metrics["seconds"] = round(time.perf_counter() - began, 3)
    storage.write_json(out / "metrics.json", metrics)
    return metrics


def make_plan(options: Options) -> Plan:
    """Read every input and build scene and stages. Raises a NeurotexError for whatever cannot be used."""
    if options.optimize not in ("latents", "weights", "both"):
        raise ArgumentError(f"--optimize {options.optimize} is unknown: choose latents, weights or both.")
    pixels = "stepped pixels" if options.through else "pixels"
    steps = STEPS[pixels if options.texture == "pixels" else options.optimize]
    steps = steps if options.steps is None else options.steps
    if steps < 1:
        raise ArgumentError(f"a fit takes at least 1 step, not {steps}.")
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
        styled = generators.StyleGenerator(generator) if hasattr(generator, "mapping") else generator
        latent = Latent(styled, "skin").sample(options.seed)
        source = GeneratedTexture(styled, latent)
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
        stepped = source
        for step in through:
            stepped = stepped.through(step)
        base.steps = max(steps // 2, 1)
        if options.texture == "pixels":
            groups = [_group("stepped pixels", source)]
        else:
            groups = [{**group, "lr": group["lr"] / 2} for group in base.groups]
        groups += [_group("steps", step) for step in through if list(step.parameters())]
        stages.append(Stage("through " + ", ".join(options.through), stepped, groups, max(steps - base.steps, 1)))
        stages[1].prepare = _calibrator(source, through)
    scene.to(device)
    for module in (source, *through):
        module.to(device)
    return Plan(options, scene, material, source, through, stages, views, holdout, generator, latent)


def finish_texture(plan: Plan, baked: BakedScene) -> Tensor:
    """The texture that ships: (3, H, W), 8 bits, after every step.

    Texels are padded and seams closed first, but not for `--optimize latents`: there the texture is what the generator
    makes of a latent, and nothing else.
    """
    with torch.no_grad():
        texture = plan.source.eval()()[0]
        if plan.generator is None or plan.options.optimize != "latents":
            size = tuple(texture.shape[1:])
            inside = torch.stack([seams.island_mask(mesh, size) for mesh in plan.scene.meshes()]).any(0)
            seen = baked.seen(size)
            texture = seams.fill_unknown(texture, inside | seen)
            for mesh in plan.scene.meshes():
                texture = seams.close_seams(texture, mesh, inside)
        for step in plan.through:
            texture = step.eval()(texture[None])[0]
        return (texture.clamp(0, 1) * 255).round() / 255


@torch.no_grad()
def holdout_psnr(plan: Plan) -> float:
    """Mean PSNR in dB on views that were not fitted, rendered with the scene as it is now."""
    views = plan.holdout
    scene = Scene(list(plan.scene.nodes), views.cameras, views.lights or list(plan.scene.lights))
    images = render(scene.to(plan.options.device), views.size)
    return float(losses.psnr(images, views.images.to(images)).mean())


def _run_stages(plan: Plan, baked: BakedScene, checkpoint: Checkpoint, file: Path, progress: Progress) -> list[float]:
    """Run the stages from the checkpoint on; returns the losses of all steps."""
    state = dict(checkpoint.state)
    past = state.pop("past", torch.zeros(0)).tolist()
    terms = {"huber": plan.options.huber, "ssim": plan.options.ssim, "prior": plan.options.prior}
    with _ctrl_c() as stopped:
        for number in range(checkpoint.stage, len(plan.stages)):
            stage = plan.stages[number]
            plan.material.base_color = stage.texture
            fit = Fit(plan.scene, plan.views, Adam(stage.groups), stage.steps, baked=baked, **terms)
            keeper = _Keeper(file, checkpoint.options, number, past, stopped)
            if state:
                fit.load_state_dict(state)
            elif stage.prepare is not None:
                stage.prepare(fit, keeper.while_searching(progress))
            fit.run(keeper.after_step(stage.name, progress))
            keeper.save(fit.state_dict())
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

    def save(self, state: dict[str, Tensor]) -> None:
        past = torch.tensor(self.past, dtype=torch.float64)
        Checkpoint(self.options, self.stage, {**state, "past": past}).save(self.file)
        self.saved = time.perf_counter()

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
            if self.stopped or time.perf_counter() - self.saved > CHECKPOINT_SECONDS:
                self.save(fit.state_dict())
            if self.stopped:
                raise Interrupted

        return show


@contextmanager
def _ctrl_c() -> Iterator[list]:
    """While inside, Ctrl-C fills the list that this yields, so that a step is never cut in two; a second one kills."""
    pressed: list[int] = []

    def note(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: signals are not ours to take
        yield pressed
        return
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _group(kind: str, module: nn.Module) -> dict:
    rate, betas = RATES[kind]
    return {"params": list(module.parameters()), "lr": rate, "betas": betas}


def _backprojector(source: PyramidTexture) -> Callable:
    def draw(fit: Fit, on_render: Callable) -> None:
        source.draw(backproject(fit.baked, fit.images, source.levels[-1].shape[-2:]))

    return draw


def _searcher(latent: Latent, seed: int) -> Callable:
    return lambda fit, on_render: search_latent(fit, latent, seed, on_render=on_render)


def _calibrator(source: Texture, through: list[discrete.Step]) -> Callable:
    @torch.no_grad()
    def calibrate(fit: Fit, on_render: Callable) -> None:
        value = source()
        for step in through:
            step.calibrate(value)
            value = step.hard(value)

    return calibrate


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1).to(name).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ArgumentError(f"device '{name}' cannot be used on this machine: try --device cpu.") from None
    return torch.device(name)
