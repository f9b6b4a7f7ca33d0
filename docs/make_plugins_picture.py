"""One scene by three renderers, and how far they are apart: `python docs/make_plugins_picture.py`.

Needs PyTorch3D and Mitsuba 3. Prints PSNR between each pair, and how the gradients to the latent agree.
"""

from itertools import combinations
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

import neurotex as nt
from neurotex.compat.mitsuba import MitsubaRenderer
from neurotex.compat.pytorch3d import PyTorch3DRenderer

HERE = Path(__file__).parent
SIDE, TOP, SAMPLES, TIMES = 256, 30, 1024, 100
NAMES = ("neurotex", "PyTorch3D", "Mitsuba 3")


def scene() -> tuple[nt.Scene, nt.Latent]:
    """The teapot in the bundled generator's paint, under a flash."""
    generator = nt.generators.load("materials").requires_grad_(False)
    latent = nt.Latent(generator, name="skin").sample(seed=12)
    paint = nt.GeneratedTexture(generator, latent).maps()["base_color"]
    out = nt.Scene.load(nt.assets.folder() / "demo" / "mesh.obj", nt.Material(paint, "paint"))
    cameras, flash = nt.around(out, 12)
    out.cameras.append(cameras[1])
    out.lights.append(flash)
    return out, latent


def heat(a: Tensor, b: Tensor) -> Tensor:
    """How far two pictures are apart, TIMES over: (3, H, W)."""
    return (TIMES * (_encoded(a) - _encoded(b)).abs().amax(0, keepdim=True)).clamp(0, 1).expand(3, -1, -1)


def _encoded(image: Tensor) -> Tensor:
    return nt.shading.linear_to_srgb(image[:3].clamp(0, 1))


def main() -> None:
    world, latent = scene()
    images, slopes = [], []
    for renderer in (lambda: nt.render(world, SIDE, grid=8), lambda: PyTorch3DRenderer(world)(SIDE, grid=8)):
        images.append(renderer()[0])
        loss = nt.losses.photometric(images[-1][None], torch.full((1, 4, SIDE, SIDE), 0.2))
        slopes.append(torch.autograd.grad(loss, latent.value)[0].flatten())
        images[-1] = images[-1].detach()
    with torch.no_grad():
        images.append(MitsubaRenderer(world)(SIDE, spp=SAMPLES)[0])

    sheet = Image.new("RGB", (3 * SIDE, 2 * SIDE + 2 * TOP), "white")
    write = ImageDraw.Draw(sheet)
    for k, (name, image) in enumerate(zip(NAMES, images, strict=True)):
        sheet.paste(nt.on_background(image), (k * SIDE, TOP))
        write.text((k * SIDE + 8, 9), name, "black", font_size=14)
    for k, (i, j) in enumerate(combinations(range(3), 2)):
        decibels = float(nt.losses.psnr(images[i][None], images[j][None]))
        print(f"{NAMES[i]} and {NAMES[j]}: {decibels:.1f} dB")
        sheet.paste(nt.scene.to_image(heat(images[i], images[j])), (k * SIDE, 2 * TOP + SIDE))
        text = f"{NAMES[i]} - {NAMES[j]}, x {TIMES}: {decibels:.1f} dB"
        write.text((k * SIDE + 8, TOP + SIDE + 9), text, "black", font_size=12)
    cosine = float(torch.nn.functional.cosine_similarity(*slopes, dim=0))
    ratio = float(slopes[1].norm() / slopes[0].norm())
    print(f"latent gradients, neurotex and PyTorch3D: cosine {cosine:.7f}, norms' ratio {ratio:.6f}")
    sheet.save(HERE / "plugins.png", optimize=True)
    print("wrote", HERE / "plugins.png")


if __name__ == "__main__":
    main()
