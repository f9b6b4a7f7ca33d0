"""What PyTorch3D makes of its own things."""

from typing import Any

from torch import Tensor


def render_theirs(pytorch3d: Any, meshes: Any, cameras: Any, **shader: Any) -> Tensor:
    settings = pytorch3d.RasterizationSettings(image_size=40)
    rasterizer = pytorch3d.MeshRasterizer(cameras, settings)
    renderer = pytorch3d.MeshRenderer(rasterizer, pytorch3d.HardPhongShader(cameras=cameras, **shader))
    return renderer(meshes).movedim(-1, 1)
