"""Containers: what is no glTF, or only half of it, is one sentence; and what is written, by Khronos's own validator."""

import json
import math
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import neurotex as nt
from tests.conftest import SHARED
from tests.scene.gltf.building import Gltf, glb


def _square() -> Gltf:
    file = Gltf()
    file.show(file.mesh())
    return file


def test_a_byte_order_mark_and_the_wrong_ending_do_no_harm(tmp_path):
    text = _square().write(tmp_path / "a.gltf").read_bytes()
    (tmp_path / "b.gltf").write_bytes(b"\xef\xbb\xbf" + text)
    (tmp_path / "c.glb").write_bytes(text)
    (tmp_path / "d.gltf").write_bytes(_square().write(tmp_path / "a.glb").read_bytes())
    for name in ("b.gltf", "c.glb", "d.gltf"):
        assert len(nt.Scene.load(tmp_path / name).meshes()) == 1


def _patched(data: bytes, place: int, number: int) -> bytes:
    return data[:place] + number.to_bytes(4, "little") + data[place + 4 :]


DEEP = b'{"asset":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda data: data[:-8], "cut off"),
        (lambda data: data[:14], "cut off in its header"),
        (lambda data: _patched(data, 4, 1), "glTF 1, but 2.0"),
        (lambda data: _patched(data, 12, 2**32 - 1), "JSON part is cut off"),
        (lambda data: _patched(data, 8, 10**6), "header speaks of 1000000 bytes"),
        (lambda data: _patched(data, 12, 8), "JSON cannot be read"),
        (lambda data: _patched(data, 16, 0), "cut off, or damaged"),
        (lambda data: _patched(data, 20 + int.from_bytes(data[12:16], "little"), 2**31), "binary part is cut off"),
        (lambda _: DEEP, "nested too deeply"),
        (lambda _: b'{"a": NaN}', "NaN is no number"),
        (lambda _: b'{"a": ' + b"9" * 5000 + b"}", "JSON cannot be read"),
        (lambda _: b"\xff\xfe{\0}\0", "not a text file in UTF-8"),
        (lambda _: b'{"asset": {"version": "1.0"}}', "glTF '1.0'"),
        (lambda _: b'{"meshes": {"a": 1}}', "meshes is .*, not a list of objects"),
        (lambda _: b'{"extensionsRequired": [3]}', "extensionsRequired is"),
    ],
)
def test_a_damaged_container_is_one_sentence(tmp_path, spoil, match):
    path = tmp_path / "a.glb"
    path.write_bytes(spoil(_square().write(path).read_bytes()))
    with pytest.raises(nt.FileError, match=rf"a\.glb: .*{match}"):
        nt.Scene.load(path)


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("gone.bin", r"gone\.bin does not exist"),
        ("http://example.org/a.bin", "is not in a file beside it"),
        ("pipe", "pipe is not a file"),
        ("short.bin", "cut off: it has 10 of"),
        ("data:application/octet-stream;base64,AAA", "no base64"),
        ("data:nothing", "is no data"),
    ],
)
def test_buffers_that_cannot_be_had_are_refused_at_once(tmp_path, uri, match):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "short.bin").write_bytes(bytes(10))
    file = _square()
    file.tree["buffers"] = [{"byteLength": len(file.data), "uri": uri}]
    with pytest.raises(nt.FileError, match=match):
        nt.Scene.load(file.write(tmp_path / "a.gltf"))


def test_buffers_lie_in_files_and_in_the_text(tmp_path):
    (tmp_path / "my data.bin").write_bytes(bytes(_square().data))
    for uri in ("my%20data.bin", "data:," + "".join(f"%{byte:02x}" for byte in _square().data)):
        file = _square()
        file.tree["buffers"] = [{"byteLength": len(file.data), "uri": uri}]
        (mesh,) = nt.Scene.load(file.write(tmp_path / "a.gltf")).meshes()
        assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_view_beyond_its_buffer_is_refused(tmp_path):
    file = _square()
    file.tree["bufferViews"][0]["byteLength"] = 10**30
    with pytest.raises(nt.FileError, match=r"bufferViews\[0\] ends at byte 1000"):
        nt.Scene.load(file.write(tmp_path / "a.gltf"))


# ------------------------------------------------------------------------------------------------------------- written


