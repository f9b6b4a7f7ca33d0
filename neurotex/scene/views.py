"""Photographs with their cameras."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .. import images
from ..errors import FileError
from .camera import Camera
from .light import Flash, Light
from .transforms import Frame, find_file, read_frames


@dataclass(frozen=True)
class Views:
    """Cameras and the images they took, linear and multiplied by alpha (that is, over black)."""

    cameras: list[Camera]
    images: Float[Tensor, "views 4 h w"]
    lights: list[Light]
    names: list[str]

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
