"""Accessors, primitives and nodes of hand-made glTF files."""

# Over 400 lines: every kind of accessor and primitive, each in a few lines

import warnings

import numpy as np
import pytest
import torch

import neurotex as nt
from tests import tiny
from tests.scene.gltf.building import FACES, SQUARE, UVS, Gltf


def _mesh(file: Gltf, folder) -> nt.Mesh:
    (mesh,) = nt.Scene.load(file.write(folder / "a.gltf")).meshes()
    return mesh


def _loaded(folder, attributes=None, **primitive) -> nt.Mesh:
    file = Gltf()
    file.show(file.mesh(attributes, **primitive))
    return _mesh(file, folder)


def _refused(file: Gltf, folder, match: str) -> None:
    with pytest.raises(nt.FileError, match=rf"a\.gltf.*{match}"):
        nt.Scene.load(file.write(folder / "a.gltf"))


@pytest.mark.parametrize("kind", ["int8", "int16", "uint8", "uint16"])
def test_normalised_numbers_are_fractions(tmp_path, kind):
    most = np.iinfo(kind).max
    signed = kind.startswith("i")
    uvs = np.array([[0, most], [most, most], [most, 0], [0, most // 2]], kind)
    vertices = np.array([[-most * signed, 0, 0], [most, 0, 0], [most, most, 0], [0, most, 0]], kind)
    file = Gltf(extensionsUsed=["KHR_mesh_quantization"], extensionsRequired=["KHR_mesh_quantization"])
    numbers = {"TEXCOORD_0": file.accessor(uvs, normalized=True), "POSITION": file.accessor(vertices, normalized=True)}
    if signed:
        numbers["NORMAL"] = file.accessor(np.array([[0, 0, most]] * 4, kind), normalized=True)
    file.show(file.mesh(numbers))
    mesh = _mesh(file, tmp_path)
    expected = torch.tensor(uvs.astype(np.float64) / most, dtype=torch.float32)
    torch.testing.assert_close(mesh.uvs, torch.stack([expected[:, 0], 1 - expected[:, 1]], 1))
    torch.testing.assert_close(mesh.vertices, torch.tensor(vertices.astype(np.float64) / most, dtype=torch.float32))
    assert mesh.normals is None or torch.equal(mesh.normals, torch.tensor([[0.0, 0, 1]]).expand(4, 3))


def test_the_most_negative_number_is_minus_one(tmp_path):
    file = Gltf()
    rows = np.array([[-128, 0, 0], [127, 0, 0], [0, 127, 0], [0, 64, 0]], np.int8)
    file.show(file.mesh({"POSITION": file.accessor(rows, normalized=True)}))
    assert _mesh(file, tmp_path).vertices[0].tolist() == [-1, 0, 0]


def test_whole_numbers_that_are_not_normalised_are_what_they_are(tmp_path):
    rows = np.array([[0, 0, 7], [300, 0, 7], [300, 200, 7], [0, 200, 7]], np.uint16)
    assert _loaded(tmp_path, {"POSITION": rows}).vertices.tolist() == rows.tolist()


def test_attributes_may_lie_between_one_another(tmp_path):
    """One buffer view of 24 bytes a vertex: position, 4 bytes that nobody reads, UV; an accessor may begin later."""
    rows = np.zeros(5, np.dtype([("position", "<f4", 3), ("gap", "V4"), ("uv", "<f4", 2)]))
    rows["position"][1:], rows["uv"][1:] = SQUARE, UVS
    file = Gltf()
    view = file.view(rows.tobytes(), byteStride=24)
    said = {"bufferView": view, "componentType": 5126, "count": 4}
    position = file.add("accessors", **said, type="VEC3", byteOffset=24)
    uv = file.add("accessors", **said, type="VEC2", byteOffset=24 + 16)
    file.show(file.mesh({"POSITION": position, "TEXCOORD_0": uv}))
    mesh = _mesh(file, tmp_path)
    assert mesh.vertices.tolist() == SQUARE.tolist()
    assert mesh.uvs.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize("based", [True, False])
def test_sparse_accessors_replace_rows(tmp_path, based):
    file = Gltf()
    sparse = {
        "count": 2,
        "indices": {"bufferView": file.view(np.array([1, 3], np.uint8).tobytes()), "componentType": 5121},
        "values": {"bufferView": file.view(np.array([[5, 6, 7], [8, 9, 1]], np.float32).tobytes())},
    }
    base = {"bufferView": file.view(SQUARE.tobytes())} if based else {}
    number = file.add("accessors", **base, componentType=5126, count=4, type="VEC3", sparse=sparse)
    file.show(file.mesh({"POSITION": number}))
    expected = SQUARE.copy() if based else np.zeros((4, 3))
    expected[[1, 3]] = [[5, 6, 7], [8, 9, 1]]
    assert _mesh(file, tmp_path).vertices.tolist() == expected.tolist()


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32"])
def test_indices_are_of_three_kinds(tmp_path, kind):
    file = Gltf()
    file.show(file.mesh(indices=file.accessor(FACES.astype(kind))))
    assert _mesh(file, tmp_path).faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_without_indices_vertices_come_in_order(tmp_path):
    corners = SQUARE[FACES]
    mesh = _loaded(tmp_path, {"POSITION": corners, "TEXCOORD_0": UVS[FACES]}, indices=None)
    assert mesh.faces.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_strips_and_fans_are_triangles_that_face_the_same_way(tmp_path):
    zigzag = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0]], np.float32)
    strip = _loaded(tmp_path, {"POSITION": zigzag, "TEXCOORD_0": None}, indices=None, mode=5)
    assert strip.faces.tolist() == [[0, 1, 2], [1, 3, 2], [2, 3, 4]]
    around = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [-1, 1, 0]], np.float32)
    fan = _loaded(tmp_path, {"POSITION": around, "TEXCOORD_0": None}, indices=None, mode=6)
    assert fan.faces.tolist() == [[1, 2, 0], [2, 3, 0], [3, 4, 0]]
    for mesh in (strip, fan):
        corner = mesh.vertices[mesh.faces.long()]
        assert bool((torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])[:, 2] > 0).all())


