"""Photographs with their cameras: `transforms.json` of NeRF, instant-ngp and nerfstudio."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import ArgumentError, FileError
from ..shading import srgb_to_linear
from .camera import Camera, PerspectiveCamera, PinholeCamera, check_rigid
from .light import Flash, Light

DISTORTION = ("k1", "k2", "k3", "k4", "p1", "p2")


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
        """Read a folder with `transforms.json`, or that file.

        Each frame has a `file_path` (relative to the file; ".png" may be left out) and a rigid, camera-to-world
        `transform_matrix`; fields of view or focal lengths (`camera_angle_x`, or `fl_x, fl_y, cx, cy`) and `w, h`
        stand beside `frames` or in each frame. `"light": {"type": "flash", "intensity": [r, g, b]}` is our own key.
        Raises FileError for anything missing, cut off or contradictory.
        """
        path = Path(path)
        file = path / "transforms.json" if path.is_dir() else path
        if not file.is_file():
            raise FileError(f"{file} does not exist: a set of views is a folder with a transforms.json in it.")
        try:
            data = json.loads(file.read_text())
        except (ValueError, UnicodeDecodeError) as error:
            raise FileError(f"{file} is not valid JSON ({error}): repair it or export it again.") from None
        frames = data.get("frames") if isinstance(data, dict) else None
        if not isinstance(frames, list) or not frames:
            raise FileError(f"{file} has no frames: it needs a list 'frames' with at least one camera.")
        cameras, images, names = [], [], []
        for number, frame in enumerate(frames):
            if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
                raise FileError(f"{file}, frame {number}, has no file_path: name its image.")
            keys = {**data, **frame}
            image = _read_image(_image_path(file, frame["file_path"]), keys.get("w"), keys.get("h"))
            if images and image.shape != images[0].shape:
                raise FileError(
                    f"{file}, frame {number}: {frame['file_path']} is {image.shape[2]} x {image.shape[1]} pixels, "
                    f"but the first image is {images[0].shape[2]} x {images[0].shape[1]}: views must share one size."
                )
            cameras.append(_camera(file, number, keys, tuple(image.shape[1:])))
            images.append(image)
            names.append(Path(frame["file_path"]).stem)
        return cls(cameras, torch.stack(images), _lights(file, data), names)


def _image_path(file: Path, name: str) -> Path:
    path = file.parent / name
    return path if path.is_file() or path.suffix else path.with_suffix(".png")


def _read_image(path: Path, width: int | None, height: int | None) -> Tensor:
    """(4, H, W) linear, premultiplied."""
    if not path.is_file():
        raise FileError(f"{path} is missing, but transforms.json names it: put it back or remove its frame.")
    try:
        with Image.open(path) as image:
            image.load()
            pixels = np.asarray(image.convert("RGBA"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise FileError(f"{path} cannot be read as an image ({error}): it may be cut off, get it again.") from None
    found = (pixels.shape[1], pixels.shape[0])
    if [str(side) for side in found] != [str(width or found[0]), str(height or found[1])]:
        raise FileError(
            f"{path} is {found[0]} x {found[1]} pixels, but transforms.json says {width} x {height}: correct either."
        )
    decode = srgb_to_linear(torch.arange(256) / 255).numpy()
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return torch.from_numpy(np.concatenate([decode[pixels[..., :3]] * alpha, alpha], -1)).movedim(-1, 0)


def _camera(file: Path, number: int, keys: dict, size: tuple[int, int]) -> Camera:
    where = f"{file}, frame {number}"
    try:
        transform = torch.tensor(keys["transform_matrix"], dtype=torch.float32)
        check_rigid(transform, "its transform_matrix")
        if any(float(keys.get(name, 0)) for name in DISTORTION):
            raise ArgumentError("its lens is distorted: undistort the images first and leave k1 … p2 out.")
        if "fl_x" in keys:
            height, width = size
            focal = float(keys["fl_x"]), float(keys.get("fl_y", keys["fl_x"]))
            center = float(keys.get("cx", width / 2)), float(keys.get("cy", height / 2))
            return PinholeCamera(transform, focal, center, size)
        if "camera_angle_x" in keys:
            half = math.tan(float(keys["camera_angle_x"]) / 2) * size[0] / size[1]
            return PerspectiveCamera(transform, math.degrees(2 * math.atan(half)))
    except KeyError as error:
        raise FileError(f"{where} has no {error.args[0]}.") from None
    except ArgumentError as error:
        raise FileError(f"{where}: {error}") from None
    except (TypeError, ValueError) as error:
        raise FileError(f"{where} has no numbers where they belong ({error}): check its matrix and lens.") from None
    raise FileError(f"{where} has no camera_angle_x and no fl_x: one of them must say the field of view.")


def _lights(file: Path, data: dict) -> list[Light]:
    light = data.get("light")
    if light is None:
        return []
    try:
        if light["type"] != "flash":
            raise FileError(f"{file}: light type '{light['type']}' is unknown, only 'flash' is.")
        return [Flash([float(value) for value in light["intensity"]])]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f'{file}: \'light\' must be {{"type": "flash", "intensity": [r, g, b]}} ({error}).') from None
