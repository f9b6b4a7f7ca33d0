"""Photographs → latents, then weights, through a palette: what is optimised is what can be printed.

python examples/optimise_texture.py [OUT.glb [STEPS]]
"""

import sys

import torch

import neurotex as nt

ASSETS = nt.assets.folder() / "demo"


def main(out: str = "printable.glb", steps: str = "200") -> None:
    views = nt.Views.load(ASSETS / "views")
    generator = nt.generators.LatentSpace(nt.generators.load("materials"), "w")
    latent = nt.Latent(generator, name="skin").sample(seed=0)
    skin = nt.GeneratedTexture(generator, latent).maps()["base_color"]
    material = nt.Material(skin)
    scene = nt.Scene.load(ASSETS / "mesh.obj", material, views.cameras, views.lights)

    # first the latents: pick a good start among many, then follow the gradient
    fit = nt.Fit(scene, views, torch.optim.Adam(latent.parameters(), lr=0.05), int(steps))
    nt.fit.search_latent(fit, latent, draws=32, rounds=((2, 10),))
    print(f"latents: loss {fit.run()[-1]:.5f}")

    # then the weights too, with those that the generator's own training keeps frozen
    skin.requires_grad_(True)
    optimizer = torch.optim.Adam(skin.parameters(), lr=0.006)
    print(f"weights: loss {nt.Fit(scene, views, optimizer, int(steps)).run()[-1]:.5f}")

    # then the same through twelve colours, which are learned along
    palette = nt.discrete.Palette(12, estimator="straight_through")
    palette.calibrate(skin())
    material.base_color = skin.through(palette)
    optimizer = torch.optim.Adam(scene.parameters(), lr=0.002)
    print(f"palette: loss {nt.Fit(scene, views, optimizer, int(steps)).run()[-1]:.5f}")

    colours = material.base_color()[0].flatten(1).T.unique(dim=0)
    scene.save(out)
    print(f"wrote {out}, a texture of {len(colours)} colours")


if __name__ == "__main__":
    main(*sys.argv[1:])
