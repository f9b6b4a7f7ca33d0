"""PLY files of scanners and modellers, and STL files."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt

POINTS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]
TYPES = {"float": "f4", "double": "f8", "uchar": "u1", "ushort": "u2", "int": "i4", "uint": "u4", "char": "i1"}


class Ply:
    """A PLY file being made: elements of rows, whose properties are 'float x', or 'list uchar int vertex_indices'."""

    def __init__(self, *comments: str):
        self.comments = comments
        self.elements: list[tuple[str, list[str], list[list]]] = []

    def add(self, name: str, properties: list[str], rows: list) -> "Ply":
        self.elements.append((name, properties, [list(row) for row in rows]))
        return self

    def write(self, path, kind: str = "ascii", end: str = "\n"):
        lines = ["ply", f"format {kind} 1.0", *(f"comment {comment}" for comment in self.comments)]
        body = b""
        for name, properties, rows in self.elements:
            lines += [f"element {name} {len(rows)}", *(f"property {each}" for each in properties)]
            for row in rows:
                if kind == "ascii":
                    flat = (v if isinstance(v, list) else [v] for v in row)
                    words = [
                        str(number)
                        for each, values in zip(properties, flat, strict=True)
                        for number in ([len(values)] if each.startswith("list") else []) + values
                    ]
                    body += f"{' '.join(words)}{end}".encode()
                    continue
                order = "<" if kind == "binary_little_endian" else ">"
                for each, value in zip(properties, row, strict=True):
                    words = each.split()
                    if words[0] == "list":
                        body += np.array(len(value), order + TYPES[words[1]]).tobytes()
                        body += np.array(value, order + TYPES[words[2]]).tobytes()
                    else:
                        body += np.array(value, order + TYPES[words[0]]).tobytes()
        path.write_bytes(f"{end.join([*lines, 'end_header'])}{end}".encode() + body)
        return path


XYZ = ["float x", "float y", "float z"]
INDICES = ["list uchar int vertex_indices"]


def _load(path, says: str | None = None) -> nt.Scene:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scene = nt.Scene.load(path)
    assert [str(one.message) for one in said if says is None or says not in str(one.message)] == []
    assert len(said) == (says is not None)
    return scene


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("faces", [[[0, 1, 2], [0, 2, 3]], [[0, 1, 2, 3]], [[0, 1, 2], [1, 2, 3, 0]]])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_format_reads_alike(tmp_path, kind, faces, end):
    """Lists of one length, of another, of several, with a property before and behind."""
    rows = [[7, each, 0.5] for each in faces]
    ply = Ply().add("vertex", XYZ, POINTS).add("face", ["uchar flags", "list uint uint vertex_index", "double q"], rows)
    (mesh,) = _load(ply.write(tmp_path / "it.ply", kind, end)).meshes()
    assert mesh.vertices.tolist() == [list(point) for point in POINTS]
    expected = [[each[0], each[k], each[k + 1]] for each in faces for k in range(1, len(each) - 1)]
    assert mesh.faces.tolist() == expected
    assert mesh.uvs is None
    assert mesh.material.base_color.color.tolist() == nt.Material().base_color.color.tolist()


@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_uvs_and_normals_of_vertices(tmp_path, names):
    properties = [*XYZ, "float nx", "float ny", "float nz", *(f"double {name}" for name in names)]
    rows = [(*point, 0, 0.6, 0.8, *point[:2]) for point in POINTS]
    ply = Ply().add("vertex", properties, rows).add("face", INDICES, [[[0, 1, 2]]])
    (mesh,) = _load(ply.write(tmp_path / "it.ply")).meshes()
    assert mesh.uvs.tolist() == [[0, 0], [1, 0], [1, 1]]
    torch.testing.assert_close(mesh.normals, torch.tensor([[0, 0.6, 0.8]]).expand(3, 3))


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_uvs_of_corners_and_the_texture_that_a_comment_names(tmp_path, kind):
    """As MeshLab and photogrammetry write them; a vertex with two UVs is there twice."""
    Image.new("RGB", (2, 2), (255, 0, 51)).save(tmp_path / "the paint.png")
    faces = [[[0, 1, 2], [0, 0, 1, 0, 1, 1]], [[0, 2, 3], [0.5, 0, 1, 1, 0, 1]]]
    ply = Ply("TextureFile the paint.png").add("vertex", XYZ, POINTS)
    ply.add("face", [*INDICES, "list uchar float texcoord"], faces)
    (mesh,) = _load(ply.write(tmp_path / "it.ply", kind)).meshes()
    assert mesh.uvs[mesh.faces.long()].reshape(2, 6).tolist() == [row[1] for row in faces]
    assert len(mesh.vertices) == 5
    torch.testing.assert_close(mesh.material.base_color()[0, :, 0, 0], torch.tensor([1, 0, 0.2]))


def test_several_textures_are_several_meshes(tmp_path):
    for k, name in enumerate(("a.png", "b.png")):
        Image.new("RGB", (1, 1), (255 * k, 0, 0)).save(tmp_path / name)
    uvs = [0, 0, 1, 0, 1, 1]
    faces = [[[0, 1, 2], uvs, 1], [[0, 2, 3], uvs, 0]]
    ply = Ply("TextureFile a.png", "TextureFile b.png").add("vertex", XYZ, POINTS)
    ply.add("face", [*INDICES, "list uchar float texcoord", "int texnumber"], faces)
    meshes = _load(ply.write(tmp_path / "it.ply")).meshes()
    assert [float(mesh.material.base_color()[0, 0]) for mesh in meshes] == [1, 0]
    assert [mesh.vertices[2].tolist() for mesh in meshes] == [[1, 1, 0], [0, 1, 0]]


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_faces_have_colours(tmp_path, kind):
    """A polygon's goes to all its triangles; they are encoded for display, and shown without blending."""
    rows = [[[0, 1, 2, 3], 255, 0, 51, 9], [[0, 1], 1, 2, 3, 9], [[0, 2, 1], 0, 255, 102, 9]]
    properties = [*INDICES, *(f"uchar {name}" for name in ("red", "green", "blue", "alpha"))]
    path = Ply().add("vertex", XYZ, POINTS).add("face", properties, rows).write(tmp_path / "it.ply", kind)
    scene = _load(path, "1 faces have fewer than 3 corners")
    (mesh,) = scene.meshes()
    texture = mesh.material.base_color
    assert texture.filter == "face"
    expected = torch.tensor([[255.0, 0, 51], [255, 0, 51], [0, 255, 102]]) / 255
    torch.testing.assert_close(texture()[0, :, :, 0].T, expected)
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.5, 0.5, 2]), torch.tensor([0.5, 0.5, 0])))
    image = nt.render(scene, 9, cameras=camera, lights=nt.AmbientLight(1.0))
    light = nt.shading.srgb_to_linear(expected)
    torch.testing.assert_close(image[0, :3, 2, 2], light[1])
    assert float((image[0, :3, 6, 6] - light[[0, 2]]).abs().amax(1).min()) < 1e-5  # two faces lie there


