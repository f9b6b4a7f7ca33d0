"""Views that nobody took: the scene as it is, seen from beside the cameras.

A fit through discrete steps has as many codes to choose as there are texels, and photographs from a dozen places do not
pin them down: it would find dither patterns that only look right from there. But what was fitted without the steps is
known from everywhere. Renders of it are as good as photographs, and there can be any number of them.
"""

from __future__ import annotations

import copy
import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import ArgumentError
from ..renderers import render
from ..scene import Camera, Scene, Views

TURN = 30.0  # degrees at most, about the scene's middle


@torch.no_grad()
def imagine(scene: Scene, views: Views, count: int, seed: int = 0, *, grid: int = 4) -> Views:
    """`count` renders of `scene` as the views' cameras would take them, each turned by up to `TURN` degrees.

    Camera k starts from that of view k, over and over, and is carried around the middle of the scene about a random
    axis: distance and lens stay. The scene's lights light them; a flash comes along.
    """
    if count < 1:
        raise ArgumentError(f"at least 1 view can be imagined, not {count}.")
    middle, _ = scene.bounds()
    rng = torch.Generator().manual_seed(seed)
    cameras = [_moved(views.cameras[k % len(views.cameras)], middle.cpu(), rng) for k in range(count)]
    return Views(
        cameras,
        render(scene, views.size, cameras=cameras, grid=grid),
        views.lights,
        [f"imagined {k}" for k in range(count)],
    )


def join(*parts: Views) -> Views:
    """All views of several sets, under the lights of the first."""
    images = torch.cat([part.images.to(parts[0].images) for part in parts])
    cameras, names = ([x for part in parts for x in getattr(part, name)] for name in ("cameras", "names"))
    return Views(cameras, images, parts[0].lights, names)


def _moved(camera: Camera, middle: Float[Tensor, "3"], rng: torch.Generator) -> Camera:
    axis = normalize(torch.randn(3, generator=rng), dim=0)
    angle = math.radians(TURN) * float(torch.rand((), generator=rng))
    x, y, z = (axis * angle).tolist()
    turn = torch.linalg.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))
    moved = copy.deepcopy(camera)
    before = camera.transform.cpu().double()
    center = middle.double()
    after = before.clone()
    after[:3, :3] = turn @ before[:3, :3]
    after[:3, 3] = turn @ (before[:3, 3] - center) + center
    moved.transform.copy_(after)
    return moved
