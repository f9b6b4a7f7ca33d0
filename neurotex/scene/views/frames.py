"""What a program says of a photograph, and the photograph it says it of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ... import images
from ...errors import ArgumentError, FileError
from ...images import Picture
from ...images.read import shown
from ..camera import Camera, PerspectiveCamera, PinholeCamera, check_rigid
from ..origin import Origin, origin_near
from .lens import PINHOLE, Lens, Pinhole, Straightening, straighten

Size = tuple[int, int]

FLIP = np.diag([1.0, -1, -1, 1])  # from cameras that look along +Z, y down (OpenCV, COLMAP, …), to ours


@dataclass(frozen=True)
class Optics:
    """How a photograph was taken: a pinhole, and the lens before it."""

    pinhole: Pinhole
    lens: Lens = PINHOLE
    by_angle: bool = False
    """Whether a field of view was said, and no length: the camera then is a `PerspectiveCamera`, if it can be."""


@dataclass(frozen=True)
class Shot:
    """What a program says of a photograph, before any picture is looked for."""

    where: str
    """What messages call it."""
    file: str
    """The picture's name, as it is written there."""
    transform: Float[np.ndarray, "4 4"]
    """Camera to world; the camera looks along −Z, +Y up."""
    optics: Callable[[Size], Optics]
    """What it was taken by, if the picture has this (height, width)."""
    size: tuple[int | None, int | None] = (None, None)
    """(height, width) as far as it is said."""
    mask: str | None = None
    flash: tuple[float, ...] | None = None
    stored: bool = False
    """Whether the program looked at pixels as they are stored, whatever the EXIF orientation says."""


@dataclass(frozen=True)
class Frame:
    """A photograph and its camera."""

    name: str
    """Unlike those of the others; may hold slashes, as in left/0001."""
    where: str
    """What messages call it."""
    image: Path
    mask: Path | None
    camera: Camera
    stored: Size
    """(height, width) of the picture in its file, pixels."""
    upright: bool
    """Whether the EXIF orientation is applied."""
    flash: tuple[float, ...] | None = None
    """Intensity of a light at the camera; three more numbers are its offset from there."""
    straightening: Straightening | None = None
    """What undoes the lens."""

    @property
    def size(self) -> Size:
        """(height, width) of what `read` returns, pixels."""
        return self.stored if self.straightening is None else self.straightening.target.size

    def read(self) -> tuple[Float[Tensor, "4 h w"], Picture]:
        """The photograph, linear, multiplied by alpha (and by its mask) and straightened; and the picture it is of.

        FileError for a picture or mask that is broken, or not of the size that was said.
        """
        picture = images.decode(images.contents(self.image), str(self.image), self.upright)
        _check_size(self.image, picture.size, self.stored)
        pixels = picture.to(4).light()
        values = pixels.numpy()  # whose arithmetic wakes no threads for what is small
        if self.mask is not None:
            values[3:] *= self._shown(self.mask)
        if self.mask is not None or picture.has_alpha:
            values[:3] *= values[3:]
        return pixels if self.straightening is None else self.straightening(pixels), picture

    def _shown(self, mask: Path) -> Float[np.ndarray, "1 h w"]:
        """The mask: 1 where the photograph counts. Its grey, times its alpha; 0 and 1 in bytes mean what they say."""
        picture = images.decode(images.contents(mask), str(mask), srgb=False).to(2)
        _check_size(mask, picture.size, self.stored)
        values = picture.values
        if not picture.linear and int(values[..., 0].max()) <= 1:
            values = np.stack([values[..., 0] * np.iinfo(values.dtype).max, values[..., 1]], 2)
        return Picture(values).floats().clamp(0, 1).prod(0, keepdim=True).numpy()


def frames_of(file: Path, shots: Sequence[Shot], folders: Sequence[Path]) -> list[Frame]:
    """The photographs of shots that `file` told of, looked for in `folders`. Pictures are looked into for their sizes
    only. FileError for what is missing or contradictory."""
    paths = [find_picture(shot.file, folders) for shot in shots]
    missing = [_ending(shot.file) for shot, path in zip(shots, paths, strict=True) if path is None]
    if missing:
        more = f", and so are {len(missing) - 1} more of {len(shots)}" if len(missing) > 1 else ""
        raise FileError(
            f"{shown(folders[0] / missing[0])} is missing{more}, but {file.name} names it: put it back or remove its "
            "frame."
        )
    names = unique_names([shot.file for shot in shots])
    origin = origin_near(np.array([shot.transform[:3, 3] for shot in shots]).reshape(-1, 3))
    return [
        _frame(file, shot, name, path, folders, origin)
        for name, path, shot in zip(names, paths, shots, strict=True)
        if path is not None
    ]


