"""PyTorch3D's preset on scenes: materials and wraps, one evaluation of each node, gradients, and what is refused.

That images are those of PyTorch3D is for tests/conformance to say.
"""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

import neurotex as nt
from neurotex.raster.fragments import rasterize
from neurotex.renderers.phong import Lookup, Surface, render_phong, shade
from neurotex.shading.blend import Blend
from neurotex.shading.phong import PhongLight, area_normals

UNLIT = PhongLight.everywhere()


def _front(ymag: float = 1.0) -> nt.OrthographicCamera:
    """Sees |x|, |y| ≤ ymag from the front; a trifle aside, as pixels whose centres lie on an edge stay empty."""
    x = 2e-4 * ymag
    return nt.OrthographicCamera(nt.look_at(torch.tensor([x, 0, 2]), torch.tensor([x, 0, 0])), ymag)


def test_textures_are_shown_as_they_are_over_the_background(plate):
    plate.material = nt.Material(nt.ConstantTexture((0.2, 0.5, 0.7)))
    image = render_phong(nt.Scene(plate, _front(2.0)), 8, light=UNLIT, blend=Blend(background=(1.0, 0.0, 0.5)))[0]
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:6, 2:6] = True
    torch.testing.assert_close(image[:, inside], torch.tensor([0.2, 0.5, 0.7, 1])[:, None].expand(4, 16))
    torch.testing.assert_close(image[:, ~inside], torch.tensor([1, 0, 0.5, 0])[:, None].expand(4, 48))


