"""Lights of a bake: live where surfaces are glossy, refused by name where they are baked in."""

import warnings

import pytest
import torch

import neurotex as nt

SIZE = (12, 10)
GLOSSY = {"roughness": 0.4, "metallic": 0.3}


@pytest.fixture
def stage(plate, torus) -> nt.Scene:
    """A glossy plate before a diffuse torus, under a light of every kind."""
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 6, 5), trainable=True), **GLOSSY)
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 7)))
    lights = [
        nt.Flash((3.0, 2.0, 1.0)),
        nt.PointLight((1.0, 2.0, 0.5), (3.0, 1.0, 0.2)),
        nt.DirectionalLight((0.1, -1.0, -0.5), 0.5),
        nt.AmbientLight(0.3),
        nt.EnvironmentLight(torch.rand(3, 4, 8), 0.7),
    ]
    nodes = [plate, nt.Node(torus, nt.look_at(torch.tensor([0.3, 0.2, -0.8])))]
    return nt.Scene(nodes, nt.orbit(2, 3.5, elevation=30.0), lights).double()


def _tensors(scene: nt.Scene) -> dict[str, torch.Tensor]:
    return {f"{k}.{name}": t for k, light in enumerate(scene.lights) for name, t in light.named_buffers()}


def _equal(scene: nt.Scene, baked: nt.renderers.BakedScene) -> torch.Tensor:
    image = baked()
    torch.testing.assert_close(image, nt.render(scene, SIZE, grid=2), atol=1e-12, rtol=1e-12)
    return image


@pytest.mark.parametrize("normals", [False, True])
def test_lights_stay_live_where_a_surface_is_glossy(stage, normals):
    if normals:
        stage.meshes()[1].material.normal = nt.ImageTexture(0.3 + 0.4 * torch.rand(3, 4, 4)).double()
    baked = nt.bake(stage, SIZE, grid=2)
    image = _equal(stage, baked)
    for name, tensor in _tensors(stage).items():
        with torch.no_grad():
            tensor.mul_(1.5).add_(0.01)
        changed = _equal(stage, baked)
        assert not torch.equal(image, changed), name
        image = changed
    stage.lights[1].position = torch.tensor([-1.0, 0.5, 2.0]).double()  # another tensor
    stage.lights.append(nt.PointLight((0.0, 1.0, 3.0), 2.0).double())
    assert not torch.equal(image, _equal(stage, baked))


def test_gradients_to_lights_are_those_of_render(stage):
    baked = nt.bake(stage, SIZE, grid=2)
    leaves = {name: tensor.requires_grad_() for name, tensor in _tensors(stage).items()}
    probe = torch.rand(2, 4, *SIZE, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = [baked(), nt.render(stage, SIZE, grid=2)]
    ours, expected = (torch.autograd.grad((image * probe).sum(), tuple(leaves.values())) for image in images)
    for name, a, b in zip(leaves, ours, expected, strict=True):
        assert bool(b.any()), name
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11, msg=lambda m, name=name: f"{name}: {m}")


def test_a_light_is_found_again_through_a_bake(stage):
    with torch.no_grad():
        target = nt.render(stage, SIZE, grid=2)
    strength = stage.lights[1].intensity
    aim = strength.clone()
    strength.mul_(0.3).requires_grad_()
    baked, optimizer = nt.bake(stage, SIZE, grid=2), torch.optim.Adam([strength], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        (baked() - target).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(strength.detach(), aim, atol=0.02, rtol=0)


def test_a_diffuse_bake_refuses_lights_that_have_changed(scene):
    baked = nt.bake(scene, 12)
    before = baked()
    scene.lights[0].intensity = scene.lights[0].intensity.clone()
    assert torch.equal(baked(), before)  # another tensor of the same values
    scene.load_state_dict(scene.state_dict())
    assert torch.equal(baked(), before)
    scene.lights[0].intensity.mul_(2)
    for draw in (baked, baked.pixels):
        with pytest.raises(nt.SceneError, match=r"lights\[0\].intensity has changed since the bake, .*: bake again"):
            draw()
    scene.lights[0].intensity.div_(2)
    assert torch.equal(baked(), before)
    scene.lights.append(nt.AmbientLight(0.1))
    with pytest.raises(nt.SceneError, match="the number of lights has changed"):
        baked()


@pytest.mark.parametrize("maps", [{}, GLOSSY], ids=["diffuse", "glossy"])
def test_what_else_is_baked_in_is_refused_too(plate, maps):
    plate.material = nt.Material(torch.rand(3, 4, 4), **maps)

    def baked() -> tuple[nt.Scene, nt.renderers.BakedScene]:
        arrays = [t.clone() for t in (plate.vertices, plate.faces, plate.uvs)]
        scene = nt.Scene(nt.Mesh(*arrays, material=plate.material), nt.orbit(2, 3.0), nt.Flash(5.0))
        return scene, nt.bake(scene, 8)

    for change, path in (
        (lambda scene: scene.meshes()[0].vertices.mul_(1.1), "node '/mesh': mesh.vertices"),
        (lambda scene: scene.nodes[0].transform[0, 3].add_(0.1), "node '/mesh'.transform"),
        (lambda scene: scene.cameras[1].transform[2, 3].add_(0.1), r"cameras\[1\].transform"),
    ):
        scene, draw = baked()
        draw()
        change(scene)
        with pytest.raises(nt.SceneError, match=f"{path} has changed"):
            draw()


def test_gradients_that_a_bake_does_not_have_are_said_once(scene):
    scene.materials()[0].base_color.image.requires_grad_()
    scene.lights[0].intensity.requires_grad_()
    baked = nt.bake(scene, 8)
    with pytest.warns(UserWarning, match=r"lights\[0\].intensity wants a gradient and gets none: .*; use render"):
        baked()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        baked().sum().backward()


def test_a_bake_moves_to_double_as_a_whole(stage):
    stage.float()
    baked = nt.bake(stage, SIZE, grid=2)
    with torch.no_grad():
        before = baked()
        baked.double()
        after = baked()
    assert after.dtype == torch.float64
    torch.testing.assert_close(after, before.double(), atol=1e-5, rtol=0)
    for half in (torch.float16, torch.bfloat16):
        with pytest.raises(nt.SceneError, match="a baked scene computes in float32 or float64, not in half precision"):
            baked.to(half)
    assert torch.equal(baked().detach(), after)
