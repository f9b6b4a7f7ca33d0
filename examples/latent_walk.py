"""A turntable of one mesh that wears a walk through latent space.

python examples/latent_walk.py [OUT.gif [FRAMES]]
"""

import math
import sys

import torch

import neurotex as nt


def main(out: str = "latent_walk.gif", frames: str = "48") -> None:
    generator = nt.generators.load("materials")
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, name="skin"))  # unbound: each frame brings its own
    scene = nt.Scene.load(nt.assets.folder() / "demo" / "mesh.obj", nt.Material(**skin.maps()))
    for mesh in scene.meshes():
        mesh.uvs *= 3  # these textures tile
    cameras, flash = nt.around(scene, int(frames))
    scene.lights.append(flash)

    stops = generator.sample_latents(4, torch.Generator().manual_seed(11))
    pictures = []
    for k, camera in enumerate(cameras):
        place = k / len(cameras) * len(stops)
        a, b = stops[int(place)], stops[(int(place) + 1) % len(stops)]
        t = (1 - math.cos(math.pi * (place % 1))) / 2  # slow down at each stop
        z = torch.lerp(a, b, t) / math.sqrt(t**2 + (1 - t) ** 2)  # keeps the length of a normal sample
        scene.cameras = torch.nn.ModuleList([camera])
        with torch.no_grad():
            pictures.append(nt.on_background(nt.render(scene, 256, latents={"skin": z})[0]))
    nt.save_gif(pictures, out, seconds=6.0)
    print("wrote", out)


if __name__ == "__main__":
    main(*sys.argv[1:])