def test_each_face_wears_its_meshes_texture(plate):
    """Two plates side by side, one with pixels, one with a colour, and a third behind with a generator."""
    left = nt.Mesh(plate.vertices * torch.tensor([0.5, 1, 1]) - torch.tensor([0.5, 0, 0]), plate.faces, plate.uvs)
    right = nt.Mesh(plate.vertices * torch.tensor([0.5, 0.5, 1]) + torch.tensor([0.5, 0, 0]), plate.faces)
    behind = nt.Mesh(plate.vertices - torch.tensor([0.0, 0, 1]), plate.faces, plate.uvs)
    stripes = torch.tensor([0.0, 1.0])[None, :, None].expand(3, 2, 1)
    for mesh, texture in zip((left, right, behind), (stripes, (0.1, 0.2, 0.3), (0.9, 0.8, 0.7)), strict=True):
        mesh.material = nt.Material(texture)
    image = render_phong(nt.Scene([left, right, behind], _front()), 8, light=UNLIT)[0, :3]
    torch.testing.assert_close(image[:, :, 1], torch.linspace(1 / 16, 15 / 16, 8).expand(3, 8))
    torch.testing.assert_close(image[:, 4, 5], torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(image[:, 0, 5], torch.tensor([0.9, 0.8, 0.7]))


def test_textures_wrap_as_their_nodes_say_unless_told_otherwise(plate):
    plate.uvs = plate.uvs * 2
    pixels = torch.rand(3, 4, 4)

    def image(wrap: str, lookup: Lookup | None = None) -> Tensor:
        plate.material = nt.Material(nt.ImageTexture(pixels, wrap))
        return render_phong(nt.Scene(plate, _front()), 16, light=UNLIT, lookup=lookup)[0]

    repeated, clamped = image("repeat"), image("clamp")
    torch.testing.assert_close(repeated[:, :8, 8:], repeated[:, 8:, :8], atol=1e-5, rtol=0)
    assert torch.equal(repeated[:, 8:, :8], clamped[:, 8:, :8])
    torch.testing.assert_close(clamped[:3, :8, 8:], pixels[:, :1, -1:].expand(3, 8, 8))
    assert torch.equal(image("repeat", Lookup()), clamped)
    nearest = image("clamp", Lookup(sampling_mode="nearest"))[:3]
    assert set(nearest.flatten().tolist()) <= set(pixels.flatten().tolist())


def test_uv_seams_are_no_creases(torus):
    """The torus, whose seams are doubled, against the same one with neither seams nor UVs."""
    unique, number = (torus.vertices * 1e4).round().unique(dim=0, return_inverse=True)
    assert len(unique) < len(torus.vertices)
    torus.vertices = torch.zeros(len(unique), 3).index_copy(0, number, torus.vertices)[number]  # the same to the bit
    torus.material = nt.Material((0.5, 0.5, 0.5))
    plain = nt.Mesh(torus.vertices[torch.arange(len(number))], torus.faces)
    plain.vertices, plain.faces = torch.zeros(len(unique), 3).index_copy(0, number, torus.vertices), number[torus.faces]
    plain.material = torus.material
    camera, light = nt.orbit(1, 3.0, elevation=35.0), PhongLight.at((1, 3, 2))
    images = [render_phong(nt.Scene(mesh, camera), 48, light=light) for mesh in (torus, plain)]
    torch.testing.assert_close(*images, atol=1e-5, rtol=0)


def test_a_generator_runs_once_and_everything_gets_its_gradient(plate, torus, tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").bind(torch.randn(4)))
    plate.material, torus.material = nt.Material(skin), nt.Material(skin)
    torus.vertices = torus.vertices.clone().requires_grad_()
    place = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    scene = nt.Scene([plate, torus], nt.orbit(3, 3.0))
    for shading in ("hard_phong", "hard_flat", "soft_phong"):
        tiny_generator.calls = 0
        layers = {"faces_per_pixel": 4, "blur_radius": 1e-4} if shading == "soft_phong" else {}
        image = render_phong(scene, 20, shading=shading, light=PhongLight.at(place), **layers)
        assert image.shape == (3, 4, 20, 20)
        assert tiny_generator.calls == 1
        leaves = [torus.vertices, place, skin.latent.value, *tiny_generator.parameters()]
        for grad in torch.autograd.grad((image * torch.rand_like(image)).sum(), leaves):
            assert bool(grad.isfinite().all() and grad.any())
    tiny_generator.calls = 0
    image = render_phong(scene, 20, shading="soft_silhouette", faces_per_pixel=4, blur_radius=1e-3)
    assert tiny_generator.calls == 0
    assert bool(torch.autograd.grad(image.sum(), torus.vertices)[0].any())


def test_latents_given_are_as_good_as_bound(plate, tiny_generator):
    latent, z = nt.Latent(tiny_generator, "skin"), torch.randn(1, 4)
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    scene = nt.Scene(plate, _front())
    given = render_phong(scene, 8, latents={"skin": z})
    latent.bind(z)
    assert torch.equal(given, render_phong(scene, 8))


def test_soft_gradients_are_finite_differences_of_the_image(plate):
    """Silhouettes, hidden layers, lights and lookups at once: two tilted plates, one partly behind the other."""
    # far away, since perspective coordinates outside of a face that is steep or near have poles
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.5, 0.8, 8.0])), 16.0)
    back = nt.Mesh(plate.vertices, plate.faces, plate.uvs, material=nt.Material((0.3, 0.6, 0.9)))
    texture = plate.material.base_color = nt.ImageTexture(torch.rand(3, 4, 4))
    scene, blend = nt.Scene([plate, back], camera).double(), Blend(sigma=1e-2, gamma=1e-1)

    def image(vertices: Tensor, pixels: Tensor, place: Tensor) -> Tensor:
        plate.vertices, texture.image = vertices, pixels
        back.vertices = vertices * 0.9 + vertices.new_tensor([0.3, 0.2, -0.5])
        light = PhongLight.at(place)
        return render_phong(
            scene, 5, shading="soft_phong", faces_per_pixel=4, blur_radius=0.2, light=light, blend=blend
        )

    vertices = torch.tensor([[-0.8, -0.9, 0], [0.7, -0.8, 0.2], [0.9, 0.8, 0.1], [-0.7, 0.6, 0.3]]).double()
    leaves = (vertices, torch.rand(1, 3, 4, 4).double(), torch.tensor([1.0, 2, 3]).double())
    assert gradcheck(image, [leaf.requires_grad_() for leaf in leaves], eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("shading", ["hard_phong", "soft_phong", "hard_flat", "soft_silhouette"])
def test_a_batch_of_images_is_each_of_them(shading):
    """Fragments of two images, with eyes of their own, over one list of faces; the second image is empty at first."""
    corners = torch.rand(6, 3, 3) * torch.tensor([2.0, 2, 1]) + torch.tensor([-1.0, -1, 2])
    surface = Surface(
        corners, area_normals(corners, torch.arange(18).view(6, 3)), torch.rand(6, 3, 2), torch.arange(6) % 2
    )
    textures = [(torch.rand(3, 4, 4), Lookup()), (torch.rand(3, 2, 5), Lookup(padding_mode="zeros"))]
    eyes = torch.tensor([[0.0, 0, -1], [1.0, 2, 0]])
    options = {"shading": shading, "light": PhongLight.towards((0, 1, -1))}
    modes = {"faces_per_pixel": 3, "blur_radius": 1e-3}
    together = shade(rasterize(corners, (9, 7), first=(0, 4), **modes), surface, textures, eyes, **options)
    assert together.shape == (2, 4, 9, 7)
    for k, owned in enumerate((slice(0, 4), slice(4, 6))):
        part = Surface(*(values[owned] for values in vars(surface).values()))
        alone = shade(rasterize(corners[owned], (9, 7), **modes), part, textures, eyes[k : k + 1], **options)
        torch.testing.assert_close(together[k], alone[0])


def test_an_empty_image_is_background_with_gradients_of_zero(plate):
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 4), trainable=True))
    scene = nt.Scene(plate, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 3]), torch.tensor([0.0, 0, 9]))))
    for shading in ("hard_phong", "soft_phong", "hard_flat", "soft_silhouette"):
        image = render_phong(scene, 6, shading=shading)
        assert torch.equal(image[0], torch.tensor([1.0, 1, 1, 0])[:, None, None].expand(4, 6, 6))


