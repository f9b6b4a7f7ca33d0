"""Records pictures of two small scenes by PyTorch3D's own rasteriser, renderer and shader under our lights.

    python tests/golden/plugins/record_renderer.py

writes renderer_lamps.npz and renderer_flash.npz beside this file, and needs PyTorch3D (0.7.9 made those here). Each
holds `image`, float32 (2, 4, 64, 64); `state/<name>`, the scene's state dict with generator and latent; and
`grad/<name>`, the gradients of (image * probe).sum() to the parameters. Tests rebuild the scenes with `build`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import neurotex as nt

FOLDER = Path(__file__).parent
NAMES = ("lamps", "flash")
SIZE, GRID = 64, 2


class Tiny(torch.nn.Module):
    """(N, 4) → (N, 3, 8, 8) in [-1, 1]."""

    latent_shape = (4,)

    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(4, 6)
        self.out = torch.nn.Linear(6, 3 * 8 * 8)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.out(torch.tanh(self.hidden(z)))).view(-1, 3, 8, 8)


def build(name: str) -> nt.Scene:
    """The scene `name`, with figures of its own if its `state` is not loaded into it."""
    generator = Tiny()
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, "skin").bind(2 * torch.randn(4)), _wrap(name))
    bumpy = nt.Mesh(*_blob(), material=nt.Material(skin, "skin"), name="bumpy")
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    tiles = nt.Material(nt.ImageTexture(torch.rand(3, 5, 7), _wrap(name)), "tiles")
    plate = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), corners[:, :2] * 0.8 + 0.3, material=tiles)
    beside = torch.tensor([[0.4, 0.1, 0, 0.7], [0, 0.5, 0.2, 0.5], [-0.1, -0.2, 0.6, -0.4], [0, 0, 0, 1]])
    around = nt.PerspectiveCamera(nt.look_at(torch.tensor([1.3, 0.9, 2.6])), 42.0, near=0.1)
    aside = nt.PinholeCamera(nt.look_at(torch.tensor([-0.6, 1.7, 2.3])), (61.0, 66.5), (37.2, 26.4), (64, 64), near=0.1)
    nodes = [nt.Node(plate, beside @ _moved(0.1, -0.3, -0.9)), bumpy]
    if name == "lamps":
        lamps = [nt.PointLight((1.5, 2.0, 2.5), (9.0, 8.0, 6.0)), nt.DirectionalLight((0.3, -1, -0.2), (0.5, 0.7, 1.1))]
        for lamp in lamps:
            lamp.cast_shadows = False  # PyTorch3D has none
        return nt.Scene(nodes, [around, aside], [*lamps, nt.AmbientLight((0.11, 0.1, 0.12))])
    return nt.Scene([*nodes, nt.Node(bumpy, beside)], [around, aside], nt.Flash((8.0, 9.0, 10.0)))


def _wrap(name: str) -> str:
    return {"lamps": "repeat", "flash": "clamp"}[name]


def _moved(x: float, y: float, z: float) -> Tensor:
    out = torch.eye(4)
    out[:3, 3] = torch.tensor([x, y, z])
    return out


def _blob(rings: int = 9, sides: int = 14) -> tuple[Tensor, Tensor, Tensor]:
    """Vertices, faces and UVs of an uneven ball, doubled along its seam."""
    v, u = (
        t.flatten() for t in torch.meshgrid(torch.linspace(0, 1, rings), torch.linspace(0, 1, sides), indexing="ij")
    )
    a, b = 2 * torch.pi * u, torch.pi * (v * 0.94 + 0.03)
    radius = 0.8 + 0.15 * (3 * a).sin() * b.sin()
    points = radius[:, None] * torch.stack([b.sin() * a.cos(), -b.cos(), -b.sin() * a.sin()], 1)
    corner = (torch.arange(rings - 1)[:, None] * sides + torch.arange(sides - 1)).flatten()
    halves = [torch.stack([corner, corner + i, corner + j], 1) for i, j in ((1, sides + 1), (sides + 1, sides))]
    return points, torch.cat(halves), torch.stack([2 * u, v], 1)


def probe(image: Tensor) -> Tensor:
    """Weights of a loss, as many as `image` has values."""
    return (torch.arange(image.numel(), dtype=torch.float64) * 0.37).sin().view(image.shape).to(image)


def gradients(image: Tensor, scene: nt.Scene) -> dict[str, Tensor]:
    """Of the probe loss, by the names of the scene's parameters."""
    names, leaves = zip(*scene.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad((image * probe(image)).sum(), leaves), strict=True))


def main() -> None:
    from pytorch3d.renderer import MeshRasterizer

    from neurotex.compat.pytorch3d import PyTorch3DRenderer

    for seed, name in enumerate(NAMES):
        torch.manual_seed(seed)
        scene = build(name)
        image = PyTorch3DRenderer(scene, rasterizer=MeshRasterizer)(SIZE, grid=GRID)
        arrays = {f"state/{key}": value for key, value in scene.state_dict().items()}
        arrays |= {f"grad/{key}": value for key, value in gradients(image, scene).items()}
        numbers = {key: value.detach().numpy() for key, value in {"image": image.contiguous(), **arrays}.items()}
        np.savez_compressed(FOLDER / f"renderer_{name}.npz", **numbers)


if __name__ == "__main__":
    main()
