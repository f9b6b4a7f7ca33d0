"""RealityCapture's (RealityScan's) cameras: a CSV of internal and external parameters, or an XMP file per photograph.

As its "XMP camera math" says: lengths are shares of the longer side, the focal length that of a film 36 mm wide.
"""

from __future__ import annotations

import csv
import io
import math
import os
from pathlib import Path

import numpy as np

from ... import images
from ...errors import FileError
from ...images.read import shown
from .frames import Optics, Shot
from .lens import Affine, Bend, Brown, Lens, Pinhole
from .tables import from_world, number, numbers, xml

COLUMNS = ("x", "y", "alt", "heading", "pitch", "roll", "f")
SPACE = "{http://www.capturingreality.com/ns/xcr/1.1#}"
FILM = 36.0  # mm


def find(path: Path) -> Path | None:
    """A CSV with the columns of RealityCapture's export, or a folder of its XMP files (or one of them)."""
    if not os.path.isdir(path):
        return path if images.is_file(path) and (_is_table(path) or _is_xmp(path)) else None
    tables = [file for file in sorted(path.glob("*.csv")) if images.is_file(file) and _is_table(file)]
    if tables:
        return tables[0]
    return path if any(images.is_file(file) and _is_xmp(file) for file in path.glob("*.xmp")) else None


def _is_table(file: Path) -> bool:
    if file.suffix.lower() != ".csv":
        return False
    with file.open("rb") as content:
        return {b"heading", b"pitch", b"roll", b"f"} <= {word.strip() for word in content.readline(4096).split(b",")}


def _is_xmp(file: Path) -> bool:
    return file.suffix.lower() == ".xmp" and b"capturingreality" in images.contents(file)


def read(path: Path) -> list[Shot]:
    """What RealityCapture says. FileError for what is broken, on the globe, or of a lens that is not read."""
    if os.path.isdir(path):
        files = [file for file in sorted(path.glob("*.xmp")) if images.is_file(file) and _is_xmp(file)]
        return [_of_xmp(file) for file in files]
    return [_of_xmp(path)] if path.suffix.lower() == ".xmp" else _of_table(path)


def _optics(focal: float, center: tuple[float, float], lens: Lens, aspect: float = 1.0):
    def of(size: tuple[int, int]) -> Optics:
        height, width = size
        scale = max(size)
        f = focal * scale / FILM
        return Optics(
            Pinhole((f, f * aspect), (width / 2 + center[0] * scale, height / 2 + center[1] * scale), size), lens
        )

    return of


# ---------------------------------------------------------------- CSV


def _of_table(file: Path) -> list[Shot]:
    text = images.contents(file).decode("utf-8-sig", "replace")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=None), skipinitialspace=True))
    except csv.Error as error:
        raise FileError(f"{file} is no table ({error}): export it again.") from None
    header = [word.strip().lstrip("#") for word in (rows or [[]])[0]]
    missing = [name for name in ("name", *COLUMNS) if name not in header]
    if missing:
        raise FileError(f"{file} has no column '{missing[0]}': export internal and external camera parameters.")
    shots = []
    for line, row in enumerate(rows[1:], 2):
        if not any(row):
            continue
        where = f"{file}, line {line}"
        if len(row) < len(header):
            raise FileError(
                f"{where}, has {len(row)} values for {len(header)} columns: it is cut off, export it again."
            )
        said = dict(zip(header, row, strict=False))
        shots.append(_row(where, said))
    if not shots:
        raise FileError(f"{file} has no cameras: export it again.")
    return shots


def _row(where: str, said: dict[str, str]) -> Shot:
    def value(name: str) -> float:
        return number(said.get(name, "0"), where, name)

    turn, tilt, roll = (math.radians(angle) for angle in (-value("heading"), value("pitch"), value("roll")))
    (s, c), (sp, cp), (sr, cr) = ((math.sin(angle), math.cos(angle)) for angle in (turn, tilt, roll))
    z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    y = np.array([[cr, 0, sr], [0, 1, 0], [-sr, 0, cr]])
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = z @ x @ y, [value("x"), value("y"), value("alt")]
    lens = _brown([value(f"k{n}") for n in (1, 2, 3, 4)], (value("t1"), value("t2")))
    optics = _optics(value("f"), (value("px"), value("py")), lens)
    return Shot(where, said["name"].strip(), transform, optics, stored=True)


# ---------------------------------------------------------------- XMP


def _of_xmp(file: Path) -> Shot:
    root = xml(file)
    said: dict[str, str] = {}
    for element in root.iter():
        if element.tag.startswith(SPACE):
            said[element.tag.removeprefix(SPACE)] = element.text or ""
        said |= {key.removeprefix(SPACE): text for key, text in element.attrib.items() if key.startswith(SPACE)}
    where = str(file)
    for key in ("Rotation", "Position", "FocalLength35mm"):
        if key not in said:
            raise FileError(f"{where} has no {key}: export XMP files with poses and calibration.")
    if said.get("Coordinates", "absolute") == "relative":
        raise FileError(f"{where} has a pose that is relative: export XMP files with absolute ones.")

    def value(name: str, default: str = "0") -> float:
        return number(said.get(name, default), where, name)

    rotation = numbers(said["Rotation"], 9, where, "its Rotation").reshape(3, 3)
    centre = numbers(said["Position"], 3, where, "its Position")
    optics = _optics(
        value("FocalLength35mm"),
        (value("PrincipalPointU"), value("PrincipalPointV")),
        _lens(said, where),
        value("AspectRatio", "1"),
    )
    return Shot(where, file.stem, from_world(rotation, centre), optics, stored=True)


def _lens(said: dict[str, str], where: str) -> Lens:
    model = said.get("DistortionModel", "perspective").lower()
    given = said.get("DistortionCoeficients", said.get("DistortionCoefficients"))
    values = np.zeros(6) if given is None else numbers(given, len(given.split()), where, "its distortion")
    values = [*values.tolist(), *[0.0] * 6][:6]
    skew = number(said.get("Skew", "0"), where, "its Skew")
    bends: tuple[Bend, ...] = () if skew == 0 else (Affine(0.0, skew),)
    if model == "perspective" or model.startswith("brown"):
        return Lens((*_brown(values[:4], (values[4], values[5])).bends, *bends))
    raise FileError(f"{where}: its lens is of model {shown(model, 40)}: export brown3 or brown4.")


def _brown(radial: list[float], tangential: tuple[float, float]) -> Lens:
    return Lens((Brown(tuple(radial), tangential),)) if any(radial) or any(tangential) else Lens()
