"""The README's first picture: `python docs/make_front_picture.py`.

One scene, in generated textures, under the sky and a lamp that casts shadows. Left of the line as the generator made
them, right of it after a palette of three colours each.
"""

import math
from pathlib import Path

import torch
from make_renderer_picture import sky
from PIL import Image, ImageDraw

import neurotex as nt

HERE = Path(__file__).parent
HEIGHT, WIDTH = 480, 1440  # pixels
SEEDS = {"floor": 43, "teapot": 48, "ball": 58, "ring": 16, "orange": 62}  # of the bundled generator
COLORS = 3


def surface(point, u: int, v: int, repeat: tuple[float, float]) -> nt.Mesh:
    """A mesh of (u + 1) × (v + 1) points `point(s, t)`, s and t in [0, 1], its texture repeated along both."""
    s, t = torch.meshgrid(torch.linspace(0, 1, u + 1), torch.linspace(0, 1, v + 1), indexing="ij")
    vertices = torch.stack(point(s, t), 2).reshape(-1, 3)
    corner = (torch.arange(u)[:, None] * (v + 1) + torch.arange(v)[None]).reshape(-1)
    first = torch.stack([corner, corner + v + 1, corner + v + 2], 1)
    second = torch.stack([corner, corner + v + 2, corner + 1], 1)
    uvs = torch.stack([s * repeat[0], t * repeat[1]], 2).reshape(-1, 2)
    return nt.Mesh(vertices, torch.cat([first, second]), uvs)


def ball(radius: float) -> nt.Mesh:
    def point(s, t):
        turn, rise = 2 * math.pi * s, math.pi * (t - 0.5)
        return radius * turn.sin() * rise.cos(), radius * rise.sin(), radius * turn.cos() * rise.cos()

    return surface(point, 96, 48, (4, 2))


def ring(radius: float, thick: float) -> nt.Mesh:
    def point(s, t):
        turn, around = 2 * math.pi * s, 2 * math.pi * t
        out = radius + thick * around.cos()
        return out * turn.sin(), thick * around.sin(), out * turn.cos()

    return surface(point, 128, 48, (6, 2))


def placed(mesh: nt.Mesh, x: float, y: float, z: float, turn: float = 0.0, size: float = 1.0) -> nt.Node:
    """A node with `mesh` turned about the upright axis, in degrees."""
    transform = torch.eye(4)
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    transform[:3, :3] = size * torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    transform[:3, 3] = torch.tensor([x, y, z])
    return nt.Node(mesh, transform)


@torch.no_grad()
def main() -> None:
    generator = nt.generators.load("materials")
    latents = generator.sample_latents(64, torch.Generator().manual_seed(0))
    worn, simple = {}, {}
    for name, number in SEEDS.items():
        maps = nt.GeneratedTexture(generator, nt.Latent(generator, name).bind(latents[number])).maps()
        palette = nt.discrete.Palette.from_texture(maps["base_color"](), COLORS)
        worn[name] = nt.Material(**maps)
        simple[name] = worn[name].replace(base_color=maps["base_color"].through(palette))

    pot = nt.Scene.load(nt.assets.folder() / "demo" / "mesh.obj")
    center, radius = pot.bounds()
    low = float(pot.geometry().vertices[:, 1].min())
    size = 1.25 / radius
    floor = surface(lambda s, t: (24 * (s - 0.5), 0 * s, 24 * (0.5 - t)), 1, 1, (12, 12))
    (mesh,) = pot.meshes()
    nodes = [
        placed(floor, 0, 0, 0),
        placed(mesh, -size * float(center[0]) - 0.2, -size * low, -size * float(center[2]), 0, size),
        placed(ball(0.62), -2.3, 0.62, 0.3, 40),
        placed(ring(0.62, 0.24), 2.2, 0.24, 0.6),
        placed(ball(0.4), 1.25, 0.4, 1.35, 200),
    ]
    for node, name in zip(nodes, ("floor", "teapot", "ball", "ring", "orange"), strict=True):
        node.mesh.material = worn[name]
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.3, 2.1, 6.0]), torch.tensor([0.0, 0.62, 0.0])), 26.0)
    sun = nt.PointLight((-3.5, 6.0, 4.5), 130.0)
    scene = nt.Scene(nodes, camera, [sun, nt.EnvironmentLight(sky(), 0.35)])

    def picture(scene: nt.Scene) -> Image.Image:
        image = nt.render(scene, (HEIGHT, WIDTH), grid=4)[0]
        return nt.on_background(image / torch.cat([1 + 0.15 * image[:3], torch.ones_like(image[3:])]), 0.55)

    full = picture(scene)
    few = picture(scene.replace(materials={worn[name]: simple[name] for name in SEEDS}))
    half = WIDTH // 2
    full.paste(few.crop((half, 0, WIDTH, HEIGHT)), (half, 0))
    draw = ImageDraw.Draw(full)
    draw.line([(half, 0), (half, HEIGHT)], fill="white", width=3)
    full.save(HERE / "front.jpg", quality=88)
    print("wrote", HERE / "front.jpg")


if __name__ == "__main__":
    main()
