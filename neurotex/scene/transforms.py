"""`transforms.json` of NeRF, instant-ngp and nerfstudio: a record of each photograph, before a pixel is decoded."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .. import images
from ..errors import ArgumentError, FileError
from ..images import Picture
from ..images.read import shown
from .camera import Camera, PerspectiveCamera, PinholeCamera, check_rigid
from .light import Flash
from .origin import Origin, origin_near

# camera models that are a pinhole with OpenCV's distortion, in COLMAP's and nerfstudio's words
PINHOLES = ("PERSPECTIVE", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
OTHER_LENSES = ("is_fisheye", "fisheye", "latlong", "equirectangular", "orthographic", "ftheta_p0")  # instant-ngp's
RADIAL = ("k1", "k2", "k3", "k4", "k5", "k6")  # of r³, r⁵, …
TANGENTIAL = ("p1", "p2")
NEGLIGIBLE = 0.1  # pixels that a lens may move any pixel and still count as undistorted
LARGEST = float(torch.finfo(torch.float32).max)
NAMES = ("transforms.json", "transforms_train.json")  # in a folder; the latter is NeRF's synthetic data


@dataclass(frozen=True)
class Frame:
    """A photograph and its camera."""

    name: str
    """Unlike those of the others; may hold slashes, as in left/0001."""
    image: Path
    mask: Path | None
    camera: Camera
    size: tuple[int, int]
    """(height, width), pixels."""
    upright: bool
    """Whether the EXIF orientation is applied; see `read_frames`."""
    flash: tuple[float, float, float] | None
    """Intensity of a light at the camera."""

    def read(self) -> tuple[Float[Tensor, "4 h w"], Picture]:
        """The photograph, linear and multiplied by alpha (and by its mask), and the picture that it is of.

        FileError for a picture or mask that is broken, or not of the size that was said.
        """
        picture = images.decode(images.contents(self.image), str(self.image), self.upright)
        _check_size(self.image, picture.size, self.size)
        pixels = picture.to(4).light()
        values = pixels.numpy()  # whose arithmetic wakes no threads for what is small
        if self.mask is not None:
            values[3:] *= self._shown()
        if self.mask is not None or picture.has_alpha:
            values[:3] *= values[3:]
        return pixels, picture

    def _shown(self) -> Float[np.ndarray, "1 h w"]:
        """The mask: 1 where the photograph counts. Its grey, times its alpha; 0 and 1 in bytes mean what they say."""
        picture = images.decode(images.contents(self.mask), str(self.mask)).to(2)
        _check_size(self.mask, picture.size, self.size)
        values = picture.values
        if not picture.linear and int(values[..., 0].max()) <= 1:
            values = np.stack([values[..., 0] * np.iinfo(values.dtype).max, values[..., 1]], 2)
        return Picture(values).floats().clamp(0, 1).prod(0, keepdim=True).numpy()


def find_file(path: str | Path) -> Path:
    """The file of a folder's views, or the file itself. FileError where there is none, naming what else there is."""
    path = Path(path)
    folder = os.path.isdir(path)
    for file in [path / name for name in NAMES] if folder else [path]:
        if images.is_file(file):
            return file
    others = sorted(file.name for file in path.glob("transforms*.json")) if folder else []
    if others:
        raise FileError(f"{path} has no transforms.json in it, but {', '.join(others[:5])}: give one of these files.")
    file = shown(path / NAMES[0] if folder else path)
    raise FileError(f"{file} does not exist: a set of views is a folder with a transforms.json in it, or such a file.")


