"""Lights as nodes. `intensity` is a number (grey) or three: red, green, blue, linear.

There are four kinds: a `PlacedLight` is a homogeneous point and a colour, an `AreaLight` many (see `area_light`), an
`AmbientLight` a colour, and an `EnvironmentLight` an image, which renderers ask for the maps that
`neurotex.shading.environment` shades with.

Lights that have a place cast shadows unless `cast_shadows` is False; those from everywhere if it is True. What stands
in the way are the meshes whose own `cast_shadows` is True, from both sides, but for what their materials cut out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from .. import shading
from ..core.precision import uncast, widened
from ..errors import ArgumentError, SceneError
from ..geometry import transform
from ..images.read import read_radiance
from .camera import Camera
from .counts import is_count
from .kept import Kept, is_known

Color = float | Sequence[float]


class LightPoints(NamedTuple):
    """Points that stand for a light: homogeneous `points` (n, 4) and the `intensity` (n, 3) of each.

    One on a surface that emits sends cos θ of it along an angle θ from `facing` (n, 3), a unit vector; (0, 0, 0) sends
    it everywhere.
    """

    points: Float[Tensor, "n 4"]
    intensity: Float[Tensor, "n 3"]
    facing: Float[Tensor, "n 3"]


class Light(nn.Module):
    """Base of all lights. `intensity` (3,) is its colour and strength, `cast_shadows` says whether meshes hold it up.

    ArgumentError unless it is one number or three, none negative.
    """

    intensity: Float[Tensor, "3"]

    def __init__(self, intensity: Color, cast_shadows: bool = False):
        super().__init__()
        self.cast_shadows = bool(cast_shadows)
        value = numbers(intensity)
        if value is None or len(value) not in (1, 3) or not bool((value >= 0).all()):
            raise ArgumentError(f"a light's intensity is one number or three, none negative; this is {intensity}.")
        self.register_buffer("intensity", value.expand(3).clone())

    def extra_repr(self) -> str:
        everywhere = isinstance(self, AmbientLight | EnvironmentLight)
        shadows = "" if self.cast_shadows or everywhere else ", no shadows"
        return f"intensity={[round(v, 4) for v in self.intensity.tolist()]}{shadows}"


class PlacedLight(Light):
    """Base of lights that have a place, or a direction. A subclass defines `point`."""

    at_camera = False
    """Whether what a camera sees is what the light reaches, so that no ray need be traced."""

    def __init__(self, intensity: Color, cast_shadows: bool = True):
        super().__init__(intensity, cast_shadows)

    def point(self, camera: Camera) -> Float[Tensor, "4"]:
        """Where it stands for this camera, homogeneous (see `neurotex.shading.lights`)."""
        raise NotImplementedError


class Flash(PlacedLight):
    """A point light at the camera, whichever camera looks: radiance = intensity · BRDF · cos / d².

    `offset` is where it stands in the camera's space, in scene units: to the right, up, and backwards. At the camera
    itself it casts no shadow that the camera could see. SceneError for a camera that has no place, ArgumentError
    unless `offset` is three finite numbers.
    """

    offset: Float[Tensor, "3"] | None

    def __init__(self, intensity: Color, offset: Sequence[float] = (0.0, 0.0, 0.0), cast_shadows: bool = True):
        super().__init__(intensity, cast_shadows)
        aside = numbers(offset)
        if aside is None or len(aside) != 3:
            raise ArgumentError(f"a flash's offset from the camera is three finite numbers; this is {offset}.")
        self.register_buffer("offset", aside if bool(aside.any()) else None)

    @property
    def at_camera(self) -> bool:
        """Whether it has no offset."""
        return self.offset is None

    def point(self, camera: Camera) -> Tensor:
        if not camera.has_place:
            raise SceneError(
                "a Flash stands at the camera, but an orthographic camera has no place: use another light."
            )
        if self.offset is None:
            return camera.eye
        return pad(transform(self.offset[None].to(camera.transform), camera.transform[:3].T)[0], (0, 1), value=1.0)


class PointLight(PlacedLight):
    """A light at `position` in the world; `intensity` is radiant intensity, falling off with 1 / d².

    ArgumentError unless the position is three finite numbers.
    """

    position: Float[Tensor, "3"]

    def __init__(self, position: Sequence[float], intensity: Color, cast_shadows: bool = True):
        super().__init__(intensity, cast_shadows)
        place = numbers(position)
        if place is None or len(place) != 3:
            raise ArgumentError(f"a point light's position is three finite numbers; this is {position}.")
        self.register_buffer("position", place)

    def point(self, camera: Camera) -> Tensor:
        return torch.cat([self.position, self.position.new_ones(1)])


class DirectionalLight(PlacedLight):
    """Parallel light shining along `direction`; `intensity` is irradiance on a plane across it.

    ArgumentError unless the direction is three finite numbers, not all 0.
    """

    direction: Float[Tensor, "3"]

    def __init__(self, direction: Sequence[float], intensity: Color, cast_shadows: bool = True):
        super().__init__(intensity, cast_shadows)
        way = numbers(direction)
        if way is None or len(way) != 3 or not float(way.norm()) > 0:
            raise ArgumentError(f"a light's direction is three finite numbers, not all 0; this is {direction}.")
        self.register_buffer("direction", way)

    def point(self, camera: Camera) -> Tensor:
        return torch.cat([-self.direction, self.direction.new_zeros(1)])


class AmbientLight(Light):
    """The same radiance from every direction: a white surface looks exactly that bright.

    With `cast_shadows` it does so where nothing is in the way, else less: ambient occlusion, by `samples` rays from
    each sample of a surface. That takes its time, so it is not done by default. ArgumentError for fewer than one.
    """

    def __init__(self, intensity: Color, cast_shadows: bool = False, samples: int = 16):
        super().__init__(intensity, cast_shadows)
        self.samples = check_samples(samples)

    def sample(self, where: Float[Tensor, "n 2"]) -> LightPoints:
        """Directions that stand for it, for `where` (n, 2) evenly over the unit square."""
        way = shading.on_sphere(where.to(self.intensity))
        strength = torch.ones_like(way) * self.intensity * (4 * math.pi / len(where))
        return LightPoints(pad(way, (0, 1)), strength, torch.zeros_like(way))


class EnvironmentLight(Light):
    """Light from an image of the environment, infinitely far away; `intensity` multiplies it.

    `image` is (3, H, W) or (H, W, 3), linear radiance, or a file (see `read_radiance`). It is equirectangular: the top
    row looks up (+Y), the middle along −Z, and +X lies to the right of it, at u = 3/4. If `trainable`, it is a
    parameter. ArgumentError for an image of another shape, or with values that are negative or not finite.

    With `cast_shadows` each sample of a surface looks along `samples` directions, more of them where the image is
    bright, and sees whether something is in the way; diffuse surfaces then get the light of just these. That takes its
    time, so it is not done by default.
    """

    image: Float[Tensor, "3 h w"]

    def __init__(
        self,
        image: Tensor | np.ndarray | str | Path,
        intensity: Color = 1.0,
        trainable: bool = False,
        cast_shadows: bool = False,
        samples: int = 16,
    ):
        super().__init__(intensity, cast_shadows)
        self.samples = check_samples(samples)
        if isinstance(image, str | Path):
            image = read_radiance(image)
        elif isinstance(image, np.ndarray) and image.dtype.kind == "f":
            image = torch.from_numpy(np.array(image, np.float32 if image.dtype.itemsize == 2 else image.dtype.type))
        if not isinstance(image, Tensor) or not image.is_floating_point():
            kind = image.dtype if isinstance(image, Tensor | np.ndarray) else f"a {type(image).__name__}"
            raise ArgumentError(
                f"an environment is linear radiance, (3, H, W) or (H, W, 3) floats, or a file of it, not {kind}."
            )
        if image.ndim == 3 and image.shape[0] != 3 == image.shape[2]:
            image = image.movedim(-1, 0)
        if image.ndim != 3 or image.shape[0] != 3 or image.numel() == 0:
            raise ArgumentError(f"an environment is one image, (3, H, W), but this tensor is {tuple(image.shape)}.")
        if not bool((image.isfinite() & (image >= 0)).all()):
            raise ArgumentError("an environment's radiance is finite and not negative, but this image's is not.")
        image = image.detach().clone().to(torch.get_default_dtype())
        if trainable:
            self.image = nn.Parameter(image)
        else:
            self.register_buffer("image", image)
        self._maps = Kept()

    def sample(self, where: Float[Tensor, "n 2"]) -> LightPoints:
        """Directions that stand for it, for `where` (n, 2) evenly over the unit square."""
        image = widened(self.image)
        way, strength = shading.environment_samples(image, where.to(image))
        return LightPoints(pad(way, (0, 1)), strength * self.intensity, torch.zeros_like(way))

    def maps(self) -> tuple[Float[Tensor, "9 3"], Float[Tensor, "levels 3 h w"]]:
        """What `shading.environment_reflection` needs: coefficients of the irradiance, and the blurred images.

        Made once for an image, and again when it has changed; each time while it is being trained. SceneError where the
        image is no longer finite.
        """
        image = widened(self.image)
        # compiled code cannot tell whether the image has changed, nor do tensors of inference mode say so
        trained = torch.is_grad_enabled() and image.requires_grad
        with uncast(image.device):
            if trained or torch.compiler.is_compiling():
                coefficients, prefiltered = shading.sh_irradiance(image), shading.prefilter(image)
            else:
                still = image.detach()
                coefficients, prefiltered = self._maps(
                    lambda: (shading.sh_irradiance(still), shading.prefilter(still)), self.image
                )
        # each coefficient is a mean of all pixels
        if is_known(coefficients) and not bool(coefficients.isfinite().all()):
            raise SceneError("the image of an EnvironmentLight is no longer finite: look at what trains or loads it.")
        return coefficients * self.intensity, prefiltered * self.intensity[:, None, None]

    def extra_repr(self) -> str:
        return f"{self.image.shape[2]} x {self.image.shape[1]}, {super().extra_repr()}"


def check_samples(samples: int) -> int:
    """How many points stand for a light; ArgumentError for fewer than one."""
    if not is_count(samples):
        raise ArgumentError(f"a light is looked at by at least one sample, a whole number, not {samples}.")
    return int(samples)


def numbers(values: object) -> Tensor | None:
    """A row of numbers; None for what is not numbers, or not finite."""
    try:
        row = torch.as_tensor(values, dtype=torch.get_default_dtype()).reshape(-1)
    except (TypeError, ValueError, RuntimeError):
        return None
    return row if bool(row.isfinite().all()) else None
