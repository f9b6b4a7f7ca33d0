"""A neurotex scene, drawn by PyTorch3D: its mesh renderer and its shaders under our lights."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError, SceneError
from ...renderers.direct import check_scene
from ...scene import Camera, ConstantTexture, Latents, Material, Scene
from ...scene.counts import is_count
from ...scene.graph import check_is_scene
from . import installed
from .blend import Blend
from .cameras import to_camera
from .meshes import to_meshes
from .rasterizer import FastMeshRasterizer, FastMeshRenderer
from .scene_lights import SceneLights

LAYERS = 8  # of a soft picture
# a face counts in a soft silhouette where its probability of covering a pixel is more than this
LEAST_PROBABILITY = 1e-4


class PyTorch3DRenderer(nn.Module):
    """PyTorch3D in place of `neurotex.render`, for the same scene: `renderer(size, grid=…, latents=…)`.

    Without `blend` it is a hard z-test by HardPhongShader, and for diffuse scenes the picture is that of
    `neurotex.render` under lights that cast no shadows, of which PyTorch3D knows nothing. With a `Blend`
    SoftPhongShader draws, whose silhouettes and hidden layers have a gradient to the vertices, over the blend's
    background; then the nearest 8 `faces_per_pixel` count, as far around each face as
    `blur_radius` (squared NDC units), log(1 / 1e-4 − 1) · sigma, unless given.

    `rasterizer` is the class that finds the faces: `FastMeshRasterizer`, or PyTorch3D's own `MeshRasterizer`.
    Parameters and state are the scene's. Raises MissingError where PyTorch3D is not installed.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        blend: Blend | None = None,
        faces_per_pixel: int | None = None,
        blur_radius: float | None = None,
        rasterizer: Any = None,
    ):
        super().__init__()
        installed.require()
        check_is_scene(scene)
        hard = blend is None
        if faces_per_pixel is None:
            faces_per_pixel = 1 if hard else LAYERS
        if blur_radius is None:
            blur_radius = 0.0 if hard else math.log(1 / LEAST_PROBABILITY - 1) * blend.sigma
        if not is_count(faces_per_pixel):
            raise ArgumentError(f"faces_per_pixel is {faces_per_pixel}, but is a whole number of at least 1.")
        if not 0 <= blur_radius < math.inf:
            raise ArgumentError(f"blur_radius is a squared distance of 0 or more, but is {blur_radius}.")
        self.scene = scene
        self.blend = blend
        self.faces_per_pixel = int(faces_per_pixel)
        self.blur_radius = float(blur_radius)
        self.rasterizer = FastMeshRasterizer if rasterizer is None else rasterizer

    def forward(
        self, size: int | tuple[int, int] = 256, *, grid: int = 4, latents: Latents | None = None
    ) -> Float[Tensor, "views 4 h w"]:
        """Render every camera of the scene, as `neurotex.render` does: (views, 4, H, W), linear RGB over black, alpha.

        PyTorch3D samples pixels at their centres alone: it draws `grid` times as many in both directions, and the
        picture is their average. Each texture node is evaluated once. Differentiable in textures, latents, weights,
        vertices and lights; through visibility only with a `blend`.

        Raises SceneError for what PyTorch3D's Phong shaders cannot express: see `check_expressible`.
        """
        size = check_scene(self.scene, size, grid)
        check_expressible(self.scene)
        meshes = to_meshes(self.scene, linear=True)
        meshes.textures = meshes.textures.bind(latents)
        views = [self._view(camera, meshes, size, grid) for camera in self.scene.cameras]
        return torch.stack(views).movedim(-1, 1)

    def _view(self, camera: Camera, meshes: Any, size: tuple[int, int], grid: int) -> Float[Tensor, "h w 4"]:
        """What one camera sees."""
        from pytorch3d.renderer import MeshRenderer, RasterizationSettings

        samples = (size[0] * grid, size[1] * grid)
        cameras = to_camera(camera, samples).to(meshes.device)
        settings = RasterizationSettings(
            image_size=samples,
            blur_radius=self.blur_radius,
            faces_per_pixel=self.faces_per_pixel,
            perspective_correct=bool(cameras.is_perspective()),
            z_clip_value=camera.near_plane(self.scene.bounds()[1]),
        )
        rasterizer = self.rasterizer(cameras=cameras, raster_settings=settings)
        fast = isinstance(rasterizer, FastMeshRasterizer)
        draw = (FastMeshRenderer if fast else MeshRenderer)(rasterizer, self._shader(camera, cameras, meshes.device))
        depths = {} if self.blend is None else {"znear": self.blend.znear, "zfar": self.blend.zfar}
        image = draw(meshes, **depths)[0]
        return image.view(size[0], grid, size[1], grid, 4).mean((1, 3))

    def _shader(self, camera: Camera, cameras: Any, device: torch.device) -> nn.Module:
        from pytorch3d.renderer import BlendParams, HardPhongShader, SoftPhongShader

        blend = self.blend or Blend(background=(0.0, 0.0, 0.0))
        kind = HardPhongShader if self.blend is None else SoftPhongShader
        lights = SceneLights(self.scene.lights, camera).to(device)
        params = BlendParams(blend.sigma, blend.gamma, blend.background)
        return kind(device, cameras, lights, blend_params=params)


def check_expressible(scene: Scene) -> None:
    """Raise SceneError, with the material's name, for what would be lost in PyTorch3D's Phong shaders.

    They know one map, of colour, without alpha, and compute in single precision; all of a scene lies on one device.
    """
    tensors = [*scene.named_parameters(), *scene.named_buffers()]
    device = next((tensor.device for name, tensor in tensors if name.endswith("mesh.vertices")), None)
    for name, tensor in tensors:
        if device is not None and tensor.device != device:
            raise SceneError(
                f"'{name}' is on {tensor.device}, but the first mesh on {device}: call scene.to('{device}')."
            )
    for path, node, _ in scene.walk():
        if node.mesh is not None and node.mesh.vertices.dtype != torch.float32:
            raise SceneError(
                f"node '{path}' has a mesh of {node.mesh.vertices.dtype}, but PyTorch3D computes in float32: "
                "call scene.float(), or draw it with neurotex.render."
            )
    for material in scene.materials():
        lost = _lost(material)
        if lost:
            raise SceneError(
                f"material '{material.name}' has {lost}, which PyTorch3D's Phong shaders cannot express: "
                "neurotex.render draws it, or give a material with nothing but a base_color."
            )


def _lost(material: Material) -> str:
    """What of a material the shaders would not show, in words; nothing for "all is well"."""
    maps = {name: texture for name, texture in material.maps().items() if name != "base_color"}
    metallic = maps.get("metallic")
    if isinstance(metallic, ConstantTexture) and not bool(metallic.color.any()):
        del maps["metallic"]  # every glossy material has this one, asked for or not
    if maps:
        return f"a {' and a '.join(maps)} map"
    return "" if material.alpha_cutoff is None else "an alpha_cutoff"
