"""Training through the renderer: pictures are renders, seeds decide them, and photographs are seen the same way."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import neurotex as nt
from neurotex.errors import ArgumentError, FileError, SceneError
from neurotex.gan.render_data import RenderedSource, ViewSource, photographed, square_resized
from neurotex.gan.render_scenes import random_cameras, scene_around, sphere, squared
from neurotex.gan.renders import Renders
from neurotex.shading import srgb_to_linear
from tests import tiny

LENSES = {
    "perspective": lambda place: nt.PerspectiveCamera(place, 40.0),
    "pinhole": lambda place: nt.PinholeCamera(place, (20.0, 22.0), (7.0, 9.0), (14, 22)),
    "orthographic": lambda place: nt.OrthographicCamera(place, 1.2),
}


class Noise:
    """A Source of random textures."""

    channels, size = 3, 16

    def __call__(self, seeds: Tensor) -> Tensor:
        rngs = [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]
        return torch.stack([torch.rand(3, self.size, self.size, generator=rng) * 2 - 1 for rng in rngs])


def seeds_of(observe: Renders) -> Tensor:
    """A seed for each view of the bank, in order."""
    drawn = {}
    for seed in range(100 * len(observe.views)):
        drawn.setdefault(observe.view(seed), seed)
    return torch.tensor([drawn[view] for view in observe.views])


def linear(pictures: Tensor) -> Tensor:
    """What was rendered, before it was encoded for networks."""
    values = (pictures + 1) / 2
    return torch.cat([srgb_to_linear(values[:, :3]), values[:, 3:]], 1)


@pytest.fixture(scope="module")
def observe() -> Renders:
    """A sphere and a box, 4 views of each."""
    return Renders.from_meshes(["sphere", tiny.box()], views=4, size=24, texture_size=16)


@pytest.mark.parametrize("color", [7.0, (7.0, 4.0, 2.0)], ids=["grey", "coloured"])
def test_pictures_are_renders_of_the_scene_in_which_everything_wears_the_texture(scene, plate, color):
    texture = torch.rand(1, 3, 10, 14) * 2 - 1
    worn = nt.Material(nt.ImageTexture((texture + 1) / 2))
    scene.nodes.append(nt.Node(plate, nt.look_at(torch.tensor([0.3, -1.0, -1.0]))))
    scene.lights = torch.nn.ModuleList([nt.Flash(color), nt.AmbientLight(0.05)])
    bright = nt.Scene(tiny.box(), tiny.cameras(3), nt.Flash(20.0))
    observe = Renders([scene, bright], size=20, texture_size=(10, 14), grid=3)
    for mesh in [*scene.meshes(), *bright.meshes()]:
        mesh.material = worn
    expected = torch.cat([nt.render(one, 20, grid=3) for one in (scene, bright)])
    assert float(expected[:, :3].max()) < 1
    pictures = observe(texture.expand(5, -1, -1, -1), seeds_of(observe))
    torch.testing.assert_close(linear(pictures), expected, atol=1e-5, rtol=0)


def test_what_the_scene_wore_before_is_left_alone(scene):
    before = scene.meshes()[0].material
    Renders(scene, size=8, texture_size=8)
    assert scene.meshes()[0].material is before
    assert len(scene.cameras) == 2


def test_overexposed_pixels_are_clipped_at_white_and_find_their_way_back(plate):
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0.0, 3.0])))
    observe = Renders(nt.Scene(plate, camera, nt.Flash(100.0)), size=8, texture_size=4)
    texture = torch.full((1, 3, 4, 4), 0.9, requires_grad=True)
    picture = observe(texture, torch.zeros(1, dtype=torch.int64))
    assert float(picture[:, :3].detach().max()) == pytest.approx(1)
    (down,) = torch.autograd.grad(picture[:, :3].sum(), texture, retain_graph=True)
    (up,) = torch.autograd.grad(-picture[:, :3].sum(), texture)
    assert bool((down > 0).any())  # a step that darkens passes
    assert not bool(up[0, :, 1:3, 1:3].any())  # one that brightens what is white already does not


def test_gradients(plate):
    scene = nt.Scene(plate, nt.orbit(2, 3.0, elevation=30.0), nt.Flash(8.0)).double()
    observe = Renders(scene, size=4, texture_size=(1, 2), grid=2)
    texture = (torch.rand(3, 3, 1, 2, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    seeds = seeds_of(observe)[[0, 0, 1]]
    assert torch.autograd.gradcheck(lambda t: observe(t, seeds), texture)
    assert torch.autograd.gradgradcheck(lambda t: observe(t, seeds), texture, fast_mode=True)


def test_channels_after_the_base_colour_are_not_seen(observe):
    textures = (torch.rand(2, 6, 16, 16) * 2 - 1).requires_grad_()
    seeds = torch.tensor([3, 4])
    pictures = observe(textures, seeds)
    assert torch.equal(pictures, observe(textures[:, :3], seeds))
    (slope,) = torch.autograd.grad(pictures.sum(), textures)
    assert bool(slope[:, :3].any())
    assert not bool(slope[:, 3:].any())


@settings(max_examples=10)
@given(seeds=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_a_picture_depends_on_its_texture_and_seed_alone(observe, seeds):
    seeds = torch.tensor(seeds)
    textures = Noise()(torch.arange(len(seeds)))
    together = observe(textures, seeds)
    assert together.shape == (len(seeds), 4, 24, 24)
    assert -1 <= float(together.min()) <= float(together.max()) <= 1
    for k in range(len(seeds)):
        assert torch.equal(observe(textures[k : k + 1], seeds[k : k + 1])[0], together[k])


def test_seeds_draw_every_view_about_as_often(observe):
    drawn = [observe.view(seed) for seed in range(800)]
    counts = torch.tensor([float(drawn.count(view)) for view in observe.views])
    assert float(((counts - 100).square() / 100).sum()) < 24.3  # χ² of 7 degrees of freedom, 0.1 %


def test_the_seed_of_a_bank_decides_its_cameras():
    views = [Renders.from_meshes("sphere", 3, 8, 8, seed=seed).views for seed in (1, 1, 2)]
    same, other = ([torch.equal(a.alpha, b.alpha) for a, b in zip(views[0], v, strict=True)] for v in views[1:])
    assert all(same)
    assert not all(other)


def test_the_memory_is_what_the_docstring_says_and_grows_with_views_and_pixels():
    few, many, fine = (Renders.from_meshes("sphere", n, s, s, grid=2) for n, s in ((8, 16), (16, 16), (8, 32)))
    for bank in (few, many, fine):
        nnz, (pixels, texels) = (
            sum(view.operator.nnz for view in bank.views),
            (sum(len(getattr(view, name)) for view in bank.views) for name in ("pixel", "texel")),
        )
        assert bank.bytes == 16 * nnz + 16 * pixels + 12 * texels + 16 * len(bank.views)  # each list has one end more
        assert nnz <= 4 * 2**2 * pixels
        assert pixels <= len(bank.views) * bank.size**2
        assert not bank.state_dict()
    assert many.bytes == pytest.approx(2 * few.bytes, rel=0.1)
    assert fine.bytes == pytest.approx(4 * few.bytes, rel=0.1)
    assert f"16 views of 16 x 16 pixels, textures of 16 x 16, {many.bytes / 2**20:.1f} MiB" in repr(many)


@pytest.mark.parametrize("light", ["flash", "uniform"])
def test_white_under_either_light_just_reaches_one(light):
    for mesh in ("sphere", tiny.box()):
        observe = Renders.from_meshes(mesh, 4, 24, 8, light=light)
        brightest = linear(observe(torch.ones(4, 3, 8, 8), seeds_of(observe)))[:, :3].amax((1, 2, 3))
        assert bool((brightest > 0.4).all())
        assert 0.75 < float(brightest.max()) < 1.001
        if light == "uniform":
            torch.testing.assert_close(brightest, torch.ones(4))


def test_models_are_photographed_by_the_cameras_and_light_of_a_bank_with_the_same_seed():
    model = tiny.box()
    model.material = nt.Material(nt.ImageTexture(tiny.picture()))
    views = photographed(model, 20, 3, seed=5)
    observe = Renders.from_meshes(tiny.box(), 3, 20, 32, seed=5)
    texture = tiny.picture()[None].expand(3, -1, -1, -1) * 2 - 1
    torch.testing.assert_close(linear(observe(texture, seeds_of(observe))), views.images, atol=1e-5, rtol=0)
    again = Renders.from_views(tiny.box(), views, 20, 32)
    assert torch.equal(observe(texture, seeds_of(observe)), again(texture, seeds_of(observe)))
    assert ViewSource(views, 10)(torch.arange(2)).shape == (2, 4, 10, 10)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**31), tilt=st.floats(-90, 80), fill=st.floats(0.3, 1.2))
def test_random_cameras_look_at_the_middle_and_objects_fill_the_frame(seed, tilt, fill):
    points = torch.randn(40, 3) * torch.tensor([1.0, 2.0, 0.3]) + torch.tensor([5.0, 0.0, -3.0])
    middle = (points.amin(0) + points.amax(0)) / 2
    given = {"fill": (fill, fill + 0.1), "elevation": (tilt, tilt + 10), "fov": 30.0}
    cameras = random_cameras(5, points, seed, **given)
    for camera, again in zip(cameras, random_cameras(5, points, seed, **given), strict=True):
        assert torch.equal(camera.transform, again.transform)
        back = camera.transform[:3, 2]
        way = camera.position - middle
        torch.testing.assert_close(way / way.norm(), back, atol=1e-5, rtol=0)
        assert tilt - 0.1 <= math.degrees(math.asin(float(back[1].clamp(-1, 1)))) <= tilt + 10.1
        screen = torch.cat([points, torch.ones(40, 1)], 1) @ camera.screen_matrix((2, 2)).T
        assert float(screen[:, 3].min()) > 0
        reach = float((screen[:, :2] / screen[:, 3:] - 1).abs().max())
        assert fill - 1e-4 <= reach <= fill + 0.1001


def test_random_cameras_are_everywhere():
    back = torch.stack([camera.transform[:3, 2] for camera in random_cameras(200, torch.eye(3))])
    assert float(back.mean(0).norm()) < 0.15
    torch.testing.assert_close(back.T @ back / 200, torch.eye(3) / 3, atol=0.1, rtol=0)


def test_the_sphere_is_closed_faces_outwards_and_carries_textures_the_right_way_round():
    ball = sphere(24, 12)
    corners = ball.vertices[ball.faces.long()]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert float((normal * corners.mean(1)).sum(1).min()) > 0  # also: no face without an area
    assert float(normal.norm(dim=1).sum() / 2) == pytest.approx(4 * math.pi, rel=0.02)
    weld = nt.Scene(ball).welded()[ball.faces.long()]
    edges = torch.cat([weld[:, [i, (i + 1) % 3]] for i in range(3)]).tolist()
    assert sorted(edges) == sorted([b, a] for a, b in edges)
    uv = ball.uvs[ball.faces.long()]
    area = torch.linalg.det(torch.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], 1))
    assert float(area.min()) > 0  # not mirrored


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("size", [(14, 22), (22, 14), (9, 10), (8, 8)])
def test_a_squared_camera_sees_the_square_in_the_middle_of_the_image(lens, size, torus):
    torus.material = nt.Material(torch.rand(3, 9, 9))
    camera = LENSES[lens](nt.look_at(torch.tensor([1.0, 2.5, 1.5])))
    scenes = [nt.Scene(torus, c, nt.AmbientLight(1.0)).double() for c in (camera, squared(camera, size))]
    side = min(size)
    image, seen = nt.render(scenes[0], size, grid=4), nt.render(scenes[1], side, grid=4)
    assert float(seen[:, 3].mean()) > 0.05
    if (size[0] - size[1]) % 2 == 0:
        torch.testing.assert_close(seen, square_resized(image, side), atol=1e-6, rtol=0)
    else:  # by half a pixel: what is a sample on a grid of 4 is one on a grid of 8, two samples further
        shifted = nt.render(scenes[0], (2 * size[0], 2 * size[1]), grid=2)
        torch.testing.assert_close(seen, square_resized(shifted, side), atol=1e-6, rtol=0)


@given(side=st.integers(1, 9), size=st.integers(1, 12))
def test_resizing_keeps_all_light_and_what_is_even(side, size):
    image = torch.rand(2, 4, side, side, dtype=torch.float64)
    square = square_resized(image, size)
    assert square.shape == (2, 4, size, size)
    torch.testing.assert_close(square.mean((2, 3)), image.mean((2, 3)))
    even = square_resized(torch.ones(1, 1, side, 2 * side), size)
    torch.testing.assert_close(even, torch.ones_like(even))


def test_resizing_by_whole_numbers_averages_blocks():
    image = torch.rand(1, 4, 12, 18)
    torch.testing.assert_close(square_resized(image, 4), torch.nn.functional.avg_pool2d(image[..., 3:15], 3))


@pytest.fixture(scope="module")
def box_views(tmp_path_factory):
    """Photographs of the box, twice: 4 views under a flash, and 1."""
    folder = tmp_path_factory.mktemp("photographs")
    texture = nt.ImageTexture(0.6 * tiny.picture())  # whose brightest pixel is not clipped
    return [tiny.photograph(folder / name, texture, tiny.cameras(n)) for name, n in (("many", 4), ("one", 1))]


def test_photographs_and_renders_with_their_cameras_are_the_same_pictures(box_views):
    observe = Renders.from_views(tiny.box(), box_views[0], tiny.SIDE // 2, 32, grid=8)
    source = ViewSource(box_views[0], tiny.SIDE // 2)
    texture = (0.6 * tiny.picture()[None] * 2 - 1).expand(4, -1, -1, -1)
    renders = observe(texture, seeds_of(observe))
    drawn = source(torch.arange(100))
    for render in renders:
        distance = (drawn - render).abs().amax((1, 2, 3))
        assert float(distance.min()) < 0.03  # 8 bits, of colours and of alpha
        assert float(distance.max()) > 0.3


def test_photographs_are_drawn_by_object_then_by_view(box_views):
    source = ViewSource([*box_views, nt.Views.load(box_views[1])], size=12)
    pictures = source(torch.arange(300))
    assert (source.channels, source.size, pictures.shape) == (4, 12, (300, 4, 12, 12))
    assert torch.equal(source(torch.tensor([17, 5])), pictures[[17, 5]])
    for k, share in enumerate((3 / 4, 1 / 12, 1 / 12, 1 / 12)):  # the first is the one of the two others, too
        found = (pictures == source.objects[0][k]).flatten(1).all(1).double().mean()
        assert float(found) == pytest.approx(share, abs=0.06)


def test_opaque_photographs_are_refused_saying_what_to_do(box_views, tmp_path):
    folder = tiny.photograph(tmp_path / "opaque", nt.ImageTexture(tiny.picture()), tiny.cameras(1))
    Image.open(folder / "0.png").convert("RGB").save(folder / "0.png")
    with pytest.raises(FileError, match=r"opaque: 0.*opaque everywhere: cut the object out"):
        ViewSource([box_views[0], folder])
    with pytest.raises(FileError, match=r"view '0' and all others are opaque"):
        ViewSource(nt.Views.load(folder))


def test_there_must_be_photographs(tmp_path, box_views):
    with pytest.raises(ArgumentError, match="no photographs: give at least one folder"):
        ViewSource([])
    with pytest.raises(FileError, match=r"nowhere.*does not exist"):
        ViewSource(tmp_path / "nowhere")
    with pytest.raises(ArgumentError, match="one whole number, not 0"):
        ViewSource(box_views, size=0)
    views = nt.Views.load(box_views[1])
    with pytest.raises(ArgumentError, match="hold no photograph"):
        ViewSource(nt.Views([], views.images[:0], [], []))


def test_a_rendered_source_shows_textures_from_cameras_that_its_seeds_draw(observe):
    source = RenderedSource(observe, Noise())
    assert (source.channels, source.size) == (4, 24)
    seeds = torch.arange(40)
    pictures = source(seeds)
    assert not pictures.requires_grad
    assert torch.equal(source(seeds[[30, 2]]), pictures[[30, 2]])
    # each shows its seed's texture from some view, and the views are not those of the texture's own seed
    views, own = [], []
    each = seeds_of(observe)
    for seed, picture in zip(seeds, pictures, strict=True):
        all_round = observe(Noise()(seed[None]).expand(len(each), -1, -1, -1), each)
        (view,) = (all_round == picture).all(1).all(1).all(1).nonzero()[:, 0].tolist()
        views.append(view)
        own.append(list(observe.views).index(observe.view(int(seed))))
    assert len(set(views)) == len(observe.views)
    assert sum(a == b for a, b in zip(views, own, strict=True)) < 15


def bare(mesh: nt.Mesh) -> nt.Mesh:
    return nt.Mesh(mesh.vertices, mesh.faces, name="bare")


def away(mesh: nt.Mesh) -> nt.Scene:
    return nt.Scene(mesh, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 3]), torch.tensor([0.0, 0, 9]))))


BAD = {
    "mesh 'bare' has no UVs: unwrap it": lambda mesh: Renders.from_meshes(bare(mesh), 1, 8, 8),
    "scene 1: node '/bare'.*no UVs": lambda mesh: Renders(
        [nt.Scene(m, nt.orbit(1, 3.0), nt.Flash(1.0)) for m in (mesh, bare(mesh))], 8, 8
    ),
    "scene 0 has no camera": lambda mesh: Renders(nt.Scene(mesh), 8, 8),
    "no light": lambda mesh: Renders(away(mesh), 8, 8),
    "camera 0 sees nothing": lambda mesh: Renders(nt.Scene(mesh, away(mesh).cameras, nt.Flash(1.0)), 8, 8),
    "at least 1 scene": lambda mesh: Renders([], 8, 8),
    "one whole number, at least 1, not 0": lambda mesh: Renders.from_meshes(mesh, 1, 0, 8),
    "1 camera or more, not 0": lambda mesh: Renders.from_meshes(mesh, 0, 8, 8),
    "'flash' or 'uniform', not 'sun'": lambda mesh: scene_around([nt.Node(mesh)], 1, 0, "sun"),
    "ascending, not \\(0.9, 0.5\\)": lambda mesh: Renders.from_meshes(mesh, 1, 8, 8, fill=(0.9, 0.5)),
    "-90 to 90 degrees": lambda mesh: Renders.from_meshes(mesh, 1, 8, 8, elevation=(0.0, 95.0)),
    "no.obj does not exist": lambda mesh: Renders.from_meshes(["sphere", "no.obj"], 1, 8, 8),
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_looked_at_is_refused_with_the_reason(message):
    with pytest.raises((ArgumentError, FileError, SceneError), match=message):
        BAD[message](tiny.box())


@pytest.mark.parametrize("shape", [(1, 3, 16, 8), (1, 2, 16, 16), (3, 16, 16)])
def test_textures_of_another_size_are_refused(observe, shape):
    # the annotation of the shape is a check in the tests alone
    with pytest.raises(ArgumentError, match=r"of textures \(n, 3 or more, 16, 16\), but got .*texture_size"):
        Renders.forward.__wrapped__(observe, torch.zeros(shape), torch.zeros(1, dtype=torch.int64))


def test_each_texture_needs_a_seed(observe):
    with pytest.raises(ArgumentError, match="2 got 3"):
        Renders.forward.__wrapped__(observe, torch.zeros(2, 3, 16, 16), torch.zeros(3, dtype=torch.int64))


def test_spot_and_its_photographs(spot):
    observe = Renders.from_views(spot / "cow.obj", spot / "flash", 32, 64)
    source = ViewSource(spot / "flash", 32)
    assert len(observe.views) == 12
    shapes = [{tuple((p[3] > 0).nonzero().flatten().tolist()) for p in set_} for set_ in _both(observe, source)]
    assert len(shapes[0]) == 12
    covered = [torch.stack(list(set_))[:, 3].add(1).div(2).mean() for set_ in _both(observe, source)]
    torch.testing.assert_close(*covered, atol=5e-3, rtol=0)


def _both(observe: Renders, source: ViewSource) -> tuple[Tensor, Tensor]:
    return observe(torch.zeros(12, 3, 64, 64), seeds_of(observe)), source.objects[0]
