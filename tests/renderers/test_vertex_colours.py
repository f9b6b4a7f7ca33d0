"""Textures whose texels lie on vertices and faces, and colours of meshes."""

import math

import jaxtyping
import pytest
import torch

import neurotex as nt
from neurotex.scene.check import check_maps_alone
from neurotex.shading import linear_to_srgb, srgb_to_linear

SUN = nt.AmbientLight(1.0)  # of white surfaces it makes white


def above(size: float = 2.0) -> nt.OrthographicCamera:
    """Looks at the plate from +Z: `size` is the height of what it sees."""
    return nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 3])), size / 2)


@pytest.fixture
def triangle() -> nt.Mesh:
    """Corners at (−1, −1), (2, −1), (−1, 2): the centroid is the origin."""
    corners = torch.tensor([[-1.0, -1, 0], [2, -1, 0], [-1, 2, 0]])
    return nt.Mesh(corners, torch.tensor([[0, 1, 2]]), name="triangle")


@pytest.fixture
def painted(torus, plate) -> nt.Scene:
    """Meshes with texels on vertices, on faces, in cells of faces and in an image, twice instanced, two cameras."""
    torus.material = nt.Material(nt.VertexTexture(torch.rand(len(torus.vertices), 3), trainable=True), "torus")
    torus.uvs = None
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 5, 7), trainable=True))
    faces = nt.Mesh(plate.vertices, plate.faces, material=nt.Material(nt.FaceTexture(torch.rand(2, 3), True)))
    cells = nt.Mesh(plate.vertices, plate.faces, material=nt.Material(nt.FaceTexture(torch.rand(2, 3, 3, 3), True)))
    nodes = [nt.Node(torus, name="torus")]
    for k, mesh in enumerate((plate, faces, cells, torus)):
        transform = nt.look_at(torch.tensor([0.3 * k - 0.4, 0.5, -0.6 - k]))
        nodes.append(nt.Node(mesh, transform, name=f"node{k}"))
    cameras = [*nt.orbit(2, 4.0, elevation=30.0), nt.OrthographicCamera(nt.look_at(torch.tensor([1.0, 2, 4])), 4.0)]
    return nt.Scene(nodes, cameras, [nt.PointLight((1.0, 3.0, 4.0), 30.0), nt.AmbientLight((0.3, 0.2, 0.1))])


def textures(scene: nt.Scene) -> list[torch.Tensor]:
    return [material.base_color.image for material in scene.materials()]


def test_the_centroid_has_the_mean_of_the_corners_light(triangle):
    colors = torch.tensor([[1.0, 0.2, 0.0], [0.5, 0.9, 0.0], [0.1, 0.4, 1.0]])
    triangle.material = nt.Material(nt.VertexTexture(colors))
    passes = nt.render_passes(nt.Scene(triangle, above(0.01)), 3)
    torch.testing.assert_close(passes.albedo[0, :, 1, 1], srgb_to_linear(colors).mean(0), atol=1e-5, rtol=0)
    image = nt.render(nt.Scene(triangle, above(0.01), SUN), 1, grid=1)
    torch.testing.assert_close(image[0, :3, 0, 0], srgb_to_linear(colors).mean(0), atol=1e-5, rtol=0)


def test_colours_are_linear_in_the_world_seen_in_perspective(plate):
    """Red is x and green y, as light: whatever the view."""
    light = torch.cat([(plate.vertices[:, :2] + 1) / 2, torch.zeros(4, 1)], 1)
    plate.material = nt.Material(nt.VertexTexture(linear_to_srgb(light)))
    passes = nt.render_passes(nt.Scene(plate, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.5, -2.0, 1.0])), 40)), 32)
    seen = passes.mask[0, 0]
    assert int(seen.sum()) > 200
    expected = (passes.position[0, :2, seen] + 1) / 2
    torch.testing.assert_close(passes.albedo[0, :2, seen], expected, atol=1e-5, rtol=0)


