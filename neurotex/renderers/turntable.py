"""Once around a scene, as a little film."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..errors import ArgumentError, SceneError
from ..images.notebook import png_bytes, sheet_png
from ..images.write import to_image
from ..scene import Flash, PerspectiveCamera, Scene, orbit
from ..shading import linear_to_srgb
from .direct import render

YFOV = 40.0  # degrees
PORTRAIT = 256  # pixels


def around(
    scene: Scene, views: int, elevation: float = 20.0, azimuth: float = 0.0, distance: float | None = None
) -> tuple[list[PerspectiveCamera], Flash]:
    """Cameras on a circle around the whole scene, and a flash for them: white stays just below clipping.

    The first one stands `azimuth` degrees from +Z towards +X, all `elevation` degrees above the scene's centre and
    `distance` scene units from it; by default the whole scene is in view. `views` is how many cameras. ArgumentError
    for a distance of 0 or less, and for angles that are not finite.
    """
    center, radius = scene.bounds()
    if distance is None:
        distance = 1.02 * max(radius, 1e-6) / math.sin(math.radians(YFOV) / 2)
    if not (0 < distance < math.inf and math.isfinite(azimuth) and math.isfinite(elevation)):
        raise ArgumentError(
            f"a camera stands at a distance above 0 and at finite angles, not at {distance:g} and {azimuth:g}, "
            f"{elevation:g} degrees."
        )
    # a diffuse surface of albedo 1 at distance d reflects intensity / (π d²); most of a scene is behind its hull
    nearest = max(distance - 0.7 * radius, 0.1 * distance)
    return orbit(views, distance, elevation, YFOV, center, azimuth), Flash(math.pi * nearest**2)


@torch.no_grad()
def turntable(
    scene: Scene,
    size: int = 256,
    frames: int = 24,
    elevation: float = 20.0,
    azimuth: float = 0.0,
    distance: float | None = None,
) -> Float[Tensor, "frames 4 h w"]:
    """The scene's meshes from all sides, under a flash at the camera; as `render` returns images. See `around`.

    `frames` images (frames, 4, size, size), linear RGB over black, and alpha. `elevation` and `azimuth` (degrees) and
    `distance` (scene units) are those of `around`.
    """
    cameras, flash = around(scene, frames, elevation, azimuth, distance)
    return render(scene, size, cameras=cameras, lights=flash, grid=2)


def portrait_png(scene: Scene) -> bytes | None:
    """A scene as a notebook shows it: the first pictures of its own cameras, or one from a little aside and above.

    None for what cannot be rendered yet: without a mesh, or with an unbound latent.
    """
    try:
        with torch.no_grad():
            if len(scene.cameras) and len(scene.lights):
                images = [render(scene, PORTRAIT, cameras=camera, grid=2)[0] for camera in list(scene.cameras)[:4]]
            else:
                images = list(turntable(scene, PORTRAIT, 1, azimuth=30.0))
    except SceneError:
        return None
    pictures = [on_background(image) for image in images]
    return png_bytes(pictures[0]) if len(pictures) == 1 else sheet_png(pictures)


def on_background(image: Float[Tensor, "4 h w"], white: float = 1.0) -> Image.Image:
    """An RGB picture of a linear, premultiplied image over a grey of linear value `white`."""
    return to_image(linear_to_srgb((image[:3] + white * (1 - image[3:])).clamp(0, 1)))
