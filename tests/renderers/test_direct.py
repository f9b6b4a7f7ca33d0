"""The embedded renderer: radiance and coverage worked out by hand, one evaluation per render, and what is refused."""

import math

import pytest
import torch
from torch.autograd import gradcheck

import neurotex as nt


def _shifted(x: float, y: float, z: float) -> torch.Tensor:
    out = torch.eye(4)
    out[:3, 3] = torch.tensor([x, y, z])
    return out


def test_a_plate_under_a_flash_is_as_bright_as_lambert_says(plate):
    plate.material = nt.Material((1.0, 1.0, 1.0))
    scene = nt.Scene(plate, nt.PerspectiveCamera(_shifted(0, 0, 2), 20.0), nt.Flash((7.0, 5.0, 3.0)))
    image = nt.render(scene, 33)[0]
    assert bool((image[3] == 1).all())
    torch.testing.assert_close(image[:3, 16, 16], torch.tensor([7.0, 5, 3]) / math.pi / 4, rtol=1e-4, atol=0)
    tangent = (16 / 16.5) * math.tan(math.radians(10))  # the leftmost column: one cosine of its angle, two from 1 / d²
    assert float(image[0, 16, 0]) == pytest.approx(7 / math.pi / 4 / (1 + tangent**2) ** 1.5, rel=1e-4)


def test_a_texture_is_decoded_and_lies_the_right_way_up(plate):
    pixels = torch.zeros(3, 2, 2)
    pixels[0, 0, 0], pixels[1, 0, 1], pixels[2, 1, 0], pixels[:, 1, 1] = 1, 0.5, 1, 1
    plate.material = nt.Material(nt.ImageTexture(pixels, wrap="clamp"))
    scene = nt.Scene(plate, nt.OrthographicCamera(_shifted(0, 0, 2)), nt.AmbientLight(1.0))
    image = nt.render(scene, 8)[0, :3]
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([1.0, 0, 0]))
    torch.testing.assert_close(image[:, 0, 7], torch.tensor([0, ((0.5 + 0.055) / 1.055) ** 2.4, 0]))
    torch.testing.assert_close(image[:, 7, 0], torch.tensor([0.0, 0, 1]))
    torch.testing.assert_close(image[:, 7, 7], torch.ones(3))


def test_alpha_is_the_covered_share_of_a_pixel(plate):
    """The plate covers x from 2 to 6 of 8 pixels; shifted by a quarter of a pixel, three quarters of one border."""
    camera = nt.OrthographicCamera(_shifted(0, 0, 2), ymag=2.0)
    scene = nt.Scene(nt.Node(plate, _shifted(0.125, 0, 0)), camera, nt.AmbientLight(1.0))
    alpha = nt.render(scene, 8)[0, 3]
    assert alpha[4].tolist() == [0, 0, 0.75, 1, 1, 1, 0.25, 0]
    assert alpha[:, 4].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    torch.testing.assert_close(alpha.sum(), torch.tensor(16.0))


def test_images_are_not_square_when_asked(scene):
    image = nt.render(scene, (20, 34))
    assert image.shape == (2, 4, 20, 34)
    wide, tall = image[:, 3].sum((0, 1)), image[:, 3].sum((0, 2))
    assert float(wide.sum()) == pytest.approx(float(tall.sum()))
    torch.testing.assert_close(nt.render(scene, (20, 20)), image[..., 7:27], atol=1e-5, rtol=0)  # more to the sides


def test_latents_given_are_as_good_as_bound(plate, tiny_generator):
    latent = nt.Latent(tiny_generator, "skin")
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    scene = nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(5.0))
    z = torch.randn(1, 4)
    given = nt.render(scene, 16, latents={"skin": z})
    latent.bind(z)
    assert torch.equal(given, nt.render(scene, 16))


def _six_uses(plate, torus, textures) -> nt.Scene:
    """Three meshes, two instances of each, four views; `textures` are those of the three meshes."""
    plate.double()
    meshes = [plate, torus, nt.Mesh(plate.vertices * 0.7, plate.faces, plate.uvs)]
    for mesh, texture in zip(meshes, textures, strict=True):
        mesh.material = nt.Material(texture)
    nodes = [nt.Node(mesh, _shifted(3 * k - 3, 3 * i - 1.5, 0)) for k, mesh in enumerate(meshes) for i in range(2)]
    return nt.Scene(nodes, nt.orbit(4, 12.0), [nt.Flash(100.0)]).double()


