"""A small generator, and the teapot as it is bundled."""

import pytest
import torch

import neurotex as nt
from neurotex import assets
from neurotex.generators.material import MaterialGenerator


@pytest.fixture
def tiny() -> MaterialGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"size": 16, "latent_dim": 4, "style_dim": 6, "widths": (4, 3), "substances": 3, "num_layers": 2}
        return MaterialGenerator(out_channels=7, **sizes).eval()


@pytest.fixture
def square() -> nt.Scene:
    vertices = torch.tensor([[10.0, 0, 0], [14, 0, 0], [14, 4, 0], [10, 4, 0]])
    uvs = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    rows = torch.linspace(0, 1, 8)
    pixels = torch.stack([rows[:, None].expand(8, 8), rows[None].expand(8, 8), torch.full((8, 8), 0.5)])
    return nt.Scene([nt.Node(nt.Mesh(vertices, faces, uvs, material=nt.Material(nt.ImageTexture(pixels))))])


@pytest.fixture(scope="session")
def teapot() -> str:
    return str(assets.folder() / "demo" / "mesh.obj")