def test_colours_of_faces_give_way_to_those_of_vertices(tmp_path):
    """As in MeshLab."""
    rgb = ["uchar red", "uchar green", "uchar blue"]
    ply = Ply().add("vertex", [*XYZ, *rgb], [(*p, 255, 0, 0) for p in POINTS])
    path = ply.add("face", [*INDICES, *rgb], [[[0, 1, 2], 0, 255, 0]]).write(tmp_path / "it.ply")
    (mesh,) = _load(path, "colours of faces are not used, since there are those of vertices").meshes()
    assert mesh.colors.tolist() == [[1, 0, 0]] * 3
    assert mesh.material.base_color().flatten().tolist() == [1, 1, 1]


def test_faces_without_uvs_are_untextured_and_said(tmp_path):
    faces = [[[0, 1, 2], [0, 0, 1, 0, 1, 1]], [[0, 2, 3], []]]
    ply = Ply().add("vertex", XYZ, POINTS).add("face", [*INDICES, "list uchar float texcoord"], faces)
    scene = _load(ply.write(tmp_path / "it.ply"), "it.ply: 1 of 2 faces have no UVs")
    assert [mesh.uvs is None for mesh in scene.meshes()] == [False, True]


def test_a_missing_texture_is_said_with_its_line(tmp_path):
    ply = Ply("TextureFile gone.png").add("vertex", [*XYZ, "float s", "float t"], [(*p, *p[:2]) for p in POINTS])
    path = ply.add("face", INDICES, [[[0, 1, 2]]]).write(tmp_path / "it.ply")
    _load(path, "it.ply, line 3: 'gone.png' is missing")


