"""Lights as nodes. `color` is a number (grey) or three: red, green, blue, linear."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError, SceneError

Color = float | Sequence[float]


class Light(nn.Module):
    """Base of all lights. `intensity` (3,) is its colour and strength."""

    def __init__(self, intensity: Color):
        super().__init__()
        value = torch.as_tensor(intensity, dtype=torch.get_default_dtype())
        if value.numel() not in (1, 3) or not bool((value >= 0).all()):
            raise ArgumentError(f"a light's intensity is one number or three, none negative; this is {intensity}.")
        self.register_buffer("intensity", value.expand(3).clone())

    def point(self, eye: Float[Tensor, "4"]) -> Float[Tensor, "4"]:
        """Where it stands for a camera at `eye`, both homogeneous (see `neurotex.shading.lights`)."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"intensity={[round(v, 4) for v in self.intensity.tolist()]}"


class Flash(Light):
    """A point light at the camera, whichever camera looks: radiance = intensity · BRDF · cos / d²."""

    def point(self, eye: Tensor) -> Tensor:
        if float(eye[3]) == 0:
            raise SceneError(
                "a Flash stands at the camera, but an orthographic camera has no place: use another light."
            )
        return eye


class PointLight(Light):
    """A light at `position` in the world; `intensity` is radiant intensity, falling off with 1 / d². No shadows."""

    def __init__(self, position: Sequence[float], intensity: Color):
        super().__init__(intensity)
        self.register_buffer("position", torch.as_tensor(position, dtype=torch.get_default_dtype()))

    def point(self, eye: Tensor) -> Tensor:
        return torch.cat([self.position, self.position.new_ones(1)])


class DirectionalLight(Light):
    """Parallel light shining along `direction`; `intensity` is irradiance on a plane across it. No shadows."""

    def __init__(self, direction: Sequence[float], intensity: Color):
        super().__init__(intensity)
        self.register_buffer("direction", torch.as_tensor(direction, dtype=torch.get_default_dtype()))
        if not float(self.direction.norm()) > 0:
            raise ArgumentError("a directional light needs a direction other than (0, 0, 0).")

    def point(self, eye: Tensor) -> Tensor:
        return torch.cat([-self.direction, self.direction.new_zeros(1)])


class AmbientLight(Light):
    """The same radiance from every direction: a white surface looks exactly that bright."""

    def point(self, eye: Tensor) -> Tensor:
        return torch.zeros_like(eye)