def test_faces_in_the_plane_of_the_eye_do_no_harm(plate):
    """The eye lies in the plane of two vertices and before the rest."""
    plate.vertices = torch.tensor([[-1.0, -0.5, 0], [1, -0.5, 0], [1, -0.5, -4], [-1, -0.5, -4]]).requires_grad_()
    plate.material = nt.Material((0.5, 0.5, 0.5))
    scene = nt.Scene(plate, nt.PerspectiveCamera(torch.eye(4), 90.0, near=0.1))
    image = render_phong(scene, 16, light=PhongLight.at((0, 2, -2)))[0]
    assert float(image[3, 12:].detach().mean()) > 0.9
    assert not bool(image[3, :8].any())
    (grad,) = torch.autograd.grad(image.sum(), plate.vertices)
    assert bool(grad.isfinite().all() and grad.any())


def test_what_cannot_be_rendered_is_refused(plate, tiny_generator):
    with pytest.raises(nt.SceneError, match="no camera"):
        render_phong(nt.Scene(plate))
    with pytest.raises(nt.SceneError, match="no mesh"):
        render_phong(nt.Scene([], _front()))
    with pytest.raises(nt.ArgumentError, match=r"'gouraud'.*hard_phong"):
        render_phong(nt.Scene(plate, _front()), 8, shading="gouraud")
    with pytest.raises(nt.ArgumentError, match="image size"):
        render_phong(nt.Scene(plate, _front()), 0)
    with pytest.raises(nt.ArgumentError, match="faces_per_pixel"):
        render_phong(nt.Scene(plate, _front()), 8, faces_per_pixel=0)
    with pytest.raises(nt.ArgumentError, match="sigma"):
        render_phong(nt.Scene(plate, _front()), 8, blend=Blend(sigma=math.nan))
    plate.material = nt.Material(nt.ImageTexture(torch.rand(1, 4, 4)), "hide")
    with pytest.raises(nt.SceneError, match=r"'hide'.*base_color"):
        render_phong(nt.Scene(plate, _front()), 8)
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin")), "hide")
    with pytest.raises(nt.SceneError, match="'skin' is unbound"):
        render_phong(nt.Scene(plate, _front()), 8)
    with pytest.raises(nt.SceneError, match=r"no latent 'skim'"):
        render_phong(nt.Scene(plate, _front()), 8, latents={"skin": torch.zeros(1, 4), "skim": torch.zeros(1, 4)})
