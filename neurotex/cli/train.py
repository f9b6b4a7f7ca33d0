"""`neurotex train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from .console import ImageBar
from .options import LARGEST, Device, Json, Overwrite, Resume, Seed, options_of, running_in

COUNT = 1 << 40
WIDTH = 1 << 20


# 36 parameters: Typer makes an option of each
def train(
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help='A folder of images; or "materials", made by neurotex.'),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("train"),
    through_renders: Annotated[
        bool,
        typer.Option("--through-renders", help="DATA shows objects: folders of photographs, or scenes with textures."),
    ] = False,
    mesh: Annotated[
        list[str], typer.Option(help="The shape of these objects: a file, or sphere. May be repeated.")
    ] = [],  # noqa: B006
    maps: Annotated[
        str, typer.Option(help="Maps of a material to learn, such as base_color,normal,roughness.")
    ] = "base_color",
    size: Annotated[int, typer.Option(min=1, max=LARGEST, help="Side of a texture, in texels: a power of two.")] = 128,
    render_size: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Side of the renders that the discriminator sees.")
    ] = 64,
    images: Annotated[int, typer.Option(min=1, max=COUNT, help="How many images to train on in all.")] = 200_000,
    batch: Annotated[int, typer.Option(min=1, max=WIDTH, help="Images per step, over all processes.")] = 16,
    accumulate: Annotated[
        int, typer.Option(min=1, max=WIDTH, help="Compute a batch in this many parts, which takes less memory.")
    ] = 1,
    begin: Annotated[
        Path | None, typer.Option(help="Start from this earlier run's folder, which may be of half the size.")
    ] = None,
    channel_base: Annotated[
        int, typer.Option(min=1, max=WIDTH, help="The generator has this / r channels at resolution r.")
    ] = 4096,
    channel_max: Annotated[int, typer.Option(min=1, max=WIDTH, help="The most channels of any layer.")] = 256,
    latent_dim: Annotated[int, typer.Option(min=1, max=WIDTH, help="Length of a latent.")] = 128,
    tileable: Annotated[bool, typer.Option(help="Textures that tile without a seam.")] = True,
    generator: Annotated[
        str, typer.Option(help="stylegan2; material: small, for machines without a GPU; or family: of our materials.")
    ] = "stylegan2",
    discriminator: Annotated[str, typer.Option(help="stylegan2, patch, texture (small), or none.")] = "stylegan2",
    discriminator_base: Annotated[
        int, typer.Option(min=0, max=WIDTH, help="--channel-base of the discriminator; 0 for the same.")
    ] = 0,
    loss: Annotated[str, typer.Option(help="nonsaturating, hinge, least_squares or wasserstein.")] = "nonsaturating",
    r1: Annotated[float, typer.Option(min=0, help="Weight of the discriminator's gradient penalty.")] = 1.0,
    path_length: Annotated[float, typer.Option(min=0, help="Weight of path-length regularisation.")] = 0.0,
    smoothness: Annotated[float, typer.Option(min=0, help="Weight of its cheaper form, by finite differences.")] = 0.0,
    reconstruction: Annotated[
        float, typer.Option(min=0, help="Weight of reconstructing images through an encoder.")
    ] = 0.0,
    teach: Annotated[
        float, typer.Option(min=0, help="Weight of what families of materials teach a family generator.")
    ] = 0.0,
    augment: Annotated[
        float, typer.Option(min=0, help="Target of adaptive augmentation, such as 0.6; 0 for none.")
    ] = 0.0,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate.")] = 0.0025,
    discriminator_rate: Annotated[
        float, typer.Option(min=0, help="The discriminator's learning rate; 0 for the same.")
    ] = 0.0,
    half_life: Annotated[float, typer.Option(min=1, help="Half-life of the averaged generator, in images.")] = 10_000,
    seed: Seed = 0,
    device: Device = "cpu",
    processes: Annotated[
        int, typer.Option(min=1, max=1024, help="How many processes share the work, unless torchrun has started them.")
    ] = 1,
    precision: Annotated[str, typer.Option(help="32; or bf16 or 16 for mixed precision.")] = "32",
    minutes: Annotated[float, typer.Option(min=0, help="Minutes between checkpoints.")] = 5.0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Train a generator of textures on images, or on pictures of textured objects."""
    values = {**locals(), "maps": maps.split(",")}
    from .. import gan

    options = options_of(gan.Options, values)
    fabric = gan.launch(device, processes, precision)
    show = ImageBar()
    with running_in(out, show):
        metrics = gan.train_generator(
            options, out, resume=resume, overwrite=overwrite, fabric=fabric, progress=show, minutes=minutes
        )
    if not fabric.is_global_zero:
        return
    if json_:
        print(json.dumps(metrics))
        return
    scores = [f"{name.upper()} {metrics[name]:.4g}" for name in ("fid", "kid") if name in metrics]
    print(", ".join([f"{metrics['images']:,} images in {metrics['seconds']:.0f} s", *scores]))
    print(f"generator: {out / 'generator.safetensors'}; samples: {out / 'samples'}")
