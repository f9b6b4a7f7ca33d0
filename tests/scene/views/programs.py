"""Writers of one set of views, each as a program documents its format."""

import json
import math
import struct
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
FOCAL, CENTER = (70.0, 71.5), (31.0, 25.25)
RADIAL, TANGENTIAL = (-0.1, 0.02), (1e-3, -2e-3)
FLIP = np.diag([1.0, -1, -1])
NAMES = ("a", "b", "c")


def _rotation(rng) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def poses() -> np.ndarray:
    """Camera to world, our axes, of three cameras."""
    rng = np.random.default_rng(7)
    out = np.tile(np.eye(4), (3, 1, 1))
    for pose in out:
        pose[:3, :3], pose[:3, 3] = _rotation(rng), rng.normal(size=3) * 2
    return out


def photographs(folder: Path) -> Path:
    """Three pictures in `folder`/images."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in NAMES:
        pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
    return folder


def _world_to_camera(pose) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation of a camera that looks along +Z, y down."""
    rotation = (pose[:3, :3] @ FLIP).T
    return rotation, -rotation @ pose[:3, 3]


def _quaternion(rotation) -> list[float]:
    w = math.sqrt(max(0, 1 + np.trace(rotation))) / 2
    if w > 1e-3:
        x, y, z = (rotation[[2, 0, 1], [1, 2, 0]] - rotation[[1, 2, 0], [2, 0, 1]]) / (4 * w)
        return [w, x, y, z]
    values, vectors = np.linalg.eigh(rotation + rotation.T)
    return [0.0, *vectors[:, values.argmax()]]


