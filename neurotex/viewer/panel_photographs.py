"""Photographs where they were taken: click one, and it is compared with the model of now."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..images.colour import linear_to_srgb
from ..scene import Camera, Views
from .pictures import WIDTH, of_render

if TYPE_CHECKING:
    import viser

    from .viewer import Viewer

THUMBNAIL = 96  # pixels
SHARE = 0.12  # how long a frustum is, of the model's radius and the camera's distance
GAIN = 4  # differences are small


class PhotographPanel:
    """A frustum for each photograph; photograph, render and their difference of the one that is chosen."""

    def __init__(self, viewer: Viewer, views: Views):
        self.viewer, self.views = viewer, views
        gui = viewer.server.gui
        names = tuple(views.names)
        self.chosen = gui.add_dropdown("photograph", names)
        self.figures = gui.add_markdown("")
        blank = np.full((8, 8, 3), 204, np.uint8)
        self.pictures = {what: gui.add_image(blank, label=what) for what in ("photograph", "render", "difference")}
        self.chosen.on_update(lambda _: viewer.worker.ask("compare", self.compare))
        for number, (name, camera) in enumerate(zip(names, views.cameras, strict=True)):
            self._add(number, name, camera)

    def _add(self, number: int, name: str, camera: Camera) -> None:
        image = self.views.images[number]
        height, width = image.shape[1:]
        wxyz, position = self.viewer.seen_from(camera)
        focal = float(camera.intrinsics(height, width)[1, 1])
        distance = float(np.linalg.norm(position))
        step = max(height // THUMBNAIL, 1)
        frustum = self.viewer.server.scene.add_camera_frustum(
            f"/photographs/{number}",
            fov=2 * math.atan(height / 2 / focal),
            aspect=width / height,
            scale=SHARE * max(distance, 1.0),
            image=of_render(image[:, ::step, ::step]),
            wxyz=wxyz,
            position=position,
            color=(255, 120, 40),
        )

        def go(event: viser.SceneNodePointerEvent) -> None:
            with event.client.atomic():
                event.client.camera.wxyz, event.client.camera.position = wxyz, position
            self.chosen.value = name
            self.viewer.worker.ask("compare", self.compare)

        frustum.on_click(go)

    @torch.no_grad()
    def compare(self) -> None:
        """Show the photograph that is chosen beside the model from its camera."""
        number = list(self.views.names).index(str(self.chosen.value))
        image = self.views.images[number]
        step = max(-(-image.shape[2] // WIDTH), 1)
        image = _smaller(image, step)
        size = (image.shape[1], image.shape[2])
        ours = self.viewer.model.render(self.views.cameras[number], size, list(self.views.lights))
        # over what both cover
        alpha = image[3:] * ours[3:].to(image)
        difference = (linear_to_srgb(ours[:3].to(image)) - linear_to_srgb(image[:3])).abs() * alpha
        error = float(difference.square().sum() / (3 * alpha.sum()).clamp(min=1e-12))
        self.pictures["photograph"].image = of_render(image)
        self.pictures["render"].image = of_render(ours)
        shown = torch.cat([(GAIN * difference).clamp(0, 1), torch.ones_like(alpha)])
        self.pictures["difference"].image = (shown[:3].movedim(0, 2) * 255).byte().cpu().numpy()
        psnr = -10 * math.log10(max(error, 1e-12))
        self.figures.content = (
            f"**{psnr:.1f} dB** where both show the object, at {size[1]} × {size[0]}; differences × {GAIN}"
        )


def _smaller(image: Tensor, factor: int) -> Tensor:
    return torch.nn.functional.avg_pool2d(image[None], factor)[0] if factor > 1 else image
