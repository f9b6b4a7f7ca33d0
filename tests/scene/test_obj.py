"""OBJ files as exporters write them, and as they should not."""

import codecs
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene.polygons import triangulate

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
MAPPED = SQUARE + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"


@pytest.fixture
def load(tmp_path):
    """The scene of an OBJ's text; without `says`, it must be read in silence."""

    def read(text: str | bytes, says: str | None = None) -> nt.Scene:
        path = tmp_path / "it.obj"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            scene = nt.Scene.load(path)
        messages = [str(one.message) for one in said]
        assert len(messages) == (says is not None), messages
        if says is not None:
            assert re.search(says, messages[0]), messages[0]
        return scene

    return read


def _corners(scene: nt.Scene) -> list:
    """The positions of every triangle's corners."""
    return [mesh.vertices[mesh.faces.long()].tolist() for mesh in scene.meshes()]


@pytest.mark.parametrize(
    "text",
    [
        SQUARE.replace("\n", "\r\n") + "f 1 2 3\r\n",
        SQUARE.replace("\n", "\r") + "f 1 2 3\r",
        SQUARE.replace(" ", "\t ") + "\tf\t1 2\t3   ",
        SQUARE.replace("v 1 0 0", "v +1.0E+0 -0 0e5 # here") + "f +1 2 3 # and there\n",
        SQUARE.replace("v 1 0 0", "v 1 \\\n0 \\\r\n0") + "f 1 2 \\\n 3\n",
        SQUARE.replace("v 1 0 0", "v 1 0 0 1.0") + "f 1 2 3\n",
        SQUARE + "f -4 -3 -2\nv 5 5 5\n",
        "f 1 2 3\n" + SQUARE,
        SQUARE + "fo 1 2 3\n",
        "# drawn with a slash at the end \\\n" + SQUARE + "f 1 2 3\n",
        codecs.BOM_UTF8.decode() + SQUARE + "f 1 2 3\n",
        (SQUARE + "f 1 2 3").encode("utf-16"),
        b"# caf\xe9 \x8e\x5c\n" + SQUARE.encode() + b"o \x83\x65\nf 1 2 3\n",
        SQUARE + "vn 0 0 nan\nf 1//1 2//1 3//1\n",
    ],
)
def test_one_triangle_however_it_is_written(load, text):
    assert _corners(load(text)) == [[[[0, 0, 0], [1, 0, 0], [1, 1, 0]]]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n", r"line 1: a vertex needs x, y and z"),
        (SQUARE + "v 0 0 o\nf 1 2 3\n", r"line 5: 'o' is not a number"),
        (SQUARE + "v 0,5 0 0\nf 1 2 3\n", r"line 5: '0,5' is not a number"),
        (SQUARE.replace("v 1 1 0", "v 1e400 1 0") + "f 1 2 3\n", r"line 3: a v that is not finite"),
        (SQUARE.replace("v 1 1 0", "v 1 nan 0") + "f 1 2 3\n", r"line 3: a v that is not finite"),
        ("v 1 \\\n 2 3\n" + SQUARE.replace("v 1 1 0", "v 1 -1e39 0") + "f 1 2 4\n", r"line 5: a v that is not finite"),
        (MAPPED.replace("vt 1 1", "vt inf 0") + "f 1/1 2/2 3/3\n", r"line 7: a vt that is not finite"),
        (MAPPED + "f 1/1 2/2 9/3\n", r"line 9: '9/3' names a v that is not there, of 4"),
        (SQUARE + "f 0 1 2\n", r"line 5: '0' names a v that is not there"),
        (SQUARE + "f 1 2 -9\n", r"line 5: '-9' names a v that is not there"),
        (SQUARE + "f 1 2 99999999999999999999\n", r"line 5: '9+' names a v"),
        (SQUARE + "f 1 2 three\n", r"line 5: 'three' is no corner"),
        (SQUARE + "f 1/1/1/1 2 3\n", r"line 5: '1/1/1/1' is no corner"),
        (SQUARE + "f 1.5 2 3\n", r"line 5: '1.5' is no corner"),
        (SQUARE + "f /1 2 3\n", r"line 5: '/1' is no corner"),
        (SQUARE + "l 1 2\np 1\n", r"no triangle mesh in it, only points and lines"),
        (SQUARE.replace("v 1 0 0", "v 1 0\x00 0") + "f 1 2 3\n", r"line 2: .* is not a number"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(load, text, says):
    with pytest.raises(nt.FileError, match=r"it\.obj.*" + says):
        load(text)


def test_corners_are_vertices_by_v_vt_and_vn(load):
    """Of (1, 1), (1, 2), (2, 1) and so on, in the order of v, then vt."""
    (mesh,) = load(MAPPED + "f 1/2 2/2 3/3\nf 1/1 3/3 4/4\n").meshes()
    assert mesh.vertices.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert mesh.uvs.tolist() == [[0, 0], [1, 0], [1, 0], [1, 1], [0, 1]]
    assert mesh.faces.tolist() == [[1, 2, 3], [0, 3, 4]]


def test_a_v_is_zero_where_vt_has_one_number_and_a_third_is_left_out(load):
    (mesh,) = load(SQUARE + "vt 0.5\nvt 1 1 7\nvt 0 1\nf 1/1 2/2 3/3\n").meshes()
    assert mesh.uvs.tolist() == [[0.5, 0], [1, 1], [0, 1]]


def test_a_face_without_vt_is_untextured_and_said(load):
    scene = load(MAPPED + "f 1/1 2/2 3/3\nf 1 3 4\n", r"line 10: 1 of 2 faces have no vt, this one first")
    textured, plain = scene.meshes()
    assert textured.uvs.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert plain.uvs is None
    assert len(plain.faces) == 1
    # the surface is one all the same
    torch.testing.assert_close(plain.normals, torch.tensor([[0.0, 0, 1]]).expand(3, 3))


def test_a_mesh_without_any_vt_is_untextured_and_said(load, tmp_path):
    (tmp_path / "it.mtl").write_text("newmtl red\nKd 0.2 0.4 0.6\nmap_Kd it.png\n")
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "it.png")
    scene = load("mtllib it.mtl\n" + SQUARE + "usemtl red\nf 1 2 3 4\n", r"line 7: 1 of 1 faces have no vt")
    assert not scene.materials()[0].needs_uvs()
    torch.testing.assert_close(scene.materials()[0].base_color()[0, :, 0, 0], torch.tensor([0.2, 0.4, 0.6]))


def test_a_vt_that_is_not_there_is_as_none(load):
    text = MAPPED.replace("vt 0 1\n", "") + "f 1/1 2/2 3/9\n"
    scene = load(text, r"line 8: '3/9' names a vt that is not there, of 3; 1 corners go without")
    assert scene.meshes()[0].uvs is None


def test_normals_that_only_some_faces_have_are_computed_for_the_others(load):
    (mesh,) = load(SQUARE + "vn 0 0.6 0.8\nf 1//1 2//1 3//1\nf 1 3 4\n").meshes()
    corners = mesh.normals[mesh.faces.long()]
    torch.testing.assert_close(corners[0], torch.tensor([[0, 0.6, 0.8]]).expand(3, 3))
    torch.testing.assert_close(corners[1], torch.tensor([[0.0, 0, 1]]).expand(3, 3))


def test_normals_are_of_unit_length(load):
    (mesh,) = load(SQUARE + "vn 0 0 7\nf 1//1 2//1 3//1\n").meshes()
    assert mesh.normals.tolist() == [[0, 0, 1]] * 3


BENT = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 1 0 1\n"  # two faces at a right angle, along the edge 2 3


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [("", "", True), ("s 1", "", True), ("s 1", "s 2", False), ("s off", "", False), ("s 0", "s 1", False)],
)
def test_smoothing_groups_part_what_no_vn_says(load, first, second, shared):
    (mesh,) = load(f"{BENT}{first}\nf 1 2 3\n{second}\nf 3 2 4\n").meshes()
    assert len(mesh.vertices) == (4 if shared else 6)
    slanted = (mesh.shading_normals().abs().amax(1) < 0.99).sum()
    assert int(slanted) == (2 if shared else 0)


