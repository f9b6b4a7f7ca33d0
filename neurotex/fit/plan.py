"""What a fit does, read and checked before anything is written: its inputs, its nodes, its stages."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from .. import discrete, generators
from ..core.options import check
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
from .options import Options
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

GRID = 3  # samples per pixel in each direction: a fourth is no longer seen in what is fitted to photographs


@dataclass(frozen=True)
class Target:
    """A material whose base colour is to be found; with the generator and the latent that make it, if any do."""

    material: Material
    generator: nn.Module | None = None
    latent: Latent | None = None


@dataclass(frozen=True)
class Stage:
    """A part of a run with parameters and a schedule of its own.

    `leaves` are what each target is made of; each passes its steps of `through`, if there are any, which makes
    `textures`. `groups` are the optimizer's. `prepare` sets the start when the stage begins afresh.
    """

    name: str
    leaves: tuple[Texture, ...]
    through: tuple[tuple[discrete.Step, ...], ...]
    groups: list[dict]
    steps: int
    prepare: Callable[[Fit, Callable[[int, int], None]], None] | None = None

    @cached_property
    def textures(self) -> tuple[Texture, ...]:
        """What the targets wear."""
        return tuple(stepped(leaf, steps) for leaf, steps in zip(self.leaves, self.through, strict=True))

    @property
    def stepped(self) -> bool:
        """Whether textures pass discrete steps."""
        return any(self.through)


@dataclass(frozen=True)
class Plan:
    """Everything a run needs, read and checked. `scene` is never changed: others wear what is made on the way."""

    options: Options
    scene: Scene
    targets: tuple[Target, ...]
    stages: tuple[Stage, ...]
    views: Views
    holdout: Views | None

    def wearing(self, textures: Sequence[Texture]) -> Scene:
        """The scene with these textures on its targets, one for each."""
        pairs = zip(self.targets, textures, strict=True)
        return self.scene.replace(
            materials={target.material: target.material.replace(base_color=texture) for target, texture in pairs}
        )


def make_plan(options: Options) -> Plan:
    """Read every input and build scene and stages. Raises a NeurotexError for whatever cannot be used."""
    _check(options)
    device = _device(options.device)
    discrete.find_estimator(options.estimator)  # also where there is no step to use it
    through = tuple(discrete.parse(text, options.estimator) for text in options.through)
    views = Views.load(options.views)
    holdout = Views.load(options.holdout) if options.holdout else None
    steps, more = _steps(options)

    generator, latent = None, None
    if options.texture == "pixels":
        source: Texture = PyramidTexture(options.size)
        groups, prepare = [_group("pixels", source)], _backprojector(source)
    else:
        generator = generators.load(options.texture)
        label = generators.one_hot(generator, options.label)
        styled = generators.LatentSpace(generator, options.space, label)
        latent = Latent(styled, "skin").sample(options.seed)
        source = GeneratedTexture(styled, latent).maps()["base_color"]  # photographs are taken to show diffuse surfaces
        styled.requires_grad_(options.optimize != "latents")  # also what its own training keeps frozen
        kinds = {"latents": [latent], "weights": [styled], "both": [latent, styled]}[options.optimize]
        groups = [_group("latents" if module is latent else "weights", module) for module in kinds]
        prepare = _searcher(latent, options.seed)
    name = "pixels" if generator is None else options.optimize
    stages = [Stage(name, (source,), ((),), groups, steps, prepare)]

    material = Material(source)
    scene = Scene.load(options.mesh, None, views.cameras, views.lights or [AmbientLight(1.0)])
    check_uvs(scene, options.mesh)
    scene = scene.replace(materials=dict.fromkeys(scene.materials(), material))

    if through:
        leaf = source
        if generator is None:  # each texel for itself: a code must not move its neighbours
            leaf = ImageTexture(source.eval()().detach(), trainable=True)
            groups = [stepped_group(leaf, through)]
        else:
            groups = [{**group, "lr": group["lr"] / 10} for group in groups]
        groups += [_group("steps", step) for step in through if list(step.parameters())]
        stages.append(Stage("through " + ", ".join(options.through), (leaf,), (through,), groups, more))
    scene.to(device)
    for stage in stages:
        for module in (*stage.leaves, *(step for steps in stage.through for step in steps)):
            module.to(device)
    return Plan(options, scene, (Target(material, generator, latent),), tuple(stages), views, holdout)


def stepped(texture: Texture, steps: Sequence[discrete.Step]) -> Texture:
    """The texture through steps, in order."""
    for step in steps:
        texture = texture.through(step)
    return texture


def stepped_group(source: ImageTexture, through: Sequence[discrete.Step]) -> dict:
    """An optimiser's group for pixels that pass steps."""
    rate, betas = RATES["stepped pixels"]
    return {"params": list(source.parameters()), "lr": rate * min(step.spacing for step in through), "betas": betas}


def _check(options: Options) -> None:
    check(options)
    if options.optimize not in ("latents", "weights", "both"):
        raise ArgumentError(f"--optimize {options.optimize} is unknown: choose latents, weights or both.")
    if not all(0 < t < math.inf for t in options.temperature):
        raise ArgumentError("--temperature needs two numbers above 0, the first and the last.")
    if options.huber is not None and not options.huber > 0:
        raise ArgumentError(f"--huber {options.huber:g} is no difference between colours: give a number above 0.")


def _steps(options: Options) -> tuple[int, int]:
    """Steps without and through discrete steps."""
    if options.steps is None:
        return STEPS["pixels" if options.texture == "pixels" else options.optimize], THROUGH_STEPS
    first = max(options.steps // 2, 1) if options.through else options.steps
    return first, max(options.steps - first, 1)


def _group(kind: str, module: nn.Module) -> dict:
    rate, betas = RATES[kind]
    return {"params": list(module.parameters()), "lr": rate, "betas": betas}


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
