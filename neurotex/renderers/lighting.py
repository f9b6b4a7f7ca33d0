"""The lights of a scene, by kind: those that have a place, what comes evenly from everywhere, and environments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from .. import shading
from ..core.op import transformed
from ..core.typed import added
from ..errors import SceneError
from ..scene import AmbientLight, Camera, EnvironmentLight, Light, PlacedLight


@dataclass(frozen=True)
class Lighting:
    """The lights of a scene as they are now, whoever looks; `at` says how a camera finds them.

    `intensity` has the colours of the `placed` lights, `ambient` is the radiance of all ambient ones, and `images` are
    the maps of environments.
    """

    placed: tuple[PlacedLight, ...]
    intensity: Float[Tensor, "lights 3"]
    ambient: Float[Tensor, "3"] | None
    images: tuple[tuple[Float[Tensor, "9 3"], Float[Tensor, "levels 3 h w"]], ...]

    @classmethod
    def of(cls, lights: Iterable[Light], like: Tensor) -> Lighting:
        """Lights in the precision of `like`, each asked once. Raises SceneError for lights of an unknown kind."""
        kinds: dict[type[Light], list] = {PlacedLight: [], AmbientLight: [], EnvironmentLight: []}
        for light in lights:
            kind = next((kind for kind in kinds if isinstance(light, kind)), None)
            if kind is None:
                known = ", ".join(each.__name__ for each in kinds)
                raise SceneError(f"a {type(light).__name__} is no light that this renderer knows, which are: {known}.")
            kinds[kind].append(light)
        placed, ambient = (
            torch.stack([light.intensity for light in kinds[kind]]).to(like) if kinds[kind] else None
            for kind in (PlacedLight, AmbientLight)
        )
        return cls(
            tuple(kinds[PlacedLight]),
            like.new_empty((0, 3)) if placed is None else placed,
            None if ambient is None else ambient.sum(0),
            tuple(tuple(map.to(like) for map in light.maps()) for light in kinds[EnvironmentLight]),
        )

    def at(self, camera: Camera) -> Illumination:
        """The lights as this camera finds them."""
        points = [light.point(camera).to(self.intensity) for light in self.placed]
        place = torch.stack(points) if points else self.intensity.new_empty((0, 4))
        return Illumination(self, camera.eye.to(place), place)

    @cached_property
    def grey(self) -> bool:
        """Whether one channel serves all three; not where numbers may not be looked at, or may cease to be equal."""
        strength = self.intensity if self.ambient is None else torch.cat([self.intensity, self.ambient[None]])
        if self.images or strength.requires_grad or transformed() or torch.compiler.is_compiling():
            return False
        return bool((strength == strength[:, :1]).all())


@dataclass(frozen=True)
class Illumination:
    """Lights as a camera finds them: tensors, and nothing that is decided by looking at values.

    `eye` and `points` are homogeneous (see `neurotex.shading.lights`). What stands between lights and surfaces is not
    theirs to know: `visibility` is the share of each placed light that reaches each sample, None for all of it.
    """

    lights: Lighting
    eye: Float[Tensor, "4"]
    points: Float[Tensor, "lights 4"]

    @property
    def shadowing(self) -> tuple[bool, ...]:
        """Which placed lights cast shadows that the eye can see."""
        return tuple(light.cast_shadows and not light.at_camera for light in self.lights.placed)

    def diffuse(
        self,
        position: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"],
        visibility: Float[Tensor, "n lights"] | None = None,
    ) -> Float[Tensor, "n channels"]:
        """Diffuse surfaces: radiance towards the eye per unit of albedo; one channel if all is grey, else three."""
        parts: list[Tensor] = []
        intensity, ambient = self.lights.intensity, self.lights.ambient
        if len(intensity) or ambient is not None:
            if self.lights.grey:
                intensity, ambient = intensity[:, :1], None if ambient is None else ambient[:1]
            parts.append(shading.diffuse(position, normal, self.eye, self.points, intensity, ambient, visibility))
        for coefficients, _ in self.lights.images:
            parts.append(shading.environment_diffuse(position, normal, self.eye, coefficients))
        return added(parts) if parts else position.new_zeros((len(position), 1))

    def glossy(
        self,
        material: shading.MetallicRoughness,
        position: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"],
        visibility: Float[Tensor, "n lights"] | None = None,
    ) -> Float[Tensor, "n 3"]:
        """Metallic-roughness surfaces: radiance towards the eye."""
        what, lights = (*material, normal, position, self.eye), self.lights
        parts: list[Tensor] = []
        if len(lights.intensity) or lights.ambient is not None:
            arriving = (self.points, lights.intensity, lights.ambient, visibility)
            parts.append(shading.metallic_roughness(*what, *arriving))
        parts += [shading.environment_reflection(*what, *image) for image in lights.images]
        return added(parts) if parts else torch.zeros_like(position)


def transport(
    lights: Iterable[Light], camera: Camera, position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]
) -> Float[Tensor, "n channels"]:
    """`Illumination.diffuse`, of lights at once."""
    return Lighting.of(lights, position).at(camera).diffuse(position, normal)
