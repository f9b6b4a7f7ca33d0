"""Pictures of every kind as texels: files, images of Pillow's, arrays and tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .. import images
from ..errors import ArgumentError, FileError
from ..images.read import of_image

Pixels = Tensor | np.ndarray | Image.Image | str | Path

SCALES = {torch.uint8: 255.0, torch.uint16: 65535.0}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def texels(picture: Pixels) -> Float[Tensor, "c h w"]:
    """The numbers of a picture, (C, H, W) with row 0 at the top, as they are: nothing is decoded or turned.

    - A file: see `load_texture`. An image of Pillow's: its own channels, palettes looked up.
    - A tensor or an array: (C, H, W), (1, C, H, W), or (H, W, C) where only the last size can be one of channels, 1 to
      4; an array may be (H, W), one channel. Whole numbers of 8 or 16 bits become [0, 1]; floats stay of their type,
      but those of half precision become float32.

    Raises ArgumentError for anything else, FileError for a file that cannot be read.
    """
    if isinstance(picture, str | Path):
        return _of_file(Path(picture))
    if isinstance(picture, Image.Image):
        return of_image(picture, srgb=False).floats()
    if isinstance(picture, np.ndarray):
        picture = _of_array(picture)
    if not isinstance(picture, Tensor):
        raise ArgumentError(
            f"an image texture is a tensor (C, H, W) in [0, 1], an array, a file's name or an image of Pillow's, not a "
            f"{type(picture).__name__}."
        )
    if picture.dtype not in (*SCALES, *FLOATS):
        raise ArgumentError(
            f"an image texture is of floats in [0, 1] or whole numbers of 8 or 16 bits, not of {picture.dtype}."
        )
    if picture.ndim not in (3, 4) or picture.numel() == 0 or picture.shape[:-3].numel() != 1:
        raise ArgumentError(f"an image texture is one image, (C, H, W), but this one is {tuple(picture.shape)}.")
    picture = picture.detach().reshape(picture.shape[-3:])
    first, _, last = picture.shape
    if last <= 4 < first:
        picture = picture.movedim(-1, 0)
    if picture.dtype in SCALES:
        return picture.float() / SCALES[picture.dtype]
    return picture.float() if picture.dtype.itemsize == 2 else picture


def _of_array(array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "uf" or array.dtype.itemsize > 8:
        raise ArgumentError(
            f"an image texture is of floats in [0, 1] or whole numbers of 8 or 16 bits, not of {array.dtype}."
        )
    array = array[..., None] if array.ndim == 2 else array
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.ascontiguousarray(native).copy())


def _of_file(path: Path) -> Float[Tensor, "c h w"]:
    if path.suffix.lower() not in images.ENDINGS:
        raise ArgumentError(f"{path} is not a texture file that can be read: give one of {', '.join(images.ENDINGS)}.")
    picture = images.read(path, upright=False, srgb=False)
    found = picture.floats()[: 2 if picture.format == "DDS/BC5" else 4]
    if not bool(((found >= 0) & (found <= 1)).all()):
        raise FileError(f"{path} holds values outside [0, 1], which a texture cannot have: scale them.")
    return found
