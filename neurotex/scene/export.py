"""A texture's file as it is exported, in the format of the last step that it passed; and such files as textures."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from ..core import storage
from ..discrete import Step
from ..errors import ArgumentError
from ..images.png import png
from ..images.read import of_image
from .latent import Evaluation, Latents
from .textures import ImageTexture, SteppedTexture, Texture

SUFFIXES = (".png", ".jpg", ".jpeg", ".dds")


def encode_texture(texture: Texture, latents: Latents | None = None) -> tuple[bytes, str]:
    """The file of a texture as `eval()` shows it, and how its name ends; `latents` binds latents by name.

    It is what the last step that the texture passed writes: a PNG of few levels or of a palette, a JPEG, a DDS of
    blocks. Without such a step it is a PNG of 8 bits, of 1 to 4 channels.
    """
    with shown_as_exported(texture), Evaluation(latents) as evaluation:
        return texture_file(texture, evaluation)


def save_texture(texture: Texture, path: str | Path, latents: Latents | None = None) -> Path:
    """Write `encode_texture`'s file to `path`, which its format gives an ending; returns the path with that ending.

    `texture` is evaluated once; `latents` gives values to latents by name. ArgumentError for a `path` that names no
    file.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        raise ArgumentError(f"{path} is not a texture's name without its ending: give one, as in textures/base_color.")
    content, suffix = encode_texture(texture, latents)
    path = path.with_name(path.name + suffix)
    with storage.replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def load_texture(path: str | Path) -> ImageTexture:
    """The texels of a picture's file: as many channels as the file has, palettes looked up, CMYK as RGB.

    Numbers are taken as they are: 16 bits stay so, and neither orientation nor colour profile counts (as in glTF). Of
    DDS, BC4 has one channel and BC5 two, BC1 three unless there are holes; smaller levels of detail are not read.
    """
    return ImageTexture(Path(path))


def pixels(image: Image.Image, mode: str) -> Float[Tensor, "c h w"]:
    """An image of Pillow's in [0, 1], in the channels that Pillow calls `mode`: "L", "LA", "RGB" or "RGBA"."""
    return of_image(image, srgb=False).to(len(mode)).floats()


def texture_file(texture: Texture, evaluation: Evaluation) -> tuple[bytes, str]:
    """`encode_texture` in a pass over textures shown as they are exported; warns where 8 bits lose what a step left.

    The texture is evaluated first: what it has to say about its inputs is said there.
    """
    picture = evaluation(texture)
    step = texture.step if isinstance(texture, SteppedTexture) else None
    encode = getattr(step, "encode", None) if isinstance(step, Step) else None
    if isinstance(texture, SteppedTexture) and encode is not None:
        try:
            return encode(evaluation(texture.source))
        except ArgumentError as error:  # the step can be shown, but no file holds it: 16 bits of three channels
            warnings.warn(f"a texture is written as a PNG file of 8 bits, for {error}", stacklevel=2)
    return png(picture.clamp(0, 1)), ".png"


@contextmanager
def shown_as_exported(module: nn.Module) -> Iterator[None]:
    """In eval mode and without gradients; afterwards each part is in the mode that it was in."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in training.items():
            part.training = mode
