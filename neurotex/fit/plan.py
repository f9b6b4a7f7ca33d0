"""What a fit does, read and checked before anything is written: its inputs, its nodes, its stages."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import nn

from .. import discrete, generators
from ..errors import ArgumentError
from ..renderers import BakedMatrix
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
from .backproject import backproject
from .optimise import Fit
from .search import BETAS, RATE, search_latent
from .uvs import check_uvs

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
TEMPERATURE = (0.3, 0.01)

GRID = 3  # samples per pixel in each direction: a fourth is no longer seen in what is fitted to photographs


@dataclass(frozen=True)
class Options:
    """What to fit to what. `texture` is "pixels", a bundled generator's name or a checkpoint's path.

    `optimize` ("latents", "weights", "both"), `space` (where latents lie: see `generators.LatentSpace`), `label` (the
    number of a class) are for generators. `through` lists discrete steps ("palette:8") that the texture passes, in
    order; the first half of `steps` then runs without them, the second with them and with `imagined` views of what the
    first has found beside the photographs. `temperature` is that of `Fit`. `size` is the side of a
    pixel texture; `steps` defaults to what the kind of fit needs. `huber`, `ssim`, `prior` are those of `Fit`.

    `views` and `holdout` are sets of photographs (see `Views.load`), of which the latter only measure; `mesh` is a file
    of the shape that they show. `estimator` is that of the steps, `device` where to compute.
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
    """Everything a run needs, read and checked."""

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


def make_plan(options: Options) -> Plan:
    """Read every input and build scene and stages. Raises a NeurotexError for whatever cannot be used."""
    for name, value in ((field.name, getattr(options, field.name)) for field in fields(options)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ArgumentError(f"--{name} {value} is no number: give a finite one.")
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
    scene = Scene.load(options.mesh, None, views.cameras, views.lights or [AmbientLight(1.0)])
    check_uvs(scene, options.mesh)
    for mesh in scene.meshes():
        mesh.material = material

    stages = [base]
    if through:
        if options.texture == "pixels":  # each texel for itself: a code must not move its neighbours
            source = ImageTexture(source.eval()().detach(), trainable=True)
            groups = [stepped_group(source, through)]
        else:
            groups = [{**group, "lr": group["lr"] / 10} for group in base.groups]
        groups += [_group("steps", step) for step in through if list(step.parameters())]
        name = "through " + ", ".join(options.through)
        stages.append(Stage(name, stepped(source, through), groups, more, rehearsed=True))
    scene.to(device)
    for module in (source, *through):
        module.to(device)
    return Plan(options, scene, material, source, through, stages, views, holdout, generator, latent)


def stepped(texture: Texture, steps: list[discrete.Step]) -> Texture:
    """The texture through steps, in order."""
    for step in steps:
        texture = texture.through(step)
    return texture


def _group(kind: str, module: nn.Module) -> dict:
    rate, betas = RATES[kind]
    return {"params": list(module.parameters()), "lr": rate, "betas": betas}


def stepped_group(source: ImageTexture, through: list[discrete.Step]) -> dict:
    """An optimiser's group for pixels that pass steps."""
    rate, betas = RATES["stepped pixels"]
    return {"params": list(source.parameters()), "lr": rate * min(step.spacing for step in through), "betas": betas}


def _backprojector(source: PyramidTexture) -> Callable:
    def draw(fit: Fit, on_render: Callable) -> None:
        assert isinstance(fit.baked, BakedMatrix)  # photographs are taken to show diffuse surfaces
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
