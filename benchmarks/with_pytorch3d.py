"""What PyTorch3D does of the benchmarks. Its vertices, cameras and settings are ours, converted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d import conventions


def rasterize(corners: Tensor, side: int, layers: int = 1, blur: float = 0.0) -> Callable[[], tuple]:
    """`rasterize_meshes` on corners (faces, 3, 3) in our NDC: its own x points to the left."""
    from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
    from pytorch3d.structures import Meshes

    vertices = corners.reshape(-1, 3) * corners.new_tensor([-1, 1, 1])
    meshes = Meshes([vertices], [torch.arange(len(vertices)).view(-1, 3)])
    settings = {"faces_per_pixel": layers, "blur_radius": blur, "bin_size": 0}  # the only size there is on a CPU
    modes = {"perspective_correct": True, "clip_barycentric_coords": blur > 0}
    return lambda: rasterize_meshes(meshes, side, **settings, **modes)


def render(
    scene: nt.Scene,
    texture: Tensor,
    side: int,
    rasterizer: str = "MeshRasterizer",
    renderer: str = "MeshRenderer",
    textures: str = "TexturesUV",
) -> Callable[[], Tensor]:
    """A renderer with hard Phong shading for the first camera: (1, 4, side, side), a graph from `texture`.

    The last three are names of classes: of PyTorch3D, or ours that take their place.
    """
    from pytorch3d import renderer as theirs
    from pytorch3d.renderer import (
        FoVPerspectiveCameras,
        HardPhongShader,
        PointLights,
        RasterizationSettings,
    )
    from pytorch3d.structures import Meshes

    from neurotex.compat import pytorch3d as ours

    find, draw, wear = (getattr(theirs, name, None) or getattr(ours, name) for name in (rasterizer, renderer, textures))

    geometry, camera = scene.geometry(), scene.cameras[0]
    rotation, translation = conventions.rotation_and_translation(camera.transform[None])
    device = geometry.vertices.device
    cameras = FoVPerspectiveCameras(R=rotation, T=translation, fov=camera.fov, device=device)
    bins = 0 if device.type == "cpu" else None  # none are the only choice there is on a CPU
    settings = RasterizationSettings(image_size=side, faces_per_pixel=1, blur_radius=0.0, bin_size=bins)
    lights = PointLights(location=camera.position[None], device=device)
    drawn = draw(find(cameras, settings), HardPhongShader(device=device, cameras=cameras, lights=lights))
    faces = geometry.faces.long()

    def image() -> Tensor:
        skin = wear([texture.movedim(0, -1)], [faces], [geometry.uvs])
        return drawn(Meshes([geometry.vertices], [faces], skin)).movedim(-1, 1)

    return image
