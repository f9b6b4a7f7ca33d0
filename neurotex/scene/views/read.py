"""Which program wrote a set of views, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ... import images
from ...errors import FileError
from ...images.read import shown
from . import colmap, metashape, open_mvs, reality_capture, transforms
from .frames import Frame, Shot, frames_of

# a folder may hold several; the first of these that it holds counts
READERS: dict[str, Callable[[Path], Path | None]] = {
    "transforms.json": transforms.find,
    "COLMAP": colmap.find,
    "Metashape": metashape.find,
    "RealityCapture": reality_capture.find,
    "OpenMVS": open_mvs.find,
}
SHOTS: dict[str, Callable[[Path], list[Shot]]] = {
    "transforms.json": transforms.read,
    "COLMAP": colmap.read,
    "Metashape": metashape.read,
    "RealityCapture": reality_capture.read,
    "OpenMVS": open_mvs.read,
}
PICTURES = ("images", "Images", "photos", "rgb", "")  # where pictures lie, seen from the file and from folders above it


def recognise(path: str | Path) -> tuple[str, Path]:
    """The program that wrote a set of views, and its file (of COLMAP: its folder). FileError where none is known."""
    path = Path(path)
    for program, find in READERS.items():
        found = find(path)
        if found is not None:
            return program, found
    if not os.path.isdir(path):
        if images.is_file(path):
            raise FileError(f"{shown(path)} is no set of views that is known: {KNOWN}.")
        raise FileError(f"{shown(path)} does not exist: {KNOWN}.")
    others = sorted(file.name for file in path.glob("transforms*.json"))
    if others:
        raise FileError(f"{path} has no transforms.json in it, but {', '.join(others[:5])}: give one of these files.")
    raise FileError(f"{shown(path)} holds no set of views that is known, such as a transforms.json: {KNOWN}.")


KNOWN = (
    "give a transforms.json, COLMAP's model, Metashape's cameras as XML, RealityCapture's as CSV or XMP, an OpenMVS "
    "scene, or the folder of one"
)


def read_frames(path: str | Path) -> list[Frame]:
    """The photographs of a set of views and their cameras. Pictures are looked into for their sizes only.

    FileError for anything missing, contradictory, or taken by what is no camera.
    """
    program, file = recognise(path)
    roots = [file, file.parent] if os.path.isdir(file) else [file.parent]
    given = Path(path)
    if os.path.isdir(given) and given not in roots:
        roots.append(given)
    if program == "COLMAP":  # sparse/0 beside images
        roots += [file.parent.parent]
    folders = [
        root / name for root in roots for name in (("", *PICTURES[:-1]) if program == "transforms.json" else PICTURES)
    ]
    return frames_of(file, SHOTS[program](file), folders)
