"""A StyleGAN2 or StyleGAN3 pickle as the skin of a mesh: draws of it, pulled towards their mean for better textures.

python examples/stylegan_skin.py [OUT.png [NETWORK.pkl]]

Without a network a small one is made here, untrained and seamless.
"""

import sys

import torch
from PIL import Image

import neurotex as nt
from neurotex.generators import LatentSpace, StyleGAN2, load, sample_w, save, truncate


def make_network(path: str = "stylegan.safetensors") -> str:
    torch.manual_seed(2)
    layers = {"channel_base": 1024, "channel_max": 32, "mapping_kwargs": {"num_layers": 2}}
    save(StyleGAN2(64, z_dim=32, w_dim=32, architecture="resnet", tileable=True, **layers), path)
    return path


def main(out: str = "stylegan_skin.png", network: str = "") -> None:
    generator = load(network or make_network())  # G_ema of a pickle; nothing in the file is executed
    styles = LatentSpace(generator, "w")
    skin = nt.GeneratedTexture(styles, nt.Latent(styles, name="skin"))  # unbound: each render brings its own
    scene = nt.Scene.load(nt.assets.folder() / "demo" / "mesh.obj", nt.Material(skin))
    cameras, flash = nt.around(scene, 12)
    scene.cameras.append(cameras[1])
    scene.lights.append(flash)

    rng = torch.Generator().manual_seed(0)
    mean = sample_w(generator, 10_000, rng).mean(0)
    picture = Image.new("RGB", (4 * 256, 256))
    for k, w in enumerate(sample_w(generator, 4, rng)):
        with torch.no_grad():
            image = nt.render(scene, 256, latents={"skin": truncate(w, mean, 0.7)})[0]
        picture.paste(nt.on_background(image), (256 * k, 0))
    picture.save(out)
    print("wrote", out)


if __name__ == "__main__":
    main(*sys.argv[1:])
