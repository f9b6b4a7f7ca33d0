"""Records pictures of small scenes by PyTorch3D's rasteriser, renderer and HardPhongShader with their defaults.

    python tests/golden/plugins/record_phong.py

writes phong.npz beside this file, and needs PyTorch3D (0.7.9 made that one): for each of NAMES an array (views, 4, 32,
40), float32. Tests rebuild the scenes with `build`.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import neurotex as nt

FILE = Path(__file__).parent / "phong.npz"
NAMES = ("inside", "floor", "touching", "stretched", "vertices", "atlas")
SIZE = (32, 40)


def build(name: str) -> tuple[nt.Scene, dict[str, Any]]:
    """The scene `name`, and what `render_phong` is told of lights and materials.

    "inside" has orthographic eyes within the mesh, "floor" perspective ones over a floor that reaches behind them,
    "touching" one in the plane of vertices; "stretched" has orthographic pixels that are not square, and a light and a
    material for each view; "vertices" and "atlas" have colours there.
    """
    ball, light = _ball(), [nt.PhongLight.at((0.4, 1.5, 3.0))]
    if name == "inside":
        cameras = [nt.OrthographicCamera(nt.look_at(torch.tensor(eye)), 1.3) for eye in ([0.1, 0.2, 0.3], [0.9, 0, 0])]
        return nt.Scene(ball, cameras), {"light": light}
    if name == "floor":
        corners = torch.tensor([[-4.0, -1.2, 5], [4, -1.2, 5], [4, -1.2, -6], [-4, -1.2, -6]])
        floor = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), corners[:, ::2] / 4, material=_paint())
        cameras = [nt.PerspectiveCamera(nt.look_at(torch.tensor([x, 0.5, 2.0])), 60.0) for x in (-1.0, 0.3)]
        return nt.Scene([ball, floor], cameras), {"light": light}
    if name == "touching":
        place = torch.eye(4)
        place[:3, 3] = torch.tensor([0.03, 0.05, 1.0])
        ball.vertices = torch.where(
            ball.vertices[:, 2:] > 0.9, ball.vertices * torch.tensor([1.0, 1, 0]) + place[2, :3], ball.vertices
        )
        return nt.Scene(ball, nt.PerspectiveCamera(place, 160.0)), {"light": light}
    eyes = torch.tensor([[1.0, 0.5, 3], [-1, 0.7, 3], [0.2, 2, 3]])
    if name in ("vertices", "atlas"):
        count, shape = (len(ball.vertices), (1,)) if name == "vertices" else (len(ball.faces), (3, 3))
        values = ((torch.arange(count * 9 * 3) * 1.7).sin() / 2 + 0.5).view(count, 9, 3)
        node = nt.VertexTexture(values[:, 0]) if name == "vertices" else nt.FaceTexture(values.view(count, *shape, 3))
        ball.material = nt.Material(node)
        return nt.Scene(ball, [nt.PerspectiveCamera(nt.look_at(eye), 50.0) for eye in eyes]), {"light": light}
    cameras = [
        nt.OrthographicCamera(nt.look_at(eye), ymag, xmag=1.2) for eye, ymag in zip(eyes, (1.5, 1.1, 2.0), strict=True)
    ]
    lights = [nt.PhongLight.at((x, 1.0, 2.0), diffuse=(0.5, 0.2 + x / 5, 0.4)) for x in (0.0, 1.0, 2.0)]
    materials = [nt.PhongMaterial((1, 1, 1), (0.9, 0.8, 0.3 * k), (1, 1, 1), 4.0 * (k + 1)) for k in range(3)]
    return nt.Scene(ball, cameras), {"light": lights, "material": materials}


def _paint() -> nt.Material:
    y, x = torch.meshgrid(torch.linspace(0, 1, 8), torch.linspace(0, 1, 12), indexing="ij")
    image = torch.stack([x, y, ((7 * x).sin() * (5 * y).cos() + 1) / 2])
    return nt.Material(nt.ImageTexture(image, "clamp"))


def _ball(rings: int = 9, sides: int = 14) -> nt.Mesh:
    """The unit ball without a seam, v from pole to pole."""
    angle = 2 * torch.pi * torch.arange(sides) / sides
    height = torch.pi * (torch.arange(rings) + 0.5) / rings
    b, a = (t.flatten() for t in torch.meshgrid(height, angle, indexing="ij"))
    points = torch.stack([b.sin() * a.cos(), b.sin() * a.sin(), -b.cos()], 1)
    i, j = (t.flatten() for t in torch.meshgrid(torch.arange(rings - 1), torch.arange(sides), indexing="ij"))
    one, next_one = i * sides + j, i * sides + (j + 1) % sides
    quads = torch.stack([one, next_one, next_one + sides, one + sides], 1)
    faces = torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return nt.Mesh(points, faces, points[:, :2] / 2 + 0.5, material=_paint())


def theirs(scene: nt.Scene, **options: Any) -> Tensor:
    """The picture by PyTorch3D: (views, 4, H, W)."""
    from pytorch3d.renderer import (
        HardPhongShader,
        MeshRasterizer,
        MeshRenderer,
        RasterizationSettings,
        TexturesAtlas,
        TexturesUV,
        TexturesVertex,
    )
    from pytorch3d.structures import Meshes, join_meshes_as_scene

    from neurotex.compat.pytorch3d import to_camera, to_lights, to_materials

    parts = []
    for _, node, _ in scene.walk():
        if (mesh := node.mesh) is not None:
            image, faces = mesh.material.base_color()[0].movedim(0, -1), mesh.faces.long()
            kind = mesh.material.base_color.filter
            if kind == "vertex":
                textures = TexturesVertex([image[:, 0]])
            elif kind == "face":
                textures = TexturesAtlas([image.unflatten(1, (3, 3))])
            else:
                textures = TexturesUV([image], [faces], [mesh.uvs])
            parts.append(Meshes([mesh.vertices], [faces], textures))
    meshes = parts[0] if len(parts) == 1 else join_meshes_as_scene(parts)
    lights, materials = options["light"], options.get("material", [nt.PhongMaterial()])
    pictures = []
    for k, camera in enumerate(scene.cameras):
        cameras = to_camera(camera, SIZE)
        rasterizer = MeshRasterizer(cameras, RasterizationSettings(image_size=SIZE))
        look = {"lights": to_lights(lights[k % len(lights)]), "materials": to_materials(materials[k % len(materials)])}
        pictures.append(MeshRenderer(rasterizer, HardPhongShader(cameras=cameras, **look))(meshes)[0])
    return torch.stack(pictures).movedim(-1, 1)


def main() -> None:
    np.savez_compressed(FILE, **{name: _recorded(name) for name in NAMES})


def _recorded(name: str) -> np.ndarray:
    scene, options = build(name)
    return theirs(scene, **options).contiguous().numpy()


if __name__ == "__main__":
    main()
