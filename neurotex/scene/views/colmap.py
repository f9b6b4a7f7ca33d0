"""COLMAP's models, text and binary, and all its cameras that have a lens.

`cameras` and `images` of https://colmap.github.io/format.html; poses of rigs stand in `images`, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ... import images
from ...errors import FileError
from ...images.read import shown
from .frames import Optics, Shot
from .lens import Brown, Division, Equidistant, FieldOfView, Lens, Pinhole, Unified
from .tables import Bytes, from_world, number, quaternion, whole

FOLDERS = ("", "sparse/0", "sparse", "colmap/sparse/0", "dense/sparse", "0")


def _opencv(k1: float, k2: float, p1: float, p2: float) -> Lens:
    return Lens((Brown((k1, k2), (p1, p2)),))


# 8 parameters: the numbers of the camera model, as COLMAP's files list them
def _full_opencv(k1, k2, p1, p2, k3, k4, k5, k6) -> Lens:
    return Lens((Brown((k1, k2, k3), (p1, p2), (k4, k5, k6)),))


def _fisheye(*radial: float) -> Lens:
    return Lens((Equidistant(), Brown(radial)))


# 8 parameters: the numbers of the camera model, as COLMAP's files list them
def _thin_prism(k1, k2, p1, p2, k3, k4, sx1, sy1) -> Lens:
    return Lens((Equidistant(), Brown((k1, k2, k3, k4), (p1, p2), (), (sx1, 0.0, sy1, 0.0))))


def _rad_tan_thin_prism(*values: float) -> Lens:
    p0, p1, s0, s1, s2, s3 = values[6:12]
    return Lens((Equidistant(), Brown(values[:6]), Brown((), (p1, p0), (), (s0, s1, s2, s3))))


# by number: name, whether it has one focal length, how many more numbers, the lens that these make
MODELS: tuple[tuple[str, bool, int, Callable[..., Lens]], ...] = (
    ("SIMPLE_PINHOLE", True, 0, lambda: Lens()),
    ("PINHOLE", False, 0, lambda: Lens()),
    ("SIMPLE_RADIAL", True, 1, lambda *radial: Lens((Brown(radial),))),
    ("RADIAL", True, 2, lambda *radial: Lens((Brown(radial),))),
    ("OPENCV", False, 4, _opencv),
    ("OPENCV_FISHEYE", False, 4, _fisheye),
    ("FULL_OPENCV", False, 8, _full_opencv),
    ("FOV", False, 1, lambda omega: Lens((FieldOfView(omega),))),
    ("SIMPLE_RADIAL_FISHEYE", True, 1, _fisheye),
    ("RADIAL_FISHEYE", True, 2, _fisheye),
    ("THIN_PRISM_FISHEYE", False, 8, _thin_prism),
    ("RAD_TAN_THIN_PRISM_FISHEYE", False, 12, _rad_tan_thin_prism),
    ("SIMPLE_DIVISION", True, 1, lambda k: Lens((Division(k),))),
    ("DIVISION", False, 1, lambda k: Lens((Division(k),))),
    ("SIMPLE_FISHEYE", True, 0, _fisheye),
    ("FISHEYE", False, 0, _fisheye),
    ("EUCM", False, 2, lambda alpha, beta: Lens((Unified(alpha, beta),))),
)
BY_NAME = {model[0]: model for model in MODELS}


def find(path: Path) -> Path | None:
    """The folder of a model: this one, or where COLMAP puts it below; also of one of its files."""
    if not os.path.isdir(path):
        return path.parent if path.name in ("cameras.bin", "images.bin", "cameras.txt", "images.txt") else None
    return next((path / name for name in FOLDERS if _kind(path / name)), None)


def _kind(folder: Path) -> str | None:
    """The ending of a model's files; COLMAP itself prefers binary ones."""
    for ending in (".bin", ".txt"):
        if all(images.is_file(folder / f"{name}{ending}") for name in ("cameras", "images")):
            return ending
    return None


