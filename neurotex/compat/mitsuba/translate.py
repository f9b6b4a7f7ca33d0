"""A neurotex Scene as a dictionary for mi.load_dict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...errors import ArgumentError
from ...renderers.direct import check_scene
from ...scene import AmbientLight, EnvironmentLight, Evaluation, Latents, Light, Scene
from .lights import emitters
from .sensors import sensors
from .surfaces import surfaces
from .variant import find_mitsuba, fits, fitting, using

Integrator = str | Mapping[str, Any]


def to_mitsuba(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    integrator: Integrator = "direct",
    max_depth: int = 6,
    latents: Latents | None = None,
) -> dict[str, Any]:
    """The scene as it is now, as Mitsuba describes scenes: edit it, then mi.load_dict makes a mitsuba.Scene of it.

    Its entries are "integrator", sensors "camera_0", …, emitters "light_0", … and "environment", and meshes
    "surface_0", …, one per material; those are made already, and belong to the active variant. If none is active,
    llvm_ad_rgb or cuda_ad_rgb becomes so. A Flash is put at the first camera. `integrator` and `max_depth` are
    `MitsubaRenderer`'s, as is what is refused. Raises ArgumentError while another kind of variant is active. `size` is
    the side of a square film or (height, width), pixels; `latents` gives values to latents by name.
    """
    size = check_scene(scene, size, 1)
    device = scene.geometry().vertices.device
    active = find_mitsuba().variant()
    if active is not None and not fits(active, device):
        raise ArgumentError(
            f"a scene on {device.type} becomes one of Mitsuba's variant {fitting(device)}, but {active} is active: "
            f"call mitsuba.set_variant('{fitting(device)}') first."
        )
    with Evaluation(latents) as evaluation:
        values = [material.values(evaluation) for material in scene.materials()]
    with using(fitting(device)) as mi:
        world = describe(mi, scene, values, how(integrator, max_depth, scene.lights))
        return {**world, **sensors(mi, list(scene.cameras), scene.bounds(), size)}


def describe(
    mi: Any, scene: Scene, values: Sequence[Mapping[str, Tensor]], integrator: Mapping[str, Any]
) -> dict[str, Any]:
    """`to_mitsuba` without sensors, with given values of the materials' maps."""
    return {
        "type": "scene",
        "integrator": dict(integrator),
        **emitters(mi, scene.lights, scene.cameras[0]),
        **surfaces(mi, scene, values),
    }


def how(integrator: Integrator, max_depth: int, lights: Iterable[Light]) -> Mapping[str, Any]:
    """The integrator that "direct" or "path" stands for; Mitsuba's own words pass."""
    if isinstance(integrator, Mapping):
        return integrator
    if integrator == "direct":
        # no ray that follows the surface can meet a point or a direction
        spread = any(isinstance(light, AmbientLight | EnvironmentLight) for light in lights)
        return {"type": "direct", "emitter_samples": 1, "bsdf_samples": int(spread), "hide_emitters": True}
    if integrator == "path":
        return {"type": "prb", "max_depth": max_depth, "hide_emitters": True}
    raise ArgumentError(f"the integrator is 'direct', 'path' or a dictionary for mi.load_dict, not {integrator!r}.")
