"""The picture of texture filters, each with its error against many samples: `python docs/make_filtering_picture.py`."""

from pathlib import Path

import torch
from PIL import Image, ImageDraw

import neurotex as nt

HERE = Path(__file__).parent
SIZE, ZOOM = (84, 84), 2  # (height, width) in pixels, shown twice as large
SAMPLES = 16  # per pixel and direction, of the reference


def tiles() -> torch.Tensor:
    """(3, 512, 512), sRGB: 16 × 16 tiles with dark joints, every other one a little redder, with fine grain."""
    place = torch.arange(512)
    joint = (place % 32 < 4)[:, None] | (place % 32 < 4)
    odd = (place // 32 % 2)[:, None] != (place // 32 % 2)
    colour = torch.where(
        odd, torch.tensor([0.85, 0.45, 0.3])[:, None, None], torch.tensor([0.9, 0.85, 0.7])[:, None, None]
    )
    grain = 0.15 * torch.rand(512, 512, generator=torch.Generator().manual_seed(0))
    return torch.where(joint, 0.12, colour - grain)


def floor(filter: str) -> nt.Scene:
    """A tiled floor up to 40 units away, seen from 0.6 above it, evenly lit."""
    corners = torch.tensor([[-30.0, 0, 10], [30, 0, 10], [30, 0, -40], [-30, 0, -40]])
    ground = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), corners[:, [0, 2]] / 2, name="floor")
    ground.material = nt.Material(nt.ImageTexture(tiles(), filter=filter))
    camera = nt.PerspectiveCamera(nt.look_at((0.0, 0.6, 3.0), (0.4, -0.25, 0.0)), fov=30.0)
    return nt.Scene(ground, [camera], [nt.AmbientLight(1.0)])


@torch.no_grad()
def main() -> None:
    names = ["nearest", "bilinear", "trilinear", "anisotropic"]
    expected = nt.render(floor("bilinear"), SIZE, grid=SAMPLES)[0]
    images = [nt.render(floor(name), SIZE, grid=1)[0] for name in names]
    labels = [f"RMSE {float((image - expected)[:3].square().mean().sqrt()):.3f}" for image in images]
    names, labels = [*names, "reference"], [*labels, f"{SAMPLES**2} samples per pixel"]
    width, height = SIZE[1] * ZOOM, SIZE[0] * ZOOM
    sheet = Image.new("RGB", ((width + 4) * len(names) - 4, height + 44), "white")
    draw = ImageDraw.Draw(sheet)
    for k, image in enumerate([*images, expected]):
        picture = nt.on_background(image).resize((width, height), Image.Resampling.NEAREST)
        sheet.paste(picture, ((width + 4) * k, 0))
        centre = (width + 4) * k + width / 2
        draw.text((centre, height + 12), names[k], "black", anchor="mm", font_size=14)
        draw.text((centre, height + 32), labels[k], "black", anchor="mm", font_size=13)
    sheet.quantize(255, dither=Image.Dither.NONE).save(HERE / "filtering.png", optimize=True)
    print("wrote", HERE / "filtering.png", *labels)


if __name__ == "__main__":
    main()