def read_frames(file: Path) -> list[Frame]:
    """The frames of a `transforms.json`. Pictures are looked into for their sizes only.

    If `w` and `h` are those of a picture as stored, not as its EXIF orientation turns it, its camera is meant to be
    that of the stored pixels. FileError for anything missing, contradictory, or beyond a pinhole camera.
    """
    data = _json(file)
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not frames:
        raise FileError(f"{file} has no frames: it needs a list 'frames' with at least one camera.")
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str) or not frame["file_path"]:
            raise FileError(f"{file}, frame {number}, has no file_path: name its image.")
    paths = [_found(file.parent, frame["file_path"]) for frame in frames]
    missing = [_ending(frame["file_path"]) for frame, path in zip(frames, paths, strict=True) if path is None]
    if missing:
        more = f", and so are {len(missing) - 1} more of {len(frames)}" if len(missing) > 1 else ""
        raise FileError(
            f"{shown(file.parent / missing[0])} is missing{more}, but {file.name} names it: put it back or remove its "
            "frame."
        )
    names = unique_names([frame["file_path"] for frame in frames])
    origin = origin_near(_positions(frames, data))
    return [
        _frame(f"{file}, frame {number}", file, name, path, frame, data, origin)
        for number, (name, path, frame) in enumerate(zip(names, paths, frames, strict=True))
    ]


def _positions(frames: list[dict], data: dict) -> np.ndarray:
    """(n, 3) where cameras stand, of those that say so; what is wrong with the others is found later."""
    found = []
    for frame in frames:
        with suppress(ArgumentError, ValueError):
            found.append([row[3] for row in _numbers(frame.get("transform_matrix", data.get("transform_matrix")))[:3]])
    return np.array(found, np.float64).reshape(-1, 3)


def unique_names(paths: list[str]) -> list[str]:
    """Names for pictures: those of their files without ending; with their folders where that is not enough."""
    parts = [_parts(path) for path in paths]
    names = [part[-1] for part in parts]
    if len({name.casefold() for name in names}) < len(names):
        names = ["/".join(part) for part in parts]
    taken: set[str] = set()
    for k, name in enumerate(names):
        number = 2
        while names[k].casefold() in taken:
            names[k], number = f"{name}_{number}", number + 1
        taken.add(names[k].casefold())
    return names


def _parts(path: str) -> list[str]:
    """Folders and name, without what leads elsewhere, and without the ending of a picture's file."""
    pure = PurePosixPath(path.replace("\\", "/"))
    parts = [part for part in pure.parts if part not in ("/", "//", "..") and not part.endswith(":")] or ["view"]
    stem, dot, ending = parts[-1].rpartition(".")
    return [*parts[:-1], stem] if stem and dot + ending.lower() in images.ENDINGS else parts


def _json(file: Path) -> Any:
    """What is in a JSON file, in any encoding that programs write: UTF-8 with and without a mark, UTF-16, Latin-1."""
    content = images.contents(file)
    try:
        text = content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    try:
        return json.loads(text, object_pairs_hook=_without_twins)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:
        reason = shown(error)
    raise FileError(f"{file} is not valid JSON ({reason}): repair it or export it again.")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it says '{shown(twin, 40)}' twice in one place")
    return found


def _found(folder: Path, name: str) -> Path | None:
    """The file of that name, which may have been written on Windows, or without its ending."""
    names = [name, name.replace("\\", "/")] if "\\" in name else [name]
    for way in names:
        for ending in ("", *images.ENDINGS, *map(str.upper, images.ENDINGS)):
            if images.is_file(folder / (way + ending)):
                return folder / (way + ending)
    return None


def _ending(name: str) -> str:
    """The name of a file that is missing, as it would be looked for."""
    return name if name.lower().endswith(images.ENDINGS) else f"{name}.png"


def _frame(where: str, file: Path, name: str, path: Path, frame: dict, data: dict, origin: Origin) -> Frame:
    try:
        upright, size = _size(path, file.name, frame, data)
        camera = _camera(frame, data, size, origin)
    except KeyError as error:
        raise FileError(f"{where} has no {error.args[0]}.") from None
    except ArgumentError as error:
        raise FileError(f"{where}: {error}") from None
    except ValueError as error:
        raise FileError(f"{where} has no numbers where they belong ({error}): check its matrix and lens.") from None
    mask = frame.get("mask_path")
    if mask is not None:
        found = _found(file.parent, mask) if isinstance(mask, str) and mask else None
        if found is None:
            raise FileError(f"{where}: its mask {_told(mask)} is missing: put it back or leave mask_path out.")
        mask = found
    light = frame.get("light", data.get("light"))
    return Frame(name, path, mask, camera, size, upright, None if light is None else _flash(where, light))