def test_a_face_texture_is_flat(plate):
    colors = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])
    plate.material = nt.Material(nt.FaceTexture(colors))
    passes = nt.render_passes(nt.Scene(plate, above()), 16)
    assert torch.equal(passes.albedo[0].movedim(0, -1), colors[passes.face[0, 0]])


def test_an_atlas_has_pytorch3ds_cells(triangle):
    """Each cell's middle has its colour: below the diagonal, cell (row, column) is at coordinates (column, row) + ⅓."""
    side = 4
    atlas = torch.rand(1, side, side, 3)
    triangle.material = nt.Material(nt.FaceTexture(atlas))
    camera = above(3.0)
    camera.transform[:2, 3] = 0.5
    passes = nt.render_passes(nt.Scene(triangle, camera), 48)
    for y, x in passes.mask[0, 0].nonzero().tolist():
        place = passes.position[0, :2, y, x]
        second, third = ((place + 1) / 3).tolist()
        a, b = side * (1 - second - third), side * second
        column, row = math.floor(a), math.floor(b)
        if min(a % 1, b % 1, abs(a % 1 + b % 1 - 1), 1 - a % 1, 1 - b % 1) < 1e-3:
            continue
        if a % 1 + b % 1 > 1:
            column, row = side - 1 - column, side - 1 - row
        expected = srgb_to_linear(atlas[0, row, column])
        torch.testing.assert_close(passes.albedo[0, :, y, x], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("grid", [1, 3])
def test_baked_and_rendered_images_and_gradients_are_equal(painted, grid):
    painted.double()
    expected = nt.render(painted, (28, 36), grid=grid)
    baked = nt.bake(painted, (28, 36), grid=grid)
    assert isinstance(baked, nt.BakedMatrix)
    torch.testing.assert_close(baked(), expected, atol=1e-12, rtol=0)
    probe = torch.rand_like(expected)
    ours, theirs = (torch.autograd.grad((x * probe).sum(), textures(painted)) for x in (baked(), expected))
    assert all(bool(grad.any()) for grad in theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def test_glossy_surfaces_with_maps_on_vertices(painted):
    painted.double()
    for material in painted.materials():
        count = painted.meshes()[painted.materials().index(material)].vertices
        material.roughness = nt.VertexTexture(torch.rand(len(count), 1, dtype=torch.float64), trainable=True)
        material.metallic = nt.ConstantTexture((0.3,)).double()
    baked = nt.bake(painted, 24, grid=2)
    assert isinstance(baked, nt.BakedSamples)
    image = nt.render(painted, 24, grid=2)
    torch.testing.assert_close(baked(), image, atol=1e-12, rtol=0)
    roughness = [material.roughness.image for material in painted.materials()]
    ours, theirs = (torch.autograd.grad(x.square().sum(), roughness) for x in (baked(), image))
    assert all(bool(grad.any()) for grad in theirs)
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def test_all_ways_to_render_give_one_picture(painted):
    painted.double()
    image = nt.render(painted, 24)
    torch.testing.assert_close(nt.render(painted, 24, budget=1 << 16), image, atol=1e-12, rtol=0)
    with torch.no_grad():
        torch.testing.assert_close(nt.render(painted, 24), image, atol=1e-12, rtol=0)
    edges = nt.render(painted, 24, antialias=True)
    inside = (image[:, 3] == 1) & (edges[:, 3] == 1)
    assert float((edges - image).detach().movedim(1, -1)[inside].abs().median()) < 1e-12


def test_gradients_of_colours_and_vertices(triangle):
    triangle.double()
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.3, -0.4, 2.0])), 30).double()
    colors = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    vertices = (triangle.vertices + torch.tensor([[0, 0, 0.3], [0, 0, 0], [0, 0, -0.2]])).requires_grad_()

    def render(vertices, colors):
        triangle.vertices = vertices
        triangle.material = nt.Material(nt.VertexTexture(torch.zeros(3, 3, dtype=torch.float64)))
        triangle.material.base_color.image = colors.T[None, :, :, None]
        return nt.render(nt.Scene(triangle, camera, SUN).double(), 3, grid=2)

    assert torch.autograd.gradcheck(render, (vertices, colors))


