"""What nvdiffrast does of the benchmarks: as many samples per pixel as we take, shaded by ourselves, and averaged."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

import neurotex as nt


def render(scene: nt.Scene, texture: Tensor, side: int, grid: int) -> Callable[[], Tensor]:
    """Diffuse light of a flash on a texture (3, h, w) seen by the first camera: (1, 3, side, side)."""
    import nvdiffrast.torch as dr

    context = dr.RasterizeCudaContext()
    geometry, camera = scene.geometry(), scene.cameras[0]
    size = side * grid
    matrix = camera.screen_matrix((size, size)).to(geometry.vertices)
    x, y, _, w = (geometry.vertices @ matrix[:, :3].T + matrix[:, 3]).unbind(1)
    near = 1e-2 * float(w.min())
    # rows count from the top, as ours do
    clip = torch.stack([2 * x / size - w, 2 * y / size - w, w - 2 * near, w], 1)[None].contiguous()
    faces, uvs = geometry.faces.int().contiguous(), geometry.uvs * torch.tensor([1.0, -1.0]).to(geometry.uvs)
    attributes = torch.cat([uvs + torch.tensor([0.0, 1.0]).to(uvs), geometry.vertices, geometry.normals], 1)[None]
    eye, strength = camera.position, scene.lights[0].intensity

    def image() -> Tensor:
        raster, _ = dr.rasterize(context, clip, faces, resolution=[size, size])
        found, _ = dr.interpolate(attributes.contiguous(), raster, faces)
        uv, position, normal = found.split([2, 3, 3], dim=-1)
        albedo = dr.texture(texture.movedim(0, -1)[None].contiguous(), uv.contiguous(), filter_mode="linear")
        towards = eye - position
        distance = towards.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        cosine = (torch.nn.functional.normalize(normal, dim=-1) * towards / distance).sum(-1, keepdim=True).abs()
        light = strength * cosine / distance.square() / torch.pi * (raster[..., 3:] > 0)
        return avg_pool2d((albedo * light).movedim(-1, 1), grid)

    return image
