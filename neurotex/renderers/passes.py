"""What a renderer knows besides colour: depth, normals and the like, as named images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..core.memory import memory_for
from ..core.precision import uncast
from ..scene import AmbientLight, Camera, Latents, Light, Scene, resolution
from ..scene.check import check_cameras
from ..scene.graph import check_is_scene
from ..shading.sides import facing
from .budget import BUDGET, Strip, strips
from .direct import described
from .gbuffer import GBuffer, View
from .lighting import TINY, Lighting
from .maps import SceneMaps
from .radiance import mapped_normal
from .stage import Stage

RAYS = 256  # for each pixel, to a light that is many points; such a light has 16 of them by default


@dataclass(frozen=True)
class Passes:
    """What each pixel's centre sees, in every view; 0 where it sees nothing, numbers −1."""

    mask: Bool[Tensor, "views 1 h w"]
    depth: Float[Tensor, "views 1 h w"]
    """Along the view axis, scene units."""
    position: Float[Tensor, "views 3 h w"]
    """In the world."""
    normal: Float[Tensor, "views 3 h w"]
    """Unit, in the world, turned towards the camera; with its normal map."""
    uv: Float[Tensor, "views 2 h w"]
    face: Int[Tensor, "views 1 h w"]
    """Index into the faces of `scene.geometry()`."""
    material: Int[Tensor, "views 1 h w"]
    """Index into `scene.materials()`."""
    albedo: Float[Tensor, "views 3 h w"]
    """base_color as linear light, times vertex colours, without any shading."""
    shadow: Float[Tensor, "views lights h w"]
    """The share of each of the scene's lights that arrives, in [0, 1], 0 where a surface is turned away from it. No
    channels unless `shadows` are asked for, as in what follows."""
    occlusion: Float[Tensor, "views channels h w"]
    """The share of even light from everywhere that arrives: 1 in the open, less in corners."""


def render_passes(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    cameras: Iterable[Camera] | Camera | None = None,
    lights: Iterable[Light] | Light | None = None,
    shadows: bool = False,
    latents: Latents | None = None,
) -> Passes:
    """Depth, position, normal, UV, face, material and albedo of every view of a scene; it needs no light.

    `cameras` and `lights`, if given, stand in for the scene's own. With `shadows` it also finds out what keeps light
    away, by one ray for each pixel and light, and 256 where the light has an extent or comes from everywhere.

    One sample per pixel, at its centre: averages of depths or face numbers over an edge would mean nothing.
    Differentiable in vertices and textures, but not through visibility. `size` is the side of a square image or
    (height, width), pixels; `latents` gives values to latents by name.
    """
    check_is_scene(scene)
    scene = scene.replace(cameras=cameras, lights=lights)
    check_cameras(scene)
    size = resolution(size)
    with memory_for(f"drawing the passes of {described(scene, size)}", "turn down size, or give fewer cameras"):
        geometry = scene.geometry()
        maps = SceneMaps(scene, latents, geometry.vertices)
        with uncast(geometry.vertices.device):
            stage = Stage.of(scene.replace(lights=[]), geometry, maps, 1)
            views = [_whole(View.of(stage, camera, size, 1), scene, shadows) for camera in scene.cameras]
        return Passes(**{name: torch.stack([view[name] for view in views]) for name in views[0]})


def _whole(view: View, scene: Scene, shadows: bool) -> dict[str, Tensor]:
    """The passes of a view, by name."""
    like = view.geometry.vertices
    lights = {"shadow": list(scene.lights), "occlusion": [AmbientLight(1.0, cast_shadows=True)]}
    asked = {
        name: [Lighting.of([light], like, times=RAYS // 16) for light in some if shadows]
        for name, some in lights.items()
    }
    parts = [_seen(strip, asked) for strip in strips(view, BUDGET)]
    return parts[0] if len(parts) == 1 else {name: torch.cat([part[name] for part in parts], 1) for name in parts[0]}


def _seen(strip: Strip, asked: Mapping[str, list[Lighting]]) -> dict[str, Tensor]:
    """Those of some rows; by `asked`, what arrives of some lights each."""
    view, top, rows = strip
    found = view.gbuffer(top, rows)
    surface, values = found.surface, view.maps.values(found.taps)
    camera, eye = view.camera, view.camera.eye.to(found.surface.position)
    if "normal" in values:
        normal = mapped_normal(surface, values["normal"], eye)
    else:
        _, normal = facing(surface.normal, surface.position, eye)
    back = camera.transform[:3, 2].to(surface.position)
    depth = ((camera.position.to(back) - surface.position) * back).sum(1, keepdim=True)
    named = {"depth": depth, "position": surface.position, "normal": normal, "uv": surface.uv}
    named["albedo"] = surface.tinted(values["base_color"])
    for name, lights in asked.items():
        shares = [_arriving(found, view, light) for light in lights]
        named[name] = torch.cat([surface.position[:, :0], *shares], 1)
    size = (rows, view.size[1])
    images = {name: _image(value, surface.pixel, size, 0) for name, value in named.items()}
    for name in ("face", "material"):
        images[name] = _image(getattr(surface, name).long()[:, None], surface.pixel, size, -1)
    return {**images, "mask": images["face"] >= 0}


@torch.no_grad()
def _arriving(found: GBuffer, view: View, lights: Lighting) -> Float[Tensor, "n 1"]:
    """The share of the light of some that reaches each sample."""
    light = lights.at(view.camera)
    free = found.transport(light).sum(1, keepdim=True)
    arrived = found.shadowed(view.stage.occluders, light).transport(light).sum(1, keepdim=True)
    return torch.where(free > 0, arrived / free.clamp_min(TINY), 0)


def _image(values: Tensor, pixel: Tensor, size: tuple[int, int], empty: int) -> Tensor:
    """Values of covered pixels as (c, h, w)."""
    flat = values.new_full((size[0] * size[1], values.shape[1]), empty).index_copy(0, pixel, values)
    return flat.T.reshape(-1, *size)
