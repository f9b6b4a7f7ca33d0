"""Optimising through a discrete step, with each estimator, beside applying the step afterwards."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

import neurotex as nt
from neurotex import discrete
from neurotex.discrete import Dither, Levels, Palette, Step
from neurotex.fit.adam import Adam
from neurotex.fit.best import Best
from neurotex.fit.finish import finish
from neurotex.fit.options import TEMPERATURE, Options
from neurotex.fit.plan import GRID, RATES, make_plan, stepped_group
from neurotex.fit.stages import LOOK
from neurotex.fit.starts import calibrate, start_codes
from neurotex.fit.validation import Reference
from neurotex.scene.export import pixels, shown_as_exported

from .fits import Validation
from .work import Data

STEPS = (
    "levels:2",
    "levels:3",
    "levels:4",
    "palette:4",
    "palette:8",
    "bayer:2",
    "blue_noise:2",
    "floyd_steinberg:2",
    "jpeg:20",
    "blocks:bc1",
)
DEFAULT = "search, then straight_through"


@dataclass
class Outcome:
    """A texture after a step (3, H, W), and the mean PSNR in dB of its hard render on views that no fit saw."""

    step: str
    how: str
    level: float
    texture: Tensor


class Bench:
    """One kind of fit without steps, of pixels or a generator's latents or weights, and what follows from it."""

    def __init__(
        self, data: Data, validation: Callable[[int], Validation], options: Options, imagined: int, steps: int
    ):
        self.options, self.steps = options, steps
        plan = make_plan(options)
        (stage,) = plan.stages
        baked = nt.bake(plan.scene, plan.views.size, grid=GRID)
        fit = nt.Fit(plan.scene, plan.views, Adam(stage.groups), stage.steps, baked=baked)
        stage.prepare(fit, lambda *_: None)
        fit.run()
        self.plan = plan
        (leaf,) = stage.leaves
        self.pixels = options.texture == "pixels"
        with torch.no_grad():
            made = leaf.eval()()
            self.texture = finish(plan, baked)[0]() if self.pixels else made
        self.validation = validation(self.texture.shape[-1])
        self.unconstrained = self.validation(self.texture[0])
        self.source = nt.ImageTexture(self.texture, trainable=True) if self.pixels else leaf.train()
        self.start = {name: value.clone() for name, value in self.source.state_dict().items()}
        plain = nt.ImageTexture(self.texture, leaf.wrap, False, *leaf.reading[1:])
        self.reference = Reference(plan.wearing([plain]), plan.views, imagined, options.seed, grid=GRID)

    def afterwards(self, name: str) -> Outcome:
        """The step applied to the fit without it, in the best way there is: see `_afterwards`."""
        found = [self._outcome(name, "afterwards", texture) for texture in self._afterwards(name)]
        return max(found, key=lambda outcome: outcome.level)

    def _afterwards(self, name: str) -> list[Tensor]:
        """Palettes by k-means of all texels and of those that are seen; blocks by our encoder and Pillow's."""
        step = discrete.parse(name)
        calibrate([step], self.texture, self.reference.baked)
        found = [step.hard(self.texture)]
        if isinstance(step, Palette):
            step.calibrate(self.texture)
            found.append(step.hard(self.texture))
        if isinstance(step, discrete.BlockCompress):
            found.append(_pillows_blocks(self.texture, step.format))
        return [texture.detach()[0] for texture in found]

    def through(self, name: str, estimator: str) -> Outcome:
        """The best iterate, by views that the fit imagined, of `steps` steps through the step."""
        searched = estimator == DEFAULT
        step = discrete.parse(name, "straight_through" if searched else estimator)
        groups = self._groups(step)
        self.source.load_state_dict(self.start)
        worn = self.source.train().through(step)
        scene, views, baked = self.plan.wearing([worn]), self.reference.views, self.reference.baked
        calibrate([step], self.texture, baked)
        best = Best(worn, self.reference.validation.score(scene))
        best.look()
        if searched and self.pixels:
            start_codes(baked, views.images, self.texture, self.source, step, best)
            best.restore()
        scene = scene.replace(cameras=views.cameras)
        fit = nt.Fit(scene, views, Adam(groups), self.steps, baked=baked.of(scene), temperature=TEMPERATURE)
        fit.run(lambda fit: best.look() if fit.step_number % LOOK == 0 or fit.step_number == fit.steps else None)
        best.restore()
        with shown_as_exported(worn):
            return self._outcome(name, estimator, worn()[0].clone())

    def _groups(self, step: Step) -> list[dict]:
        if self.pixels:
            groups = [stepped_group(self.source, [step])]
        else:
            groups = [{**group, "lr": group["lr"] / 10} for group in self.plan.stages[0].groups]
        rate, betas = RATES["steps"]
        return [*groups, {"params": list(step.parameters()), "lr": rate, "betas": betas}]

    def _outcome(self, step: str, how: str, texture: Tensor) -> Outcome:
        level = self.validation(texture)
        assert math.isfinite(level)
        return Outcome(step, how, level, texture)


def estimators(name: str) -> list[str]:
    """Those that the step takes; perturbation only where others have a bias to be compared with."""
    found = []
    for estimator in discrete.ESTIMATORS:
        try:
            discrete.parse(name, estimator)
        except nt.ArgumentError:
            continue
        found.append(estimator)
    return found


def searched(name: str) -> bool:
    """Whether a fit starts such a step from better codes than the nearest."""
    step = discrete.parse(name)
    return step.tile is not None or (isinstance(step, Levels | Palette) and not isinstance(step, Dither))


def _pillows_blocks(texture: Tensor, format: str) -> Tensor:
    """What Pillow's encoder makes of a texture (1, 3, H, W)."""
    file = io.BytesIO()
    nt.scene.to_image(texture[0]).save(file, "DDS", pixel_format={"bc1": "DXT1", "bc3": "DXT5"}[format])
    with Image.open(file) as image:
        return pixels(image, "RGB")[None].to(texture)