def _size(path: Path, file: str, frame: dict, data: dict) -> tuple[bool, tuple[int, int]]:
    """Whether the picture is to be upright, and its (height, width)."""
    said = {}
    for key in ("w", "h"):
        value = _optional({**data, **frame}, key)
        if value is not None and (value < 1 or value != round(value)):
            raise ArgumentError(f"its {key} is {value:g}, which is no number of pixels.")
        said[key] = None if value is None else round(value)
    seen, stored = images.sizes(path)
    for upright, size in ((True, seen), (False, stored)):
        if (said["h"] or size[0], said["w"] or size[1]) == size:
            return upright, size
    width, height = (said["w"] or seen[1]), (said["h"] or seen[0])
    raise FileError(
        f"{path} is {seen[1]} x {seen[0]} pixels, but {file} says {width} x {height}: correct either of them."
    )


def _check_size(path: Path, found: tuple[int, int], wanted: tuple[int, int]) -> None:
    if found != wanted:
        raise FileError(
            f"{path} is {found[1]} x {found[0]} pixels, but its camera has {wanted[1]} x {wanted[0]}: "
            "correct either of them."
        )


def _camera(frame: dict, data: dict, size: tuple[int, int], origin: Origin) -> Camera:
    """ArgumentError for what is no pinhole camera; KeyError and ValueError for what is not there, or no number."""
    keys = {**data, **frame}
    transform = torch.tensor(_numbers(keys["transform_matrix"]), dtype=torch.float64)
    transform[:3, 3] -= transform.new_tensor(origin)
    check_rigid(transform, "its transform_matrix")
    _check_lens(keys)
    height, width = size
    across, down = (_focal(frame, data, axis, side) for axis, side in (("x", width), ("y", height)))
    if across is None and down is None:
        raise KeyError("camera_angle_x and no fl_x: one of them must say the field of view")
    across, down = down if across is None else across, across if down is None else down
    center = [
        side / 2 if (value := _optional(keys, key)) is None else value for key, side in (("cx", width), ("cy", height))
    ]
    camera = PinholeCamera(transform, (across, down), (center[0], center[1]), size)
    _check_distortion(keys, camera)
    if (
        not {"fl_x", "fl_y"} & set(keys)
        and math.isclose(across, down, rel_tol=1e-6)
        and center == [width / 2, height / 2]
    ):
        camera = PerspectiveCamera(transform, math.degrees(2 * math.atan(height / 2 / down)))
    camera.origin = origin
    return camera


def _focal(frame: dict, data: dict, axis: str, side: int) -> float | None:
    """Focal length in pixels: a frame's own goes before all frames', lengths before angles."""
    for keys in (frame, data):
        if (length := _optional(keys, f"fl_{axis}")) is not None:
            return length
        for key, unit in ((f"camera_angle_{axis}", 1.0), (f"{axis}_fov", math.pi / 180)):
            angle = (_optional(keys, key) or 0.0) * unit  # 0: not known
            if not 0 <= angle < math.pi:
                raise ArgumentError(
                    f"its {key} is {angle / unit:g}, but a field of view lies between 0 and 180 degrees."
                )
            if angle:
                return side / 2 / math.tan(angle / 2)
    return None