def test_faces_that_join_strips_are_dropped(tmp_path):
    file = Gltf()
    file.show(file.mesh(indices=file.accessor(np.array([0, 1, 3, 3, 2, 2, 1], np.uint8)), mode=5))
    assert [sorted(face) for face in _mesh(file, tmp_path).faces.tolist()] == [[0, 1, 3]]


def test_points_and_lines_are_said_to_be_left_out(tmp_path):
    file = Gltf()
    file.show(file.mesh())
    for mode in (0, 1):
        file.show(file.mesh(mode=mode))
    file.show(file.mesh({"POSITION": None, "TEXCOORD_0": None}))
    with pytest.warns(UserWarning, match="the file: points, lines, meshes without positions not used") as said:
        _mesh(file, tmp_path)
    assert len(said) == 1


def test_normals_are_of_unit_length_and_zeros_stay(tmp_path):
    normals = np.array([[0, 0, 2], [0, 0.6, 0.8], [0, 0, 0], [3, 0, 4]], np.float32)
    found = _loaded(tmp_path, {"NORMAL": normals}).normals
    torch.testing.assert_close(found, torch.tensor([[0, 0, 1], [0, 0.6, 0.8], [0, 0, 0], [0.6, 0, 0.8]]))


def test_primitives_share_vertices_without_carrying_those_of_others(tmp_path):
    file = Gltf()
    many = np.random.default_rng(0).random((100, 3), np.float32)
    number = file.accessor(many)
    for k in range(2):
        faces = file.accessor(np.array([50 * k + 2, 50 * k + 4, 50 * k + 3], np.uint8))
        file.show(file.mesh({"POSITION": number, "TEXCOORD_0": None}, indices=faces))
    meshes = nt.Scene.load(file.write(tmp_path / "a.gltf")).meshes()
    assert [mesh.vertices.tolist() for mesh in meshes] == [many[[2, 3, 4]].tolist(), many[[52, 53, 54]].tolist()]
    assert all(mesh.faces.tolist() == [[0, 2, 1]] for mesh in meshes)


def test_a_mesh_of_several_primitives_is_several_nodes(tmp_path):
    file = Gltf()
    mesh = file.mesh()
    file.tree["meshes"][mesh]["primitives"] *= 2
    file.tree["meshes"][mesh]["name"] = "pair"
    for x in (0, 5):
        file.show(mesh, translation=[x, 0, 0], name=f"at {x}")
    scene = nt.Scene.load(file.write(tmp_path / "a.glb"))
    assert [path for path, _, _ in scene.walk()] == [
        f"/at {x}{below}" for x in (0, 5) for below in ("", "/pair_0", "/pair_1")
    ]
    assert len(scene.meshes()) == 2


