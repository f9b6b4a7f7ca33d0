"""What ships of a texture: its file, in the format of the last step that it passed; and such files as textures."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from .. import storage
from ..discrete import Step
from ..errors import ArgumentError, FileError
from ..images.png import png
from ..shading import linear_to_srgb
from .latent import Evaluation
from .textures import ImageTexture, SteppedTexture, Texture

# what Pillow raises for files that it cannot read
UNREADABLE = (OSError, SyntaxError, ValueError, NotImplementedError, struct.error, Image.DecompressionBombError)
SUFFIXES = (".png", ".jpg", ".jpeg", ".dds")


def encode_texture(texture: Texture, latents: Mapping[str, Tensor] | None = None) -> tuple[bytes, str]:
    """The file of a texture as `eval()` shows it, and how its name ends; `latents` binds latents by name.

    It is what the last step that the texture passed writes: a PNG of few levels or of a palette, a JPEG, a DDS of
    blocks. Without such a step it is a PNG of 8 bits, of 1 to 4 channels.
    """
    with shown_as_shipped(texture):
        return texture_file(texture, Evaluation(latents))


def save_texture(texture: Texture, path: str | Path, latents: Mapping[str, Tensor] | None = None) -> Path:
    """Write `encode_texture`'s file to `path`, which its format gives an ending; returns the path with that ending."""
    path = Path(path)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        raise ArgumentError(f"{path} is not a texture's name without its ending: give one, as in textures/base_color.")
    content, suffix = encode_texture(texture, latents)
    path = path.with_name(path.name + suffix)
    with storage.replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def load_texture(path: str | Path) -> ImageTexture:
    """The texels of a PNG, JPEG or DDS file: as many channels as the file has, palettes looked up, CMYK as RGB.

    Grey of 16 bits stays so. Of DDS, BC4 has one channel and BC5 two, BC1 three unless there are holes, all else those
    that Pillow gives; smaller levels of detail are not read.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ArgumentError(f"{path} is not a texture file that can be read: give one of {', '.join(SUFFIXES)}.")
    if not path.is_file():
        raise FileError(f"{path} does not exist: check the path.")
    try:
        with Image.open(path) as image:
            return ImageTexture(_own_channels(image))
    except UNREADABLE as error:
        raise FileError(f"{path} cannot be read as an image ({error}): it may be cut off, get it again.") from None


def to_image(texture: Tensor) -> Image.Image:
    """An 8-bit image of a texture or rendered picture (3 or 4, H, W) in [0, 1]."""
    pixels = (texture.detach().clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()
    return Image.fromarray(pixels)


def to_photograph(image: Float[Tensor, "4 h w"]) -> Image.Image:
    """An 8-bit RGBA image of a render (linear, alpha last): sRGB-encoded with straight alpha, as `Views.load` reads it
    and image viewers expect."""
    alpha = image[3:]
    straight = linear_to_srgb((image[:3] / alpha.clamp_min(1e-6)).clamp(0, 1)) * (alpha > 0)
    return to_image(torch.cat([straight, alpha]))


def pixels(image: Image.Image, mode: str) -> Float[Tensor, "c h w"]:
    """An image in 8 bits, in [0, 1], in the channels that Pillow calls `mode`: "L", "LA", "RGB" or "RGBA"."""
    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off instead of scaling them
        image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
    if "transparency" in image.info:  # else Pillow warns that it leaves that of a palette out
        image = image.convert("RGBA")
    array = np.asarray(image.convert(mode))
    return torch.from_numpy(array.reshape(*array.shape[:2], -1).copy()).movedim(-1, 0).float() / 255


def texture_file(texture: Texture, evaluation: Evaluation) -> tuple[bytes, str]:
    """`encode_texture` in a pass over textures that are shown as they ship; warns where 8 bits lose what a step left.

    The texture is evaluated first: what it has to say about its inputs is said there.
    """
    picture = evaluation(texture)
    if isinstance(texture, SteppedTexture) and isinstance(texture.step, Step) and hasattr(texture.step, "encode"):
        try:
            return texture.step.encode(evaluation(texture.source))
        except ArgumentError as error:  # the step can be shown, but no file holds it: 16 bits of three channels
            warnings.warn(f"a texture is written as a PNG file of 8 bits, for {error}", stacklevel=2)
    return png(picture.clamp(0, 1)), ".png"


@contextmanager
def shown_as_shipped(module: nn.Module) -> Iterator[None]:
    """In eval mode and without gradients; afterwards each part is in the mode that it was in."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in training.items():
            part.training = mode


def _own_channels(image: Image.Image) -> Float[Tensor, "c h w"]:
    """An image in [0, 1] with the channels of its file; see `load_texture`."""
    blocks = getattr(image, "pixel_format", "")  # of DDS
    if image.mode.startswith("I"):
        return torch.from_numpy(np.asarray(image).astype(np.float32))[None] / 65535
    if blocks.startswith("BC5"):
        return pixels(image, "RGB")[:2]
    if image.mode in ("1", "L", "LA"):
        return pixels(image, "LA" if image.has_transparency_data else "L")
    found = pixels(image, "RGBA" if image.has_transparency_data else "RGB")
    opaque = blocks in ("DXT1", "BC1") and bool((found[3] == 1).all())
    return found[:3] if opaque else found