def test_objects_become_nodes_and_their_materials_children(load):
    scene = load(
        SQUARE + "o lid\nusemtl a\nf 1 2 3\no box\nusemtl b\nf 1 3 4\nusemtl a\nf 1 2 4\n", r"no material 'a' \(nor 1"
    )
    assert [(path, node.mesh is not None) for path, node, _ in scene.walk()] == [
        ("/lid", True),
        ("/box", False),
        ("/box/b", True),
        ("/box/a", True),
    ]
    assert len(scene.materials()) == 2


def test_groups_become_nodes_only_where_there_are_no_objects(load):
    text = SQUARE + "{}g left\nf 1 2 3\ng right\nf 1 3 4\n"
    assert [node.name for node in load(text.format("")).nodes] == ["left", "right"]
    assert [node.name for node in load(text.format("o all\n")).nodes] == ["all"]


def test_where_objects_meet_their_surface_stays_smooth(load):
    one = load(BENT + "f 1 2 3\nf 3 2 4\n").meshes()[0]
    two = load(BENT + "o a\nf 1 2 3\no b\nf 3 2 4\n").meshes()
    expected = one.shading_normals()[one.faces.long()]
    torch.testing.assert_close(torch.cat([m.shading_normals()[m.faces.long()] for m in two]), expected)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("l 1 2\np 1\nl 2 3\n", r"it\.obj, line 5: 'l': points and lines are not rendered\.$"),
        (
            "vp 0.5\ncstype bspline\ndeg 3\ncurv 0 1 1 2 \\\n3 4\nparm u 0 1\nend\n",
            r"line 5: 'vp': curves and free-form",
        ),
        ("usemap brick\nmaplib bricks.map\n", r"line 5: 'usemap': texture maps by name are not used"),
        ("call more.obj\n", r"line 5: 'call': other files and programs are not called"),
        (
            "F 1 2 3\nvx 1\n<html>\nvx 2\n",
            r"line 5: 'F' is no keyword of OBJ files \(nor are 2 others\): such lines are",
        ),
        ("<\x01\xe9>\n", r"line 5: '<�é>' is no keyword of OBJ files: such lines"),
        ("bevel off\nlod 1\n# vx 1\n\t\n \r\n", None),
    ],
)
def test_what_is_left_out_is_said_once_with_its_line(load, lines, says):
    scene = load(SQUARE + lines + "f 1 2 3\n", says)
    assert _corners(scene) == [[[[0, 0, 0], [1, 0, 0], [1, 1, 0]]]]


