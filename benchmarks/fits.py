"""How fast and how far a texture is found from photographs, measured on views that no fit saw.

The clock stops while a texture is measured. It starts once photographs and libraries are in memory and compiled code is
at hand; reading the mesh, baking and building trees count.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import torch
from PIL import Image
from torch import Tensor

import neurotex as nt
from neurotex.fit.adam import Adam
from neurotex.fit.finish import finish
from neurotex.fit.options import Options
from neurotex.fit.plan import GRID, make_plan
from neurotex.scene.export import pixels

from . import with_mitsuba
from .work import Data, Scale

# azimuth, elevation in degrees: between those of the photographs
UNSEEN = ((15, 35), (52, -10), (105, 5), (137, 40), (195, -18), (228, 12), (285, 65), (338, 0))


@dataclass
class Trace:
    """Seconds on the clock and mean PSNR in dB after each step."""

    seconds: list[float] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)

    def until(self, level: float) -> float | None:
        """Seconds to the first step that reaches `level`."""
        return next((s for s, found in zip(self.seconds, self.levels, strict=True) if found >= level), None)

    @property
    def plateau(self) -> float:
        """The best level."""
        return max(self.levels)


class Validation:
    """Renders textures from views that were not fitted."""

    def __init__(self, data: Data, views: nt.Views, side: int):
        self.texture = nt.ImageTexture(torch.zeros(3, side, side))
        self.baked = nt.bake(data.scene(self.texture, views), views.size)
        self.images = views.images

    @torch.no_grad()
    def __call__(self, texture: Tensor) -> float:
        """Mean PSNR in dB of a texture (3, side, side), sRGB-encoded pixels over black."""
        self.texture.image.copy_(texture)
        return float(nt.losses.psnr(self.baked(), self.images).mean())


def unseen_views(data: Data, mi: object | None, scale: Scale) -> tuple[nt.Views, str]:
    """Views to measure by, and who made them: Mitsuba in this run, else our own renderer; or the folder's own."""
    if data.truth is None:
        if data.holdout is None:
            raise nt.FileError(f"{data.folder} needs the texture as .png, or photographs in holdout/ to measure by.")
        return _first(nt.Views.load(data.holdout), scale.views), "its own photographs"
    views = data.views
    first = views.cameras[0]
    cameras = [_camera(*angles, float(first.position.norm()), first.fov) for angles in UNSEEN[: scale.views]]
    names = [f"unseen_{k}" for k in range(len(cameras))]
    truth = nt.ImageTexture(pixels(Image.open(data.truth), "RGB"))
    if mi is None:
        with torch.no_grad():
            images, maker = nt.render(data.scene(truth, views), views.size, grid=8, cameras=cameras), "our renderer"
    else:
        stage = with_mitsuba.Stage(mi, data.mesh, cameras, views.lights[0], views.size[0], truth.image[0])
        images, maker = stage.photographs(scale.samples), "Mitsuba"
    return replace(views, cameras=cameras, names=names, images=images), maker


def ours(data: Data, scale: Scale, validation: Validation, steps: int | None = None) -> Trace:
    """`neurotex fit` of plain pixels, without its files; by default in as many steps as it takes."""
    plan = make_plan(Options(mesh=str(data.mesh), views=str(data.photographs), size=scale.texture, steps=steps))
    plan = replace(plan, views=_first(plan.views, scale.views))
    (stage,), (target,), (texture,) = plan.stages, plan.targets, plan.stages[0].textures

    def textures() -> Iterator[Tensor]:
        scene = data.scene(target.material, plan.views)  # reading the mesh counts
        baked = nt.bake(scene, plan.views.size, grid=GRID)
        fit = nt.Fit(scene, plan.views, Adam(stage.groups), stage.steps, baked=baked)
        stage.prepare(fit, lambda *_: None)
        yield texture().detach()[0]
        while fit.step_number < fit.steps:
            fit.step()
            yield texture().detach()[0]
        yield finish(replace(plan, scene=scene), baked)[0]().detach()[0]

    return _trace(textures(), validation)


def mitsubas(mi: object, data: Data, scale: Scale, validation: Validation, steps: int = with_mitsuba.STEPS) -> Trace:
    """Mitsuba's fit of a bitmap, with one step of another stage before the clock starts: it compiles at first use."""
    views = _first(data.views, scale.views)
    grey = torch.full((3, scale.texture, scale.texture), 0.5)

    def run(count: int) -> Iterator[Tensor]:
        stage = with_mitsuba.Stage(mi, data.mesh, views.cameras, views.lights[0], views.size[0], grey)
        yield from with_mitsuba.fit(stage, views.images, count)

    next(run(1))
    return _trace(run(steps), validation)


def _first(views: nt.Views, count: int) -> nt.Views:
    return replace(views, cameras=views.cameras[:count], images=views.images[:count], names=views.names[:count])


def _trace(textures: Iterable[Tensor], validation: Validation) -> Trace:
    trace, clock = Trace(), 0.0
    began = time.perf_counter()
    for texture in textures:
        clock += time.perf_counter() - began
        trace.seconds.append(clock)
        trace.levels.append(validation(texture))
        began = time.perf_counter()
    return trace


def _camera(azimuth: float, elevation: float, distance: float, fov: float) -> nt.PerspectiveCamera:
    a, e = math.radians(azimuth), math.radians(elevation)
    eye = distance * torch.tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    return nt.PerspectiveCamera(nt.look_at(eye), fov)