def _bad_accessor(**said) -> Gltf:
    file = Gltf()
    file.show(file.mesh({"POSITION": file.accessor(SQUARE, **said)}))
    return file


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ({"count": 5}, r"accessors\[0\] has 5 rows"),
        ({"count": 10**8}, r"accessors\[0\] has 100000000 rows"),
        ({"count": 10**400}, r"accessors\[0\] has 1000.* rows"),
        ({"count": 0}, r"accessors\[0\]\.count is 0"),
        ({"count": "4"}, r"accessors\[0\]\.count is 4, not a whole number"),
        ({"count": True}, r"accessors\[0\]\.count is True"),
        ({"byteOffset": 4}, r"accessors\[0\] has 4 rows"),
        ({"byteOffset": -4}, r"byteOffset is -4"),
        ({"componentType": 5130}, "component type 5130"),
        ({"type": "VEC2"}, "2 numbers for a vertex"),
        ({"type": "VEC5"}, "holds VEC5"),
        ({"normalized": 1}, "normalized is 1"),
    ],
)
def test_accessors_that_say_what_is_not_there_are_refused(tmp_path, said, match):
    _refused(_bad_accessor(**said), tmp_path, match)


def test_an_accessor_without_data_is_refused_before_it_is_made(tmp_path):
    file = Gltf()
    file.show(file.mesh({"POSITION": file.add("accessors", componentType=5126, count=10**8, type="VEC3")}))
    _refused(file, tmp_path, r"accessors\[0\] has no data")
    sparse = {
        "count": 1,
        "indices": {"bufferView": file.view(b"\1"), "componentType": 5121},
        "values": {"bufferView": file.view(bytes(12))},
    }
    del file.tree["buffers"]
    file.tree["accessors"][0]["sparse"] = sparse
    _refused(file, tmp_path, r"accessors\[0\] has 100000000 rows, but data for 1")
    file.tree["accessors"][0]["count"] = 1
    _refused(file, tmp_path, "replaces row 1 of 1")


def test_primitives_that_do_not_fit_are_refused(tmp_path):
    for index, match in (([0, 1, 4], "vertex index 4, but 4 vertices"), ([0, 1, 255], "vertex index 255")):
        file = Gltf()
        file.show(file.mesh(indices=file.accessor(np.array(index, np.uint8))))
        _refused(file, tmp_path, match)
    file = Gltf()
    file.show(file.mesh(indices=file.accessor(SQUARE)))
    _refused(file, tmp_path, "indices are not whole numbers")
    file = Gltf()
    file.show(file.mesh({"NORMAL": SQUARE[:3]}))
    _refused(file, tmp_path, "3 rows of NORMAL for 4 vertices")
    file = Gltf()
    file.show(file.mesh({"POSITION": np.float32([[0, 0, np.nan], *SQUARE[1:]])}))
    _refused(file, tmp_path, "not finite")
    _refused(Gltf(), tmp_path, "no triangle mesh")


def test_transforms_come_as_matrices_or_in_parts(tmp_path):
    file = Gltf()
    mesh = file.mesh()
    half = 0.5**0.5
    parts = {"translation": [1, 2, 3], "rotation": [0, 0, 2 * half, 2 * half], "scale": [2, 3, 4]}  # not of unit length
    file.show(mesh, **parts)
    columns = [[0, 2, 0, 0], [-3, 0, 0, 0], [0, 0, 4, 0], [1, 2, 3, 1]]
    file.show(mesh, matrix=np.array(columns).flatten().tolist())
    for _, node, _ in nt.Scene.load(file.write(tmp_path / "a.glb")).walk():
        torch.testing.assert_close(node.transform, torch.tensor(columns).T.float(), atol=1e-6, rtol=0)


def test_the_default_scene_is_shown_and_others_are_said(tmp_path):
    file = Gltf(scene=1)
    mesh = file.mesh()
    file.add("nodes", mesh=mesh, name="first")
    file.add("nodes", mesh=mesh, name="second")
    file.tree["scenes"] = [{"nodes": [0]}, {"nodes": [1]}]
    with pytest.warns(UserWarning, match="scenes other than number 1"):
        scene = nt.Scene.load(file.write(tmp_path / "a.gltf"))
    assert [node.name for _, node, _ in scene.walk()] == ["second"]
    del file.tree["scenes"], file.tree["scene"]
    assert len(list(nt.Scene.load(file.write(tmp_path / "a.gltf")).walk())) == 2


