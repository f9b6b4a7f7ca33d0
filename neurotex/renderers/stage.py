"""Everything of a scene that all of its views share."""

from __future__ import annotations

from dataclasses import dataclass

from ..scene import Geometry, Scene
from .lighting import Lighting
from .maps import SceneMaps
from .shadows import Occluders


@dataclass(frozen=True)
class Stage:
    """Surfaces, what their maps say, the lights, and what stands between them."""

    geometry: Geometry
    maps: SceneMaps
    lights: Lighting
    occluders: Occluders

    @classmethod
    def of(cls, scene: Scene, geometry: Geometry, maps: SceneMaps, grid: int) -> Stage:
        """That of a scene whose geometry and maps are known, with its lights as they are now.

        `grid` × `grid` samples make a pixel.
        """
        lights = Lighting.of(scene.lights, geometry.vertices, grid**2)
        return cls(geometry, maps, lights, Occluders.of(geometry, maps))
