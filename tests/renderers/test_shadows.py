"""Shadows where geometry says they are, of every kind of surface, rendered and baked alike."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.geometry import crossings

PLATE = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
SIZE, HALF = 48, 2.0  # of the picture, in pixels, and of what it shows, in scene units
VIEW = nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 5])), HALF)
LAMPS = {
    "directional": nt.DirectionalLight((0.5, 0.25, -1.0), math.pi),
    "point": nt.PointLight((-0.5, 0.3, 2.5), 20.0),
}


def floor_and_lid(material: nt.Material, height: float = 0.75) -> nt.Scene:
    """A floor at z = 0 and, which only light sees, a lid |x|, |y| ≤ 0.5 above it, behind the camera's near plane."""
    floor = nt.Mesh(3 * PLATE, FACES, (PLATE[:, :2] + 1) / 2, material=material, name="floor")
    lid = nt.Mesh(PLATE * 0.5 + torch.tensor([0.0, 0, height]), FACES, (PLATE[:, :2] + 1) / 2, name="lid")
    camera = nt.OrthographicCamera(VIEW.transform, HALF, near=4.5)
    return nt.Scene([floor, lid], camera)


def expected_shadow(light: nt.Light, height: float) -> torch.Tensor:
    """Which samples, 4 x 4 for each pixel, a ray to the light leads through the lid from."""
    n = 4 * SIZE
    across = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * HALF
    y, x = torch.meshgrid(-across, across, indexing="ij")
    if isinstance(light, nt.PointLight):
        lx, ly, lz = light.position.double().tolist()
        share = height / lz
        at_x, at_y = x + share * (lx - x), y + share * (ly - y)
    else:
        dx, dy, dz = light.direction.double().tolist()
        at_x, at_y = x + height * dx / dz, y + height * dy / dz
    return (at_x.abs() <= 0.5) & (at_y.abs() <= 0.5)


def pixels(samples: torch.Tensor) -> torch.Tensor:
    return samples.double().view(SIZE, 4, SIZE, 4).mean((1, 3))


@pytest.mark.parametrize("lamp", LAMPS)
@pytest.mark.parametrize("maps", [{}, {"roughness": 0.5}, {"roughness": 0.5, "normal": (0.5, 0.5, 1.0)}], ids=str)
def test_the_edge_of_a_shadow_is_where_geometry_has_it(lamp, maps):
    scene, light = floor_and_lid(nt.Material((1.0, 1.0, 1.0), **maps)).double(), LAMPS[lamp]
    lit = nt.render(scene, SIZE, lights=_without_shadows(light))[0, 0]
    image = nt.render(scene, SIZE, lights=light)[0, 0]
    share = image / lit
    wanted = 1 - pixels(expected_shadow(light, 0.75))
    torch.testing.assert_close(share, wanted.to(share), atol=1.1 / 16, rtol=0)  # a sample on the very edge may go over
    assert float((share - wanted).abs().mean()) < 1e-3
    assert 0.05 < float(1 - share.mean()) < 0.5
    baked = nt.bake(scene.replace(lights=light), SIZE)
    torch.testing.assert_close(baked()[0, 0], image, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(baked()[0, 0], image, atol=1e-9, rtol=1e-9)


def _without_shadows(light: nt.Light) -> nt.Light:
    if isinstance(light, nt.PointLight):
        return nt.PointLight(light.position.tolist(), light.intensity.tolist(), cast_shadows=False)
    return nt.DirectionalLight(light.direction.tolist(), light.intensity.tolist(), cast_shadows=False)


def test_who_casts_no_shadow_is_passed():
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0)))
    light = LAMPS["point"]
    free = nt.render(scene, SIZE, lights=_without_shadows(light))
    assert not torch.equal(nt.render(scene, SIZE, lights=light), free)
    scene.nodes[1].mesh.cast_shadows = False
    assert torch.equal(nt.render(scene, SIZE, lights=light), free)


