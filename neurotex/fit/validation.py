"""Views that are never fitted, by which the best of what a fit through discrete steps passes is chosen."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..renderers import bake
from ..scene import Scene, Views
from ..scene.export import shown_as_exported
from ..shading import linear_to_srgb
from . import losses
from .imagined import imagine, join

COUNT = 8  # views


class Validation:
    """`COUNT` views of `scene` that nobody took, from beside the cameras of `views`: what others are compared with.

    The bake takes `grid` × `grid` samples per pixel, and `seed` says where the views are taken from.
    """

    def __init__(self, scene: Scene, views: Views, seed: int = 0, *, grid: int = 4):
        unseen = imagine(scene, views, COUNT, seed, grid=grid)
        self.baked = bake(scene.replace(cameras=unseen.cameras), views.size, grid=grid)
        self.expected = self.baked.rows(linear_to_srgb(unseen.images[:, :3]))

    def score(self, scene: Scene) -> Callable[[], float]:
        """A function: how far `scene`, the same in other materials, is from this one as it is exported now.

        That is the mean squared difference of encoded pixels.
        """
        baked = self.baked.of(scene.replace(cameras=list(self.baked.scene.cameras)))
        worn = nn.ModuleList([texture for material in scene.materials() for texture in material.maps().values()])

        def score() -> float:
            with shown_as_exported(worn), torch.no_grad():
                rows = linear_to_srgb(baked.padded_pixels())[:, :3]
                return float(losses.squared(rows, self.expected))

        return score


class Reference:
    """A scene that wears what was fitted without discrete steps, as a fit through them looks at it.

    `views` are the photographs and `count` imagined views of this scene (see `imagine`), `baked` is the bake of these,
    and `validation` has more that are never fitted. Bakes take `grid` × `grid` samples per pixel.
    """

    def __init__(self, scene: Scene, views: Views, count: int, seed: int = 0, *, grid: int = 4):
        self.views = join(views, imagine(scene, views, count, seed, grid=grid)) if count else views
        self.baked = bake(scene.replace(cameras=self.views.cameras), views.size, grid=grid)
        self.validation = Validation(scene, views, seed + 1, grid=grid)
