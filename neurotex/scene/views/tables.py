"""Numbers out of other programs' files, or one sentence about what stands there instead."""

from __future__ import annotations

import math
import os
import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ... import images
from ...errors import FileError
from ...images.read import shown
from .frames import FLIP, told

LARGEST = float(np.finfo(np.float32).max)


def number(text: str | float | None, where: str, what: str) -> float:
    """A finite number of float32's range. FileError naming `where` and `what` for anything else."""
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        value = math.nan
    if abs(value) <= LARGEST:
        return value
    raise FileError(f"{where}: {what} is {'missing' if text is None else told(text)}: it is to be a number.")


def numbers(text: str | None, count: int, where: str, what: str) -> Float[np.ndarray, "count"]:
    """`count` finite numbers, between blanks."""
    words = (text or "").split()
    if len(words) != count:
        raise FileError(f"{where}: {what} has {len(words)} numbers, but {count} belong there: export it again.")
    return np.array([number(word, where, what) for word in words])


def whole(text: str | float | None, where: str, what: str) -> int:
    """A number of pixels, at least 1."""
    value = number(text, where, what)
    if value < 1 or value != round(value):
        raise FileError(f"{where}: {what} is {value:g}, which is no number of pixels.")
    return round(value)


def xml(file: Path) -> ElementTree.Element:
    """The root of an XML file. FileError for what is none, or declares entities."""
    content = images.contents(file)
    if b"<!ENTITY" in content or "<!ENTITY".encode("utf-16-le") in content:
        raise FileError(f"{file} declares entities, which no program that finds cameras writes: export it again.")
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise FileError(f"{file} is not valid XML ({shown(error)}): export it again.") from None


def from_world(rotation: Float[np.ndarray, "3 3"], centre: Float[np.ndarray, "3"]) -> Float[np.ndarray, "4 4"]:
    """Camera to world, our axes, of a camera at `centre` whose `rotation` takes the world's axes to those of a camera
    that looks along +Z, y down."""
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation.T, centre
    return out @ FLIP


def quaternion(w: float, x: float, y: float, z: float) -> Float[np.ndarray, "3 3"]:
    """The rotation of a quaternion of any length (Hamilton)."""
    w, x, y, z = np.array([w, x, y, z]) / np.linalg.norm([w, x, y, z])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


class Bytes:
    """A file read from its beginning. FileError where it ends too early."""

    def __init__(self, file: Path):
        self.file, self.data, self.place = file, images.contents(file), 0

    def __call__(self, layout: str) -> tuple:
        """Numbers in a row, little endian, as the struct module spells them."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))

    def take(self, count: int) -> bytes:
        if self.place + count > len(self.data):
            raise FileError(f"{self.file} ends too early: it is cut off, export it again.")
        self.place += count
        return self.data[self.place - count : self.place]

    def name(self) -> str:
        """Text that ends with a zero byte."""
        end = self.data.find(b"\0", self.place)
        text = self.take((len(self.data) if end < 0 else end + 1) - self.place)
        if end < 0:
            raise FileError(f"{self.file} ends too early: it is cut off, export it again.")
        return os.fsdecode(text[:-1])
