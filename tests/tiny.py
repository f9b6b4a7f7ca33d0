"""A box, photographs of it and a generator, all small: what the tests of the fit and the command line work on; and
textures."""

import json
import math
from pathlib import Path

import torch
from torch import Tensor

import neurotex as nt
from neurotex.gan.procedural import materials
from neurotex.scene import to_photograph

FLASH, YFOV, SIDE = 40.0, 45.0, 48


def base_colours(n: int, size: int, seed: int, family: str | None = None) -> Tensor:
    """Those of procedural materials: (n, 3, size, size), in [0, 1]."""
    return (materials(n, size, seed, family)[:, :3] + 1) / 2


def box() -> nt.Mesh:
    """The cube |x|, |y|, |z| ≤ 0.7. Each side is an island of its own in a 3 × 2 atlas, so every edge is a UV seam."""
    vertices, uvs, faces = [], [], []
    for side in range(6):
        sign = 1 - 2 * (side % 2)
        for a, b in ((-1.0, -1.0), (sign, -sign), (1.0, 1.0), (-sign, sign)):
            vertices.append(surface(side, torch.tensor([a, b])))
            cell = torch.tensor([side % 3, side // 3])
            uvs.append((cell + 0.1 + 0.4 * torch.tensor([a + 1, b + 1])) / torch.tensor([3, 2]))
        faces += [[4 * side, 4 * side + 1, 4 * side + 2], [4 * side, 4 * side + 2, 4 * side + 3]]
    return nt.Mesh(torch.stack(vertices), torch.tensor(faces), torch.stack(uvs), name="box")


def surface(side: int, place: Tensor) -> Tensor:
    """Points (..., 3) on a side of the box from places (..., 2) in [-1, 1]²."""
    height = torch.full_like(place[..., :1], 1 - 2 * (side % 2))
    return 0.7 * torch.cat([height, place], -1).roll(side // 2, -1)


def picture(size: int = 32) -> Tensor:
    """A texture (3, size, size) of waves in space, so that it has no seam: each channel its own."""
    ticks = (torch.arange(size) + 0.5) / size
    uv = torch.stack([ticks.expand(size, -1), 1 - ticks[:, None].expand(-1, size)], -1) * torch.tensor([3, 2])
    place = ((uv % 1 - 0.1) / 0.4 - 1).clamp(-1, 1)
    side = (uv[..., 0].floor() + 3 * uv[..., 1].floor()).long()
    points = torch.stack([surface(k, place) for k in range(6)]).gather(0, side[None, ..., None].expand(1, -1, -1, 3))[0]
    waves = torch.tensor([[2.0, 3, 1], [-3, 1, 2], [1, -2, 3]])
    return 0.5 + 0.35 * torch.sin(points @ waves + torch.arange(3)).movedim(-1, 0)


def generator(size: int = 32) -> nt.generators.MaterialGenerator:
    """An untrained generator of textures with 4 latents, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nt.generators.MaterialGenerator(size, latent_dim=4, style_dim=8, widths=(6, 4), substances=4).eval()


def cameras(views: int = 4, turn: float = 0.0) -> list[nt.Camera]:
    """Cameras around the box, alternately from above and from below; `turn` (degrees) leads to other places."""
    places = []
    for k in range(views):
        angle, rise = 2 * math.pi * k / views + math.radians(turn), math.radians((35, -35)[k % 2])
        eye = [math.cos(rise) * math.sin(angle), math.sin(rise), math.cos(rise) * math.cos(angle)]
        places.append(nt.PerspectiveCamera(nt.look_at(3.2 * torch.tensor(eye)), YFOV))
    return places


def write_obj(path: Path, mesh: nt.Mesh) -> Path:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in mesh.vertices.tolist()]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uvs.tolist()]
    lines += ["f " + " ".join(f"{k + 1}/{k + 1}" for k in face) for face in mesh.faces.tolist()]
    path.write_text("\n".join(lines) + "\n")
    return path


@torch.no_grad()
def photograph(folder: Path, texture: nt.Texture, places: list[nt.Camera], side: int = SIDE) -> Path:
    """Write pictures of the box wearing `texture`, and their transforms.json, to `folder`."""
    folder.mkdir()
    mesh = box()
    mesh.material = nt.Material(texture)
    frames = []
    for k, image in enumerate(nt.render(nt.Scene(mesh, places, nt.Flash(FLASH)), side)):
        to_photograph(image).save(folder / f"{k}.png")
        frames.append({"file_path": f"{k}.png", "transform_matrix": places[k].transform.tolist()})
    light = {"type": "flash", "intensity": [FLASH] * 3}
    data = {"camera_angle_x": math.radians(YFOV), "w": side, "h": side, "light": light, "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def write_case(folder: Path, texture: nt.Texture | None = None) -> dict[str, Path]:
    """A whole case on disk: mesh, 4 views to fit, 2 held out, a generator."""
    texture = nt.ImageTexture(picture()) if texture is None else texture
    folder.mkdir(exist_ok=True)
    nt.generators.save(generator(), folder / "generator.safetensors")
    return {
        "mesh": write_obj(folder / "box.obj", box()),
        "views": photograph(folder / "views", texture, cameras()),
        "holdout": photograph(folder / "holdout", texture, cameras(2, turn=45.0)),
        "generator": folder / "generator.safetensors",
    }