def test_a_generator_runs_once_and_its_gradient_is_the_sum_over_its_uses(plate, torus, tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator).bind(torch.randn(4)))
    leaves = [skin.latent.value, *tiny_generator.parameters()]

    def gradient(textures: list[nt.Texture]) -> list[torch.Tensor]:
        image = nt.render(_six_uses(plate, torus, textures), 24, grid=2)
        return torch.autograd.grad((image[:, :3] * probe).sum(), [skin.latent.value, *tiny_generator.parameters()])

    probe = torch.rand(4, 3, 24, 24, dtype=torch.float64)
    skin.double()
    tiny_generator.calls = 0
    together = gradient([skin] * 3)
    assert tiny_generator.calls == 1
    black = nt.ConstantTexture((0.0, 0.0, 0.0))
    parts = [gradient([skin if k == use else black for k in range(3)]) for use in range(3)]
    assert len(together) == len(leaves)
    for whole, *pieces in zip(together, *parts, strict=True):
        assert all(bool(piece.any()) for piece in pieces)
        torch.testing.assert_close(whole, sum(pieces), rtol=1e-10, atol=1e-12)


def test_vertices_lights_and_transforms_get_their_gradients(plate):
    """A plate that fills the image: a small step changes shading and lookup, but no silhouette."""
    plate.material = nt.Material(nt.ImageTexture(0.2 + 0.6 * torch.rand(3, 5, 5)))
    node = nt.Node(plate)
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.2, 0.1, 1.1])), 30.0)
    scene = nt.Scene(node, camera, [nt.PointLight((0.5, 0.5, 1.5), 4.0)]).double()

    def image(vertices: torch.Tensor, transform: torch.Tensor, intensity: torch.Tensor) -> torch.Tensor:
        plate.vertices, node.transform, scene.lights[0].intensity = vertices, transform, intensity
        out = nt.render(scene, 4, grid=2)
        assert bool((out[:, 3] == 1).all())
        return out

    bend = torch.randn(4, 3, dtype=torch.float64) * 0.05
    leaves = (plate.vertices + bend, torch.eye(4, dtype=torch.float64), torch.rand(3, dtype=torch.float64))
    assert gradcheck(image, [leaf.requires_grad_() for leaf in leaves], eps=1e-7, atol=1e-5)


def test_what_cannot_be_rendered_is_refused(plate, tiny_generator):
    camera, light = nt.PerspectiveCamera(_shifted(0, 0, 3)), nt.Flash(1.0)
    with pytest.raises(nt.SceneError, match="no camera"):
        nt.render(nt.Scene(plate, (), light))
    with pytest.raises(nt.SceneError, match="no light"):
        nt.render(nt.Scene(plate, camera))
    for image in (nt.render, nt.bake):
        with pytest.raises(nt.SceneError, match="no mesh"):
            image(nt.Scene([], camera, light))
    for size in (0, -3, (0, 5)):
        with pytest.raises(nt.ArgumentError, match="image size"):
            nt.render(nt.Scene(plate, camera, light), size)
    with pytest.raises(nt.ArgumentError, match="grid"):
        nt.render(nt.Scene(plate, camera, light), 8, grid=0)
    with pytest.raises(nt.SceneError, match="orthographic"):
        nt.render(nt.Scene(plate, nt.OrthographicCamera(_shifted(0, 0, 3)), light), 8)
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin")), "hide")
    with pytest.raises(nt.SceneError, match="'skin' is unbound"):
        nt.render(nt.Scene(plate, camera, light), 8)
    with pytest.raises(nt.SceneError, match="'skin' expects shape"):
        nt.render(nt.Scene(plate, camera, light), 8, latents={"skin": torch.zeros(5)})
    plate.material = nt.Material(nt.ImageTexture(torch.rand(1, 4, 4)), "hide")
    with pytest.raises(nt.SceneError, match=r"'hide'.*3 or 4, H, W"):
        nt.render(nt.Scene(plate, camera, light), 8)


def test_photographs_by_mitsuba_are_matched(spot):
    """Two of its views, rendered from the same mesh and texture: at least 55 dB."""
    views = nt.Views.load(spot / "flash")
    scene = nt.Scene.load(spot / "cow.obj", cameras=[views.cameras[k] for k in (0, 5)], lights=views.lights)
    psnr = nt.losses.psnr(nt.render(scene, views.size), views.images[[0, 5]])
    assert float(psnr.mean()) >= 55, psnr.tolist()


def test_a_value_for_an_unknown_latent_is_refused(tiny_generator, scene):
    scene.materials()[0].base_color = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").sample())
    with pytest.raises(nt.SceneError, match=r"no latent 'skim'.*skin"):
        nt.render(scene, 8, latents={"skim": torch.zeros(1, *tiny_generator.latent_shape)})
