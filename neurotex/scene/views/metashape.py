"""Agisoft Metashape's cameras, as XML (File → Export → Cameras).

The lens is that of the manual's appendix "Camera models". What Metashape exports of a mesh lies in the world of the
chunk's transform, so cameras are taken there, too.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from ... import images
from ...errors import FileError
from ...images.read import shown
from .frames import FLIP, Optics, Shot
from .lens import Affine, Bend, Brown, Equidistant, Lens, Pinhole
from .tables import number, numbers, whole, xml


def find(path: Path) -> Path | None:
    """The XML file of a folder that holds cameras of Metashape's, or such a file."""
    files = sorted(path.glob("*.xml")) if os.path.isdir(path) else [path] if path.suffix.lower() == ".xml" else []
    return next((file for file in files if images.is_file(file) and _is_ours(file)), None)


def _is_ours(file: Path) -> bool:
    with file.open("rb") as content:
        start = content.read(4096)
    return b"<document" in start and b"<chunk" in start


Place = tuple[float, np.ndarray, np.ndarray]  # scale, rotation, translation
HERE: Place = (1.0, np.eye(3), np.zeros(3))


def _placed(place: Place, camera: np.ndarray) -> np.ndarray:
    """A camera in the world's coordinates, out of those of its chunk or component."""
    scale, rotation, translation = place
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = rotation @ camera[:3, :3], scale * rotation @ camera[:3, 3] + translation
    return out


def read(file: Path) -> list[Shot]:
    """What an XML file says of its aligned cameras. FileError for what is broken or beyond a lens, or stands on the
    globe."""
    root = xml(file)
    chunks = [chunk for chunk in root.iter("chunk") if chunk.find("cameras") is not None]
    if len(chunks) != 1:
        raise FileError(f"{file} holds {len(chunks)} chunks with cameras: export one chunk.")
    (chunk,) = chunks
    reference = chunk.findtext("reference") or ""
    if reference.lstrip().startswith(("GEOGCS", "GEOCCS", "GEOGCRS", "GEODCRS")):
        raise FileError(f"{file} places its cameras on the globe: export cameras and mesh in local coordinates.")
    sensors = {sensor.get("id"): sensor for sensor in chunk.iter("sensor")}
    whole_chunk = _place(chunk.find("transform"), f"{file}, chunk")
    places = {
        each.get("id"): _place(each.find("transform"), f"{file}, component {each.get('id')}")
        for each in chunk.iterfind("components/component")
        if each.find("transform") is not None
    }
    shots, left = [], []
    for camera in (each for cameras in chunk.findall("cameras") for each in cameras.iter("camera")):
        label = camera.get("label") or ""
        where = f"{file}, camera {shown(label, 60)}"
        if camera.get("enabled") in ("false", "0"):
            continue
        if camera.findtext("transform") is None:
            left.append(label)
            continue
        sensor = sensors.get(camera.get("sensor_id"))
        if sensor is None:
            raise FileError(f"{where}, has no sensor: export the cameras again.")
        size, optics = _optics(sensor, where)
        matrix = numbers(camera.findtext("transform"), 16, where, "its transform").reshape(4, 4)
        transform = _placed(places.get(camera.get("component_id"), whole_chunk), matrix) @ FLIP
        shots.append(Shot(where, label, transform, lambda _, found=optics: found, size, stored=True))
    if not shots:
        raise FileError(f"{file} has no camera that is aligned: align the photographs first.")
    if left:
        warnings.warn(
            f"{file}: {len(left)} cameras are not aligned and left out, {shown(left[0], 60)} first.", stacklevel=2
        )
    return shots


def _place(transform: Element | None, where: str) -> Place:
    if transform is None:
        return HERE
    if transform.find("rotation") is None and (transform.text or "").strip():
        matrix = numbers(transform.text, 16, where, "its transform").reshape(4, 4)
        scale = float(np.cbrt(np.linalg.det(matrix[:3, :3]))) or 1.0
        return scale, matrix[:3, :3] / scale, matrix[:3, 3]
    rotation, translation, scale = (transform.findtext(name) for name in ("rotation", "translation", "scale"))
    return (
        HERE[0] if scale is None else number(scale, where, "its scale"),
        HERE[1] if rotation is None else numbers(rotation, 9, where, "its rotation").reshape(3, 3),
        HERE[2] if translation is None else numbers(translation, 3, where, "its translation"),
    )


def _optics(sensor: Element, where: str) -> tuple[tuple[int, int], Optics]:
    kind = sensor.get("type") or "frame"
    calibrations = sensor.findall("calibration")
    found = {each.get("class"): each for each in calibrations}
    calibration = found.get("adjusted", calibrations[0] if calibrations else None)
    if kind not in ("frame", "fisheye") or calibration is None:
        raise FileError(f"{where}: its sensor is {kind}, without a calibration that can be read: undistort the photos.")
    resolution = calibration.find("resolution")
    resolution = sensor.find("resolution") if resolution is None else resolution
    if resolution is None:
        raise FileError(f"{where}: its sensor has no resolution: export the cameras again.")
    height, width = (whole(resolution.get(key), where, f"its {key}") for key in ("height", "width"))
    size = (height, width)

    def value(name: str, *others: str) -> float:
        for each in (name, *others):
            if (text := calibration.findtext(each)) is not None:
                return number(text, where, each)
        return 0.0

    f = value("f", "fx")
    if not f > 0:
        raise FileError(f"{where}: its focal length is {f:g}: calibrate the camera.")
    # P1 and P2 are those of OpenCV exchanged
    brown = Brown(
        tuple(value(f"k{n}") for n in (1, 2, 3, 4)), (value("p2"), value("p1")), gain=(value("p3"), value("p4"))
    )
    bends: list[Bend] = [Equidistant(), brown] if kind == "fisheye" else [brown]
    across, skew = f + value("b1"), value("b2", "skew")
    if skew:
        bends.append(Affine(0.0, skew / across))
    center = (size[1] / 2 + value("cx"), size[0] / 2 + value("cy"))
    return size, Optics(Pinhole((across, f), center, size), Lens(tuple(bends)))
