"""What is read: for each kind of input valid files to damage, and the public call that takes them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

import neurotex as nt
from neurotex.fit import Options, fit_views
from neurotex.gan import ImageFolder
from tests import tiny
from tests.fuzz.mutations import damaged
from tests.generators import pickled
from tests.scene.views import programs


@dataclass(frozen=True)
class Kind:
    """`seeds` writes valid files into a folder; `read` takes one of the `entries`, which may refer to the others."""

    seeds: Callable[[Path], None]
    entries: tuple[str, ...]
    read: Callable[[str, Path], None]


def prepare(name: str, folder: Path, seed: int | None = None, number: int = 0) -> Callable[[], None]:
    """Lay out input `number` of a seed in `folder`/input: the valid files, one of them damaged. Returns what reads it.

    Without a seed nothing is damaged.
    """
    kind, seeds, folder = KINDS[name], folder / name, folder / "input"
    if not seeds.is_dir():
        seeds.mkdir(parents=True)
        kind.seeds(seeds)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(seeds, folder)
    if seed is None:
        return partial(kind.read, kind.entries[0], folder)
    random = Random(f"{seed} {number}")
    entry = random.choice(kind.entries)
    others = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    victim = folder / (random.choice(others) if random.random() < 0.2 else entry)
    victim.write_bytes(damaged(victim.read_bytes(), victim.name, random))
    return partial(kind.read, entry, folder)


def _pixels(channels: int, size: tuple[int, int] = (12, 16), high: int = 256, kind: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, (*size, channels)).astype(kind)


# EXIF that holds one entry: orientation (0x0112), a short, once, 6: to be turned right
TURNED = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)

PICTURES = {
    "rgb.png": ("RGB", {}),
    "rgba.png": ("RGBA", {}),
    "grey.png": ("L", {}),
    "palette.png": ("P", {"transparency": 3}),
    "deep.png": ("I;16", {}),
    "bits.png": ("1", {}),
    "rgb.jpg": ("RGB", {"exif": TURNED}),
    "progressive.jpg": ("RGB", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "grey.jpeg": ("L", {}),
    "rgb.webp": ("RGB", {}),
    "rgba.tif": ("RGBA", {"compression": "tiff_deflate"}),
    "deep.tif": ("I;16", {}),
    "rgb.bmp": ("RGB", {}),
    "palette.gif": ("P", {}),
    "rgb.tga": ("RGB", {}),
}


def _pictures(folder: Path) -> None:
    for name, (mode, options) in PICTURES.items():
        if mode == "I;16":
            image = Image.fromarray(_pixels(1, high=65536, kind=np.uint16)[..., 0])
        elif mode in ("P", "1"):
            image = Image.fromarray(_pixels(3)).convert(mode)
        else:
            image = Image.fromarray(_pixels(len(mode)).squeeze(), mode if mode == "CMYK" else None)
        image.save(folder / name, **options)
    for kind in ("bc1", "bc3", "bc4", "bc5"):
        texture = nt.ImageTexture(torch.rand(4 if kind == "bc3" else 3, 8, 8)[: {"bc4": 1, "bc5": 2}.get(kind, 4)])
        nt.scene.save_texture(texture.through(nt.discrete.BlockCompress(kind)), folder / kind)


def _picture(name: str, folder: Path) -> None:
    nt.scene.load_texture(folder / name)


def _environments(folder: Path) -> None:
    Image.fromarray(_pixels(3)).save(folder / "sky.png")
    np.save(folder / "sky.npy", np.random.default_rng(0).random((3, 8, 16), np.float32))
    header = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=1.0\n\n-Y 4 +X 16\n"
    (folder / "flat.hdr").write_bytes(header + _pixels(4, (4, 16)).tobytes())
    rows = [b"\x02\x02\x00\x10" + b"".join(bytes([128 + 15, 7 * k + c, 1, 9]) for c in range(4)) for k in range(4)]
    (folder / "packed.hdr").write_bytes(header + b"".join(rows))


def _environment(name: str, folder: Path) -> None:
    nt.EnvironmentLight(folder / name).maps()


def _views(folder: Path) -> None:
    """As NeRF writes them, and with everything that nerfstudio may say."""
    tiny.photograph(folder / "photos", nt.ImageTexture(tiny.picture()), tiny.cameras(3))
    file = folder / "photos" / "transforms.json"
    data = json.loads(file.read_text())
    lens = {"fl_x": 50.0, "fl_y": 51, "cx": 24.5, "cy": 24, "camera_model": "OPENCV", "is_fisheye": False}
    lens |= dict.fromkeys(("k1", "k2", "p1", "p2"), 1e-9)
    Image.fromarray(_pixels(1, (tiny.SIDE, tiny.SIDE))[..., 0]).save(folder / "photos" / "mask.png")
    frames = [{**frame, **lens, "mask_path": "mask.png", "light": data["light"]} for frame in data["frames"]]
    (folder / "rich").mkdir()
    for frame in frames:
        frame["file_path"] = f"..\\photos\\{frame['file_path']}"
        frame["mask_path"] = "../photos/mask"
    (folder / "rich" / "transforms.json").write_text(json.dumps({"w": 48.0, "h": 48, "frames": frames}))


def _view(name: str, folder: Path) -> None:
    nt.Views.load((folder / name).parent)


CAMERAS = {
    "COLMAP text": ("sparse/0/cameras.txt", "sparse/0/images.txt"),
    "COLMAP binary": ("sparse/cameras.bin", "sparse/images.bin"),
    "Metashape": ("cameras.xml",),
    "RealityCapture XMP": ("a.xmp",),
    "RealityCapture CSV": ("cameras.csv",),
    "OpenMVS 7": ("scene.mvs",),
}


def _cameras(folder: Path) -> None:
    """As the programs write them that find cameras."""
    for program in CAMERAS:
        programs.WRITERS[program](programs.photographs(folder / program), programs.poses(), lens="MVS" not in program)


def _cameras_of(name: str, folder: Path) -> None:
    nt.Views.load(folder / name.split("/")[0])


def _image_folder(folder: Path) -> None:
    _pictures(folder)
    for path in folder.glob("*.dds"):
        path.unlink()


def _training_images(name: str, folder: Path) -> None:
    ImageFolder(folder, 8)(torch.arange(4))


MTL = """# materials
newmtl red
Kd 0.8 0.1 0.1
Ns 10
illum 2
newmtl picture
Kd 1 1 1
map_Kd -s 1 1 1 t.png
"""


def _obj(folder: Path) -> None:
    Image.fromarray(_pixels(3)).save(folder / "t.png")
    (folder / "m.mtl").write_text(MTL)
    mesh = tiny.box()
    lines = ["# a box", "mtllib m.mtl", "o box"]
    lines += ["v " + " ".join(f"{x:.4f}" for x in row) for row in mesh.vertices.tolist()]
    lines += ["vt " + " ".join(f"{x:.4f}" for x in row) for row in mesh.uvs.tolist()]
    lines += ["vn 0 0 1", "usemtl red", "s 1"]
    faces = [" ".join(f"{k + 1}/{k + 1}/1" for k in face) for face in mesh.faces.tolist()]
    lines += [f"f {face}" for face in faces[:6]] + ["usemtl picture", "g other"] + [f"f {face}" for face in faces[6:]]
    (folder / "m.obj").write_text("\n".join(lines) + "\n")
    (folder / "plain.obj").write_text("v 0 0 0 1 0 0\nv 1 0 0 0 1 0\nv 0 1 0 0 0 1\nv 1 1 0 1 1 1\nf -4 -3 -1 -2\n")


PLY = """ply
format ascii 1.0
comment TextureFile t.png
element vertex 4
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
property float s
property float t
element face 2
property list uchar int vertex_indices
end_header
0 0 0 255 0 0 0 0
1 0 0 0 255 0 1 0
1 1 0 0 0 255 1 1
0 1 0 9 9 9 0 1
3 0 1 2
3 0 2 3
"""


def _ply(folder: Path) -> None:
    Image.fromarray(_pixels(3)).save(folder / "t.png")
    (folder / "text.ply").write_text(PLY)
    rows = [line.split() for line in PLY.partition("end_header\n")[2].splitlines()]
    body = b"".join(struct.pack("<3f3B2f", *map(float, r[:3]), *map(int, r[3:6]), *map(float, r[6:])) for r in rows[:4])
    body += b"".join(struct.pack("<B3i", *map(int, r)) for r in rows[4:])
    head = PLY.partition("end_header\n")[0].replace("ascii", "binary_little_endian")
    (folder / "binary.ply").write_bytes(head.encode() + b"end_header\n" + body)


def _stl(folder: Path) -> None:
    corners = tiny.box().vertices[tiny.box().faces.long()].numpy()
    faces = b"".join(struct.pack("<12fH", 0, 0, 1, *face.flatten().tolist(), 0) for face in corners)
    (folder / "binary.stl").write_bytes(bytes(80) + struct.pack("<I", len(corners)) + faces)
    text = ["solid box"]
    for face in corners.tolist():
        text += ["facet normal 0 0 1", "outer loop", *("vertex " + " ".join(f"{x:.4f}" for x in row) for row in face)]
        text += ["endloop", "endfacet"]
    (folder / "text.stl").write_text("\n".join([*text, "endsolid box"]))


def _glb(folder: Path) -> None:
    mesh = tiny.box()
    maps = {"roughness": nt.ImageTexture(torch.rand(1, 4, 4)), "metallic": 0.5, "normal": (0.5, 0.5, 1.0)}
    mesh.material = nt.Material(nt.ImageTexture(torch.rand(4, 8, 8)), "m", alpha_cutoff=0.5, **maps)
    child = nt.Node(mesh, name="child")
    nt.Scene([nt.Node(mesh, children=[child], name="root")], tiny.cameras(1)).save(folder / "s.glb")


def _gltf(folder: Path) -> None:
    """The same, as text with files beside it: its buffer, and its images."""
    _glb(folder)
    data = (folder / "s.glb").read_bytes()
    (folder / "s.glb").unlink()
    (length,) = struct.unpack_from("<I", data, 12)
    tree, binary = json.loads(data[20 : 20 + length]), data[28 + length :]
    for k, image in enumerate(tree.get("images", [])):
        view = tree["bufferViews"][image.pop("bufferView")]
        begin = view.get("byteOffset", 0)
        (folder / f"{k}.png").write_bytes(binary[begin : begin + view["byteLength"]])
        image.pop("mimeType", None)
        image["uri"] = f"{k}.png"
    tree["buffers"][0]["uri"] = "s.bin"
    (folder / "s.bin").write_bytes(binary)
    (folder / "s.gltf").write_text(json.dumps(tree))


def _scene(name: str, folder: Path) -> None:
    scene = nt.Scene.load(folder / name, cameras=nt.orbit(1, 3.0), lights=[nt.Flash(7.0)])
    with torch.no_grad():
        nt.render(scene, size=16)


def _stylegan() -> nt.generators.StyleGAN2:
    sizes = {"z_dim": 4, "c_dim": 0, "w_dim": 4, "img_resolution": 8, "img_channels": 3}
    return nt.generators.StyleGAN2(**sizes, channel_base=64, channel_max=8)


def _safetensors(folder: Path) -> None:
    nt.generators.save(tiny.generator(), folder / "material.safetensors")
    nt.generators.save(_stylegan(), folder / "style.safetensors")


def _torch_files(folder: Path) -> None:
    state = _stylegan().state_dict()
    torch.save(state, folder / "new.pt")
    torch.save({"g_ema": state}, folder / "old.pt", _use_new_zipfile_serialization=False)


def _pickles(folder: Path) -> None:
    pickled.write(folder / "network.pkl", {"G_ema": _stylegan()})


def _generator(name: str, folder: Path) -> None:
    generator = nt.generators.load(folder / name)
    with torch.no_grad():
        generator(torch.zeros(1, *generator.latent_shape))


def _onnx(folder: Path) -> None:
    import onnx

    from tests.generators.interop.models import Model

    model = Model(onnx, ("n", 4))
    ones = [model.tensor(np.ones(shape, np.float32)) for shape in ((4, 12), (12,), (3, 3, 3, 3))]
    hidden = model.add("Gemm", ["z", *ones[:2]])
    hidden = model.add("Reshape", [hidden, model.tensor(np.array([-1, 3, 2, 2]))])
    hidden = model.add("Conv", [hidden, ones[2]], pads=[1, 1, 1, 1])
    model.add("Tanh", [hidden])
    model.write(folder)


def _onnx_model(name: str, folder: Path) -> None:
    generator = nt.generators.from_onnx(folder / name)
    with torch.no_grad():
        generator(torch.zeros(1, *generator.latent_shape))


def _options(folder: Path) -> Options:
    """The run's mesh and photographs lie outside the folder that is damaged."""
    job = folder.parent / "job"
    return Options(str(job / "box.glb"), str(job / "photos"), size=16, steps=2)


