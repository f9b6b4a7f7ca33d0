"""Photographs with their cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from ... import images
from ...core.typed import sides
from ...errors import ArgumentError, FileError
from ...images import Picture
from ...images.colour import linear_to_srgb
from ...images.notebook import THUMBNAIL, sheet_png
from ...images.pillow import of_image
from ...images.write import to_image
from ..camera import Camera
from ..light import Flash, Light
from .frames import Frame
from .read import read_frames

Photograph = str | Path | Image.Image | np.ndarray


@dataclass(frozen=True, repr=False, init=False)
class Views:
    """Cameras and the images they took, linear and multiplied by alpha (that is, over black).

    `images` may also be given as a list of photographs of one size: files, images of Pillow's or arrays (H, W, C).
    These are sRGB-encoded, with straight alpha or none; arrays of floats are linear light. Without `names` they are
    counted from 0. `lights` are those that the photographs were taken under. ArgumentError unless there is an image for
    each camera.
    """

    cameras: list[Camera]
    images: Float[Tensor, "views 4 h w"]
    lights: list[Light]
    names: list[str]

    def __init__(
        self,
        cameras: Sequence[Camera],
        images: Float[Tensor, "views 4 h w"] | Sequence[Photograph],
        lights: Sequence[Light] = (),
        names: Sequence[str] = (),
    ):
        if len(cameras) != len(images):
            raise ArgumentError(f"there are {len(cameras)} cameras, but {len(images)} images: a view is one of each.")
        given = {
            "cameras": cameras if isinstance(cameras, list) else list(cameras),
            "images": images if isinstance(images, Tensor) else _stacked(images),
            "lights": lights if isinstance(lights, list) else list(lights),
            "names": list(names) or [str(number) for number in range(len(cameras))],
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.names[:3])) + (", …" if len(self.names) > 3 else "")
        lights = ", ".join(map(repr, self.lights)) or "no light"
        return f"Views({len(self.cameras)} of {self.size[1]} x {self.size[0]} pixels, {lights}: {names})"

    def _repr_png_(self) -> bytes | None:
        """In notebooks, the first photographs, as thumbnails on white."""
        step = max(max(self.size) // (2 * THUMBNAIL), 1)
        small = self.images[:24, :, ::step, ::step].float().cpu()
        over = linear_to_srgb((small[:, :3] + 1 - small[:, 3:]).clamp(0, 1))
        return sheet_png([to_image(picture) for picture in over]) if len(small) else None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every image, pixels."""
        return sides(self.images)

    @classmethod
    def load(cls, path: str | Path) -> Views:
        """Read photographs whose cameras a program has found: the folder that holds its file, or the file itself.

        - `transforms.json` of NeRF (also `transforms_train.json`), instant-ngp and nerfstudio. Each frame has a
          `file_path` (relative to the file; its ending may be left out) and a rigid, camera-to-world
          `transform_matrix`; the lens (`fl_x, fl_y, cx, cy`, pixels, or `camera_angle_x`, radians; `k1` … `k6, p1, p2`,
          `camera_model`) and `w, h` stand beside `frames` or in each frame. A `mask_path`'s picture, white where the
          photograph counts, multiplies its alpha. `"light": {"type": "flash", "intensity": [r, g, b]}` is our own key,
          which may have an "offset" [x, y, z] from the camera: to its right, up, and backwards, in scene units.
        - COLMAP's models, text or binary, of any camera model that has a lens.
        - Metashape's cameras as XML, RealityCapture's as CSV or XMP, OpenMVS's scenes (MVSI).

        Lenses are undone: pictures are resampled to what a pinhole would have taken, where the lens moves any pixel by
        more than 0.1. Poses are taken as written: where nerfstudio says with `applied_transform` how it moved them, a
        mesh belongs to the moved ones. Pictures lie where they are said to, or in `images` beside the file. They are
        of any kind that `neurotex.images.read` reads, and of one size; upright, unless the program says the size of, or
        is known to look at, the stored pixels.

        Raises FileError for anything missing, cut off or contradictory.
        """
        frames = read_frames(path)
        first = frames[0]
        for frame in frames:
            if frame.size != first.size:
                raise FileError(
                    f"{frame.where}: {frame.image.name} is {frame.size[1]} x {frame.size[0]} pixels, but the first "
                    f"image is {first.size[1]} x {first.size[0]}: views must share one size."
                )
            if frame.flash != first.flash:
                raise FileError(f"{frame.where} has another light than the first: views must share one.")
        lights = [] if first.flash is None else [Flash(first.flash[:3], first.flash[3:] or (0.0, 0.0, 0.0))]
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
