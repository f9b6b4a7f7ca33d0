"""Record what PyTorch3D 0.7.9's MeshRasterizer makes of a batch of three small meshes on CPU: rasterizer_*.npz.

Run it by hand where PyTorch3D is installed. Each file holds the meshes in the world (vertices and faces packed, their
counts), what the cameras do with them (rows of `view` take a point of the world to view space, those of `project` from
there to NDC; points are rows, too), the four tensors of the fragments, and the gradient to the packed vertices of
Σ probe · (zbuf, bary_coords, dists), where probe counts up through an array as cos(0.7 i). Where faces are cut there is
none: PyTorch3D's is not that of its image. `meta` is JSON: the settings given, the cameras' znear, and whether they are
perspective.
"""

import json
from pathlib import Path

import numpy as np
import torch
from pytorch3d.renderer import (
    FoVOrthographicCameras,
    FoVPerspectiveCameras,
    MeshRasterizer,
    RasterizationSettings,
    look_at_view_transform,
)
from pytorch3d.structures import Meshes
from pytorch3d.utils import ico_sphere

SIZE = (13, 20)
CASES = {
    "blur": {"blur_radius": 0.01, "faces_per_pixel": 3},
    "hard": {"cull_backfaces": True, "faces_per_pixel": 2},
    "flat": {"blur_radius": 0.001, "perspective_correct": False, "clip_barycentric_coords": False},
    "cut": {"blur_radius": 0.002, "faces_per_pixel": 2, "z_clip_value": 1.9},
    "frustum": {"faces_per_pixel": 2, "cull_to_frustum": True},
    "orthographic": {"faces_per_pixel": 2},
}


def scene() -> tuple[list, list]:
    """A ball, a pyramid and faces without order, some of them large."""
    generator = torch.Generator().manual_seed(11)
    ball = ico_sphere(0)
    pyramid = torch.tensor([[0.0, 1, 0], [-0.8, -0.6, 0.5], [0.9, -0.5, 0.4], [0.1, -0.7, -0.9]])
    soup = torch.randn(6, 1, 3, generator=generator) * 0.7 + torch.randn(6, 3, 3, generator=generator) * 0.5
    return (
        [ball.verts_packed(), pyramid, soup.view(-1, 3)],
        [ball.faces_packed(), torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]]), torch.arange(18).view(6, 3)],
    )


def record(name: str, settings: dict) -> None:
    vertices, faces = scene()
    vertices = [each.clone().requires_grad_() for each in vertices]
    R, T = look_at_view_transform([2.7, 2.2, 2.4], [10.0, -25, 40], [20.0, 130, 250])
    kind = FoVOrthographicCameras if name == "orthographic" else FoVPerspectiveCameras
    cameras = kind(R=R, T=T)
    rasterizer = MeshRasterizer(cameras, RasterizationSettings(image_size=SIZE, **settings))
    fragments = rasterizer(Meshes(vertices, faces))
    values = {key: getattr(fragments, key) for key in ("zbuf", "bary_coords", "dists")}
    sum((torch.arange(v.numel()).mul(0.7).cos().view(v.shape) * v).sum() for v in values.values()).backward()
    projection = cameras.get_projection_transform().compose(cameras.get_ndc_camera_transform())
    meta = {"settings": {"image_size": SIZE, **settings}, "znear": 1.0, "perspective": name != "orthographic"}
    arrays = {
        "vertices": torch.cat(vertices),
        "faces": torch.cat(faces).short(),
        "counts": torch.tensor([[len(v), len(f)] for v, f in zip(vertices, faces, strict=True)]),
        "view": cameras.get_world_to_view_transform().get_matrix(),
        "project": projection.get_matrix(),
        "pix_to_face": fragments.pix_to_face.short(),
        **values,
    }
    if "z_clip_value" not in settings:
        arrays["grad"] = torch.cat([each.grad for each in vertices])
    path = Path(__file__).with_name(f"rasterizer_{name}.npz")
    np.savez_compressed(path, meta=json.dumps(meta), **{key: t.detach().numpy() for key, t in arrays.items()})
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    for name, settings in CASES.items():
        record(name, settings)