def _refused() -> dict[str, tuple[Ply | bytes, str]]:
    good = Ply().add("vertex", XYZ, POINTS).add("face", INDICES, [[[0, 1, 2]]])
    return {
        "cloud": (Ply().add("vertex", XYZ, POINTS), "a cloud of 4 points without faces"),
        "no faces": (Ply().add("vertex", XYZ, POINTS).add("face", INDICES, []), "a cloud of 4 points"),
        "strips": (
            Ply().add("vertex", XYZ, POINTS).add("tristrips", ["list int int vertex_indices"], [[[0, 1, 2, 3]]]),
            "triangle strips",
        ),
        "index": (
            Ply().add("vertex", XYZ, POINTS).add("face", INDICES, [[[0, 1, 2]], [[0, 1, 9]]]),
            "face 1 names vertex 9",
        ),
        "flat": (Ply().add("vertex", XYZ[:2], [(0, 0)] * 3).add("face", INDICES, [[[0, 1, 2]]]), "no x, y and z"),
        "nan": (
            Ply().add("vertex", XYZ, [*POINTS[:2], ("nan", 0, 0)]).add("face", INDICES, [[[0, 1, 2]]]),
            "vertex 2 is not",
        ),
        "edges": (Ply().add("vertex", XYZ, POINTS).add("face", INDICES, [[[0, 1]]]), "none of its faces has three"),
        "word": (
            Ply().add("vertex", XYZ, [*POINTS, ("x", 0, 0)]).add("face", INDICES, [[[0, 1, 2]]]),
            "line 14: not a number",
        ),
        "header": (b"ply\nformat ascii 1.0\npropertq float x\nend_header\n", "line 3: 'propertq float x'"),
        "huge": (b"ply\nformat ascii 1.0\nelement vertex 1000000000\nproperty float x\nend_header\n1\n", "cut off"),
        "negative": (b"ply\nformat ascii 1.0\nelement vertex -1\nend_header\n", "line 3"),
        "list": (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nelement face 999999999\n"
            b"property list int int vertex_indices\nend_header\n\xff\xff\xff\x7f",
            "cut off: it says that it has 999999999 of 'face'",
        ),
        "good": (good, ""),
    }


@pytest.mark.parametrize("name", [name for name in _refused() if name != "good"])
def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, name):
    file, says = _refused()[name]
    path = tmp_path / "it.ply"
    path.write_bytes(file) if isinstance(file, bytes) else file.write(path)
    with pytest.raises(nt.FileError, match=rf"it\.ply.*{says}"):
        nt.Scene.load(path)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path, kind):
    good, _ = _refused()["good"]
    path = good.write(tmp_path / "it.ply", kind)
    data = path.read_bytes()
    for length in range(len(data) - 4):
        path.write_bytes(data[:length])
        with pytest.raises(nt.FileError, match=r"it\.ply"):
            nt.Scene.load(path)


def _stl(points: np.ndarray, faces: np.ndarray, binary: bool) -> bytes:
    corners = np.asarray(points, np.float32)[faces]
    if binary:
        rows = np.zeros(len(faces), np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")]))
        rows["corners"] = corners
        return b"solid, though binary".ljust(80) + len(faces).to_bytes(4, "little") + rows.tobytes()
    text = "solid it\n"
    for facet in corners:
        text += " facet normal 0 0 0\n  outer loop\n"
        text += "".join(f"   vertex {x} {y} {z}\n" for x, y, z in facet.tolist())
        text += "  endloop\n endfacet\n"
    return (text + "endsolid it\n").encode()


@pytest.mark.parametrize("binary", [True, False])
def test_an_stl_is_smooth_where_it_is_round_and_sharp_at_edges(tmp_path, binary):
    import trimesh

    ball, box = trimesh.creation.icosphere(2), trimesh.creation.box()
    for shape, count in ((ball, len(ball.vertices)), (box, 24)):
        (tmp_path / "it.stl").write_bytes(_stl(shape.vertices, shape.faces, binary))
        (mesh,) = nt.Scene.load(tmp_path / "it.stl").meshes()
        assert (len(mesh.vertices), len(mesh.faces)) == (count, len(shape.faces))
        corners = torch.tensor(shape.vertices[shape.faces], dtype=torch.float32)
        assert torch.equal(mesh.vertices[mesh.faces.long()], corners)
    assert sorted(mesh.shading_normals().abs().amax(1).unique().tolist()) == pytest.approx([1])


@pytest.mark.parametrize("binary", [True, False])
def test_a_cut_off_or_empty_stl_is_refused(tmp_path, binary):
    data = _stl(np.eye(3), np.array([[0, 1, 2]] * 3), binary)
    (tmp_path / "it.stl").write_bytes(data)
    assert len(nt.Scene.load(tmp_path / "it.stl").meshes()[0].faces) == 3
    for cut in (b"", data[:40], data[:150], data[: -60 if binary else -70]):
        (tmp_path / "it.stl").write_bytes(cut)
        with pytest.raises(nt.FileError, match=r"it\.stl"):
            nt.Scene.load(tmp_path / "it.stl")


@pytest.mark.parametrize(("name", "says"), [("a.fbx", "Blender"), ("a.off", "MeshLab"), ("a.usd", "Blender")])
def test_other_formats_are_refused_naming_what_reads_them(tmp_path, name, says):
    with pytest.raises(nt.ArgumentError, match=rf"{name}.*{says} reads it"):
        nt.Scene.load(tmp_path / name)
