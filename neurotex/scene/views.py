"""Photographs with their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from .. import images
from ..errors import ArgumentError, FileError
from ..images import Picture
from ..images.pillow import of_image
from .camera import Camera
from .light import Flash, Light
from .transforms import Frame, find_file, read_frames

Photograph = str | Path | Image.Image | np.ndarray


@dataclass(frozen=True, repr=False)
class Views:
    """Cameras and the images they took, linear and multiplied by alpha (that is, over black).

    `images` may also be given as a list of photographs of one size: files, images of Pillow's or arrays (H, W, C).
    These are sRGB-encoded, with straight alpha or none; arrays of floats are linear light. Without `names` they are
    counted from 0.
    """

    cameras: list[Camera]
    images: Float[Tensor, "views 4 h w"] | Sequence[Photograph]
    lights: list[Light] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not isinstance(self.images, Tensor):
            object.__setattr__(self, "images", _stacked(self.images))
        if len(self.cameras) != len(self.images):
            raise ArgumentError(
                f"there are {len(self.cameras)} cameras, but {len(self.images)} images: a view is one of each."
            )
        if not self.names:
            object.__setattr__(self, "names", [str(number) for number in range(len(self.cameras))])

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.names[:3])) + (", …" if len(self.names) > 3 else "")
        lights = ", ".join(map(repr, self.lights)) or "no light"
        return f"Views({len(self.cameras)} of {self.size[1]} x {self.size[0]} pixels, {lights}: {names})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every image, pixels."""
        return tuple(self.images.shape[-2:])

    @classmethod
    def load(cls, path: str | Path) -> Views:
        """Read a folder with `transforms.json` (or `transforms_train.json`, of NeRF's synthetic data), or such a file.

        Each frame has a `file_path` (relative to the file; its ending may be left out) and a rigid, camera-to-world
        `transform_matrix`; focal lengths or fields of view (`fl_x, fl_y, cx, cy`, pixels; `camera_angle_x`, radians)
        and `w, h` stand beside `frames` or in each frame. A `mask_path`'s picture, white where the photograph counts,
        multiplies its alpha. `"light": {"type": "flash", "intensity": [r, g, b]}` is our own key.

        Cameras are pinholes: distortion that moves no pixel by more than 0.1 is left out, any other lens is refused.
        Poses are taken as written: where nerfstudio says with `applied_transform` (and `applied_scale`) how it moved
        them, a mesh belongs to the moved ones. Pictures are of any kind that `neurotex.images.read` reads, upright
        unless `w, h` are those of the stored pixels, and of one size.

        Raises FileError for anything missing, cut off or contradictory.
        """
        file = find_file(path)
        frames = read_frames(file)
        first = frames[0]
        for number, frame in enumerate(frames):
            where = f"{file}, frame {number}"
            if frame.size != first.size:
                raise FileError(
                    f"{where}: {frame.image.name} is {frame.size[1]} x {frame.size[0]} pixels, but the first image is "
                    f"{first.size[1]} x {first.size[0]}: views must share one size."
                )
            if frame.flash != first.flash:
                raise FileError(f"{where} has another light than the first: views must share one.")
        lights = [] if first.flash is None else [Flash(first.flash)]
        return cls([frame.camera for frame in frames], _pixels(frames), lights, [frame.name for frame in frames])


def _stacked(photographs: Sequence[Photograph]) -> Float[Tensor, "views 4 h w"]:
    """Photographs of any kind as linear light over black."""
    lights = [_light(photograph) for photograph in photographs]
    if len({tuple(light.shape[1:]) for light in lights}) != 1:
        raise ArgumentError("views are photographs of one size, at least one: make them alike.")
    return torch.stack([torch.cat([light[:3] * light[3:], light[3:]]) for light in lights])


def _light(photograph: Photograph) -> Float[Tensor, "4 h w"]:
    if isinstance(photograph, str | Path):
        return images.read(photograph).to(4).light()
    if isinstance(photograph, Image.Image):
        return of_image(ImageOps.exif_transpose(photograph)).to(4).light()
    if not isinstance(photograph, np.ndarray) or photograph.ndim not in (2, 3) or photograph.dtype.kind not in "uf":
        raise ArgumentError(
            "a photograph is a file, an image of Pillow's or an array (H, W, C) of uint8, uint16 or floats, not "
            f"{'such an array' if isinstance(photograph, np.ndarray) else f'a {type(photograph).__name__}'}."
        )
    values = photograph if photograph.ndim == 3 else photograph[..., None]
    values = values.astype(np.float32) if values.dtype.kind == "f" else values
    if values.shape[2] > 4 or values.size == 0 or values.dtype.itemsize > 4 or values.dtype == np.uint32:
        raise ArgumentError(
            f"a photograph is (H, W, C) with 1 to 4 channels of uint8, uint16 or floats, but this array is "
            f"{photograph.shape} of {photograph.dtype}."
        )
    if not bool(np.isfinite(values).all()):
        raise ArgumentError("a photograph's numbers are finite, but this array holds NaN or infinity: repair it.")
    return Picture(values).to(4).light()


def _pixels(frames: list[Frame]) -> Float[Tensor, "views 4 h w"]:
    """All photographs, one after the other; what is to be said of their files is said once."""
    out = torch.empty(len(frames), 4, *frames[0].size, dtype=torch.float32, device="cpu")
    remarks = {}
    for image, frame in zip(out, frames, strict=True):
        pixels, picture = frame.read()
        image.numpy()[:] = pixels.numpy()
        remarks[str(frame.image)] = picture.remarks
    images.warn(remarks)
    return out
