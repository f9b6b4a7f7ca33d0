"""Surfaces that are not diffuse, cut-outs, environments, strips and antialiasing: rendered and baked."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.renderers.budget import BUDGET

DOUBLE = torch.float64


def _gltf(plate: nt.Mesh, torus: nt.Mesh) -> nt.Scene:
    """A plate with every kind of map before a diffuse torus, lit by all kinds of light."""
    plate.material = nt.Material(
        nt.ImageTexture(torch.rand(3, 8, 8), trainable=True),
        "gilt",
        roughness=nt.ImageTexture(0.2 + 0.7 * torch.rand(1, 5, 4), trainable=True),
        metallic=nt.ImageTexture(torch.rand(1, 8, 8), filter="trilinear", trainable=True),
        normal=nt.ImageTexture(
            torch.tensor([0.5, 0.5, 0.9])[:, None, None] + 0.2 * torch.rand(3, 6, 6), trainable=True
        ),
    )
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 8, 8), filter="anisotropic"), "diffuse")
    lights = [
        nt.PointLight((1.0, 2.0, 2.0), (5.0, 4.0, 3.0)),
        nt.AmbientLight(0.2),
        nt.EnvironmentLight(torch.rand(3, 8, 16)),
    ]
    scene = nt.Scene(
        [nt.Node(plate), nt.Node(torus, nt.look_at(torch.tensor([0.3, 0.2, -0.8])))], nt.orbit(2, 3.5), lights
    )
    return scene.to(DOUBLE)


def test_baked_samples_are_the_render(plate, torus):
    scene = _gltf(plate, torus)
    baked = nt.bake(scene, (14, 18), grid=2)
    assert isinstance(baked, nt.BakedSamples)
    expected = nt.render(scene, (14, 18), grid=2)
    torch.testing.assert_close(baked(), expected, atol=1e-12, rtol=0)
    probe = torch.rand_like(expected)
    parameters = list(scene.parameters())
    assert len(parameters) == 4
    ours, theirs = (torch.autograd.grad((image * probe).sum(), parameters) for image in (baked(), expected))
    for a, b in zip(ours, theirs, strict=True):
        assert bool(b.any())
        torch.testing.assert_close(a, b, atol=1e-12, rtol=0)
    with torch.no_grad():
        parameters[1].mul_(0.5)
    torch.testing.assert_close(baked(), nt.render(scene, (14, 18), grid=2), atol=1e-12, rtol=0)
    scene.materials()[0].roughness = nt.ImageTexture(torch.rand(1, 3, 3))
    with pytest.raises(nt.SceneError, match=r"roughness.*bake it again"):
        baked()


def test_gradients_of_all_maps_are_finite_differences(plate, torus):
    scene = _gltf(plate, torus)
    baked = nt.bake(scene, 7, grid=1)
    probe = torch.rand(2, 4, 7, 7, dtype=DOUBLE)
    for parameter in scene.parameters():
        (slope,) = torch.autograd.grad((baked() * probe).sum(), parameter)
        direction = torch.randn_like(parameter)
        values = []
        for step in (1e-6, -2e-6, 1e-6):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                values.append(float((baked() * probe).sum()))
        assert float((slope * direction).sum()) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_a_rough_white_dielectric_shines_more_than_lambert_at_its_highlight(plate):
    scene = nt.Scene(plate, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 2]))), nt.Flash(4.0))
    pictures = []
    for roughness in (None, 1.0, 0.3):
        plate.material = nt.Material((1.0, 1.0, 1.0), roughness=roughness)
        pictures.append(nt.render(scene, 33)[0, 0])
    middle, side = [float(p[16, 16]) for p in pictures], [float(p[16, 1]) for p in pictures]
    assert middle[2] > 1.3 * middle[0] > 1.3 * 0.95 * middle[1]
    assert side[2] < side[0]


def test_a_tilted_normal_map_is_a_tilted_plate(plate):
    """The plate lies in the view plane, u to the right: the map turns its normal by 30° towards +x."""
    angle = math.radians(30)
    tilted = torch.tensor([math.sin(angle), 0.0, math.cos(angle)]) / 2 + 0.5
    sun = nt.DirectionalLight((-math.sin(angle), 0.0, -math.cos(angle)), math.pi)
    scene = nt.Scene(plate, nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 2]))), sun)
    plate.material = nt.Material((1.0, 1.0, 1.0))
    assert float(nt.render(scene, 8)[0, 0, 4, 4]) == pytest.approx(math.cos(angle), abs=1e-5)
    plate.material = nt.Material((1.0, 1.0, 1.0), normal=tilted)
    assert float(nt.render(scene, 8)[0, 0, 4, 4]) == pytest.approx(1, abs=1e-5)


def test_an_even_environment_is_ambient_light(plate, torus):
    images, scene = [], _gltf(plate, torus)
    for light in (nt.AmbientLight((0.7, 0.5, 0.3)), nt.EnvironmentLight(torch.ones(3, 8, 16), (0.7, 0.5, 0.3))):
        scene.lights = torch.nn.ModuleList([light])
        images.append(nt.render(scene.double(), 12, grid=1))
    torch.testing.assert_close(*images, atol=2e-3, rtol=0)


def _holed(plate: nt.Mesh) -> nt.Scene:
    """A red plate with transparent left half before a green one with a transparent lower half before a blue one."""
    nodes = []
    for k, colour in enumerate(torch.eye(3)):
        pixels = torch.cat([colour, torch.ones(1)])[:, None, None].repeat(1, 4, 4)
        if k == 0:
            pixels[3, :, :2] = 0
        if k == 1:
            pixels[3, 2:] = 0
        cutoff = 0.5 if k < 2 else None
        material = nt.Material(nt.ImageTexture(pixels, wrap="clamp"), f"layer {k}", alpha_cutoff=cutoff)
        mesh = nt.Mesh(plate.vertices, plate.faces, plate.uvs, material=material)
        place = torch.eye(4)
        place[2, 3] = -float(k)
        nodes.append(nt.Node(mesh, place))
    return nt.Scene(nodes, nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 2]))), nt.AmbientLight(1.0))


def test_what_is_cut_out_lets_see_what_lies_behind(plate):
    scene = _holed(plate)
    image = nt.render(scene, 8)
    corners = image[0, :3][:, [0, 0, 7, 7], [0, 7, 0, 7]]
    assert torch.equal(corners.T, torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]))
    assert bool((image[:, 3] == 1).all())
    torch.testing.assert_close(nt.bake(scene, 8)(), image, atol=1e-6, rtol=0)
    scene.nodes[2].mesh.material.alpha_cutoff = None
    del scene.nodes[2]
    assert torch.equal(nt.render(scene, 8)[0, 3][[0, 7], [0, 0]], torch.tensor([1.0, 0]))


@pytest.mark.parametrize("antialias", [False, True])
def test_strips_are_the_whole_image_gradients_included(plate, torus, antialias):
    scene = _gltf(plate, torus)
    probe = torch.rand(2, 4, 12, 9, dtype=DOUBLE)
    results = []
    for budget in (BUDGET, 1):
        image = nt.render(scene, (12, 9), grid=2, antialias=antialias, budget=budget)
        results.append([image, *torch.autograd.grad((image * probe).sum(), list(scene.parameters()))])
    for whole, cut in zip(*results, strict=True):
        torch.testing.assert_close(cut, whole, atol=1e-12, rtol=0)
    for parameter in scene.parameters():
        parameter.requires_grad_(False)
    torch.testing.assert_close(nt.bake(scene, (12, 9), grid=2, budget=1)(), nt.bake(scene, (12, 9), grid=2)())


def test_strips_of_a_diffuse_scene(scene):
    image = nt.render(scene, 20)
    assert torch.equal(nt.render(scene, 20, budget=1), image)
    torch.testing.assert_close(nt.bake(scene, 20, budget=1)(), nt.bake(scene, 20)())


def test_antialiasing_gives_silhouettes_a_gradient(plate):
    """The right border of a white plate moves over the black background: in column 7, with its colour and alpha."""
    camera = nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 2])), ymag=2.1)
    plate.material = nt.Material((1.0, 1.0, 1.0))
    scene = nt.Scene(plate, camera, nt.AmbientLight(1.0)).to(DOUBLE)
    vertices = plate.vertices.clone().requires_grad_()
    plate.vertices = vertices
    pixels_per_unit = 10 / 4.2
    for antialias, expected in ((False, 0), (True, 4 * 7 * 2 * pixels_per_unit * pixels_per_unit)):
        image = nt.render(scene, 10, grid=4, antialias=antialias)
        (gradient,) = torch.autograd.grad((image * torch.arange(10, dtype=DOUBLE)).sum(), vertices)
        assert float(gradient[vertices[:, 0] > 0, 0].sum()) == pytest.approx(expected, rel=0.06, abs=1e-9)


def test_passes_say_what_is_where(plate, torus):
    scene = _gltf(plate, torus)
    passes = nt.render_passes(scene, (20, 24))
    assert passes.depth.shape == (2, 1, 20, 24)
    seen = passes.mask[:, 0]
    assert 50 < int(seen.sum()) < seen.numel()
    for name, image in vars(passes).items():
        assert bool((image.movedim(1, -1)[~seen] == (-1 if name in ("face", "material") else 0)).all()), name
    geometry = scene.geometry()
    torch.testing.assert_close(
        passes.normal.norm(dim=1)[seen], torch.ones(int(seen.sum()), dtype=DOUBLE), atol=1e-9, rtol=0
    )
    face, material = passes.face[:, 0][seen], passes.material[:, 0][seen]
    assert torch.equal(geometry.face_material[face].long(), material)
    position, depth = passes.position.movedim(1, -1), passes.depth[:, 0]
    for view, camera in enumerate(scene.cameras):
        there = seen[view]
        local = torch.linalg.inv(camera.transform)
        torch.testing.assert_close(-(position[view][there] @ local[2, :3] + local[2, 3]), depth[view][there])
        assert bool(
            (((camera.position - position[view]) * passes.normal[view].movedim(0, -1)).sum(-1)[there] >= 0).all()
        )
    corner = geometry.vertices[geometry.faces[face].long()]
    normal = torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    gap = ((position[seen] - corner[:, 0]) * normal).sum(1)
    torch.testing.assert_close(gap, torch.zeros_like(gap), atol=1e-9, rtol=0)


@pytest.mark.parametrize("roughness", [None, 0.4])
def test_emitted_light_is_added_to_what_is_reflected(plate, torus, roughness):
    glow = nt.ImageTexture(torch.rand(3, 6, 5), trainable=True)
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 4)), "lamp", roughness=roughness)
    scene = nt.Scene([nt.Node(plate), nt.Node(torus)], nt.orbit(2, 3.5), [nt.Flash(7.0)]).to(DOUBLE)
    without = nt.render(scene, 12, grid=2)
    plate.material.emissive = glow.to(DOUBLE)
    image = nt.render(scene, 12, grid=2)
    assert torch.equal(image[:, 3], without[:, 3])
    # a surface that reflects nothing shows just what it sends out
    dark = nt.Material((0.0, 0.0, 0.0), "dark", emissive=glow).to(DOUBLE)
    bare = nt.Material((0.0, 0.0, 0.0), "bare").to(DOUBLE)
    plate.material, torus.material = dark, bare
    emitted = nt.render(scene, 12, grid=2)
    assert bool(emitted[:, :3].any())
    torch.testing.assert_close(image[:, :3] - without[:, :3], emitted[:, :3], atol=1e-12, rtol=0)
    colour = nt.Material(glow, "colour").to(DOUBLE)  # as linear light, filtered as base colours are
    plate.material = colour
    albedo = nt.render(nt.Scene(list(scene.nodes), list(scene.cameras), nt.AmbientLight(1.0).to(DOUBLE)), 12, grid=2)
    torch.testing.assert_close(emitted[:, :3], albedo[:, :3], atol=1e-12, rtol=0)
    plate.material = dark
    baked = nt.bake(scene, 12, grid=2)
    torch.testing.assert_close(baked(), emitted, atol=1e-12, rtol=0)
    (slope,) = torch.autograd.grad(baked().sum(), glow.image)
    (expected,) = torch.autograd.grad(nt.render(scene, 12, grid=2).sum(), glow.image)
    torch.testing.assert_close(slope, expected, atol=1e-12, rtol=0)
    assert bool(slope.any())


def test_a_mix_of_dark_and_emissive_materials(plate):
    weights = nt.ImageTexture(torch.tensor([0.25, 0.75])[:, None, None].expand(2, 2, 2).clone())
    lamp = nt.Material((0.1, 0.1, 0.1), emissive=(0.8, 0.4, 0.0))
    mixed = nt.mixed_material([lamp, nt.Material((0.5, 0.5, 0.5))], weights)
    torch.testing.assert_close(mixed.emissive()[0, :, 0, 0], torch.tensor([0.2, 0.1, 0.0]))
