"""A GAN on the wall of a room that Mitsuba 3 path traces: its latent is found again from one picture of the room.

pip install "neurotex[mitsuba]"; python examples/mitsuba_room.py [OUT.png [STEPS]]
"""

import sys

import torch

import neurotex as nt
from neurotex.compat.mitsuba import activate, bind_texture
from neurotex.shading import linear_to_srgb


def room(mi):
    """The box |x|, |y|, |z| ≤ 1, open in front, in Mitsuba's words, for a small picture and a large one."""
    move, blank = mi.ScalarTransform4f(), {"type": "bitmap", "raw": True, "data": mi.TensorXf(torch.zeros(2, 2, 3))}
    scene = {"type": "scene", "integrator": {"type": "prb", "max_depth": 3}}  # light bounces once
    camera = {"type": "perspective", "fov": 32, "to_world": move.translate([0, 0, 4.1]).rotate([0, 1, 0], 180)}
    scene |= {f"at {n}": {**camera, "film": {"type": "hdrfilm", "width": n, "height": n}} for n in (64, 176)}
    colors = {"wall": blank, "left": (0.7, 0.25, 0.15), "right": (0.15, 0.35, 0.6), "floor": 0.75, "ceiling": 0.75}
    for (name, color), turn in zip(colors.items(), ((0, 0), (0, 90), (0, -90), (-90, 0), (90, 0)), strict=True):
        place = move.rotate([1, 0, 0], turn[0]).rotate([0, 1, 0], turn[1]).translate([0, 0, -1])
        paint = {"type": "diffuse", "reflectance": color if color is blank else {"type": "rgb", "value": color}}
        scene[name] = {"type": "rectangle", "to_world": place, "bsdf": paint}
    lamp = {"type": "area", "radiance": {"type": "rgb", "value": [11, 10, 8.5]}}
    scene["lamp"] = {"type": "rectangle", "to_world": place.translate([0, 0, 0.01]).scale(0.45), "emitter": lamp}
    scene["box"] = {"type": "cube", "to_world": move.translate([-0.5, -0.72, 0]).rotate([0, 1, 0], 25).scale(0.28)}
    silver = {"type": "roughconductor", "material": "Ag", "alpha": 0.1}
    return scene | {"ball": {"type": "sphere", "center": [0.45, -0.65, 0.2], "radius": 0.35, "bsdf": silver}}


def main(out="room.png", steps="120"):
    mi, generator = activate(), nt.generators.LatentSpace(nt.generators.load("materials"), "w")
    latent = nt.Latent(generator).sample(seed=8)
    skin = nt.GeneratedTexture(generator, latent).maps()["base_color"]
    scene = bind_texture(mi.load_dict(room(mi)), "wall.bsdf.reflectance.data", skin)
    large = {"sensor": 1, "spp": min(144, 4 * int(steps))}
    hidden, target, pictures = skin().detach(), scene.render(spp=256).detach(), [scene.render(**large)]

    def error(seed=0):
        a, b = (linear_to_srgb(light.clamp(1e-4, 1)) for light in (scene.render(spp=8, seed=seed), target))
        return (a - b).square().mean()

    draws = latent.draw(16, torch.Generator().manual_seed(1))
    latent.bind(min(draws, key=lambda draw: latent.bind(draw) and float(error().detach())))
    optimizer = torch.optim.Adam([latent.value], lr=0.1, betas=(0.9, 0.99))
    for step in range(int(steps) + 1):
        if step in (0, int(steps)):
            print(f"after {step} steps: {-10 * (skin() - hidden).square().mean().log10():.1f} dB in the texture")
            pictures.append(scene.render(**large))
        (latent.value.grad,) = torch.autograd.grad(error(seed=step), latent.value)
        optimizer.step()
    row = torch.cat(pictures, dim=1).detach()  # what was sought, where it began, what was found
    nt.scene.to_image(linear_to_srgb(row.clamp(0, 1)).movedim(-1, 0)).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
