"""Scenes of ours, rendered by Mitsuba."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import SceneError
from ...renderers.direct import check_scene
from ...scene import Evaluation, Latents, Scene, resolution
from ...scene.map_kinds import MAPS
from .bound import check_device, check_samples
from .draw import Shot, draw, seeds
from .lights import moves
from .sensors import even_samples, sensors
from .surfaces import keys, textures
from .translate import Integrator, describe, how
from .variant import fitting, using


class MitsubaRenderer(nn.Module):
    """A scene translated to Mitsuba once, and rendered by it: shadows, and light that bounces from surface to surface.

    `integrator` is "direct" (light that reaches the eye after one reflection; shadows are cast), "path" (after up to
    `max_depth` − 1 reflections: 2 is direct light, 3 one bounce more, −1 all) or a dictionary for mi.load_dict.
    Its parameters are the scene's. Meshes, cameras and lights stay as they are when the scene is translated; textures
    are evaluated in each render. Gradients reach latents, weights and texels, but neither vertices, cameras nor lights.

    Surfaces are what they are in neurotex.render: those with roughness are a BSDF of our own (see `bsdf`). Raises
    SceneError for what Mitsuba cannot express: alpha_cutoff, normal maps on mirrored UVs, focal lengths that differ,
    two environments. Where a texture's filter has mip maps it warns, and reads bilinearly.
    """

    def __init__(self, scene: Scene, *, integrator: Integrator = "direct", max_depth: int = 6):
        super().__init__()
        check_scene(scene, 256, 1)
        self.scene = scene
        materials = scene.materials()
        self._variant = fitting(scene.geometry().vertices.device)
        with using(self._variant) as mi:
            blank = [{name: torch.full((1, MAPS[name].channels[0], 2, 2), 0.5) for name in m.maps()} for m in materials]
            world = describe(mi, scene, blank, how(integrator, max_depth, scene.lights))
            # sensors are made for each size; Mitsuba would complain of a scene without any
            self.mi_scene = mi.load_dict({**world, "sensor": {"type": "perspective"}})
            self._params = mi.traverse(self.mi_scene)
        self._keys = [keys(material, k) for k, material in enumerate(materials)]
        self._cameras, self._bounds = deepcopy(list(scene.cameras)), scene.bounds()
        self._moves = [moves(scene.lights, camera) for camera in scene.cameras]
        self._sensors: tuple[tuple[int, int] | None, list[Any]] = (None, [])

    def forward(
        self,
        size: int | tuple[int, int] = 256,
        *,
        spp: int = 16,
        seed: int = 0,
        latents: Latents | None = None,
    ) -> Float[Tensor, "views channels h w"]:
        """Every camera's image: (views, 4, H, W), linear RGB over black, and coverage as alpha; float32.

        `size` is the side of a square image or (height, width), pixels. `spp` random samples per pixel, rounded up to
        a grid (7 to 2 × 4), are averaged; another `seed`, another noise. `latents` gives values to latents by name.
        Each texture node is evaluated once. An integrator of Mitsuba's own may add channels.
        """
        size = resolution(size)
        check_samples(spp, seed)
        data, integrator = self._textures(latents), self.mi_scene.integrator()
        views = zip(self._at(size), seeds(seed, len(self._cameras)), self._moves, strict=True)
        shots = [Shot(sensor, integrator, even_samples(spp), number, moved) for sensor, number, moved in views]
        return draw(self.mi_scene, self._params, data, shots).movedim(-1, 1)

    def _textures(self, latents: Latents | None) -> dict[str, Tensor]:
        """What the materials' maps are in this render, by their keys in the Mitsuba scene."""
        materials = self.scene.materials()
        if [keys(material, k) for k, material in enumerate(materials)] != self._keys:
            raise SceneError("the scene's materials have got other maps since it was translated: translate it again.")
        with Evaluation(latents) as evaluation:
            values = [material.values(evaluation) for material in materials]
        data = {}
        for maps, places in zip(values, self._keys, strict=True):
            for name, tensor in textures(maps).items():
                check_device(tensor, self._variant)
                data[places[name]] = tensor
        return data

    def _at(self, size: tuple[int, int]) -> list[Any]:
        """The sensors for images of this size."""
        if self._sensors[0] != size:
            with using(self._variant) as mi:
                made = [mi.load_dict(words) for words in sensors(mi, self._cameras, self._bounds, size).values()]
            self._sensors = (size, made)
        return self._sensors[1]
