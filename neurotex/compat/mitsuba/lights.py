"""Lights in Mitsuba's words."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch.nn.functional import pad

from ...errors import SceneError
from ...scene import (
    AmbientLight,
    AreaLight,
    Camera,
    DirectionalLight,
    EnvironmentLight,
    Flash,
    Light,
    PlacedLight,
    PointLight,
    RectangleLight,
    SphereLight,
)
from .draw import at_least_two


def emitters(mi: Any, lights: Iterable[Light], camera: Camera) -> dict[str, Any]:
    """Emitters by the names "light_0", "light_1", … of their lights, those from everywhere as one, "environment".

    A Flash is where `camera` is. Raises SceneError for a second EnvironmentLight, and for lights of unknown kinds.
    """
    lights = list(lights)
    found = {}
    for k, light in enumerate(lights):
        color = {"type": "rgb", "value": light.intensity.tolist()}
        if isinstance(light, PlacedLight | AreaLight) and not light.cast_shadows:
            warnings.warn(f"light {k} casts shadows in Mitsuba, where every light does.", stacklevel=3)
        if isinstance(light, Flash | PointLight):
            place = light.point(camera)[:3].tolist()
            found[f"light_{k}"] = {"type": "point", "position": place, "intensity": color}
        elif isinstance(light, DirectionalLight):
            found[f"light_{k}"] = {"type": "directional", "direction": light.direction.tolist(), "irradiance": color}
        elif isinstance(light, RectangleLight | SphereLight):
            found[f"light_{k}"] = {**_shape(mi, light), "emitter": {"type": "area", "radiance": color}}
        elif not isinstance(light, AmbientLight | EnvironmentLight):
            raise SceneError(f"light {k} is a {type(light).__name__}, which Mitsuba has no counterpart for: remove it.")
    return {**found, **_environment(mi, lights)}


def _shape(mi: Any, light: RectangleLight | SphereLight) -> dict[str, Any]:
    if isinstance(light, SphereLight):
        return {"type": "sphere", "center": light.position.tolist(), "radius": float(light.radius)}
    u, v = (light.edges.double() / 2).unbind(0)  # of Mitsuba's, which is 2 x 2
    columns = [u, v, torch.linalg.cross(u, v), light.position.double()]
    matrix = pad(torch.stack(columns, 1), (0, 0, 0, 1))
    matrix[3, 3] = 1
    return {"type": "rectangle", "to_world": mi.ScalarTransform4f(matrix.tolist())}


def moves(lights: Iterable[Light], camera: Camera) -> dict[str, list[float]]:
    """What changes for a camera: the parameters of the lights that follow it."""
    flashes = {k: light for k, light in enumerate(lights) if isinstance(light, Flash)}
    return {f"light_{k}.position": light.point(camera)[:3].tolist() for k, light in flashes.items()}


def _environment(mi: Any, lights: list[Light]) -> dict[str, Any]:
    """Mitsuba has room for one light from infinity in all directions: ambient light is added to the image, if any."""
    even = sum((light.intensity.cpu() for light in lights if isinstance(light, AmbientLight)), torch.zeros(3))
    images = [light for light in lights if isinstance(light, EnvironmentLight)]
    if len(images) > 1:
        raise SceneError("the scene has two EnvironmentLights, but Mitsuba takes one: add up their images.")
    if images:
        light = images[0]
        image = (light.image.detach() * light.intensity[:, None, None]).cpu() + even[:, None, None]
        pixels = at_least_two(image.movedim(0, -1)).float().contiguous().numpy()
        # the middle of Mitsuba's picture lies along +Z, of ours along −Z
        turn = mi.ScalarTransform4f().rotate([0, 1, 0], 180)
        return {"environment": {"type": "envmap", "bitmap": mi.Bitmap(pixels), "to_world": turn}}
    if bool((even > 0).any()):
        return {"environment": {"type": "constant", "radiance": {"type": "rgb", "value": even.tolist()}}}
    return {}