def test_light_comes_through_what_is_cut_out():
    """A lid with a hole in the quarter x < 0, y < 0, by texels and by a vertex's alpha; several lids in a row."""
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0)))
    holes = torch.ones(4, 2, 2)
    holes[3, 1, 0] = 0
    lid, light = scene.nodes[1].mesh, nt.DirectionalLight((0.0, 0.0, -1.0), math.pi)
    whole = nt.render(scene, SIZE, lights=light)[0, 0]
    lid.material = nt.Material(nt.ImageTexture(holes, filter="nearest"), alpha_cutoff=0.5)
    cut = nt.render(scene, SIZE, lights=light)[0, 0]
    quarter = slice(SIZE // 2, SIZE // 2 + SIZE // 8), slice(SIZE // 2 - SIZE // 8, SIZE // 2)
    assert float(whole[quarter].max()) == 0.0
    torch.testing.assert_close(cut[quarter], torch.ones_like(cut[quarter]))
    assert float((cut - whole).sum()) == pytest.approx((SIZE / 8) ** 2, rel=1e-4)
    second = nt.Node(lid, torch.eye(4).index_put((torch.tensor(2), torch.tensor(3)), torch.tensor(0.5)))
    stack = nt.Scene([*scene.nodes, second], scene.cameras, light)
    torch.testing.assert_close(nt.render(stack, SIZE)[0, 0], cut)
    torch.testing.assert_close(nt.bake(stack, SIZE)()[0, 0], cut)
    lid.material = nt.Material((1.0, 1.0, 1.0, 0.7), alpha_cutoff=0.5)
    lid.colors = torch.full((4, 4), 0.6)  # 0.7 · 0.6 is less than a half
    assert float(nt.render(scene, SIZE, lights=light)[0, 0].min()) > 0.9


def test_a_closed_surface_shadows_its_own_back_and_nothing_else(torus):
    """Not one sample that faces the light is dark for want of an offset, nor one lit through the tube."""
    sun = nt.DirectionalLight((0.0, -1.0, 0.0), math.pi)
    for factor in (1.0, 1000.0):
        torus.vertices *= factor
        scene = nt.Scene(torus, nt.orbit(3, 3.0 * factor, elevation=50.0), sun)
        passes = nt.render_passes(scene, 64)
        free = nt.render(scene, 64, grid=1, lights=_without_shadows(scene.lights[0]))[:, 0]
        image = nt.render(scene, 64, grid=1)[:, 0]
        corners = torus.vertices[torus.faces.long()]
        up = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 1]
        height = up[passes.face[:, 0].clamp_min(0)] * passes.mask[:, 0]
        clear = height > 0.2 * up.max()  # nothing lies above it
        assert int(clear.sum()) > 300
        assert torch.equal(image[clear], free[clear])


def test_a_flash_beside_the_camera_casts_shadows_and_one_at_it_none():
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.3, 0.2, 4.0])), 60.0)
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0)))
    at, beside = nt.Flash(9.0), nt.Flash(9.0, offset=(0.5, 0.25, 0.0))
    place = beside.point(camera)
    torch.testing.assert_close(place[:3], camera.position + camera.transform[:3, :3] @ torch.tensor([0.5, 0.25, 0]))
    lamp = nt.PointLight(place[:3].tolist(), 9.0)
    images = [nt.render(scene, SIZE, cameras=camera, lights=light) for light in (at, beside, lamp)]
    torch.testing.assert_close(images[1], images[2])
    free = nt.render(scene, SIZE, cameras=camera, lights=nt.Flash(9.0, (0.5, 0.25, 0), cast_shadows=False))
    assert float((free - images[1])[0, 0].min()) == 0.0  # nowhere brighter
    assert float((free - images[1])[0, 0].max()) > 0.1
    assert float(images[0][0, 0].min()) > 0.02


