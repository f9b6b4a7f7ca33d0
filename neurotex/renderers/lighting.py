"""The lights of a scene, by kind: those that have a place, those with an extent, and what comes from everywhere.

Lights with an extent, and those from everywhere that cast shadows, are sums over points. Samples of a pixel look at
different ones: sample number k at those of group k, so that a pixel has seen all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .. import shading
from ..core.op import transformed
from ..core.typed import added
from ..errors import SceneError
from ..geometry import unit
from ..scene import AmbientLight, AreaLight, Camera, EnvironmentLight, Light, PlacedLight

Images = tuple[Float[Tensor, "9 3"], Float[Tensor, "levels 3 h w"]]  # what an environment's image is shaded with
KINDS = (PlacedLight, AreaLight, AmbientLight, EnvironmentLight)
TINY = 1e-12  # light beside which a share means nothing


@dataclass(frozen=True)
class Points:
    """Points that stand for lights, by group: see `scene.light.LightPoints`."""

    points: Float[Tensor, "groups n 4"]
    intensity: Float[Tensor, "groups n 3"]
    facing: Float[Tensor, "groups n 3"]
    shadowing: tuple[bool, ...]

    @classmethod
    def of(
        cls, lights: Iterable[AreaLight | AmbientLight | EnvironmentLight], like: Tensor, groups: int, times: int
    ) -> Points:
        """Those of all `lights`, in the precision of `like`; see `Lighting.of`."""
        parts: list[list[Tensor]] = [[], [], []]
        casts: tuple[bool, ...] = ()
        for number, light in enumerate(lights):
            each = light.samples * times
            found = light.sample(_spread(groups * each, number).to(like.device))
            for part, tensor in zip(parts, found, strict=True):
                part.append(tensor.to(like).unflatten(0, (groups, each)))
            parts[1][-1] = parts[1][-1] * groups  # a group by itself is the whole light
            casts += (light.cast_shadows,) * each
        points, intensity, facing = (
            torch.cat([like.new_empty((groups, 0, columns)), *part], 1)
            for columns, part in zip((4, 3, 3), parts, strict=True)
        )
        return cls(points, intensity, facing, casts)

    def cosines(self, group: int, position: Float[Tensor, "n 3"]) -> Float[Tensor, "n points"]:
        """How much of what each point sends goes towards each place."""
        facing, place = self.facing[group], self.points[group, :, :3]
        way = unit(position[:, None] - place)
        return torch.where((facing == 0).all(1), 1, (way * facing).sum(2).clamp_min(0))


@dataclass(frozen=True)
class Sky:
    """Light from everywhere that may be held up: by its `points`, and as it is with nothing in the way."""

    points: Points
    ambient: Float[Tensor, "3"] | None
    images: Images | None


@dataclass(frozen=True)
class Lighting:
    """The lights of a scene as they are now, whoever looks; `at` says how a camera finds them.

    `intensity` has the colours of the `placed` lights, `ambient` is the radiance of all ambient ones, and `images` are
    the maps of environments, both of those that cast no shadows. `areas` are the points of lights with an extent, and
    `skies` those from everywhere that cast shadows, each by itself.
    """

    placed: tuple[PlacedLight, ...]
    intensity: Float[Tensor, "lights 3"]
    ambient: Float[Tensor, "3"] | None
    images: tuple[Images, ...]
    areas: Points
    skies: tuple[Sky, ...]
    groups: int

    @classmethod
    def of(cls, lights: Iterable[Light], like: Tensor, groups: int = 1, times: int = 1) -> Lighting:
        """Lights in the precision of `like`, each asked once; their points in this many `groups`, each of `times` as
        many as the light says.

        Raises SceneError for lights of an unknown kind.
        """
        kinds: dict[type[Light], list] = {kind: [] for kind in KINDS}
        skies: list[AmbientLight | EnvironmentLight] = []
        for light in lights:
            kind = next((kind for kind in kinds if isinstance(light, kind)), None)
            if kind is None:
                known = ", ".join(each.__name__ for each in kinds)
                raise SceneError(f"a {type(light).__name__} is no light that this renderer knows, which are: {known}.")
            if isinstance(light, AmbientLight | EnvironmentLight) and light.cast_shadows:
                skies.append(light)
            else:
                kinds[kind].append(light)
        placed, ambient = (
            torch.stack([light.intensity for light in kinds[kind]]).to(like) if kinds[kind] else None
            for kind in (PlacedLight, AmbientLight)
        )
        grouped = groups if skies or kinds[AreaLight] else 1
        return cls(
            tuple(kinds[PlacedLight]),
            like.new_empty((0, 3)) if placed is None else placed,
            None if ambient is None else ambient.sum(0),
            tuple(_images(light, like) for light in kinds[EnvironmentLight]),
            Points.of(kinds[AreaLight], like, grouped, times),
            tuple(_sky(light, like, grouped, times) for light in skies),
            grouped,
        )

    def at(self, camera: Camera) -> Illumination:
        """The lights as this camera finds them."""
        points = [light.point(camera).to(self.intensity) for light in self.placed]
        place = torch.stack(points) if points else self.intensity.new_empty((0, 4))
        return Illumination(self, camera.eye.to(place), place, tuple(light.at_camera for light in self.placed))

    @cached_property
    def grey(self) -> bool:
        """Whether one channel serves all three; not where numbers may not be looked at, or may cease to be equal."""
        strength = torch.cat([self.intensity, self.areas.intensity.flatten(0, 1)])
        strength = strength if self.ambient is None else torch.cat([strength, self.ambient[None]])
        if self.images or self.skies or strength.requires_grad or transformed() or torch.compiler.is_compiling():
            return False
        return bool((strength == strength[:, :1]).all())


@dataclass(frozen=True)
class Illumination:
    """Lights as a camera finds them: tensors, and nothing that is decided by looking at values.

    `eye` and `points` are homogeneous (see `neurotex.shading.lights`), and `seen` says which points are where the eye
    is. What stands between lights and surfaces is not theirs to know: `visibility` has a column for each placed light,
    each point of `areas` and each of `skies`, and is the share of it that reaches each sample; None for all of it.
    `group` (n, 1) says which group of points each sample looks at, and has no columns if there is one.
    """

    lights: Lighting
    eye: Float[Tensor, "4"]
    points: Float[Tensor, "lights 4"]
    seen: tuple[bool, ...]

    @property
    def shadowing(self) -> tuple[bool, ...]:
        """Which columns of `visibility` are of lights that cast shadows which the eye can see."""
        pairs = zip(self.lights.placed, self.seen, strict=True)
        found = tuple(light.cast_shadows and not seen for light, seen in pairs)
        return found + sum((points.shadowing for points in self._extended), ())

    @property
    def _extended(self) -> list[Points]:
        return [self.lights.areas, *(sky.points for sky in self.lights.skies)]

    def sources(self, group: int) -> Float[Tensor, "columns 4"]:
        """Where the light of each column of `visibility` comes from, for samples of a group."""
        return torch.cat([self.points, *(points.points[group] for points in self._extended)])

    def everywhere(self) -> Float[Tensor, "points 4"]:
        """`sources` of all groups."""
        return torch.cat([self.sources(k) for k in range(self.lights.groups)]).detach()

    def by_group(
        self, group: Int[Tensor, "n _"], make: Callable[..., Tensor], *tensors: Tensor | None
    ) -> Float[Tensor, "n columns"]:
        """`make(k, …)` of the rows of `tensors` (None stays) in each group k, put together."""
        if self.lights.groups == 1 or group.shape[1] == 0:
            return make(0, *tensors)
        parts, places = [], []
        for k in range(self.lights.groups):
            which = (group[:, 0] == k).nonzero()[:, 0]
            parts.append(make(k, *(None if tensor is None else tensor[which] for tensor in tensors)))
            places.append(which)
        found = torch.cat(parts)
        return torch.zeros_like(found).index_copy(0, torch.cat(places), found)

    def diffuse(
        self,
        position: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"],
        visibility: Float[Tensor, "n columns"] | None = None,
        group: Int[Tensor, "n _"] | None = None,
    ) -> Float[Tensor, "n channels"]:
        """Diffuse surfaces: radiance towards the eye per unit of albedo; one channel if all is grey, else three."""
        where = position.new_empty((len(position), 0), dtype=torch.int64) if group is None else group
        return self.by_group(where, self._diffuse, position, normal, visibility)

    def _diffuse(self, group: int, position: Tensor, normal: Tensor, visibility: Tensor | None) -> Tensor:
        lights, surface, parts = self.lights, (position, normal, self.eye), []
        if self._local:
            points, intensity, share = self._arriving(group, position, visibility)
            ambient = lights.ambient
            if lights.grey:
                intensity, ambient = intensity[:, :1], None if ambient is None else ambient[:1]
            parts.append(shading.diffuse(*surface, points, intensity, ambient, share))
        parts += [shading.environment_diffuse(*surface, coefficients) for coefficients, _ in lights.images]
        for sky, share in zip(lights.skies, self._shares(visibility), strict=True):
            arrived = shading.diffuse(*surface, sky.points.points[group], sky.points.intensity[group], None, share)
            if sky.ambient is not None:
                arrived = self._even(position, normal, sky.ambient) * self._open(sky, group, position, normal, arrived)
            parts.append(arrived)
        return added(parts) if parts else position.new_zeros((len(position), 1))

    def glossy(
        self,
        material: shading.MetallicRoughness,
        position: Float[Tensor, "n 3"],
        normal: Float[Tensor, "n 3"],
        visibility: Float[Tensor, "n columns"] | None = None,
        group: Int[Tensor, "n _"] | None = None,
    ) -> Float[Tensor, "n 3"]:
        """Metallic-roughness surfaces: radiance towards the eye.

        What the environment sends is dimmed as a whole, by the share of their light that arrives.
        """
        where = position.new_empty((len(position), 0), dtype=torch.int64) if group is None else group
        return self.by_group(where, self._glossy, *material, position, normal, visibility)

    def _glossy(self, group: int, *inputs: Any) -> Tensor:
        *maps, position, normal, visibility = inputs
        what, lights, parts = (*maps, normal, position, self.eye), self.lights, []
        if self._local:
            points, intensity, share = self._arriving(group, position, visibility)
            parts.append(shading.metallic_roughness(*what, points, intensity, lights.ambient, share))
        parts += [shading.environment_reflection(*what, *image) for image in lights.images]
        for sky, share in zip(lights.skies, self._shares(visibility), strict=True):
            points = sky.points.points[group], sky.points.intensity[group]
            arrived = shading.diffuse(position, normal, self.eye, *points, None, share)
            if sky.images is None:
                none = (self.points[:0], self.lights.intensity[:0])
                whole = shading.metallic_roughness(*what, *none, sky.ambient, None)
            else:
                whole = shading.environment_reflection(*what, *sky.images)
            parts.append(whole * self._open(sky, group, position, normal, arrived))
        return added(parts) if parts else torch.zeros_like(position)

    @property
    def _local(self) -> bool:
        """Whether there is a light whose points are shaded one by one, or even light that nothing holds up."""
        return len(self.points) + self.lights.areas.points.shape[1] > 0 or self.lights.ambient is not None

    def _arriving(
        self, group: int, position: Tensor, visibility: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Points, intensities, and the share of each that arrives."""
        areas = self.lights.areas
        if areas.points.shape[1] == 0:
            return self.points, self.lights.intensity, None if visibility is None else visibility[:, : len(self.points)]
        points = torch.cat([self.points, areas.points[group]])
        share = torch.cat([position.new_ones((len(position), len(self.points))), areas.cosines(group, position)], 1)
        if visibility is not None:
            share = share * visibility[:, : len(points)]
        return points, torch.cat([self.lights.intensity, areas.intensity[group]]), share

    def _shares(self, visibility: Tensor | None) -> list[Tensor | None]:
        """The columns of each sky."""
        if visibility is None:
            return [None] * len(self.lights.skies)
        counts = [sky.points.points.shape[1] for sky in self.lights.skies]
        first = visibility.shape[1] - sum(counts)
        return list(visibility[:, first:].split(counts, 1)) if counts else []

    def _open(self, sky: Sky, group: int, position: Tensor, normal: Tensor, arrived: Tensor) -> Tensor:
        """The share of a sky's light that arrives, by channel."""
        points = sky.points.points[group], sky.points.intensity[group]
        free = shading.diffuse(position, normal, self.eye, *points)
        return torch.where(free > TINY, arrived / free.clamp_min(TINY), 1)

    def _even(self, position: Tensor, normal: Tensor, ambient: Tensor) -> Tensor:
        return shading.diffuse(position, normal, self.eye, self.points[:0], self.lights.intensity[:0], ambient)


def transport(
    lights: Iterable[Light], camera: Camera, position: Float[Tensor, "n 3"], normal: Float[Tensor, "n 3"]
) -> Float[Tensor, "n channels"]:
    """`Illumination.diffuse`, of lights at once, with nothing in their way."""
    return Lighting.of(lights, position).at(camera).diffuse(position, normal)


def _images(light: EnvironmentLight, like: Tensor) -> Images:
    coefficients, blurred = (map.to(like) for map in light.maps())
    return coefficients, blurred


def _sky(light: AmbientLight | EnvironmentLight, like: Tensor, groups: int, times: int) -> Sky:
    points = Points.of([light], like, groups, times)
    if isinstance(light, AmbientLight):
        return Sky(points, light.intensity.to(like), None)
    return Sky(points, None, _images(light, like))


@lru_cache(maxsize=64)
def _spread(count: int, number: int) -> Float[Tensor, "count 2"]:
    """Places in the unit square, the same ones always: Sobol's, scrambled (Owen) by the light's number.

    Any 2ⁿ that follow each other from a multiple of it lie one in each of as many cells of every shape.
    """
    return torch.quasirandom.SobolEngine(2, scramble=True, seed=number).draw(count, dtype=torch.float64)