def _check_lens(keys: dict) -> None:
    model = keys.get("camera_model")
    if model is not None and (not isinstance(model, str) or model.upper() not in PINHOLES):
        raise ArgumentError(f"its camera_model {_told(model)} is no pinhole: undistort the images first, to PINHOLE.")
    for key in OTHER_LENSES:
        if keys.get(key):
            raise ArgumentError(f"its lens is not a pinhole's ('{key}'): undistort the images first.")
    shutter = keys.get("rolling_shutter")
    if shutter is not None and (not isinstance(shutter, list) or any(shutter)):
        raise ArgumentError("its rolling_shutter makes every row another camera: only a global shutter is read.")


def _check_distortion(keys: dict, camera: PinholeCamera) -> None:
    """Coefficients may be there if they hardly do anything. The bound holds for OpenCV's polynomial anywhere in the
    image: a coefficient k of r²ⁿ moves a point by |k| r²ⁿ⁺¹, p₁ and p₂ by up to 3 |p| r², times the focal length."""
    values = {key: value for key in (*RADIAL, *TANGENTIAL) if (value := _optional(keys, key))}
    if not values:
        return
    height, width = camera.size
    reach = [max(c, side - c) / f for c, side, f in zip(camera.center, (width, height), camera.focal, strict=True)]
    r = math.hypot(*reach)
    moved = sum(abs(values.get(key, 0)) * r ** (2 * n + 3) for n, key in enumerate(RADIAL))
    moved += sum(3 * abs(values.get(key, 0)) * r**2 for key in TANGENTIAL)
    moved *= max(camera.focal)
    if not moved <= NEGLIGIBLE:
        said = ", ".join(f"{key} = {value:g}" for key, value in values.items())
        raise ArgumentError(
            f"its lens is distorted by up to {moved:.3g} pixels ({said}): undistort the images first and leave k1 … p2 "
            "out."
        )


def _optional(keys: dict, key: str) -> float | None:
    value = keys.get(key)
    return None if value is None else _number(value, key)


def _number(value: object, what: str) -> float:
    """ValueError for what is no finite number of float32's range."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if abs(number) <= LARGEST:
            return number
    raise ValueError(f"{what} is {_told(value)}")


def _numbers(rows: object) -> list[list[float]]:
    """Four rows of four numbers."""
    if not isinstance(rows, list):
        raise ValueError(f"transform_matrix is {_told(rows)}")
    for row in rows:
        if not isinstance(row, list):
            raise ValueError(f"a row of transform_matrix is {_told(row)}")
    numbers = [[_number(value, "one of transform_matrix") for value in row] for row in rows]
    if [len(row) for row in numbers] != [4] * 4:
        raise ArgumentError("its transform_matrix must be a 4 x 4 matrix of finite numbers.")
    return numbers


def _flash(where: str, light: object) -> tuple[float, float, float]:
    if isinstance(light, dict) and isinstance(light.get("type"), str) and light["type"] != "flash":
        raise FileError(f"{where}: light type '{shown(light['type'], 40)}' is unknown, only 'flash' is.")
    try:
        if not isinstance(light, dict) or not {"type", "intensity"} <= set(light) <= {"type", "intensity", "offset"}:
            raise ValueError("it has other keys" if isinstance(light, dict) else f"it is {_told(light)}")
        if any(_number(value, "one of offset") for value in _row(light.get("offset", []))):
            raise ValueError("a flash with an offset from the camera is not read yet")
        intensity = tuple(_number(value, "one of intensity") for value in _row(light["intensity"]))
        Flash(intensity)
        if len(intensity) != 3:
            raise ValueError(f"it has {len(intensity)} numbers")
    except ValueError as error:
        raise FileError(f'{where}: \'light\' must be {{"type": "flash", "intensity": [r, g, b]}} ({error}).') from None
    return intensity


def _told(value: object) -> str:
    """A value that is none of those that are wanted."""
    kinds = {list: "a list", dict: "an object"}
    return kinds.get(type(value)) or shown(repr(value), 40)


def _row(values: object) -> list:
    if not isinstance(values, list):
        raise ValueError(f"{_told(values)} is no list of numbers")
    return values