def _frame(file: Path, shot: Shot, name: str, path: Path, folders: Sequence[Path], origin: Origin) -> Frame:
    try:
        upright, size = _size(path, file.name, shot)
        transform = torch.tensor(shot.transform, dtype=torch.float64)
        transform[:3, 3] -= transform.new_tensor(origin)
        check_rigid(transform, "its transform_matrix")
        optics = shot.optics(size)
        _check_pinhole(optics.pinhole)
        straightening = straighten(optics.lens, optics.pinhole)
        pinhole = optics.pinhole if straightening is None else straightening.target
        camera = _camera(transform, pinhole, optics.by_angle)
    except ArgumentError as error:
        raise FileError(f"{shot.where}: {error}") from None
    camera.origin = origin
    mask = None
    if shot.mask is not None:
        mask = find_picture(shot.mask, folders) if shot.mask else None
        if mask is None:
            raise FileError(f"{shot.where}: its mask {told(shot.mask)} is missing: put it back or leave it out.")
    return Frame(name, shot.where, path, mask, camera, size, upright, shot.flash, straightening)


def _check_pinhole(pinhole: Pinhole) -> None:
    PinholeCamera(None, pinhole.focal, pinhole.center, pinhole.size)


def _camera(transform: Tensor, pinhole: Pinhole, by_angle: bool) -> Camera:
    (across, down), (height, width) = pinhole.focal, pinhole.size
    if by_angle and math.isclose(across, down, rel_tol=1e-6) and pinhole.center == (width / 2, height / 2):
        return PerspectiveCamera(transform, math.degrees(2 * math.atan(height / 2 / down)))
    return PinholeCamera(transform, pinhole.focal, pinhole.center, pinhole.size)


def _size(path: Path, file: str, shot: Shot) -> tuple[bool, Size]:
    """Whether the picture is to be upright, and its (height, width).

    If what is said is the size as stored, not as the EXIF orientation turns it, the camera is meant to be that of the
    stored pixels.
    """
    (height, width), (seen, stored) = shot.size, images.sizes(path)
    ways = [(True, seen), (False, stored)]
    for upright, size in reversed(ways) if shot.stored else ways:
        if (height or size[0], width or size[1]) == size:
            return upright, size
    seen = stored if shot.stored else seen
    raise FileError(
        f"{path} is {seen[1]} x {seen[0]} pixels, but {file} says {width or seen[1]} x {height or seen[0]}: correct "
        "either of them."
    )


def _check_size(path: Path, found: Size, wanted: Size) -> None:
    if found != wanted:
        raise FileError(
            f"{path} is {found[1]} x {found[0]} pixels, but its camera has {wanted[1]} x {wanted[0]}: "
            "correct either of them."
        )


# ---------------------------------------------------------------- names


def find_picture(name: str, folders: Sequence[Path]) -> Path | None:
    """The file of that name, which may have been written on Windows, on another machine, or without its ending."""
    ways = [name, name.replace("\\", "/")] if "\\" in name else [name]
    for folder in folders:
        for way in ways:
            if (found := _ended(folder / way)) is not None:
                return found
    last = ways[-1].rsplit("/", 1)[-1]  # a folder of another machine
    if last != ways[-1] and _is_absolute(name):
        return next(filter(None, (_ended(folder / last) for folder in folders)), None)
    return None


def _is_absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or name[1:2] == ":"


def _ended(path: Path) -> Path | None:
    for ending in ("", *images.ENDINGS, *map(str.upper, images.ENDINGS)):
        ended = path.parent / (path.name + ending)
        if images.is_file(ended):
            return ended
    return None


def _ending(name: str) -> str:
    """The name of a file that is missing, as it would be looked for."""
    return name if name.lower().endswith(images.ENDINGS) else f"{name}.png"


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


def told(value: object) -> str:
    """A value that is none of those that are wanted."""
    kinds = {list: "a list", dict: "an object"}
    return kinds.get(type(value)) or shown(repr(value), 40)