def _run(folder: Path) -> None:
    job = folder.parent / "job"
    job.mkdir()
    nt.Scene(tiny.box()).save(job / "box.glb")
    tiny.photograph(job / "photos", nt.ImageTexture(tiny.picture()), tiny.cameras(2))
    fit_views(_options(folder), folder / "out")


def _resume(name: str, folder: Path) -> None:
    fit_views(_options(folder), folder / "out", resume=True)


KINDS = {
    "picture": Kind(_pictures, (*PICTURES, "bc1.dds", "bc3.dds", "bc4.dds", "bc5.dds"), _picture),
    "environment": Kind(_environments, ("sky.png", "sky.npy", "flat.hdr", "packed.hdr"), _environment),
    "views": Kind(_views, ("photos/transforms.json", "rich/transforms.json"), _view),
    "cameras": Kind(
        _cameras, tuple(f"{program}/{file}" for program in CAMERAS for file in CAMERAS[program]), _cameras_of
    ),
    "folder": Kind(_image_folder, tuple(PICTURES), _training_images),
    "obj": Kind(_obj, ("m.obj", "m.obj", "m.mtl", "plain.obj"), lambda name, folder: _scene(_model(name), folder)),
    "ply": Kind(_ply, ("text.ply", "binary.ply"), _scene),
    "stl": Kind(_stl, ("text.stl", "binary.stl"), _scene),
    "glb": Kind(_glb, ("s.glb",), _scene),
    "gltf": Kind(_gltf, ("s.gltf",), _scene),
    "safetensors": Kind(_safetensors, ("material.safetensors", "style.safetensors"), _generator),
    "torch": Kind(_torch_files, ("new.pt", "old.pt"), _generator),
    "pickle": Kind(_pickles, ("network.pkl",), _generator),
    "resume": Kind(_run, ("out/checkpoint.safetensors",), _resume),
}
if importlib.util.find_spec("onnx"):
    KINDS["onnx"] = Kind(_onnx, ("generator.onnx",), _onnx_model)


def _model(name: str) -> str:
    """The model to read: a library of materials is read by the model that names it."""
    return "m.obj" if name.endswith(".mtl") else name