def _rich(plate: nt.Mesh) -> nt.Scene:
    """All that a scene can say in glTF's words."""
    rough, colour = torch.rand(1, 4, 4), torch.rand(3, 8, 8)
    shear, flat, mirror = (
        torch.eye(4),
        torch.diag(torch.tensor([1.0, 0, 2, 1])),
        torch.diag(torch.tensor([-1.0, 2, 3, 1])),
    )
    shear[0, 1], shear[:3, 3] = 0.7, torch.tensor([1.0, 2, 3])
    turned = ((0.0, -2.0, 0.1), (2.0, 0.0, 0.5))
    worn = [
        nt.Material(nt.ImageTexture(colour, ("mirror", "clamp"), filter="trilinear"), "mirrored", roughness=0.4),
        nt.Material(nt.ImageTexture(torch.rand(4, 8, 8), filter="nearest"), "nothing", alpha_cutoff=1.5),
        nt.Material((0.1, 0.2, 0.3), "bent", normal=(0.5, 0.6, 0.9)),
        nt.Material(
            nt.ImageTexture(colour, "clamp", uv_transform=((2, 0, 0.1), (0, -3, 0.2))),
            "moved",
            roughness=nt.ImageTexture(rough, uv_transform=turned),
            metallic=nt.ImageTexture(rough, uv_transform=turned),
            normal=nt.ImageTexture(colour),
        ),
        nt.Material(nt.ImageTexture(colour).through(nt.discrete.Palette(4)), "palette", roughness=1.0, metallic=rough),
        nt.Material(nt.ImageTexture(colour).through(nt.discrete.Jpeg(50)), "jpeg"),
        nt.Material((0.2, 0.3, 0.4, 0.5), "glass", alpha_cutoff=0.3),
    ]
    places = [None, shear, flat, mirror, None, shear @ mirror, None]
    nodes = []
    for material, place in zip(worn, places, strict=True):
        uvs = plate.uvs if material.needs_uvs() else None
        mesh = nt.Mesh(plate.vertices + torch.rand(4, 3) / 4, plate.faces, uvs, None, material, material.name)
        nodes.append(nt.Node(mesh, place, [nt.Node(mesh, shear)], material.name))
    stray = torch.cat([plate.vertices, torch.rand(70_000, 3)])  # vertices without a face have no normal
    return nt.Scene([*nodes, nt.Node(nt.Mesh(stray, torch.tensor([[0, 1, 70_001]])))])


def test_a_rich_scene_comes_back_as_it_was(plate, tmp_path):
    scene = _rich(plate)
    scene.save(tmp_path / "a.glb")
    found = nt.Scene.load(tmp_path / "a.glb")
    ours, theirs = scene.geometry(), found.geometry()
    torch.testing.assert_close(theirs.vertices, ours.vertices, atol=1e-5, rtol=0)
    there = ours.normals.norm(dim=1) > 0
    torch.testing.assert_close(
        *(torch.nn.functional.normalize(g.normals[there], dim=1) for g in (theirs, ours)), atol=1e-5, rtol=0
    )
    assert torch.equal(theirs.faces, ours.faces)
    for one, other in zip(found.materials(), scene.materials(), strict=True):
        assert (one.name, one.alpha_cutoff, one.maps().keys()) == (other.name, other.alpha_cutoff, other.maps().keys())
    mirrored, nothing, _, moved, *_ = found.materials()
    assert mirrored.base_color.reading == (("mirror", "clamp"), "trilinear", None)
    assert nothing.base_color.filter == "nearest"
    original = scene.materials()[3].maps()
    for name, texture in moved.maps().items():
        assert texture.wrap == original[name].wrap
        before, after = (t.uv_transform or ((1.0, 0, 0), (0, 1.0, 0)) for t in (original[name], texture))
        torch.testing.assert_close(torch.tensor(after), torch.tensor(before), atol=1e-6, rtol=0)


def test_a_bent_map_of_uvs_that_gltf_cannot_say_is_refused(plate, tmp_path):
    plate.material = nt.Material(
        nt.ImageTexture(torch.rand(3, 4, 4), uv_transform=((1, 0.5, 0), (0, 1, 0))),
        "slanted",
        roughness=nt.ImageTexture(torch.rand(1, 4, 4), uv_transform=((1, 0, 0), (0.4, 1, 0))),
        normal=nt.ImageTexture(torch.rand(3, 4, 4)),
    )
    with pytest.raises(nt.SceneError, match="'slanted': the uv_transforms of its maps shear"):
        nt.Scene(plate).save(tmp_path / "a.glb")
    assert list(tmp_path.iterdir()) == []


def test_maps_that_shear_against_one_another_are_written_without(plate, tmp_path):
    """Each is rotated after it is scaled, by its own angle: no UVs fit one of them and leave a rotation for another."""
    ways = {"base_color": (0.3, 4, 5), "roughness": (0.4, 5, -6), "normal": (0.5, 6, 7)}
    rows = {
        k: torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) * torch.tensor([x, y])
        for k, (a, x, y) in ways.items()
    }
    rows = {k: m @ torch.linalg.inv(rows["normal"]) for k, m in rows.items()}
    maps = {
        k: nt.ImageTexture(
            torch.rand(1 if k == "roughness" else 3, 4, 4), uv_transform=((*m[0].tolist(), 0.1), (*m[1].tolist(), 0.2))
        )
        for k, m in rows.items()
    }
    plate.material = nt.Material(**maps)
    scene = nt.Scene(plate, nt.orbit(1, 3.0), [nt.Flash(6.0)])
    scene.save(tmp_path / "a.glb")
    found = nt.Scene.load(tmp_path / "a.glb", cameras=list(scene.cameras), lights=list(scene.lights))
    images = [nt.render(each, 32) for each in (found, scene)]
    torch.testing.assert_close(*images, atol=0.02, rtol=0)


