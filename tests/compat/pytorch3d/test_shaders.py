"""PyTorch3D's preset on scenes: materials and wraps, one evaluation of each node, gradients, and what is refused.

That images are those of PyTorch3D is for tests/conformance to say.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

import neurotex as nt
from neurotex.compat.pytorch3d.blend import Blend
from neurotex.compat.pytorch3d.fragments import rasterize
from neurotex.compat.pytorch3d.phong import PhongLight, PhongMaterial, area_normals
from neurotex.compat.pytorch3d.shaders import Lookup, Surface, render_phong, shade
from neurotex.discrete import SurrogateGradient, Visibility
from neurotex.discrete.estimators import Gumbel, ScoreFunction, Surrogate
from tests.golden.plugins import record_phong

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


def test_colours_on_the_mesh_have_gradients_and_each_instance_its_own(torus, plate):
    """Beside each other in one scene: vertices, an atlas, and two instances of one mesh."""
    count, faces = len(plate.vertices), len(torus.faces)
    plate.material = nt.Material(nt.VertexTexture(torch.rand(count, 3), trainable=True))
    torus.material = nt.Material(nt.FaceTexture(torch.rand(faces, 2, 2, 3), trainable=True))
    away = nt.look_at(torch.tensor([0.0, 2.0, 0.5]), torch.tensor([0.0, 2.0, -9.0]))
    scene = nt.Scene([plate, torus, nt.Node(plate, away)], nt.orbit(1, 6.0))
    image = render_phong(scene, 48, light=UNLIT)
    leaves = [mesh.material.base_color.image for mesh in (plate, torus)]
    for grad in torch.autograd.grad((image[:, :3] * torch.rand_like(image[:, :3])).sum(), leaves):
        assert bool(grad.isfinite().all() and grad.any())
    seen = image[0, :3].flatten(1).T.detach()
    corner = leaves[0][0, :, :, 0].T.detach()
    assert float((seen[:, None] - corner).abs().amax(2).amin(0).max()) < 0.12  # a pixel lies near each corner
    cells = leaves[1][0].flatten(1).T.detach()
    plain = render_phong(nt.Scene(torus, scene.cameras), 48, light=UNLIT)[0]
    shown = plain[:3, plain[3] > 0].T.detach()
    assert float((shown[:, None] - cells).abs().amax(2).amin(1).max()) < 1e-5  # and atlases are not interpolated


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
    normals, elements = area_normals(corners, torch.arange(18).view(6, 3)), torch.randint(6, (6, 4))
    surface = Surface(corners, normals, torch.rand(6, 3, 2), torch.arange(6) % 4, elements)
    textures = [(torch.rand(3, 4, 4), Lookup()), (torch.rand(3, 2, 5), Lookup(padding_mode="zeros"))]
    textures += [(torch.rand(3, 6, 1), "vertex"), (torch.rand(3, 6, 4), "face")]
    eyes = torch.tensor([[0.0, 0, -1], [1.0, 2, 0]])
    options = {"shading": shading, "light": PhongLight.towards((0, 1, -1))}
    modes = {"faces_per_pixel": 3, "blur_radius": 1e-3}
    together = shade(rasterize(corners, (9, 7), first=(0, 4), **modes), surface, textures, eyes, **options)
    assert together.shape == (2, 4, 9, 7)
    for k, owned in enumerate((slice(0, 4), slice(4, 6))):
        part = Surface(*(values[owned] for values in vars(surface).values()))
        alone = shade(rasterize(corners[owned], (9, 7), **modes), part, textures, eyes[k : k + 1], **options)
        torch.testing.assert_close(together[k], alone[0])


SOFT = {"faces_per_pixel": 8, "blur_radius": 1e-3, "blend": Blend(sigma=1e-4, background=(0.1, 0.5, 0.9))}


@pytest.mark.parametrize("shading", ["hard_phong", "hard_flat"])
def test_the_surrogate_gradient_draws_the_hard_picture_to_the_bit(torus, shading):
    """Blurred layers are rounded otherwise, faces coincide, and pixels have more layers than are kept."""
    torus.material = nt.Material(torch.rand(3, 16, 24))
    again = nt.Mesh(torus.vertices, torus.faces, torus.uvs, torus.normals, nt.Material((0.9, 0.2, 0.1)))
    scene = nt.Scene([torus, again], nt.orbit(3, 3.0, elevation=35.0))
    hard = render_phong(scene, 48, shading=shading, blend=SOFT["blend"])
    step = Visibility(SurrogateGradient(0.1))
    for layers in (1, 8):
        options = {**SOFT, "faces_per_pixel": layers, "shading": shading, "visibility": step}
        assert torch.equal(render_phong(scene, 48, **options), hard)
    assert torch.equal(render_phong(scene, 48, **{**options, "visibility": Visibility("gumbel").eval()}), hard)
    assert not torch.equal(render_phong(scene, 48, **{**options, "visibility": Visibility()}), hard)


def test_as_it_cools_the_surrogate_becomes_the_hard_picture(torus):
    torus.material = nt.Material(torch.rand(3, 16, 24))
    scene = nt.Scene(torus, nt.orbit(1, 3.0, elevation=35.0))
    hard = render_phong(scene, 48)
    errors = []
    for cool in (1e-1, 1e-2, 1e-4, 1e-7):
        soft = {"faces_per_pixel": 8, "blur_radius": 1e-3 * cool, "blend": Blend(sigma=1e-3 * cool)}
        image = render_phong(scene, 48, visibility=Visibility(Surrogate(cool)), **soft)
        errors.append(float((image - hard).abs().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-5


def test_surrogate_layers_are_those_of_soft_phong_over_the_background():
    """The same fragments, at the same temperature: alpha is equal, and colours fade out with it."""
    corners = torch.rand(20, 3, 3).double() * torch.tensor([2.0, 2, 1]) + torch.tensor([-1.0, -1, 2])
    normals = area_normals(corners, torch.arange(60).view(20, 3))
    surface = Surface(corners, normals, torch.rand(20, 3, 2).double(), torch.zeros(20, dtype=torch.int64))
    fragments = rasterize(corners, (12, 9), faces_per_pixel=6, blur_radius=1e-2)
    blend = Blend(sigma=1e-3, gamma=1e-3, background=(0.1, 0.5, 0.9))
    given = (fragments, surface, [(torch.rand(3, 4, 4).double(), Lookup())], torch.tensor([[0.0, 0, -1]]).double())
    theirs = shade(*given, shading="soft_phong", blend=blend)
    step = Visibility(Surrogate(blend.gamma * (blend.zfar - blend.znear)))
    ours = shade(*given, shading="soft_phong", blend=blend, visibility=step)
    alpha, background = theirs[:, 3:], torch.tensor(blend.background).double().view(3, 1, 1)
    torch.testing.assert_close(ours[:, 3:], alpha)
    torch.testing.assert_close(ours[:, :3], alpha * theirs[:, :3] + (1 - alpha) * background, atol=1e-8, rtol=1e-7)
    silhouette = shade(*given, shading="soft_silhouette", blend=blend, visibility=step)
    torch.testing.assert_close(silhouette, shade(*given, shading="soft_silhouette", blend=blend))


def test_a_hidden_surface_finds_its_way_out(plate):
    """A box behind the plate is to be in front of it, elsewhere. The hard picture says nothing of how to get there."""
    plate.material = nt.Material((0.2, 0.4, 0.8))
    bits = torch.tensor([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    quads = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    box = nt.Mesh(
        0.4 * bits, torch.cat([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]), material=nt.Material((0.9, 0.2, 0))
    )
    scene = nt.Scene([plate, box], nt.PerspectiveCamera(nt.look_at(torch.tensor([0.01, 0.02, 3.5])), 45.0))

    def draw(place: Tensor, **options: object) -> Tensor:
        box.vertices = 0.4 * bits + place
        return render_phong(scene, 24, light=UNLIT, **options)

    goal = torch.tensor([0.3, 0.2, 0.5])
    target = draw(goal)
    place = torch.tensor([-0.1, 0.0, -0.6], requires_grad=True)
    start = (draw(place) - target).square().mean()
    assert not bool(torch.autograd.grad(start, place)[0].any())
    soft = {"faces_per_pixel": 8, "blur_radius": 0.027, "blend": Blend(sigma=3e-3)}
    optimizer, step = torch.optim.Adam([place], 0.05), Visibility(SurrogateGradient(0.2))
    losses = []
    for _ in range(60):
        loss = (draw(place, visibility=step, **soft) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    assert torch.equal(losses[0], start.detach())
    assert float(min(losses[-10:])) < 0.15 * float(losses[0])  # no more than one row of pixels is left
    assert float((place.detach() - goal)[:2].abs().max()) < 0.1  # a pixel is 0.12 wide


@pytest.mark.parametrize("estimator", [Gumbel(0.3), ScoreFunction(0.3)], ids=repr)
def test_layers_may_be_drawn_at_random(plate, estimator):
    """Two plates, 0.1 apart: the farther one shows at its odds, and depths get a gradient."""
    behind = nt.Mesh(plate.vertices.clone().requires_grad_(), plate.faces, material=nt.Material((1.0, 0, 0)))
    plate.material = nt.Material((0.0, 0, 0))
    scene, step = (
        nt.Scene([plate, nt.Node(behind, nt.look_at(torch.tensor([0, 0, -0.1])))], _front()),
        Visibility(estimator),
    )

    def red() -> Tensor:
        return render_phong(scene, 60, light=UNLIT, faces_per_pixel=2, visibility=step)[0, 0].mean()

    assert float(red().detach()) == pytest.approx(1 / (1 + math.exp(0.1 / 0.3)), abs=0.03)
    nt.discrete.expected_loss(red, step, draws=16).backward()
    assert bool(behind.vertices.grad.isfinite().all() and behind.vertices.grad[:, 2].any())


def test_an_empty_image_is_background_with_gradients_of_zero(plate):
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 4), trainable=True))
    scene = nt.Scene(plate, nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 3]), torch.tensor([0.0, 0, 9]))))
    for shading in ("hard_phong", "soft_phong", "hard_flat", "soft_silhouette"):
        image = render_phong(scene, 6, shading=shading)
        assert torch.equal(image[0], torch.tensor([1.0, 1, 1, 0])[:, None, None].expand(4, 6, 6))
        assert torch.equal(render_phong(scene, 6, shading=shading, visibility=Visibility()), image)


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


@pytest.mark.parametrize("name", record_phong.NAMES)
def test_pictures_are_those_that_pytorch3d_made(name):
    """Eyes inside of meshes and before faces that reach behind them, oblong pixels, lights and materials by view."""
    scene, options = record_phong.build(name)
    with np.load(record_phong.FILE) as recorded:
        wanted = torch.from_numpy(recorded[name])
    image = render_phong(scene, record_phong.SIZE, **options)
    assert torch.equal(image[:, 3], wanted[:, 3])
    torch.testing.assert_close(image, wanted, atol=2e-5, rtol=0)


def test_a_view_has_a_light_and_a_material_of_its_own(torus, unchecked):
    torus.material = nt.Material((0.5, 0.5, 0.5))
    scene = nt.Scene(torus, nt.orbit(2, 3.0))
    lights = [PhongLight.at((0, 2, 3)), PhongLight.towards((1, 0, 0), diffuse=(0.9, 0.1, 0.1))]
    materials = [PhongMaterial(shininess=4.0), PhongMaterial(diffuse=(0.2, 0.8, 0.4))]
    image = render_phong(scene, 16, light=lights, material=materials)
    for k in range(2):
        alone = render_phong(nt.Scene(torus, scene.cameras[k]), 16, light=lights[k], material=materials[k])
        assert torch.equal(image[k], alone[0])
    assert torch.equal(render_phong(scene, 16, light=lights[:1]), render_phong(scene, 16, light=lights[0]))
    for what, given, message in (
        (
            "light",
            [*lights, *lights],
            "light: 4 are given for 2 views.*PyTorch3D's shading an image has one.*neurotex.render adds up",
        ),
        ("light", [], "light is a neurotex PhongLight, .*not an empty sequence"),
        ("light", nt.Flash(7.0), "not a Flash: from_lights"),
        ("material", [materials[0], nt.Material()], "not a Material: from_materials"),
        ("blend", {"sigma": 1e-4}, "blend is a neurotex.Blend, not a dict"),
    ):
        with pytest.raises(nt.ArgumentError, match=message):
            render_phong(scene, 16, **{what: given})


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
