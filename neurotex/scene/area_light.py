"""Lights with an extent: what they shed is a sum over points on them, and their shadows are soft."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .. import shading
from ..errors import ArgumentError
from ..geometry import unit
from .light import Color, Light, LightPoints, check_samples, numbers


class AreaLight(Light):
    """Base of lights with an extent; `intensity` is radiance, the same in all directions. Nobody sees the light itself.

    Each sample of a surface looks at `samples` points of the light, those of a pixel at different ones: 16 by 4 × 4
    samples per pixel are 256. They are the same in every pixel and every render, so that there is no noise; a few look
    like as many shadows. A subclass defines `sample`. ArgumentError for fewer than one.
    """

    def __init__(self, intensity: Color, samples: int = 16, cast_shadows: bool = True):
        super().__init__(intensity, cast_shadows)
        self.samples = check_samples(samples)

    def sample(self, where: Float[Tensor, "n 2"]) -> LightPoints:
        """The points that stand for the light, for `where` (n, 2) evenly over the unit square."""
        raise NotImplementedError


class RectangleLight(AreaLight):
    """A rectangle around `position` with the edges `u` and `v`, vectors in scene units; it shines towards u × v.

    ArgumentError unless each is three finite numbers, and the edges span an area.
    """

    position: Float[Tensor, "3"]
    edges: Float[Tensor, "2 3"]

    def __init__(
        self,
        position: Sequence[float],
        u: Sequence[float],
        v: Sequence[float],
        intensity: Color,
        samples: int = 16,
        cast_shadows: bool = True,
    ):
        super().__init__(intensity, samples, cast_shadows)
        rows = [numbers(row) for row in (position, u, v)]
        if any(row is None or len(row) != 3 for row in rows):
            raise ArgumentError(f"a rectangle is three times three finite numbers, not {position}, {u} and {v}.")
        place, *edges = (row for row in rows if row is not None)
        if not float(torch.linalg.cross(*edges).norm()) > 0:
            raise ArgumentError(f"the edges of a rectangle span an area, but {u} and {v} do not.")
        self.register_buffer("position", place)
        self.register_buffer("edges", torch.stack(edges))

    def sample(self, where: Float[Tensor, "n 2"]) -> LightPoints:
        place = self.position + (where.to(self.position) - 0.5) @ self.edges
        normal = torch.linalg.cross(self.edges[0], self.edges[1])
        strength = self.intensity * (normal.norm() / len(where))
        ones = torch.ones_like(place[:, :1])
        return LightPoints(torch.cat([place, ones], 1), ones * strength, ones * unit(normal[None]))


class SphereLight(AreaLight):
    """A ball of a `radius`, in scene units, around `position`.

    ArgumentError unless the position is three finite numbers and the radius above 0.
    """

    position: Float[Tensor, "3"]
    radius: Float[Tensor, ""]

    def __init__(
        self,
        position: Sequence[float],
        radius: float,
        intensity: Color,
        samples: int = 16,
        cast_shadows: bool = True,
    ):
        super().__init__(intensity, samples, cast_shadows)
        place, size = numbers(position), numbers(radius)
        if place is None or len(place) != 3 or size is None or len(size) != 1 or not float(size) > 0:
            raise ArgumentError(
                f"a ball of light has a place, three finite numbers, and a radius above 0, not {position} and {radius}."
            )
        self.register_buffer("position", place)
        self.register_buffer("radius", size[0].clone())

    def sample(self, where: Float[Tensor, "n 2"]) -> LightPoints:
        normal = shading.on_sphere(where.to(self.position))
        ones = torch.ones_like(normal[:, :1])
        strength = self.intensity * (4 * math.pi * self.radius**2 / len(where))
        return LightPoints(torch.cat([self.position + self.radius * normal, ones], 1), ones * strength, normal)