def test_roughness_and_metallic_that_are_read_in_two_ways_are_said_to_become_one(plate, tmp_path):
    rough, metal = nt.ImageTexture(torch.rand(1, 4, 4)), nt.ImageTexture(torch.rand(1, 4, 4), "clamp")
    plate.material = nt.Material(roughness=rough, metallic=metal)
    with pytest.warns(UserWarning, match="reads both with the sampler of roughness"):
        nt.Scene(plate).save(tmp_path / "a.glb")


def test_scenes_that_would_not_be_read_again_are_not_written(plate, tmp_path):
    plate.material = nt.Material(torch.rand(3, 4, 4))
    for spoil, match in (
        (lambda: setattr(plate, "uvs", None), "has no UVs"),
        (lambda: plate.faces.fill_(9), "vertex index 9"),
        (lambda: plate.vertices.fill_(torch.nan), "not finite"),
    ):
        spoil()
        with pytest.raises(nt.SceneError, match=match):
            nt.Scene(plate).save(tmp_path / "a.glb")
        plate.uvs = torch.rand(4, 2)
        plate.faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    assert list(tmp_path.iterdir()) == []


VALIDATE = """
const {validateBytes} = require("gltf-validator"), {readFileSync} = require("fs")
const file = new Uint8Array(readFileSync(process.argv[1]))
validateBytes(file).then(report => console.log(JSON.stringify(report.issues.messages)))
"""


def _validator() -> dict[str, str]:
    """The environment in which node finds the validator; skips, saying why, where there is none."""
    folder = Path(__file__).parents[3] / ".venv" / "gltf"
    if shutil.which("node") is None:
        pytest.skip("node is not installed: Khronos's validator runs in it")
    if not (folder / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("Khronos's validator is not installed: make test-gltf")
    return {**os.environ, "NODE_PATH": str(folder / "node_modules")}


def _faults(path: Path, environment: dict[str, str]) -> list[dict]:
    """Errors and warnings."""
    command = ["node", "-e", VALIDATE, str(path)]
    out = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout
    return [message for message in json.loads(out) if message["severity"] < 2]


def test_khronos_validator_finds_no_fault(plate, tmp_path):
    environment = _validator()
    (tmp_path / "bad.glb").write_bytes(glb(b'{"asset": {}}', b""))
    assert _faults(tmp_path / "bad.glb", environment) != []
    _rich(plate).save(tmp_path / "a.glb")
    assert _faults(tmp_path / "a.glb", environment) == []


def test_khronos_validator_knows_nothing_but_dds(plate, tmp_path):
    """Blocks are embedded by an extension of Microsoft's, which the validator has not heard of."""
    environment = _validator()
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 8, 8)).through(nt.discrete.BlockCompress("bc1")))
    nt.Scene(plate).save(tmp_path / "a.glb")
    found = _faults(tmp_path / "a.glb", environment)
    assert {(fault["code"], fault["severity"]) for fault in found} == {
        ("VALUE_NOT_IN_LIST", 1),
        ("IMAGE_UNRECOGNIZED_FORMAT", 1),
    }


def test_tangents_are_those_that_we_read_normals_by(plate, tmp_path):
    plate.material = nt.Material(normal=torch.rand(3, 4, 4))
    nt.Scene(plate).save(tmp_path / "a.glb")
    data = (tmp_path / "a.glb").read_bytes()
    length = int.from_bytes(data[12:16], "little")
    tree = json.loads(data[20 : 20 + length])
    accessor = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["TANGENT"]]
    start = 28 + length + tree["bufferViews"][accessor["bufferView"]]["byteOffset"]
    rows = np.frombuffer(data, "<f4", 16, start).reshape(4, 4)
    np.testing.assert_allclose(rows, [[1, 0, 0, 1]] * 4, atol=1e-6)


@pytest.mark.skipif(not (SHARED / "cases").is_dir(), reason="the damaged files of shared/cases are not here")
def test_damaged_files_of_others_are_read_or_refused_in_a_sentence():
    files = sorted(path for folder in (SHARED / "cases").glob("gl*") for path in folder.glob("*.gl*"))
    assert len(files) > 10
    for path in files:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            messages = _refusal(path) + [str(warning.message) for warning in said]
        assert all(message.startswith(str(path)) and "\n" not in message for message in messages)


def _refusal(path: Path) -> list[str]:
    try:
        nt.Scene.load(path)
    except nt.FileError as error:
        return [str(error)]
    return []
