"""A scene's lights where PyTorch3D's shaders look for theirs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...core.typed import ModuleList
from ...errors import ArgumentError
from ...renderers.lighting import transport
from ...scene import Camera, Light


def _all(what: str, given: Any, kind: type) -> list:
    members = [given] if isinstance(given, kind) or not isinstance(given, Iterable) else list(given)
    for member in members:
        if not isinstance(member, kind):
            raise ArgumentError(
                f"SceneLights shows PyTorch3D the {what}s of a neurotex Scene, but a {type(member).__name__} is none."
            )
    return members


class SceneLights(nn.Module):
    """Physical lights for PyTorch3D's shaders: `HardPhongShader(lights=SceneLights(scene.lights, camera), …)`.

    A shader multiplies texels by ambient + diffuse light and adds a specular term. Here the diffuse light is what a
    surface of albedo 1 sends to the eye (`neurotex.shading.diffuse`),

        Σ over lights of intensity · fall-off · max(0, n · l) / π,    n turned towards the eye,

    plus what images of the environment shed; the other two terms are 0. Texels are to be linear then, and so is the
    picture: `to_meshes(scene, linear=True)`.

    `camera` is the one that looks, as a Flash stands there, and which side of a surface is seen depends on it; or one
    for each image of a batch. Differentiable in points, normals and what the lights are made of.
    """

    lights: ModuleList[Light]
    cameras: ModuleList[Camera]
    ambient_color: Float[Tensor, "1 3"]

    def __init__(self, lights: Light | Iterable[Light], camera: Camera | Iterable[Camera]):
        super().__init__()
        self.lights = ModuleList(_all("light", lights, Light))
        self.cameras = ModuleList(_all("camera", camera, Camera))
        if len(self.lights) == 0 or len(self.cameras) == 0:
            raise ArgumentError("lights for a shader need at least one light, and the camera that looks.")
        self.register_buffer("ambient_color", torch.zeros(1, 3), persistent=False)

    def diffuse(self, normals: Float[Tensor, "*shape 3"], points: Float[Tensor, "*shape 3"]) -> Tensor:
        """Radiance towards the eye per unit of albedo, (*shape, 3). Where there is no normal, there is no light."""
        if len(self.cameras) == 1:
            return self._towards(self.cameras[0], normals, points)
        if points.ndim < 3 or len(points) != len(self.cameras):
            raise ArgumentError(
                f"these lights are seen by {len(self.cameras)} cameras, but points of shape {tuple(points.shape)} are "
                "not as many images: give SceneLights one camera, or one for each image."
            )
        images = [self._towards(*image) for image in zip(self.cameras, normals, points, strict=True)]
        return torch.stack(images)

    def specular(self, normals: Tensor, points: Tensor, camera_position: Any, shininess: Any) -> Tensor:
        """Nothing: surfaces are diffuse."""
        return torch.zeros_like(points)

    def clone(self) -> SceneLights:
        """Other lights of the same nodes."""
        other = SceneLights(self.lights, self.cameras)
        other.ambient_color = self.ambient_color
        return other

    def gather_props(self, batch_idx: Tensor) -> SceneLights:
        """What per-vertex shaders ask of lights: to be the same for all vertices of a batch."""
        if len(self.cameras) > 1:
            raise ArgumentError(
                "shaders that light vertices see all meshes of a batch from one camera: give SceneLights one."
            )
        return self

    def _towards(self, camera: Camera, normals: Tensor, points: Tensor) -> Tensor:
        normal, position = normals.reshape(-1, 3), points.reshape(-1, 3)
        # shaders ask for empty pixels, too, with normals of 0: those cost nothing, and get no gradient from 0 / 0
        there = normal.any(1).nonzero()[:, 0]
        normal, found = normal.index_select(0, there), position.index_select(0, there)
        lit = transport(self.lights, camera, found, normal).expand(-1, 3)
        return torch.zeros_like(position).index_copy(0, there, lit).view(points.shape)
