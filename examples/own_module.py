"""Any torch module as a scene node: an image loss reaches its latent and its weights.

python examples/own_module.py [OUT.png]
"""

import sys

import torch
from torch import nn

import neurotex as nt

ASSETS = nt.assets.folder() / "demo"


class Stripes(nn.Module):
    """(N, 4) latents → (N, 3, 64, 64) in [-1, 1]: whatever maps latents to pictures will do."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(4, 3)

    def forward(self, latent):
        u = torch.linspace(0, 2 * torch.pi, 65)[:-1].to(latent)
        waves = torch.sin(8 * u + 2 * torch.sin(2 * u)[:, None] + latent[:, :1, None])  # (N, 64, 64), periodic
        return torch.tanh(2 * waves[:, None] * torch.tanh(self.mix(latent))[:, :, None, None])


def main(out: str = "own_module.png") -> None:
    torch.manual_seed(0)
    generator = nt.generators.wrap(Stripes(), latent_shape=4)
    latent = nt.Latent(generator, name="stripes").sample(seed=1)
    skin = nt.GeneratedTexture(generator, latent)
    views = nt.Views.load(ASSETS / "views")
    scene = nt.Scene.load(ASSETS / "mesh.obj", nt.Material(skin), views.cameras[:4], views.lights)

    image = nt.render(scene, size=256)  # (4, 4, 256, 256), linear
    nt.losses.photometric(image, views.images[:4]).backward()
    print("latent.grad", [round(g, 5) for g in latent.value.grad[0].tolist()])
    print("weight.grad", round(float(generator.module.mix.weight.grad.norm()), 5))
    nt.on_background(image[0].detach()).save(out)
    print("wrote", out)


if __name__ == "__main__":
    main(*sys.argv[1:])