def read(folder: Path) -> list[Shot]:
    """What a model says of its registered images. FileError for what is broken, cut off, or no camera with a lens."""
    ending = _kind(folder)
    if ending is None:
        raise FileError(f"{shown(folder)} has no cameras and images of one kind, .bin or .txt: export the model again.")
    cameras_file, images_file = folder / f"cameras{ending}", folder / f"images{ending}"
    if ending == ".bin":
        cameras, shots = dict(_cameras_binary(cameras_file)), list(_images_binary(images_file))
    else:
        cameras, shots = dict(_cameras_text(cameras_file)), list(_images_text(images_file))
    if not shots:
        raise FileError(f"{images_file} names no image: COLMAP has registered none.")
    return [_shot(images_file, cameras, *shot) for shot in shots]


def _shot(file: Path, cameras: dict[int, Optics], name: str, pose: np.ndarray, camera: int) -> Shot:
    where = f"{file}, image {shown(name, 60)}"
    if camera not in cameras:
        raise FileError(f"{where}, was taken by camera {camera}, which is not there: export the model again.")
    if not np.isfinite(pose).all() or np.abs(pose[:4]).max() == 0:
        raise FileError(f"{where}, has no pose: export the model again.")
    rotation = quaternion(*pose[:4])
    optics = cameras[camera]
    transform = from_world(rotation, -rotation.T @ pose[4:])
    return Shot(where, name, transform, lambda size: optics, optics.pinhole.size, stored=True)


def _optics(where: str, model: str | int, size: tuple[int, int], values: list[float]) -> Optics:
    known = BY_NAME.get(model) if isinstance(model, str) else dict(enumerate(MODELS)).get(model)
    if known is None:
        names = ", ".join(BY_NAME)
        raise FileError(
            f"{where} is of model {shown(model, 40)}, which is none of {names}: undistort the images first."
        )
    name, single, more, lens = known
    start = 3 if single else 4
    if len(values) != start + more:
        raise FileError(f"{where}: a camera of model {name} has {start + more} numbers, not {len(values)}.")
    across, down = (values[0], values[0]) if single else values[:2]
    return Optics(Pinhole((across, down), (values[start - 2], values[start - 1]), size), lens(*values[start:]))


# ---------------------------------------------------------------- text


def _lines(file: Path) -> list[tuple[int, str]]:
    text = images.contents(file).decode("utf-8", "replace").lstrip("\ufeff")
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if not line.startswith("#")]


def _cameras_text(file: Path) -> Iterator[tuple[int, Optics]]:
    for line, text in _lines(file):
        if not text:
            continue
        where, words = f"{file}, line {line}", text.split()
        if len(words) < 4 or not words[0].isdecimal():
            raise FileError(f"{where}, is no camera (its number, model, width, height and numbers): export it again.")
        size = (whole(words[3], where, "its height"), whole(words[2], where, "its width"))
        values = [number(word, where, "one of its numbers") for word in words[4:]]
        yield int(words[0]), _optics(where, words[1], size, values)


def _images_text(file: Path) -> Iterator[tuple[str, np.ndarray, int]]:
    """Every other line is a pose; between them stand the points that were seen, maybe none."""
    lines = _lines(file)
    while lines and not lines[0][1]:
        lines.pop(0)
    for line, text in lines[::2]:
        if not text:
            continue
        where, words = f"{file}, line {line}", text.split(None, 9)
        if len(words) < 10 or not words[8].isdecimal():
            raise FileError(f"{where}, is no image (number, quaternion, translation, camera, name): export it again.")
        yield words[9], np.array([number(word, where, "one of its pose") for word in words[1:8]]), int(words[8])


# ---------------------------------------------------------------- binary


def _cameras_binary(file: Path) -> Iterator[tuple[int, Optics]]:
    read = Bytes(file)
    (count,) = read("Q")
    for _ in range(count):
        camera, model, width, height = read("IiQQ")
        where = f"{file}, camera {camera}"
        if not 0 <= model < len(MODELS):
            _optics(where, model, (1, 1), [])
        size = (whole(height, where, "its height"), whole(width, where, "its width"))
        values = read(f"{(3 if MODELS[model][1] else 4) + MODELS[model][2]}d")
        yield camera, _optics(where, model, size, [number(value, where, "one of its numbers") for value in values])


def _images_binary(file: Path) -> Iterator[tuple[str, np.ndarray, int]]:
    read = Bytes(file)
    (count,) = read("Q")
    for _ in range(count):
        _, *pose, camera = read("I7dI")
        name = read.name()
        (points,) = read("Q")
        read.take(24 * points)
        yield name, np.array(pose), camera