def test_a_face_of_two_corners_is_left_out_and_said(load):
    scene = load(SQUARE + "f 1 2\nf 1 2 3\n", r"line 5: 1 faces have fewer than 3 corners")
    assert len(scene.meshes()[0].faces) == 1


def _area(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corner = points[triangles]
    return np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])[:, 2] / 2


@pytest.mark.parametrize("start", range(7))
@pytest.mark.parametrize(
    ("outline", "area"),
    [
        ([(0, 0), (2, 0), (2, 2), (1, 0.5)], 1.5),  # an arrow: one diagonal lies outside
        ([(0, 0), (4, 0), (4, 4), (3, 4), (3, 1), (1, 1), (1, 4), (0, 4)], 10.0),  # a U
        ([(0, 0), (1, 0), (2, 0), (2, 2), (1, 2), (0, 2)], 4.0),  # corners on straight edges
    ],
)
def test_polygons_are_cut_into_triangles_that_all_face_its_way(outline, area, start):
    outline = outline[start % len(outline) :] + outline[: start % len(outline)]
    points = np.array([(x, y, 0.0) for x, y in outline])
    triangles, owner = triangulate(np.arange(len(points)), np.array([len(points)]), points)
    assert len(triangles) == len(points) - 2
    assert set(owner) == {0}
    areas = _area(points, triangles)
    assert areas.min() > -1e-12
    assert areas.sum() == pytest.approx(area)
    assert np.abs(areas).sum() == pytest.approx(area)


def test_polygons_of_all_sizes_keep_their_order():
    points = np.random.default_rng(0).normal(size=(12, 3))
    counts = np.array([3, 5, 4])
    triangles, owner = triangulate(np.arange(12), counts, points)
    assert owner.tolist() == [0, 1, 1, 1, 2, 2]
    for k, corners in enumerate([range(3), range(3, 8), range(8, 12)]):
        assert set(triangles[owner == k].reshape(-1)) == set(corners)


def test_a_polygon_that_crosses_itself_is_cut_up_in_the_end():
    turn = np.arange(401) * 2.1
    points = np.stack([np.cos(turn) * turn, np.sin(3 * turn), 0 * turn], 1)
    triangles, _ = triangulate(np.arange(401), np.array([401]), points)
    assert len(triangles) == 399


@pytest.mark.parametrize(("scale", "alone"), [(1, False), (255, False), (1, True)])
def test_vertices_have_colours(tmp_path, scale, alone):
    """Behind positions: display colours from 0 to 1, or bytes. Vertices without one are white."""
    rows = ["0 0 0", f"1 0 0 {scale} 0 0", f"0 1 0 0 {0.5 * scale} {scale}"]
    (tmp_path / "a.obj").write_text("".join(f"v {row}\n" for row in rows) + "f 1 2 3\n")
    material = nt.Material((0.5, 0.5, 0.5)) if alone else None
    (mesh,) = nt.Scene.load(tmp_path / "a.obj", material).meshes()
    if alone:  # a material that is given replaces them
        assert mesh.colors is None
        return
    half = float(nt.shading.srgb_to_linear(torch.tensor(0.5)))
    torch.testing.assert_close(mesh.colors, torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, half, 1]]))
    assert mesh.material.base_color().flatten().tolist() == [1.0, 1.0, 1.0]
