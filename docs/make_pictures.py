"""The README's pictures, from what `make demo` wrote: `python docs/make_pictures.py [DEMO_FOLDER]`."""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import neurotex as nt
from neurotex import gan

HERE = Path(__file__).parent
DATA = nt.assets.folder() / "demo"
SIDE, TOP, HEIGHT = 256, 44, 172  # pixels; above and below there is only background


def strip(images: list, labels: list[str], path: Path) -> None:
    """Pictures in a row, each column with its label."""
    rows = len(images) // len(labels)
    sheet = Image.new("RGB", (SIDE * len(labels), HEIGHT * rows + 28 * bool(any(labels))), "white")
    for k, image in enumerate(images):
        cut = nt.on_background(image).crop((0, TOP, SIDE, TOP + HEIGHT))
        sheet.paste(cut, (SIDE * (k % len(labels)), HEIGHT * (k // len(labels))))
    draw = ImageDraw.Draw(sheet)
    for k, label in enumerate(labels):
        draw.text((SIDE * k + SIDE / 2, HEIGHT * rows + 12), label, "black", anchor="mm", font_size=14)
    sheet.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)
    print("wrote", path)


@torch.no_grad()
def fits(demo: Path) -> None:
    """Photographs that no fit saw, and what the three fits of the demo show from there."""
    views = nt.Views.load(DATA / "holdout")
    shown = [0, 2]
    columns = {"photograph, not fitted": views.images[shown]}
    names = {"pixels": "512 x 512 pixels", "palette": "through 12 colours", "generator": "GAN, latents and weights"}
    for folder, label in names.items():
        scene = nt.Scene.load(demo / folder / "model.glb", cameras=[views.cameras[k] for k in shown])
        scene.lights.append(views.lights[0])
        columns[label] = nt.render(scene, views.size)
    strip([column[row] for row in range(len(shown)) for column in columns.values()], list(columns), HERE / "fit.png")


@torch.no_grad()
def samples() -> None:
    """Materials of the bundled generator, on the teapot, tiled, and many side by side."""
    generator = nt.generators.load("materials")
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, name="skin"))
    scene = nt.Scene.load(DATA / "mesh.obj", nt.Material(**skin.maps()))
    for mesh in scene.meshes():
        mesh.uvs *= 3  # tiles, as materials are worn
    cameras, flash = nt.around(scene, 12)
    scene.cameras, scene.lights = torch.nn.ModuleList([cameras[1]]), torch.nn.ModuleList([flash])
    many = generator.sample_latents(64, torch.Generator().manual_seed(0))
    latents = many[[8, 58, 23, 19]]
    worn = [nt.on_background(nt.render(scene, SIDE, latents={"skin": z})[0]) for z in latents]
    flat = [nt.scene.to_image(texture) for texture in gan.picture(generator(latents))]
    below = gan.sheet(gan.picture(generator(many[24:48])), columns=8)
    sheet = Image.new("RGB", (SIDE * len(worn), HEIGHT + SIDE + below.height), "white")
    sheet.paste(below, (0, HEIGHT + SIDE))
    for k, (picture, texture) in enumerate(zip(worn, flat, strict=True)):
        sheet.paste(picture.crop((0, TOP, SIDE, TOP + HEIGHT)), (SIDE * k, 0))
        for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):  # twice in each direction: they tile
            sheet.paste(texture.resize((112, 112)), (SIDE * k + 16 + 112 * x, HEIGHT + 16 + 112 * y))
    sheet.quantize(255, dither=Image.Dither.NONE).save(HERE / "samples.png", optimize=True)
    print("wrote", HERE / "samples.png")


if __name__ == "__main__":
    fits(Path(*sys.argv[1:] or ["demo"]))
    samples()
