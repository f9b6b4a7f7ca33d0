"""What `neurotex train` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..core.options import COUNT, SIDE, Commas, File, Range

WIDTH = 1 << 20


@dataclass(frozen=True)
class Options:
    """What to train on what. Weights are of penalties and of other terms; 0 leaves a term out."""

    data: tuple[str, ...]
    """A folder of images, of any size; or "materials", made by neurotex without end."""
    through_renders: bool = False
    """DATA shows objects: folders of photographs, or scenes with textures. The discriminator sees renders of `mesh`,
    and textures never."""
    mesh: tuple[str, ...] = ()
    """The shape of these objects: a file, or sphere. May be repeated."""
    maps: Annotated[tuple[str, ...], Commas()] = ("base_color",)
    """Maps of a material to learn together, such as base_color,normal,roughness; a folder has a file for each, such as
    NAME_normal.png."""
    size: Annotated[int, Range(1, SIDE)] = 128
    """Side of a texture, in texels: a power of two."""
    render_size: Annotated[int, Range(1, SIDE)] = 64
    """Side of the renders that the discriminator sees, in pixels."""
    images: Annotated[int, Range(1, COUNT)] = 200_000
    """How many images to train on in all."""
    batch: Annotated[int, Range(1, WIDTH)] = 16
    """Images per step, over all processes."""
    accumulate: Annotated[int, Range(1, WIDTH)] = 1
    """Compute a batch in this many parts, which takes less memory."""
    seed: Annotated[int, Range(-(1 << 62), 1 << 62)] = 0
    """Another seed gives another random start."""
    begin: Annotated[str | None, File()] = None
    """Start from this earlier run's folder, which may be of half the size."""
    channel_base: Annotated[int, Range(1, WIDTH)] = 4096
    """A block of the generator that works on pictures of n x n has this number / n channels."""
    channel_max: Annotated[int, Range(1, WIDTH)] = 256
    """But no block has more channels than this."""
    latent_dim: Annotated[int, Range(1, WIDTH)] = 128
    """Length of a latent."""
    tileable: bool = True
    """Textures that tile without a seam."""
    generator: str = "stylegan2"
    """stylegan2; material: small, for machines without a GPU; or family: of our materials."""
    discriminator: str = "stylegan2"
    """stylegan2, patch, texture (small), or none."""
    discriminator_base: Annotated[int, Range(0, WIDTH)] = 0
    """`channel_base` of the discriminator; 0 for the same."""
    loss: str = "nonsaturating"
    """nonsaturating, hinge, least_squares or wasserstein."""
    r1: Annotated[float, Range(0)] = 1.0
    """Weight of the discriminator's gradient penalty."""
    path_length: Annotated[float, Range(0)] = 0.0
    """Weight of path-length regularisation."""
    smoothness: Annotated[float, Range(0)] = 0.0
    """Weight of its cheaper form, by finite differences."""
    reconstruction: Annotated[float, Range(0)] = 0.0
    """Weight of reconstructing images through an encoder."""
    teach: Annotated[float, Range(0)] = 0.0
    """Weight of what families of materials teach a family generator."""
    augment: Annotated[float, Range(0)] = 0.0
    """Target of adaptive augmentation, such as 0.6; 0 for none."""
    rate: Annotated[float, Range(0)] = 0.0025
    """Learning rate."""
    discriminator_rate: Annotated[float, Range(0)] = 0.0
    """The discriminator's learning rate; 0 for the same."""
    half_life: Annotated[float, Range(1)] = 10_000.0
    """Half-life of the averaged generator, in images."""


@dataclass(frozen=True)
class Machine:
    """What a training run is carried out by: no result depends on it, but for rounding."""

    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, ..."""
    processes: Annotated[int, Range(1, 1024)] = 1
    """How many processes share the work, unless torchrun has started them."""
    precision: str = "32"
    """32; or bf16 or 16 for mixed precision."""
    minutes: Annotated[float, Range(0)] = 5.0
    """Minutes between checkpoints."""
