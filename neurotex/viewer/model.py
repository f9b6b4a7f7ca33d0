"""What is looked at: a scene, or a mesh that wears what a generator makes, and the steps that its texture passes."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .. import discrete
from ..discrete import Palette, Step
from ..generators import LatentSpace
from ..generators.protocol import StyledPrior
from ..renderers import render
from ..scene import AmbientLight, Camera, Flash, GeneratedTexture, Latent, Light, Material, Scene
from ..scene.export import shown_as_exported
from ..scene.gltf import to_bytes
from ..scene.latent import Evaluation
from ..scene.textures import SteppedTexture, Texture


class Model:
    """A scene and what it wears now.

    With a `generator`, all meshes wear its texture: a style-based one is entered at its styles w. `latent` is the one
    to begin with, (*latent_shape) or (1, *latent_shape). Without a generator the scene keeps its own materials. `steps`
    are what base_color passes in either case.
    """

    def __init__(self, scene: Scene, generator: nn.Module | None = None, latent: Tensor | None = None):
        self.generator = generator
        self.latent: Latent | None = None
        self._own = scene
        self._maps: dict[str, Texture] = {}
        if generator is not None:
            if isinstance(generator, StyledPrior) and not isinstance(generator, LatentSpace):
                generator = LatentSpace(generator, "w")
            self.generator, self.latent = generator, Latent(generator, "skin").sample(0)
            if latent is not None:
                self.latent.bind(latent)
            self._maps = cast(dict[str, Texture], GeneratedTexture(generator, self.latent).maps())
        self.steps: list[Step] = []
        center, radius = scene.bounds()
        self.center = center.cpu()
        self.radius = radius if 0 < radius < math.inf else 1.0
        self.scene = self._dressed()

    def set_latent(self, value: Tensor) -> None:
        """Wear the texture of this latent, (*latent_shape)."""
        assert self.latent is not None
        assert self.latent.value is not None
        with torch.no_grad():
            self.latent.value.copy_(value[None])

    def set_steps(self, texts: Sequence[str], estimator: str) -> None:
        """Have base_color pass `discrete.parse(text, estimator)` of each text, from the next `refresh` on.

        ArgumentError for a step that is not known, or an estimator that it does not take.
        """
        self.steps = [discrete.parse(text, estimator) for text in texts]
        self.scene = self._dressed()

    @torch.no_grad()
    def refresh(self) -> None:
        """Let palettes take their colours from the texture of now, as a fit does before it begins to learn them."""
        for material in self.scene.materials():
            for texture in reversed(_stepped(material.base_color)):
                if isinstance(texture.step, Palette):
                    colors = Palette.from_texture(Evaluation()(texture.source), len(texture.step.colors)).colors
                    texture.step.colors = colors

    def _dressed(self) -> Scene:
        """The scene in what it wears now, its base colours after the steps."""
        worn: dict[Material, Material] = {}
        for material in self._own.materials():
            color = self._maps.get("base_color", material.base_color)
            for step in self.steps:
                color = color.through(copy.deepcopy(step))
            if self._maps:
                others: dict[str, Any] = {name: map for name, map in self._maps.items() if name != "base_color"}
                worn[material] = Material(color, **others, name=material.name)
            elif self.steps:
                worn[material] = material.replace(base_color=color)
        return self._own.replace(materials=worn) if worn else self._own

    def glb(self) -> bytes:
        """The scene as it is now, as binary glTF."""
        return to_bytes(self.scene)

    @torch.no_grad()
    def maps(self) -> dict[str, Float[Tensor, "c h w"]]:
        """The maps of the first material, in [0, 1]: as they are exported; and, where base_color passes steps, as a fit
        sees it through their estimators."""
        materials = self.scene.materials()
        if not materials:
            return {}
        with shown_as_exported(self.scene):
            maps = {name: value[0].float() for name, value in materials[0].values(Evaluation()).items()}
        if self.steps:
            for texture in (stepped := _stepped(materials[0].base_color)):
                texture.step.train()
            maps["base_color, as a fit sees it"] = Evaluation()(stepped[0])[0].float()
            for texture in stepped:
                texture.step.eval()
        return maps

    @torch.no_grad()
    def render(self, camera: Camera, size: tuple[int, int], lights: list[Light] | None = None) -> Tensor:
        """A linear image (4, *size) by our renderer, lit by `lights`, or by a flash that suits the distance."""
        return render(self.scene, size, cameras=camera, lights=lights or [self.flash(camera)], grid=2)[0]

    def flash(self, camera: Camera) -> Light:
        """A flash by which white, where it is nearest, is just not clipped."""
        distance = float((camera.transform[:3, 3].cpu() - self.center.cpu()).norm())
        nearest = max(distance - 0.7 * self.radius, 0.1 * distance)
        return Flash(math.pi * nearest**2) if nearest > 0 else AmbientLight(1.0)


def _stepped(texture: Texture) -> list[SteppedTexture]:
    """The steps that a texture has passed, the last one first."""
    found = []
    while isinstance(texture, SteppedTexture):
        found.append(texture)
        texture = texture.source
    return found