def _transforms(folder, poses, lens):
    k1, k2 = RADIAL if lens else (0, 0)
    p1, p2 = TANGENTIAL if lens else (0, 0)
    frames = [
        {"file_path": f"images/{name}.png", "transform_matrix": pose.tolist()}
        for name, pose in zip(NAMES, poses, strict=True)
    ]
    data = {"fl_x": FOCAL[0], "fl_y": FOCAL[1], "cx": CENTER[0], "cy": CENTER[1], "w": WIDTH, "h": HEIGHT}
    data |= {"k1": k1, "k2": k2, "p1": p1, "p2": p2, "camera_model": "OPENCV", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def _colmap_text(folder, poses, lens):
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    numbers = [*FOCAL, *CENTER, *RADIAL, *TANGENTIAL] if lens else [*FOCAL, *CENTER]
    kind = "OPENCV" if lens else "PINHOLE"
    lines = ["# Camera list", f"3 {kind} {WIDTH} {HEIGHT} {' '.join(map(repr, numbers))}"]
    (model / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:"]
    for number, (name, pose) in enumerate(zip(NAMES, poses, strict=True), 1):
        rotation, translation = _world_to_camera(pose)
        values = " ".join(map(repr, map(float, [*_quaternion(rotation), *translation])))
        lines += [f"{number} {values} 3 {name}.png", "" if number == 2 else "1.5 2.5 -1 3 4 17"]
    (model / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def _colmap_binary(folder, poses, lens):
    model = folder / "sparse"
    model.mkdir()
    numbers = [*FOCAL, *CENTER, *RADIAL, *TANGENTIAL] if lens else [*FOCAL, *CENTER]
    camera = struct.pack("<QIiQQ", 1, 3, 4 if lens else 1, WIDTH, HEIGHT) + struct.pack(f"<{len(numbers)}d", *numbers)
    (model / "cameras.bin").write_bytes(camera)
    out = struct.pack("<Q", 3)
    for number, (name, pose) in enumerate(zip(NAMES, poses, strict=True), 1):
        rotation, translation = _world_to_camera(pose)
        out += struct.pack("<I7dI", number, *_quaternion(rotation), *translation, 3) + f"{name}.png\0".encode()
        out += struct.pack("<Q", 2) + struct.pack("<ddq", 1, 2, -1) * 2
    (model / "images.bin").write_bytes(out)
    return folder


def _metashape(folder, poses, lens):
    """With a chunk that is turned, moved and scaled; P1 and P2 are OpenCV's exchanged."""
    scale, turn, shift = 2.5, _rotation(np.random.default_rng(3)), np.array([1.0, -2, 3])
    words = " ".join
    cameras = ""
    for number, (name, pose) in enumerate(zip(NAMES, poses, strict=True)):
        local = np.eye(4)
        local[:3, :3] = turn.T @ pose[:3, :3] @ FLIP
        local[:3, 3] = turn.T @ (pose[:3, 3] - shift) / scale
        matrix = words(map(repr, local.ravel().tolist()))
        cameras += f'<camera id="{number}" sensor_id="0" label="{name}"><transform>{matrix}</transform></camera>'
    cameras += '<camera id="8" sensor_id="0" label="lost"/><camera id="9" sensor_id="0" label="off" enabled="false"/>'
    coefficients = ""
    if lens:
        values = {"k1": RADIAL[0], "k2": RADIAL[1], "p1": TANGENTIAL[1], "p2": TANGENTIAL[0]}
        coefficients = "".join(f"<{key}>{value!r}</{key}>" for key, value in values.items())
    aspect = FOCAL[0] / FOCAL[1] - 1
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<document version="2.0.0"><chunk label="Chunk 1" enabled="true"><sensors next_id="1">
<sensor id="0" label="unknown" type="frame"><resolution width="{WIDTH}" height="{HEIGHT}"/>
<calibration type="frame" class="initial"><f>1</f></calibration>
<calibration type="frame" class="adjusted"><resolution width="{WIDTH}" height="{HEIGHT}"/>
<f>{FOCAL[1]!r}</f><cx>{CENTER[0] - WIDTH / 2!r}</cx><cy>{CENTER[1] - HEIGHT / 2!r}</cy>
<b1>{aspect * FOCAL[1]!r}</b1>{coefficients}</calibration></sensor></sensors>
<cameras next_id="9" next_group_id="0">{cameras}</cameras>
<transform><rotation locked="false">{words(map(repr, turn.ravel().tolist()))}</rotation>
<translation locked="false">{words(map(repr, shift.tolist()))}</translation>
<scale locked="false">{scale}</scale></transform></chunk></document>"""
    (folder / "cameras.xml").write_text(text)
    return folder


def _reality_csv(folder, poses, lens):
    """Heading, pitch and roll: camera to world is Rz(−heading) Rx(pitch) Ry(roll). One focal length."""
    lines = ["#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"]
    for name, pose in zip(NAMES, poses, strict=True):
        r = pose[:3, :3]
        pitch = math.asin(np.clip(r[2, 1], -1, 1))
        heading, roll = math.atan2(r[0, 1], r[1, 1]), math.atan2(-r[2, 0], r[2, 2])
        k1, k2, t1, t2 = (*RADIAL, *TANGENTIAL) if lens else (0, 0, 0, 0)
        values = [*pose[:3, 3], *map(math.degrees, (heading, pitch, roll)), FOCAL[0] * 36 / WIDTH]
        values += [(CENTER[0] - WIDTH / 2) / WIDTH, (CENTER[1] - HEIGHT / 2) / WIDTH, k1, k2, 0, 0, t1, t2]
        lines.append(",".join([f"{name}.png", *map(repr, map(float, values))]))
    (folder / "cameras.csv").write_text("\n".join(lines) + "\n")
    return folder


def _reality_xmp(folder, poses, lens):
    for name, pose in zip(NAMES, poses, strict=True):
        rotation, _ = _world_to_camera(pose)
        words = " ".join(map(repr, rotation.ravel().tolist()))
        distortion = f"{RADIAL[0]} {RADIAL[1]} 0 0 {TANGENTIAL[0]} {TANGENTIAL[1]}" if lens else "0 0 0 0 0 0"
        text = f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xcr:Version="3" xcr:PosePrior="initial" xcr:Coordinates="absolute" xcr:DistortionModel="brown4t2"
 xcr:FocalLength35mm="{FOCAL[0] * 36 / WIDTH!r}" xcr:Skew="0" xcr:AspectRatio="{FOCAL[1] / FOCAL[0]!r}"
 xcr:PrincipalPointU="{(CENTER[0] - WIDTH / 2) / WIDTH!r}" xcr:PrincipalPointV="{(CENTER[1] - HEIGHT / 2) / WIDTH!r}"
 xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#"><xcr:Rotation>{words}</xcr:Rotation>
<xcr:Position>{" ".join(map(repr, pose[:3, 3].tolist()))}</xcr:Position>
<xcr:DistortionCoeficients>{distortion}</xcr:DistortionCoeficients></rdf:Description></rdf:RDF></x:xmpmeta>"""
        (folder / f"{name}.xmp").write_text(text)
    return folder


def _mvs(version, normalised):
    def write(folder, poses, lens):
        assert not lens

        def text(word):
            return struct.pack("<Q", len(word)) + word.encode()

        scale = WIDTH if normalised else 1
        half = 0.0 if normalised else 0.5  # pixel centres are whole numbers
        k = [FOCAL[0] / scale, 0, (CENTER[0] - 0.5 + 0.5 - half) / scale, 0, FOCAL[1] / scale]
        k += [(CENTER[1] - half) / scale, 0, 0, 1]
        if normalised:
            k[2], k[5] = (CENTER[0] - 0.5) / scale, (CENTER[1] - 0.5) / scale
        out = b"" if version == 0 else b"MVSI" + struct.pack("<II", version, 0)
        out += struct.pack("<Q", 1) + text("platform") + struct.pack("<Q", 1) + text("camera")
        out += text("RGB") if version > 3 else b""
        out += struct.pack("<II", *((0, 0) if normalised else (WIDTH, HEIGHT))) if version > 0 else b""
        mount = _rotation(np.random.default_rng(5))
        offset = np.array([0.1, 0.2, 0.3])
        out += struct.pack("<9d", *k) + struct.pack("<9d", *mount.ravel()) + struct.pack("<3d", *offset)
        out += struct.pack("<Q", 3)
        for pose in poses:
            rotation, _ = _world_to_camera(pose)
            platform = mount.T @ rotation  # camera = mount · platform
            place = pose[:3, 3] - platform.T @ offset
            out += struct.pack("<9d", *platform.ravel()) + struct.pack("<3d", *place)
        out += struct.pack("<Q", 4)
        for number, name in enumerate((*NAMES, "unposed")):
            out += text(f"images/{name}.png") + (text("") if version > 4 else b"")
            out += struct.pack("<III", 0, 0, number if number < 3 else 2**32 - 1)
            out += struct.pack("<I", number) if version > 2 else b""
            out += struct.pack("<3fQ", 0, 0, 0, 1) + b"\0" * 24 if version > 6 else b""
        (folder / "scene.mvs").write_bytes(out + struct.pack("<QQQ", 0, 0, 0))
        return folder

    return write


WRITERS = {
    "transforms.json": _transforms,
    "COLMAP text": _colmap_text,
    "COLMAP binary": _colmap_binary,
    "Metashape": _metashape,
    "RealityCapture XMP": _reality_xmp,
    "RealityCapture CSV": _reality_csv,
    "OpenMVS 0": _mvs(0, True),
    "OpenMVS 5": _mvs(5, False),
    "OpenMVS 7": _mvs(7, True),
}