def _chain(length: int) -> Gltf:
    file = Gltf(scenes=[{"nodes": [0]}])
    mesh = file.mesh()
    for k in range(length):
        below = {"children": [k + 1]} if k + 1 < length else {"mesh": mesh}
        file.add("nodes", translation=[1, 0, 0], **below)
    return file


def test_a_chain_of_nodes_has_no_end(tmp_path):
    """Hundreds of nodes within nodes: the scene is whole, and all that a module can do it can."""
    file = _chain(600)
    with pytest.warns(UserWarning, match="nesting beyond 64 nodes"):
        scene = nt.Scene.load(file.write(tmp_path / "a.gltf"), cameras=nt.orbit(1, 3.0), lights=[nt.Flash(3.0)])
    places = list(scene.walk())
    assert len(places) == 600
    torch.testing.assert_close(places[-1][2][:3, 3], torch.tensor([600.0, 0, 0]))
    assert len(scene.state_dict()) > 600
    assert scene.check(8).image == (1, 4, 8, 8)
    assert str(scene).count("Node") == 600
    scene.save(tmp_path / "b.glb")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = nt.Scene.load(tmp_path / "b.glb")
    assert len(list(again.walk())) == 600


def test_a_deep_scene_of_ones_own_is_refused():
    node = nt.Node()
    for _ in range(nt.scene.node.DEEPEST + 1):
        node = nt.Node(None, None, [node])
    with pytest.raises(nt.SceneError, match="within more than 64 others"):
        list(nt.Scene(node).walk())
    loop = nt.Node(name="loop")
    loop.nodes.append(loop)
    with pytest.raises(nt.SceneError, match="'loop' lies within"):
        list(loop.walk())


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([{"children": [0]}], "child of several nodes, or of itself"),
        ([{"children": [1]}, {"children": [0]}], "child of several nodes"),
        ([{"children": [1, 2]}, {"children": [2]}, {}], "child of several nodes"),
        ([{"children": [7]}], r"nodes\[0\]\.children\.0 is 7, but there are 1 nodes"),
        ([{"children": 3}], "children is 3, not a list"),
        ([{"mesh": 4}], r"nodes\[0\]\.mesh is 4, but there are 1 meshes"),
        ([{"matrix": [1, 2]}], "matrix is .*, not 16 numbers"),
        ([{"rotation": [0, 0, 0, 0]}], "not a rotation"),
        ([{"scale": [1e300, 1, 1]}], "transform too large"),
        ([{"translation": [0, 0, 10**400]}], "translation is .*, not 3 numbers"),
    ],
)
def test_nodes_that_are_no_tree_are_refused(tmp_path, nodes, match):
    file = Gltf(scenes=[{"nodes": [0]}])
    file.mesh()
    for node in nodes:
        file.add("nodes", **node)
    _refused(file, tmp_path, match)


def test_morph_targets_are_blended_by_default_weights(tmp_path):
    file = Gltf()
    target = {"POSITION": file.accessor(np.full((4, 3), 2, np.float32))}
    mesh = file.mesh(targets=[target, target])
    file.tree["meshes"][mesh]["weights"] = [0.25, 0]
    file.show(mesh)
    file.show(mesh, weights=[0, 1])
    with pytest.warns(UserWarning, match="morph targets"):
        first, second = nt.Scene.load(file.write(tmp_path / "a.gltf")).meshes()
    torch.testing.assert_close(first.vertices, torch.tensor(SQUARE) + 0.5)
    torch.testing.assert_close(second.vertices, torch.tensor(SQUARE) + 2)


def test_a_skin_is_shown_in_the_pose_of_its_joints(tmp_path):
    """Half of the square hangs on a joint that has moved by 3 since it was bound; its node's own place is ignored."""
    file = Gltf()
    joints = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    weights = np.array([[1, 0, 0, 0]] * 4, np.float32)
    mesh = file.mesh({"JOINTS_0": joints, "WEIGHTS_0": weights, "NORMAL": np.array([[0, 0, 1]] * 4, np.float32)})
    bound = np.stack([np.eye(4), np.eye(4)])
    bound[1, 0, 3] = -1  # where the second joint was: x = 1
    inverse = file.accessor(bound.transpose(0, 2, 1).reshape(2, 16).astype(np.float32))
    file.show(mesh, skin=0, translation=[100, 0, 0], name="body")
    root = file.add("nodes", children=[file.add("nodes", translation=[4, 0, 0])])
    file.tree["scenes"][0]["nodes"].append(root)
    file.add("skins", joints=[root, root - 1], inverseBindMatrices=inverse)
    file.add("animations", channels=[], samplers=[])
    with pytest.warns(UserWarning, match="animations not used"):
        scene = nt.Scene.load(file.write(tmp_path / "a.gltf"))
    moved = torch.tensor(SQUARE)
    moved[1:3, 0] += 3
    torch.testing.assert_close(scene.geometry().vertices, moved)
    torch.testing.assert_close(scene.geometry().normals, torch.tensor([[0.0, 0, 1]]).expand(4, 3))


