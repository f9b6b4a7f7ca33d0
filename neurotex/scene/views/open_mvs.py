"""OpenMVS's scenes (`scene.mvs`, in its interchange format MVSI, versions 0 to 7).

As its `Interface.h` says: pixel centres are whole numbers, and cameras without a resolution count in its longer side.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ... import images
from ...errors import FileError
from ...images.read import shown
from .frames import Optics, Shot
from .lens import Affine, Lens, Pinhole
from .tables import Bytes, from_world

MAGIC = b"MVSI"
NEWEST = 7
NONE = 2**32 - 1


def find(path: Path) -> Path | None:
    files = sorted(path.glob("*.mvs")) if os.path.isdir(path) else [path] if path.suffix.lower() == ".mvs" else []
    return next((file for file in files if images.is_file(file)), None)


def read(file: Path) -> list[Shot]:
    """What a scene says of its images that have a pose. FileError for what is broken, or of a newer version."""
    content = Bytes(file)
    version = 0
    if content.data.startswith(MAGIC):
        content.take(4)
        version, _ = content("II")
        if version > NEWEST:
            raise FileError(f"{file} is of version {version}, but versions up to {NEWEST} are read: export it as such.")
    elif content.data[:2] == b"MV" or content.data[:8] in (b"\x16\0\0\0\0\0\0\0", b"\x28\xb5\x2f\xfd\0\0\0\0"):
        raise FileError(f"{file} is a scene in OpenMVS's own format: convert it to its interchange format (MVSI).")
    platforms = [_platform(content, version) for _ in range(_count(content))]
    shots = [shot for number in range(_count(content)) if (shot := _image(content, version, number, platforms))]
    if not shots:
        raise FileError(f"{file} has no image with a pose: export it from a reconstruction.")
    return shots


def _count(content: Bytes) -> int:
    (count,) = content("Q")
    if count > len(content.data):  # each thing takes a byte at least
        raise FileError(f"{content.file} ends too early: it is cut off, export it again.")
    return count


def _text(content: Bytes) -> str:
    return os.fsdecode(content.take(_count(content)))


def _matrix(content: Bytes, rows: int) -> np.ndarray:
    return np.array(content(f"{3 * rows}d")).reshape(rows, 3)


Camera = tuple[tuple[int, int], np.ndarray, np.ndarray, np.ndarray]  # (height, width), K, R, C
Pose = tuple[np.ndarray, np.ndarray]


def _platform(content: Bytes, version: int) -> tuple[list[Camera], list[Pose]]:
    _text(content)
    cameras = []
    for _ in range(_count(content)):
        _text(content)
        if version > 3:
            _text(content)
        width, height = content("II") if version > 0 else (0, 0)
        cameras.append(((height, width), _matrix(content, 3), _matrix(content, 3), _matrix(content, 1)[0]))
    poses = [(_matrix(content, 3), _matrix(content, 1)[0]) for _ in range(_count(content))]
    return cameras, poses


def _image(content: Bytes, version: int, number: int, platforms: list[tuple[list[Camera], list[Pose]]]) -> Shot | None:
    name = _text(content)
    mask = _text(content) if version > 4 else ""
    platform, camera, pose = content("III")
    if version > 2:
        content("I")
    if version > 6:
        content("3f")
        content.take(24 * _count(content))
    if pose == NONE:
        return None
    where = f"{content.file}, image {number} ({shown(name, 60)})"
    try:
        (size, k, rotation, centre), (turn, place) = platforms[platform][0][camera], platforms[platform][1][pose]
    except IndexError:
        raise FileError(f"{where} names a camera or pose that is not there: export the scene again.") from None
    numbers = [k, rotation, centre, turn, place]
    if not all(np.isfinite(each).all() for each in numbers) or k[0, 0] <= 0 or k[1, 1] <= 0:
        raise FileError(f"{where} has a camera that is none: export the scene again.")
    transform = from_world(rotation @ turn, turn.T @ centre + place)
    return Shot(where, name, transform, lambda found: _optics(k, size, found), stored=True, mask=mask or None)


def _optics(k: np.ndarray, size: tuple[int, int], found: tuple[int, int]) -> Optics:
    """For a picture of the size `found`, which may be another than that of the camera."""
    normalised = min(size) == 0
    scale = 1.0 if size == found else max(found) / (1.0 if normalised else max(size))
    shift = 0.0 if k[0, 2] < 3 and k[1, 2] < 3 else 0.5
    across, down = k[0, 2], k[1, 2]
    center = ((across + shift) * scale - shift + 0.5, (down + shift) * scale - shift + 0.5)
    lens = Lens() if k[0, 1] == 0 else Lens((Affine(0.0, k[0, 1] / k[0, 0]),))
    return Optics(Pinhole((k[0, 0] * scale, k[1, 1] * scale), center, found), lens)
