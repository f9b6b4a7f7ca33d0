"""The picture of what the renderer draws: `python docs/make_renderer_picture.py`."""

import math
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import neurotex as nt

HERE = Path(__file__).parent
SIDE, HEIGHT, TOP = 216, 150, 34  # pixels


def sky() -> torch.Tensor:
    """(3, 64, 128), linear: a blue sky over a warm ground, with a large lamp and a small one."""
    height, width = 64, 128
    up = torch.cos((torch.arange(height) + 0.5) / height * math.pi)[:, None]
    round_ = (torch.arange(width) + 0.5) / width * 2 * math.pi
    above, below = torch.tensor([0.35, 0.5, 0.8]), torch.tensor([0.25, 0.18, 0.12])
    blend = torch.sigmoid(8 * up)[None]
    image = above[:, None, None] * blend + below[:, None, None] * (1 - blend)
    image = image.expand(3, height, width).clone()
    for azimuth, rise, size, strength in ((2.2, 0.7, 0.25, 14.0), (4.6, 0.5, 0.12, 20.0)):
        gap = (round_ - azimuth)[None] ** 2 + (torch.asin(up) - rise) ** 2
        image += strength * torch.exp(-gap / size**2) * torch.tensor([1.0, 0.9, 0.75])[:, None, None]
    return image


def bumps(size: int = 256, waves: int = 20) -> torch.Tensor:
    """(3, size, size): the normal map of a quilt."""
    place = (torch.arange(size) + 0.5) / size * 2 * math.pi * waves
    slope = -0.6 * torch.cos(place)
    normal = torch.stack([slope[None].expand(size, -1), slope[:, None].expand(-1, size), torch.ones(size, size)])
    return torch.nn.functional.normalize(normal, dim=0) / 2 + 0.5


def holes(pixels: torch.Tensor) -> torch.Tensor:
    """(4, H, W): the pixels with round holes in their alpha."""
    place = (torch.arange(pixels.shape[1]) + 0.5) / pixels.shape[1] * 2 * math.pi * 9
    alpha = 0.55 - 0.5 * torch.sin(place)[None] * torch.sin(place)[:, None]
    return torch.cat([pixels, alpha[None].clamp(0, 1)])


@torch.no_grad()
def main() -> None:
    generator = nt.generators.load("materials")
    latents = generator.sample_latents(64, torch.Generator().manual_seed(0))
    painted = (generator(latents[[29]])[0, :3].clamp(-1, 1) + 1) / 2
    scene = nt.Scene.load(nt.assets.folder() / "demo" / "mesh.obj")
    cameras, flash = nt.around(scene, 12)
    scene.cameras = torch.nn.ModuleList([cameras[1]])
    environment = nt.EnvironmentLight(sky(), 0.8)

    def picture(material: nt.Material, light: nt.Light) -> Image.Image:
        for mesh in scene.meshes():
            mesh.material = material
        scene.lights = torch.nn.ModuleList([light])
        image = nt.render(scene, SIDE)[0]
        return nt.on_background(image / torch.cat([1 + 0.15 * image[:3].clamp_min(0), torch.ones_like(image[3:])]))

    drawn = {
        "diffuse, flash": picture(nt.Material(painted), flash),
        "glazed, environment": picture(nt.Material(painted, roughness=0.25), environment),
        "gold, normal map": picture(
            nt.Material((1.0, 0.86, 0.57), roughness=0.3, metallic=1.0, normal=bumps()), environment
        ),
        "alpha cut-out": picture(nt.Material(holes(painted), roughness=0.5, alpha_cutoff=0.5), environment),
    }
    for mesh in scene.meshes():
        mesh.material = nt.Material(painted, roughness=0.5, normal=bumps())
    passes = nt.render_passes(scene, SIDE)
    mask, depth = passes.mask[0], passes.depth[0]
    near, far = depth[mask].min(), depth[mask].max()
    shown = {
        "albedo": nt.scene.to_image(nt.shading.linear_to_srgb(passes.albedo[0])),
        "normal": nt.scene.to_image((passes.normal[0] / 2 + 0.5) * mask),
        "depth": nt.scene.to_image((1 - 0.8 * (depth - near) / (far - near)).expand(3, -1, -1) * mask),
        "uv": nt.scene.to_image(torch.cat([passes.uv[0] % 1, torch.zeros_like(depth)]) * mask),
    }
    sheet = Image.new("RGB", (SIDE * 4, 2 * (HEIGHT + 26)), "white")
    draw = ImageDraw.Draw(sheet)
    for k, (label, image) in enumerate({**drawn, **shown}.items()):
        left, top = SIDE * (k % 4), (HEIGHT + 26) * (k // 4)
        sheet.paste(image.crop((0, TOP, SIDE, TOP + HEIGHT)), (left, top))
        draw.text((left + SIDE / 2, top + HEIGHT + 12), label, "black", anchor="mm", font_size=14)
    sheet.quantize(255, dither=Image.Dither.NONE).save(HERE / "renderer.png", optimize=True)
    print("wrote", HERE / "renderer.png")


if __name__ == "__main__":
    main()