def test_colours_of_a_mesh_multiply_its_base_colour(painted):
    """As glTF's COLOR_0 does: linear, in all ways to render, where a mesh has none it is white."""
    painted.double()
    plate = painted.meshes()[1]
    before = nt.render_passes(painted, 32)
    plain = nt.render(painted, 32)
    plate.colors = torch.tensor([[0.5, 0.25, 1.0]], dtype=torch.float64).repeat(4, 1)
    after = nt.render_passes(painted, 32)
    of_plate = before.material == painted.materials().index(plate.material)
    factor = torch.where(of_plate, plate.colors[0, :, None, None], 1.0)
    torch.testing.assert_close(after.albedo, before.albedo * factor, atol=1e-12, rtol=0)
    image = nt.render(painted, 32)
    assert not torch.equal(image, plain)
    torch.testing.assert_close(nt.bake(painted, 32)(), image, atol=1e-12, rtol=0)
    torch.testing.assert_close(nt.render(painted, 32, budget=1 << 16), image, atol=1e-12, rtol=0)
    plate.material.roughness = nt.ConstantTexture((0.5,)).double()
    plate.material.metallic = nt.ConstantTexture((0.5,)).double()
    torch.testing.assert_close(nt.bake(painted, 32)(), nt.render(painted, 32), atol=1e-12, rtol=0)


def test_gradients_of_a_meshs_colours(triangle):
    triangle.double()
    colors = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)

    def render(colors):
        triangle.colors = colors
        return nt.render(nt.Scene(triangle, above(), SUN).double(), 3, grid=2)

    assert torch.autograd.gradcheck(render, (colors,))


def test_alpha_on_vertices_cuts_out(plate):
    """Alpha is (x + 1) / 2: cut at ½, the right half is left. As a texture and as the mesh's own colour."""
    alpha = (plate.vertices[:, :1] + 1) / 2
    rgba = torch.cat([torch.ones(4, 3), alpha], 1)
    plate.material = nt.Material(nt.VertexTexture(rgba), alpha_cutoff=0.5)
    mask = nt.render_passes(nt.Scene(plate, above()), 8).mask[0, 0]
    assert mask.tolist() == [[False] * 4 + [True] * 4] * 8
    plate.material = nt.Material((1.0, 1.0, 1.0, 0.8), alpha_cutoff=0.5)
    plate.colors = rgba
    mask = nt.render_passes(nt.Scene(plate, above()), 8).mask[0, 0]
    assert mask.tolist() == [[False] * 5 + [True] * 3] * 8  # 0.8 (x + 1) / 2 > 0.5


def test_colours_pass_discrete_steps_and_mix(plate):
    colors = torch.tensor([[0.1, 0.2, 0.9], [0.6, 0.4, 0.9], [0.9, 0.7, 0.1], [0.3, 0.8, 0.4]])
    plate.material = nt.Material(nt.VertexTexture(colors).through(nt.discrete.Levels(2)))
    image = nt.render_passes(nt.Scene(plate, above()), 16).albedo
    plate.material = nt.Material(nt.VertexTexture(colors.round()))
    torch.testing.assert_close(nt.render_passes(nt.Scene(plate, above()), 16).albedo, image)
    logits = nt.LogitTexture(torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]])[..., None], filter="vertex")
    either = nt.Material((1.0, 0, 0)), nt.Material((0.0, 1, 0))
    plate.material = nt.mixed_material(either, logits.through(nt.discrete.Select("gumbel")).eval())
    corner = nt.render_passes(nt.Scene(plate, above()), 64).albedo[0, :2, [63, 63, 0, 0], [0, 63, 63, 0]]
    torch.testing.assert_close(corner, torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 0]]), atol=0.05, rtol=0)


