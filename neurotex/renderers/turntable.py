"""Once around a scene, as a little film."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ..images.write import to_image
from ..scene import Flash, PerspectiveCamera, Scene, orbit
from ..shading import linear_to_srgb
from .embedded import render

YFOV = 40.0  # degrees


def around(scene: Scene, views: int, elevation: float = 20.0) -> tuple[list[PerspectiveCamera], Flash]:
    """Cameras on a circle with the whole scene in view, and a flash for them: white stays just below clipping."""
    center, radius = scene.bounds()
    distance = 1.02 * max(radius, 1e-6) / math.sin(math.radians(YFOV) / 2)
    # a diffuse surface of albedo 1 at distance d reflects intensity / (π d²); most of a scene is behind its hull
    nearest = distance - 0.7 * radius
    return orbit(views, distance, elevation, YFOV, center), Flash(math.pi * nearest**2)


@torch.no_grad()
def turntable(
    scene: Scene, size: int = 256, frames: int = 24, elevation: float = 20.0
) -> Float[Tensor, "frames 4 h w"]:
    """The scene's meshes from all sides, under a flash at the camera; as `render` returns images."""
    cameras, flash = around(scene, frames, elevation)
    stage = Scene(list(scene.nodes), cameras, flash).to(scene.nodes[0].transform)
    return render(stage, size, grid=2)


def on_background(image: Float[Tensor, "4 h w"], white: float = 1.0) -> Image.Image:
    """An RGB picture of a linear, premultiplied image over a grey of linear value `white`."""
    return to_image(linear_to_srgb((image[:3] + white * (1 - image[3:])).clamp(0, 1)))