def test_arrays_are_of_torchs_default_type(tmp_path):
    file = Gltf()
    file.show(file.mesh({"NORMAL": np.array([[0, 0, 1]] * 4, np.float32)}), translation=[1, 0, 0])
    torch.set_default_dtype(torch.float64)
    try:
        scene = nt.Scene.load(file.write(tmp_path / "a.glb"))
        assert {value.dtype for value in scene.state_dict().values()} == {torch.float64, torch.int32}
        assert scene.geometry().vertices.dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_colours_of_vertices_multiply_the_base_colour_and_are_written(tmp_path):
    file, colors = Gltf(), np.random.default_rng(0).random((4, 4), np.float32)
    file.show(file.mesh({"COLOR_0": colors}))
    scene = nt.Scene.load(file.write(tmp_path / "a.gltf"))
    torch.testing.assert_close(scene.meshes()[0].colors, torch.from_numpy(colors))
    scene.save(tmp_path / "b.glb")
    torch.testing.assert_close(nt.Scene.load(tmp_path / "b.glb").meshes()[0].colors, torch.from_numpy(colors))

    # a base colour that lies on vertices is encoded, COLOR_0 is linear
    mesh = scene.meshes()[0]
    mesh.colors = None
    mesh.material = nt.Material(nt.VertexTexture(torch.from_numpy(colors[:, [1, 2, 0]])), "paint")
    cameras, light = nt.orbit(1, 3.0), nt.AmbientLight(1.0)
    before = nt.render(scene, 16, cameras=cameras, lights=light)
    scene.save(tmp_path / "c.glb")
    again = nt.Scene.load(tmp_path / "c.glb")
    torch.testing.assert_close(nt.render(again, 16, cameras=cameras, lights=light), before, atol=1e-5, rtol=0)
    mesh.colors = torch.from_numpy(colors)
    with pytest.warns(UserWarning, match="both, of which glTF has the product at vertices"):
        scene.save(tmp_path / "c.glb")
    white = Gltf()
    white.show(white.mesh({"COLOR_0": np.ones((4, 3), np.float32)}))
    assert nt.Scene.load(white.write(tmp_path / "d.gltf")).meshes()[0].colors is None


def test_colours_of_faces_are_written_at_vertices_of_their_own(tmp_path):
    """Faces of one colour still share theirs: of a box of doubled vertices with a colour for each side, all do."""
    box, sides = tiny.box(), torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    for colors, vertices in ((sides.repeat_interleave(2, 0), 24), (torch.rand(12, 3), 36)):
        mesh = nt.Mesh(box.vertices, box.faces, material=nt.Material(nt.FaceTexture(colors), "paint"))
        scene = nt.Scene(mesh, tiny.cameras(2), nt.Flash(tiny.FLASH))
        for tint in (None, torch.rand(24, 3)):
            mesh.colors = tint
            scene.save(tmp_path / "a.glb")
            again = nt.Scene.load(tmp_path / "a.glb", cameras=scene.cameras, lights=scene.lights)
            assert len(again.meshes()[0].vertices) == vertices
            torch.testing.assert_close(nt.render(again, 24), nt.render(scene, 24), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "node", [lambda: nt.FaceTexture(torch.rand(2, 2, 2, 3)), lambda: nt.VertexTexture(torch.rand(4, 1))]
)
def test_what_gltf_has_no_words_for_is_refused(tmp_path, node):
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    texture = node()
    maps = {"base_color": texture} if texture().shape[1] == 3 else {"roughness": texture}
    mesh = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), material=nt.Material(name="odd", **maps))
    with pytest.raises(nt.SceneError, match=r"material 'odd': \w+ has a texel for each"):
        nt.Scene(mesh).save(tmp_path / "a.glb")
    assert not list(tmp_path.iterdir())
