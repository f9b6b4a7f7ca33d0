"""A baked scene is the rendered one."""

import pytest
import torch

import neurotex as nt
from tests import tiny


@pytest.fixture
def rich(scene, plate) -> nt.Scene:
    """Two textured materials and a constant one without UVs, coloured lights of every kind, three kinds of camera."""
    texture = nt.ImageTexture(torch.rand(3, 7, 5), wrap="clamp", trainable=True)
    plate.material = nt.Material(texture)
    bare = nt.Mesh(0.4 * plate.vertices, plate.faces, material=nt.Material((0.9, 0.3, 0.2)))
    for k, mesh in enumerate((plate, bare)):
        transform = nt.look_at(torch.tensor([0.2, 0.5, -0.6 - k]))
        scene.nodes.append(nt.Node(mesh, transform))
    pinhole = nt.PinholeCamera(nt.look_at(torch.tensor([2.0, 2.0, 2.0])), (30.0, 32.0), (16.0, 14.0), (28, 36))
    scene.cameras.append(pinhole)
    lamp, sun = nt.PointLight((1.0, 2.0, 0.5), (3.0, 1.0, 0.2)), nt.DirectionalLight((0.1, -1.0, -0.5), (0.1, 0.5, 0.9))
    scene.lights.extend([lamp, sun, nt.AmbientLight((0.3, 0.2, 0.1))])
    return scene


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("grid", [1, 4])
def test_baked_and_rendered_images_are_equal(rich, dtype, tolerance, grid):
    rich.to(dtype)
    expected = nt.render(rich, (28, 36), grid=grid)
    baked = nt.bake(rich, (28, 36), grid=grid)
    assert expected[:, 3].mean().item() > 0.1
    assert baked.operator.values.shape[1] == 3
    torch.testing.assert_close(baked(), expected, atol=tolerance, rtol=0)


def test_grey_lights_need_one_value_for_all_channels(scene):
    scene.double()
    baked = nt.bake(scene, 24)
    assert baked.operator.values.shape[1] == 1
    torch.testing.assert_close(baked(), nt.render(scene, 24), atol=1e-12, rtol=0)


def test_an_orthographic_camera_in_parallel_light(torus):
    torus.material = nt.Material(torch.rand(3, 9, 9))
    camera = nt.OrthographicCamera(nt.look_at(torch.tensor([1.0, 3.0, 1.0])), 1.2)
    scene = nt.Scene(torus, camera, nt.DirectionalLight((0.0, -1.0, -0.3), (1.0, 2.0, 3.0))).double()
    image = nt.render(scene, (17, 23))
    assert float(image[:, :3].max()) > 0.1
    torch.testing.assert_close(nt.bake(scene, (17, 23))(), image, atol=1e-12, rtol=0)


def test_gradients_of_baked_and_rendered_images_are_equal(rich):
    rich.double()
    texture = rich.nodes[1].mesh.material.base_color.image
    probe = torch.rand(3, 4, 28, 36, dtype=torch.float64)
    images = [nt.bake(rich, (28, 36))(), nt.render(rich, (28, 36))]
    ours, expected = (torch.autograd.grad((image * probe).sum(), texture)[0] for image in images)
    assert bool(expected.any())
    torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_textures_stay_live(rich):
    baked = nt.bake(rich, 20)
    with torch.no_grad():
        rich.nodes[1].mesh.material.base_color.image.mul_(0.3)
    torch.testing.assert_close(baked(), nt.render(rich, 20), atol=1e-5, rtol=0)


def test_rows_and_images_are_inverses(rich):
    baked = nt.bake(rich, 20)
    image = baked()
    rows = baked.rows(image)
    assert torch.equal(baked.images(rows), image)
    assert torch.equal(rows[:, :3], baked.pixels())
    assert torch.equal(rows[:, 3], baked.alpha)
    assert len(rows) == int((image[:, 3] > 0).sum())


def test_a_view_of_nothing_is_black(scene):
    scene.cameras.insert(0, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 9]), torch.tensor([0.0, 0, 20]))))
    image = nt.bake(scene, 16)()
    assert not bool(image[0].any())
    torch.testing.assert_close(image, nt.render(scene, 16), atol=1e-5, rtol=0)


def test_latents_are_given_per_call(plate, tiny_generator):
    latent = nt.Latent(tiny_generator, "skin").sample()
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    scene = nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(5.0))
    baked, z = nt.bake(scene, 16), torch.randn(1, 4)
    torch.testing.assert_close(baked({"skin": z}), nt.render(scene, 16, latents={"skin": z}), atol=1e-5, rtol=0)


def test_a_texture_of_another_size_asks_for_a_new_bake(rich):
    baked = nt.bake(rich, 20)
    rich.nodes[1].mesh.material.base_color = nt.ImageTexture(torch.rand(3, 4, 4))
    with pytest.raises(nt.SceneError, match="bake it again"):
        baked()


@pytest.mark.parametrize("roughness", [None, 0.4])
def test_a_bake_is_one_of_other_textures_too(roughness):
    """Those of a scene with other materials, to the bit of a bake of that; what else is another is refused."""
    box = tiny.box()
    box.material = nt.Material(nt.ImageTexture(tiny.picture(16)), roughness=roughness)
    scene = nt.Scene(box, tiny.cameras(2), nt.Flash(tiny.FLASH))
    baked = nt.bake(scene, 24, grid=2)
    before = baked()
    other = scene.replace(materials={box.material: box.material.replace(base_color=1 - tiny.picture(16))})
    assert torch.equal(baked.of(other)(), nt.bake(other, 24, grid=2)())
    assert torch.equal(baked(), before)
    assert not torch.allclose(baked.of(other)(), before, atol=0.05)
    larger = scene.replace(materials={box.material: box.material.replace(base_color=tiny.picture(32))})
    with pytest.raises(nt.SceneError, match="bake it again"):
        baked.of(larger)()
    with pytest.raises(nt.SceneError, match=r"cameras\[0\].* is another"):
        baked.of(scene.replace(cameras=tiny.cameras(2, turn=0.3)))
    with pytest.raises(nt.SceneError, match="bake"):
        baked.of(scene.replace(cameras=tiny.cameras(3)))
