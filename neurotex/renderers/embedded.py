"""The renderer that comes along: rasterise, look up, shade, resolve.

Every covered sample of every view becomes a row of taps into one flat list of texels, with the light it reflects
per unit of albedo. `render` multiplies taps, light and texels at once; `bake` keeps taps times light as a matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import raster, shading
from ..errors import ArgumentError, SceneError
from ..scene import Camera, Evaluation, Geometry, Light, Scene, resolution


def render(
    scene: Scene,
    size: int | tuple[int, int] = 256,
    *,
    grid: int = 4,
    latents: Mapping[str, Tensor] | None = None,
) -> Float[Tensor, "views 4 h w"]:
    """Render every camera of the scene: (views, 4, H, W), linear RGB over black, and coverage as alpha.

    `size` is the side of a square image or (height, width), pixels; `grid` × `grid` samples per pixel, box filtered.
    `latents` gives values to latents by name for this render. Each texture node is evaluated once. Differentiable in
    textures, latents, weights, vertices and lights; not through visibility.
    """
    size = check_scene(scene, size, grid)
    geometry = scene.geometry()
    texels, layout = scene_texels(scene, Evaluation(latents))
    images = []
    for camera in scene.cameras:
        surface = camera_surface(geometry, camera, size, grid)
        index, weight = raster.bilinear_taps(surface.uv, surface.material, layout)
        radiance = raster.gather_texels(texels, index, weight) * transport(scene.lights, camera, surface)
        # light and coverage of a pixel: the mean over its samples, of which only the covered ones are listed
        values = torch.cat([radiance, torch.ones_like(radiance[:, :1])], dim=1) / grid**2
        flat = values.new_zeros((size[0] * size[1], 4)).index_add(0, surface.pixel, values)
        images.append(flat.T.reshape(4, *size))
    return torch.stack(images)


def check_scene(scene: Scene, size: int | tuple[int, int], grid: int) -> tuple[int, int]:
    """The image size as (height, width); raises where there would be nothing to see."""
    if len(scene.cameras) == 0:
        raise SceneError("the scene has no camera: pass cameras=[...], or scene.cameras.append(...).")
    if len(scene.lights) == 0:
        raise SceneError("the scene has no light: pass lights=[neurotex.Flash(...)], or scene.lights.append(...).")
    if grid < 1:
        raise ArgumentError(f"grid is {grid}, but every pixel needs at least 1 x 1 samples.")
    return resolution(size)


def scene_texels(scene: Scene, evaluation: Evaluation) -> tuple[Float[Tensor, "texels 3"], raster.TexelLayout]:
    """All base-colour maps of the scene, decoded to linear albedo, as one list, and how it is laid out."""
    maps, materials = [], scene.materials()
    for material in materials:
        value = evaluation(material.base_color)
        if value.ndim != 4 or tuple(value.shape[:2]) != (1, 3):
            raise SceneError(
                f"material '{material.name}': base_color must be (1, 3, H, W), but its node gives {tuple(value.shape)}."
            )
        maps.append(value)
    evaluation.check_names()
    texels = torch.cat([m[0].flatten(1).T for m in map(shading.srgb_to_linear, maps)])
    wraps = [material.base_color.wrap for material in materials]
    return texels, raster.TexelLayout.of([tuple(m.shape[2:]) for m in maps], wraps, texels.device)


@dataclass(frozen=True)
class Surface:
    """Surface samples of one view, in pixel order. `normal` is interpolated, not of unit length."""

    pixel: Int[Tensor, "n"]
    material: Int[Tensor, "n"]
    uv: Float[Tensor, "n 2"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]


def camera_surface(geometry: Geometry, camera: Camera, size: tuple[int, int], grid: int) -> Surface:
    """What a camera sees, as surface samples."""
    matrix = camera.screen_matrix(size).to(geometry.vertices)
    screen = geometry.vertices @ matrix[:, :3].T + matrix[:, 3]
    attributes = torch.cat([geometry.uvs, geometry.vertices, geometry.normals], dim=1)
    samples = raster.sample_surface(screen, geometry.faces, attributes, size, grid, camera.near)
    uv, position, normal = samples.values.split([2, 3, 3], dim=1)
    return Surface(samples.pixel, geometry.face_material[samples.face], uv, position, normal)


def transport(lights: Iterable[Light], camera: Camera, surface: Surface) -> Float[Tensor, "n c"]:
    """Radiance towards the eye per unit of albedo, from all lights: one channel if all are grey, else three."""
    lights = list(lights)
    grey = all(not light.intensity.requires_grad and len(light.intensity.unique()) == 1 for light in lights)
    points = torch.stack([light.point(camera.eye) for light in lights])
    intensity = torch.stack([light.intensity[:1] if grey else light.intensity for light in lights])
    return shading.diffuse(surface.position, surface.normal, camera.eye, points, intensity)
