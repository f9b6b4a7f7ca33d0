"""A static scene as one sparse matrix.

With fixed meshes, cameras and lights a diffuse image is linear in the albedo of the texels. The matrix holds
visibility, filtering, antialiasing and shading, of all views at once; a step of a fit then costs two sparse products,
whatever the mesh or the number of samples per pixel. It equals `render` up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from .. import raster
from ..errors import SceneError
from ..scene import Evaluation, Scene
from .embedded import camera_surface, check_scene, scene_texels, transport


class BakedScene(nn.Module):
    """What `bake` returns: call it to render. Textures stay live, everything else is frozen.

    Only covered pixels are rows of `operator`; `pixel` says where in the stack of views each one lies.
    """

    def __init__(
        self,
        scene: Scene,
        operator: raster.SparseOperator,
        pixel: Int[Tensor, "rows"],
        alpha: Float[Tensor, "rows"],
        size: tuple[int, int],
    ):
        super().__init__()
        self.scene = scene
        self.operator = operator
        self.size = size
        self.shape = (len(scene.cameras), *size)
        self.register_buffer("pixel", pixel, persistent=False)
        self.register_buffer("alpha", alpha, persistent=False)

    def pixels(self, latents: Mapping[str, Tensor] | None = None) -> Float[Tensor, "rows 3"]:
        """Linear RGB of the covered pixels only: all that a photometric loss needs."""
        texels, layout = scene_texels(self.scene, Evaluation(latents))
        if layout.total != self.operator.shape[1]:
            raise SceneError(
                f"the textures now have {layout.total} texels, but the scene was baked for {self.operator.shape[1]}: "
                "bake it again."
            )
        return self.operator(texels)

    def forward(self, latents: Mapping[str, Tensor] | None = None) -> Float[Tensor, "views 4 h w"]:
        """The images, as `render` gives them."""
        rows = self.pixels(latents)
        return self.images(torch.cat([rows, self.alpha[:, None].to(rows)], dim=1))

    def images(self, rows: Float[Tensor, "rows c"]) -> Float[Tensor, "views c h w"]:
        """Covered pixels put back into images, 0 elsewhere."""
        views, height, width = self.shape
        flat = rows.new_zeros((views * height * width, rows.shape[1])).index_copy(0, self.pixel, rows)
        return flat.view(views, height, width, -1).movedim(-1, 1)

    def rows(self, images: Float[Tensor, "views c h w"]) -> Float[Tensor, "rows c"]:
        """The covered pixels of images: the inverse of `images`."""
        return images.movedim(1, -1).reshape(-1, images.shape[1])[self.pixel]


@torch.no_grad()
def bake(scene: Scene, size: int | tuple[int, int] = 256, *, grid: int = 4) -> BakedScene:
    """Freeze geometry, cameras and lights of a scene; see `render` for the arguments."""
    size = check_scene(scene, size, grid)
    geometry = scene.geometry()
    layout = scene_texels(scene, Evaluation())[1]
    parts, pixels, counts = [], [], []
    for view, camera in enumerate(scene.cameras):
        surface = camera_surface(geometry, camera, size, grid)
        index, weight = raster.bilinear_taps(surface.uv, surface.material, layout)
        light = transport(scene.lights, camera, surface) / grid**2
        pixel, count = surface.pixel.unique_consecutive(return_counts=True)
        first = torch.cat([count.new_zeros(1), count.cumsum(0)])
        parts.append(raster.assemble_rows(first, index, weight, light))
        pixels.append(pixel + view * size[0] * size[1])
        counts.append(count)
    ends = torch.stack([pointers[-1] for pointers, _, _ in parts]).cumsum(0)
    starts = [0, *ends[:-1].tolist()]
    pointers = torch.cat([p[:-1] + start for (p, _, _), start in zip(parts, starts, strict=True)] + [ends[-1:]])
    columns, values = (torch.cat([part[k] for part in parts]) for k in (1, 2))
    operator = raster.SparseOperator(pointers, columns, values, layout.total)
    alpha = torch.cat(counts).to(values.dtype) / grid**2
    return BakedScene(scene, operator, torch.cat(pixels), alpha, size)
