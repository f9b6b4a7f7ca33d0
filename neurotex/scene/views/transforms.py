"""`transforms.json` of NeRF, instant-ngp and nerfstudio, and the JSON of NeRF's Blender script."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ... import images
from ...errors import ArgumentError, FileError
from ...images.read import shown
from ..light import Flash
from .frames import Optics, Shot, told
from .lens import Brown, Equidistant, Lens, Pinhole

# `camera_model` in COLMAP's and nerfstudio's words
PERSPECTIVE = ("PERSPECTIVE", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "FULL_OPENCV")
FISHEYE = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "FISHEYE", "SIMPLE_FISHEYE")
OTHER_LENSES = ("latlong", "equirectangular", "orthographic", "ftheta_p0")  # instant-ngp's
RADIAL = ("k1", "k2", "k3", "k4", "k5", "k6")
LARGEST = float(torch.finfo(torch.float32).max)
NAMES = ("transforms.json", "transforms_train.json")  # in a folder; the latter is NeRF's synthetic data


def find(path: Path) -> Path | None:
    """The file of a folder's views, or the file itself."""
    files = [path / name for name in NAMES] if os.path.isdir(path) else [path] if path.suffix.lower() == ".json" else []
    return next((file for file in files if images.is_file(file)), None)


def read(file: Path) -> list[Shot]:
    """What a `transforms.json` says. FileError for anything missing or contradictory, or no camera with a lens."""
    data = _json(file)
    frames = data.get("frames") if isinstance(data, dict) else None
    if not isinstance(frames, list) or not frames:
        raise FileError(f"{file} has no frames: it needs a list 'frames' with at least one camera.")
    for number, frame in enumerate(frames):
        if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str) or not frame["file_path"]:
            raise FileError(f"{file}, frame {number}, has no file_path: name its image.")
    return [_shot(f"{file}, frame {number}", frame, data) for number, frame in enumerate(frames)]


def _shot(where: str, frame: dict, data: dict) -> Shot:
    keys = {**data, **frame}

    def optics(size: tuple[int, int]) -> Optics:
        with _said(where):
            return _optics(frame, data, size)

    with _said(where):
        transform = np.array(_numbers(keys["transform_matrix"]), np.float64)
        size = (_pixels(keys, "h"), _pixels(keys, "w"))
    mask = frame.get("mask_path")
    if mask is not None and not isinstance(mask, str):
        raise FileError(f"{where}: its mask {told(mask)} is missing: put it back or leave mask_path out.")
    light = keys.get("light")
    flash = None if light is None else _flash(where, light)
    return Shot(where, frame["file_path"], transform, optics, size, mask, flash)


@contextmanager
def _said(where: str) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise FileError(f"{where} has no {error.args[0]}.") from None
    except ArgumentError as error:
        raise FileError(f"{where}: {error}") from None
    except ValueError as error:
        raise FileError(f"{where} has no numbers where they belong ({error}): check its matrix and lens.") from None


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


def _pixels(keys: dict, key: str) -> int | None:
    value = _optional(keys, key)
    if value is not None and (value < 1 or value != round(value)):
        raise ArgumentError(f"its {key} is {value:g}, which is no number of pixels.")
    return None if value is None else round(value)


def _optics(frame: dict, data: dict, size: tuple[int, int]) -> Optics:
    """ArgumentError for what is no such camera; KeyError and ValueError for what is not there, or no number."""
    keys = {**data, **frame}
    lens = _lens(keys)
    height, width = size
    focal = (_focal(frame, data, axis, side) for axis, side in (("x", width), ("y", height)))
    given = [length for length in focal if length is not None]
    if not given:
        raise KeyError("camera_angle_x and no fl_x: one of them must say the field of view")
    center = [
        side / 2 if (value := _optional(keys, key)) is None else value for key, side in (("cx", width), ("cy", height))
    ]
    by_angle = not {"fl_x", "fl_y"} & set(keys)
    return Optics(Pinhole((given[0], given[-1]), (center[0], center[1]), size), lens, by_angle)


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


def _lens(keys: dict) -> Lens:
    """The lens in the words of COLMAP (`camera_model`), nerfstudio and instant-ngp. With k5 or k6 the coefficients are
    OpenCV's, of which k4 to k6 divide; without, those of one polynomial."""
    model = keys.get("camera_model") or "OPENCV"
    if not isinstance(model, str) or model.upper() not in (*PERSPECTIVE, *FISHEYE):
        raise ArgumentError(f"its camera_model {told(model)} is no pinhole with a lens: undistort the images first.")
    for key in OTHER_LENSES:
        if keys.get(key):
            raise ArgumentError(f"its lens is not a camera's ('{key}'): undistort the images first.")
    shutter = keys.get("rolling_shutter")
    if shutter is not None and (not isinstance(shutter, list) or any(shutter)):
        raise ArgumentError("its rolling_shutter makes every row another camera: only a global shutter is read.")
    radial = [_optional(keys, key) or 0.0 for key in RADIAL]
    tangential = (_optional(keys, "p1") or 0.0, _optional(keys, "p2") or 0.0)
    if model.upper() in FISHEYE or keys.get("is_fisheye") or keys.get("fisheye"):
        return Lens((Equidistant(), Brown(tuple(radial[:4]))))
    if not any(radial) and not any(tangential):
        return Lens()
    if any(radial[4:]):
        return Lens((Brown(tuple(radial[:3]), tangential, tuple(radial[3:])),))
    return Lens((Brown(tuple(radial[:4]), tangential),))


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
    raise ValueError(f"{what} is {told(value)}")


def _numbers(rows: object) -> list[list[float]]:
    """Four rows of four numbers."""
    if not isinstance(rows, list):
        raise ValueError(f"transform_matrix is {told(rows)}")
    for row in rows:
        if not isinstance(row, list):
            raise ValueError(f"a row of transform_matrix is {told(row)}")
    numbers = [[_number(value, "one of transform_matrix") for value in row] for row in rows]
    if [len(row) for row in numbers] != [4] * 4:
        raise ArgumentError("its transform_matrix must be a 4 x 4 matrix of finite numbers.")
    return numbers


def _flash(where: str, light: object) -> tuple[float, ...]:
    """Its intensity and, where it does not stand at the camera, its offset."""
    if isinstance(light, dict) and isinstance(light.get("type"), str) and light["type"] != "flash":
        raise FileError(f"{where}: light type '{shown(light['type'], 40)}' is unknown, only 'flash' is.")
    try:
        if not isinstance(light, dict) or not {"type", "intensity"} <= set(light) <= {"type", "intensity", "offset"}:
            raise ValueError("it has other keys" if isinstance(light, dict) else f"it is {told(light)}")
        offset = tuple(_number(value, "one of offset") for value in _row(light.get("offset", [0, 0, 0])))
        intensity = tuple(_number(value, "one of intensity") for value in _row(light["intensity"]))
        Flash(intensity, offset)
        if len(intensity) != 3:
            raise ValueError(f"it has {len(intensity)} numbers")
    except ValueError as error:
        raise FileError(f'{where}: \'light\' must be {{"type": "flash", "intensity": [r, g, b]}} ({error}).') from None
    return (*intensity, *offset) if any(offset) else intensity


def _row(values: object) -> list:
    if not isinstance(values, list):
        raise ValueError(f"{told(values)} is no list of numbers")
    return values