def test_a_fit_finds_the_colours(plate):
    wanted = torch.tensor([[0.4, 0.3, 0.9], [0.6, 0.4, 0.9], [0.9, 0.7, 0.4], [0.5, 0.8, 0.4]])
    scene = nt.Scene(plate, nt.orbit(2, 4.0), SUN)
    plate.material = nt.Material(nt.VertexTexture(wanted))
    views = nt.Views(list(scene.cameras), nt.render(scene, 32), [], ["a", "b"])
    paint = nt.VertexTexture(torch.full((4, 3), 0.5), trainable=True)
    plate.material = nt.Material(paint)
    nt.Fit(scene, views, torch.optim.Adam(paint.parameters(), lr=0.05), steps=100).run()
    torch.testing.assert_close(paint.image[0, :, :, 0].T, wanted, atol=0.02, rtol=0)


@pytest.mark.parametrize("ask", [nt.render, nt.bake, nt.render_passes, lambda scene, size: scene.check(size)])
def test_as_many_colours_as_vertices(painted, ask):
    other = nt.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]), material=painted.materials()[0], name="other")
    painted.nodes.append(nt.Node(other))
    with pytest.raises(nt.SceneError, match=r"mesh 'other' has 3 vertices, but the base_color of its material 'torus'"):
        ask(painted, 8)
    other.material = nt.Material(nt.FaceTexture(torch.rand(2, 3)), "two")
    with pytest.raises(nt.SceneError, match=r"mesh 'other' has 1 faces, but the base_color of its material 'two'"):
        ask(painted, 8)


def test_the_scene_is_checked_and_drawn(painted):
    shapes = painted.check().maps
    assert shapes["/torus: material 'torus', base_color"] == (1, 3, len(painted.meshes()[0].vertices), 1)
    assert "VertexTexture (1, 3, 325, 1)" in str(painted)
    assert "FaceTexture (1, 3, 2, 9)" in str(painted)
    state = painted.state_dict()
    assert any(name.endswith("base_color.image") for name in state)


def test_normals_on_vertices_need_uvs(triangle):
    triangle.material = nt.Material(normal=nt.VertexTexture(torch.rand(3, 3)))
    with pytest.raises(nt.SceneError, match="has no UVs"):
        nt.render(nt.Scene(triangle, above(), SUN), 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nt.VertexTexture(torch.rand(3)), r"a vertex texture is a tensor \(V, C\)"),
        (lambda: nt.FaceTexture(torch.rand(2, 3, 4, 3)), "R x R, but these are 3 x 4"),
        (lambda: nt.FaceTexture(torch.rand(2, 4, 3)), r"a face texture is a tensor \(F, C\) or \(F, R, R, C\)"),
        (lambda: nt.Mesh(torch.eye(3), torch.arange(3)[None], colors=torch.rand(2, 3)), "colors for 2 of 3 vertices"),
        (lambda: nt.Mesh(torch.eye(3), torch.arange(3)[None], colors=torch.rand(3, 2)), r"not \(…, 3 or 4\)"),
        (
            lambda: nt.Mesh(torch.eye(3), torch.arange(3)[None], colors=torch.full((3, 3), torch.nan)),
            "colors that are not finite",
        ),
    ],
)
def test_what_is_no_colour_is_refused(make, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(nt.NeurotexError, match=message):
        make()


def test_renderers_that_paint_with_images_alone_say_so(triangle):
    scene = nt.Scene(triangle, above(), SUN)
    triangle.material = nt.Material(nt.VertexTexture(torch.rand(3, 3)), "paint")
    with pytest.raises(nt.SceneError, match="material 'paint': base_color has a texel for each vertex, but those that"):
        check_maps_alone(scene, "those that")
    triangle.material = nt.Material(nt.VertexTexture(torch.rand(4, 3)), "paint")
    with pytest.raises(nt.SceneError, match="mesh 'triangle' has 3 vertices, but the base_color"):
        nt.render_phong(scene, 8)
    triangle.material, triangle.colors = nt.Material(), torch.rand(3, 3)
    with pytest.raises(nt.SceneError, match="mesh 'triangle' has colours of its own"):
        nt.render_phong(scene, 8)