def test_shadows_of_a_live_light_move_with_it():
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0), roughness=0.6))
    scene = scene.replace(lights=nt.PointLight((-0.5, 0.3, 2.5), 20.0)).double()
    baked = nt.bake(scene, SIZE, grid=2)
    before = baked()
    light = scene.lights[0]
    with torch.no_grad():
        light.position.add_(torch.tensor([0.8, -0.4, 0.3]))
    torch.testing.assert_close(baked(), nt.render(scene, SIZE, grid=2), atol=1e-12, rtol=1e-12)
    assert not torch.equal(baked(), before)
    light.cast_shadows = False
    torch.testing.assert_close(baked(), nt.render(scene, SIZE, grid=2), atol=1e-12, rtol=1e-12)
    light.cast_shadows = True
    position = light.position.clone().requires_grad_()
    probe = torch.rand(1, 4, SIZE, SIZE, dtype=torch.float64)
    images = []
    for draw in (baked, lambda: nt.render(scene, SIZE, grid=2)):
        light.position = position
        images.append(torch.autograd.grad((draw() * probe).sum(), position)[0])
    torch.testing.assert_close(*images, atol=1e-10, rtol=1e-10)


def test_a_diffuse_bake_refuses_other_shadows():
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0))).replace(lights=nt.PointLight((-0.5, 0.3, 2.5), 20.0))
    baked = nt.bake(scene, 8)
    baked()
    scene.lights[0].cast_shadows = False
    with pytest.raises(nt.SceneError, match=r"lights\[0\].cast_shadows has changed since the bake"):
        baked()
    scene.lights[0].cast_shadows = True
    scene.nodes[1].mesh.cast_shadows = False
    with pytest.raises(nt.SceneError, match=r"mesh.cast_shadows has changed since the bake"):
        baked()


def test_shadows_hold_under_transforms_of_torch(plate):
    """A gradient with respect to vertices, and a batch of places of the light, in one call."""
    scene = floor_and_lid(nt.Material((1.0, 1.0, 1.0))).replace(lights=nt.PointLight((-0.5, 0.3, 2.5), 20.0)).double()
    places = torch.tensor([[-0.5, 0.3, 2.5], [0.4, -0.2, 2.0]], dtype=torch.float64)

    def image(position: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
        given = {"lights.0.position": position, "nodes.1.mesh.vertices": vertices}
        return torch.func.functional_call(Rendered(scene), {f"scene.{k}": v for k, v in given.items()}, ())

    class Rendered(torch.nn.Module):
        def __init__(self, scene: nt.Scene):
            super().__init__()
            self.scene = scene

        def forward(self) -> torch.Tensor:
            return nt.render(self.scene, 12, grid=2)

    lid = scene.nodes[1].mesh.vertices
    many = torch.func.vmap(lambda position: image(position, lid))(places)
    for one, position in zip(many, places, strict=True):
        torch.testing.assert_close(one, image(position, lid), atol=1e-12, rtol=1e-12)
    probe = torch.rand_like(many[0])
    ours = torch.func.grad(lambda position: (image(position, lid) * probe).sum())(places[0])
    leaf = places[0].clone().requires_grad_()
    (image(leaf, lid) * probe).sum().backward()
    torch.testing.assert_close(ours, leaf.grad)


def test_plain_tensor_language_finds_the_same_crossings(torus):
    origin, way = torch.randn(300, 3), torch.randn(300, 3)
    leaving, far = torch.full((300,), -1), torch.full((300,), 1.5)
    hits = crossings.met(torus.vertices, torus.faces, origin, way, far, leaving)
    reference = crossings._met.reference(torus.vertices, torus.faces, origin, way, leaving, far)
    assert 20 < int((hits.face >= 0).sum()) < 280
    assert float((hits.face == reference[0]).float().mean()) > 0.99
    shut = crossings.blocked(torus.vertices, torus.faces, origin, way, far, leaving)
    assert torch.equal(shut, hits.face >= 0)
    assert (
        float(
            (crossings._blocked.reference(torus.vertices, torus.faces, origin, way, leaving, far) == shut)
            .float()
            .mean()
        )
        > 0.99
    )
    crossings.forget()
    assert torch.equal(crossings.blocked(torus.vertices, torus.faces, origin, way, far, leaving), shut)
    moved = torus.vertices.clone()
    moved[:, 0] += 100  # prepared triangles are not those of another place
    assert not bool(crossings.blocked(moved, torus.faces, origin, way, far, leaving).any())
