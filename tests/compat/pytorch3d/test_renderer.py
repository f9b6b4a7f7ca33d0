"""The same scene drawn by us and by PyTorch3D: the same picture and gradients, and what PyTorch3D cannot draw.

Where PyTorch3D is absent, pictures that it made before stand in for it: tests/golden/plugins/record_renderer.py.
"""

import math
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

import neurotex as nt
from neurotex import shading
from neurotex.compat.pytorch3d.renderer import PyTorch3DRenderer, check_expressible
from neurotex.compat.pytorch3d.scene_lights import SceneLights
from neurotex.errors import MissingError

GOLDEN = Path(__file__).parents[2] / "golden" / "plugins"
RECORDED = runpy.run_path(str(GOLDEN / "record_renderer.py"))
REASON = "PyTorch3D is not installed: its recorded pictures are compared all the same"


@pytest.fixture
def pytorch3d() -> Any:
    """PyTorch3D's renderer module."""
    return pytest.importorskip("pytorch3d.renderer", reason=REASON, exc_type=ImportError)


def _psnr(image: Tensor, other: Tensor) -> float:
    """In decibels, for linear values up to 1."""
    return -10 * math.log10(max(float((image - other).detach().square().mean()), 1e-20))


def _aligned(grad: Tensor, other: Tensor) -> tuple[float, float]:
    """(cosine, ratio of norms)."""
    grad, other = grad.flatten().double(), other.flatten().double()
    return float(cosine_similarity(grad, other, dim=0)), float(grad.norm() / other.norm())


@pytest.fixture(params=RECORDED["NAMES"])
def recorded(request) -> tuple[nt.Scene, dict[str, Tensor]]:
    """A scene that PyTorch3D has drawn, and what it recorded."""
    with np.load(GOLDEN / f"renderer_{request.param}.npz") as file:
        data = {name: torch.from_numpy(file[name]) for name in file.files}
    scene = RECORDED["build"](request.param)
    scene.load_state_dict({name[6:]: value for name, value in data.items() if name.startswith("state/")})
    return scene, data


def test_our_picture_and_gradients_are_those_that_pytorch3d_recorded(recorded):
    scene, data = recorded
    image = nt.render(scene, RECORDED["SIZE"], grid=RECORDED["GRID"])
    assert bool((image[:, :3] > 0.1).any())
    assert bool((image[:, 3] == 0).any())
    assert _psnr(image, data["image"]) > 100
    grads = RECORDED["gradients"](image, scene)
    assert any("latent" in name for name in grads)
    for name, grad in grads.items():
        cosine, ratio = _aligned(grad, data[f"grad/{name}"])
        assert cosine > 0.99999, name
        assert ratio == pytest.approx(1, abs=1e-3), name


def test_without_pytorch3d_it_is_said_how_to_get_it(scene, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "pytorch3d"] + ["pytorch3d"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingError, match=r"PyTorch3D is not installed.*INSTALL\.md"):
        PyTorch3DRenderer(scene)


# ------------------------------------------------------------------------------------------------------------- lights


def _lights(trainable: bool = False) -> list[nt.Light]:
    lamps = [nt.PointLight((1.0, 2, 3), (5.0, 6, 7)), nt.DirectionalLight((-1.0, -1, -0.3), 0.7), nt.AmbientLight(0.2)]
    return [*lamps, nt.EnvironmentLight(torch.rand(3, 8, 16), 0.4, trainable), nt.Flash(3.0)]


def test_scene_lights_are_the_light_of_our_diffuse_surfaces():
    cameras = nt.orbit(2, 3.0)
    lights, normals, points = _lights(), torch.randn(2, 4, 5, 3, 3), torch.randn(2, 4, 5, 3, 3)
    ours = SceneLights(lights, cameras)
    found = ours.diffuse(normals, points)
    for k, camera in enumerate(cameras):
        placed = [light for light in lights if isinstance(light, nt.scene.PlacedLight)]
        where = torch.stack([light.point(camera) for light in placed])
        strength, ambient = torch.stack([light.intensity for light in placed]), lights[2].intensity
        position, normal = points[k].view(-1, 3), normals[k].view(-1, 3)
        wanted = shading.diffuse(position, normal, camera.eye, where, strength, ambient)
        wanted = wanted + shading.environment_diffuse(position, normal, camera.eye, lights[3].maps()[0])
        torch.testing.assert_close(found[k].view(-1, 3), wanted)
        alone = SceneLights(lights, camera).diffuse(normals[k].view(-1, 3), points[k].view(-1, 3))  # packed
        torch.testing.assert_close(alone, wanted)
    assert not bool(ours.specular(normals, points, None, None).any())
    assert not bool(ours.ambient_color.any())
    assert torch.equal(ours.clone().diffuse(normals, points), found)
    alone = SceneLights(lights, cameras[0])
    assert alone.gather_props(torch.zeros(7, dtype=torch.long)) is alone


def test_empty_places_are_dark_and_leave_gradients_finite():
    lights, camera = _lights(trainable=True), nt.orbit(1, 3.0)[0]
    normals, points = torch.randn(1, 2, 3, 1, 3), torch.randn(1, 2, 3, 1, 3)
    normals[:, 1], points[:, 1] = 0, 0
    normals.requires_grad_(), points.requires_grad_()
    light = SceneLights([*lights, nt.PointLight((0.0, 0, 0), 1.0)], camera).diffuse(normals, points)
    assert not bool(light[:, 1].any())
    assert bool((light[:, 0] > 0).all())
    grads = torch.autograd.grad((light * torch.rand_like(light)).sum(), [normals, points, lights[3].image])
    for grad in grads:
        assert bool(grad.isfinite().all() and grad.any())
    assert not bool(grads[0][:, 1].any())


def test_lights_need_lights_and_as_many_cameras_as_images():
    camera = nt.orbit(1, 3.0)[0]
    with pytest.raises(nt.ArgumentError, match="at least one light"):
        SceneLights([], camera)
    lights = SceneLights(nt.AmbientLight(1.0), [camera, camera])
    with pytest.raises(nt.ArgumentError, match="seen by 2 cameras"):
        lights.diffuse(torch.rand(3, 4, 4, 1, 3), torch.rand(3, 4, 4, 1, 3))
    with pytest.raises(nt.ArgumentError, match="seen by 2 cameras"):
        lights.diffuse(torch.rand(2, 3), torch.rand(2, 3))
    with pytest.raises(nt.ArgumentError, match="vertices"):
        lights.gather_props(torch.zeros(2, dtype=torch.long))


# ----------------------------------------------------------------------------------------------------------- refusals


def test_what_phong_shaders_cannot_express_is_refused_by_name(scene, torus):
    skin = torus.material.base_color
    refused = {
        "material 'shiny' has a roughness map": nt.Material(skin, "shiny", roughness=0.5),
        "'steel' has a roughness and a metallic map": nt.Material(skin, "steel", roughness=0.5, metallic=1.0),
        "'bumpy' has a normal map": nt.Material(skin, "bumpy", normal=torch.rand(3, 4, 4)),
        "'lace' has an alpha_cutoff": nt.Material(nt.ImageTexture(torch.rand(4, 4, 4)), "lace", alpha_cutoff=0.5),
    }
    check_expressible(scene)
    for message, material in refused.items():
        torus.material = material
        with pytest.raises(nt.SceneError, match=f"{message}.*neurotex.render"):
            check_expressible(scene)


def test_all_of_a_scene_is_on_one_device_and_in_single_precision(scene):
    with pytest.raises(nt.SceneError, match=r"'/torus' has a mesh of torch.float64.*scene.float"):
        check_expressible(scene.double())
    scene.float().lights[0].to("meta")
    with pytest.raises(nt.SceneError, match=r"'lights.0.intensity' is on meta, but the first mesh on cpu"):
        check_expressible(scene)


# ----------------------------------------------------------------------------------------------------- with PyTorch3D


def _composed(torus, plate, wrap: str, lights: list[nt.Light], cameras: list[nt.Camera]) -> nt.Scene:
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 16, 24), wrap), "noise")
    plate.material = nt.Material(nt.ImageTexture(torch.rand(4, 5, 7), wrap), "tiles")
    plate.uvs = 1.6 * plate.uvs - 0.3
    plain = nt.Mesh(plate.vertices, plate.faces, material=nt.Material((0.3, 0.5, 0.8), "plain"))
    slanted = torch.tensor([[0.5, 0.2, 0.1, 0.2], [0, 0.6, -0.3, -0.9], [0.2, 0.3, 0.9, -0.4], [0, 0, 0, 1.0]])
    mirrored = torch.tensor([[-0.3, 0, 0, -0.7], [0, 0.3, 0, 0.6], [0, 0, 0.3, 0.3], [0, 0, 0, 1.0]])
    nodes = [torus, nt.Node(plate, slanted), nt.Node(plain, mirrored @ slanted), nt.Node(torus, mirrored)]
    return nt.Scene(nodes, cameras, lights)


@pytest.mark.parametrize("wrap", ["repeat", "clamp"])
@pytest.mark.parametrize("size", [48, (30, 44)])
def test_hard_pictures_are_those_of_our_renderer(pytorch3d, torus, plate, wrap, size):
    """All lights and cameras, several materials and instances, and a near plane that cuts."""
    near = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.6, 0.5, 1.4])), 70.0, near=0.75)
    pinhole = nt.PinholeCamera(nt.look_at(torch.tensor([0.5, 0.7, 2.5])), (60.0, 66.0), (36.0, 27.0), (64, 64))
    parallel = nt.OrthographicCamera(nt.look_at(torch.tensor([-0.5, 1.7, 2.5])), 1.3, near=2.6)
    lights = _lights()
    scenes = [
        _composed(torus, plate, wrap, lights, [near, pinhole]),
        nt.Scene([torus, plate], [parallel], lights[:4]),  # a Flash has no place there
    ]
    for scene in scenes:
        ours = nt.render(scene, size, grid=2)
        for rasterizer in (None, pytorch3d.MeshRasterizer):
            theirs = PyTorch3DRenderer(scene, rasterizer=rasterizer)(size, grid=2)
            assert theirs.shape == ours.shape
            assert torch.equal(theirs[:, 3], ours[:, 3])
            assert _psnr(theirs, ours) > 90


def test_gradients_are_those_of_our_renderer(pytorch3d, torus, plate, tiny_generator):
    """To latent, weights, texels, vertices and the image of the environment."""
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").bind(torch.randn(4)))
    pixels = nt.ImageTexture(torch.rand(3, 5, 7), trainable=True)
    torus.material, plate.material = nt.Material(skin), nt.Material(pixels)
    torus.vertices = torus.vertices.clone().requires_grad_()
    scene = nt.Scene([torus, plate], nt.orbit(2, 3.1, elevation=35.0), _lights(trainable=True))
    leaves = [*scene.parameters(), torus.vertices]
    renderer = PyTorch3DRenderer(scene)
    assert set(renderer.parameters()) == set(scene.parameters())
    images = [nt.render(scene, 32, grid=2), renderer(32, grid=2)]
    probe = torch.rand_like(images[0])
    grads = [torch.autograd.grad((image * probe).sum(), leaves) for image in images]
    for ours, theirs in zip(*grads, strict=True):
        cosine, ratio = _aligned(theirs, ours)
        assert cosine > 0.9999
        assert ratio == pytest.approx(1, abs=1e-3)


def test_a_generator_runs_once_per_render(pytorch3d, torus, plate, tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").bind(torch.randn(4)))
    levels = skin.through(nt.discrete.Levels(4))
    torus.material, plate.material = nt.Material(skin), nt.Material(levels)
    scene = nt.Scene([torus, plate, nt.Node(torus)], nt.orbit(3, 3.0), nt.Flash(5.0))
    for blend in (None, nt.Blend()):
        tiny_generator.calls = 0
        PyTorch3DRenderer(scene, blend=blend)(16, grid=1)
        assert tiny_generator.calls == 1


def test_latents_given_are_as_good_as_bound(pytorch3d, plate, tiny_generator):
    latent, z = nt.Latent(tiny_generator, "skin"), torch.randn(1, 4)
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    renderer = PyTorch3DRenderer(nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(5.0)))
    given = renderer(16, latents={"skin": z})
    with pytest.raises(nt.SceneError, match="'skin' is unbound"):
        renderer(16)
    with pytest.raises(nt.SceneError, match="no latent 'skim'"):
        renderer(16, latents={"skin": z, "skim": z})
    latent.bind(z)
    assert torch.equal(given, renderer(16))


def test_soft_pictures_become_hard_and_have_gradients_at_silhouettes(pytorch3d, scene, torus):
    hard = PyTorch3DRenderer(scene)(32, grid=2)
    torus.vertices = torus.vertices.clone().requires_grad_()
    near = []
    for sigma, gamma in ((1e-4, 1e-4), (1e-6, 1e-5), (1e-9, 1e-5)):
        blend = nt.Blend(sigma, gamma, background=(0.0, 0.0, 0.0))
        soft = PyTorch3DRenderer(scene, blend=blend)(32, grid=2)
        near.append(_psnr(soft, hard))
    assert near == sorted(near)
    assert near[-1] > 60
    blend = nt.Blend(1e-3, 1e-3, background=(1.0, 0.5, 0.0))
    images = [
        PyTorch3DRenderer(scene, blend=blend, rasterizer=kind)(16, grid=1) for kind in (None, pytorch3d.MeshRasterizer)
    ]
    torch.testing.assert_close(*images, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(images[0][:, :3, 0, 0], torch.tensor([1.0, 0.5, 0.0]).expand(2, 3))
    assert bool(((images[0][:, 3] > 0.05) & (images[0][:, 3] < 0.95)).any())
    # coverage, which the hard picture has no slope of
    for image in images:
        grad = torch.autograd.grad(image[:, 3].sum(), torus.vertices)[0]
        assert bool(grad.isfinite().all())
        assert float(grad.norm()) > 0.1


def test_layers_and_blur_may_be_given(pytorch3d, scene):
    blend = nt.Blend(1e-3)
    assert PyTorch3DRenderer(scene, blend=blend).faces_per_pixel == 8
    assert PyTorch3DRenderer(scene, blend=blend).blur_radius == pytest.approx(math.log(9999) * 1e-3)
    given = PyTorch3DRenderer(scene, blend=blend, faces_per_pixel=2, blur_radius=1e-3)
    assert (given.faces_per_pixel, given.blur_radius) == (2, 1e-3)
    assert not torch.equal(given(16, grid=1), PyTorch3DRenderer(scene, blend=blend)(16, grid=1))
    with pytest.raises(nt.ArgumentError, match="faces_per_pixel is 0"):
        PyTorch3DRenderer(scene, faces_per_pixel=0)
    with pytest.raises(nt.ArgumentError, match="blur_radius"):
        PyTorch3DRenderer(scene, blur_radius=-1.0)


def test_lights_of_a_scene_go_into_a_pytorch3d_pipeline(pytorch3d, scene):
    """Two views as one batch, one Flash at each camera, and per-vertex shading."""
    from neurotex.compat.pytorch3d import to_camera, to_meshes

    flat = [to_camera(camera, 32) for camera in scene.cameras]
    names = ("focal_length", "principal_point", "R", "T")
    batch = {name: torch.cat([getattr(camera, name) for camera in flat]) for name in names}
    cameras = pytorch3d.PerspectiveCameras(**batch)
    meshes = to_meshes(scene, linear=True)
    lights = SceneLights(scene.lights, scene.cameras)
    shader = pytorch3d.HardPhongShader(
        cameras=cameras, lights=lights, blend_params=pytorch3d.BlendParams(background_color=(0.0, 0.0, 0.0))
    )
    settings = pytorch3d.RasterizationSettings(image_size=32, z_clip_value=1e-3)
    renderer = pytorch3d.MeshRenderer(pytorch3d.MeshRasterizer(cameras, settings), shader).to("cpu")
    twice = meshes.extend(2)
    twice._set_verts_normals([meshes.verts_normals_packed()] * 2)  # extend forgets them
    image = renderer(twice).movedim(-1, 1)
    assert _psnr(image, nt.render(scene, 32, grid=1)) > 90
    assert len(lights.clone().cameras) == 2


def test_there_is_something_to_see_or_it_is_said(pytorch3d, scene, torus, plate):
    for what, message in (("cameras", "has no camera"), ("lights", "has no light")):
        empty = nt.Scene(torus, scene.cameras, scene.lights)
        setattr(empty, what, torch.nn.ModuleList())
        with pytest.raises(nt.SceneError, match=message):
            PyTorch3DRenderer(empty)(8)
    with pytest.raises(nt.ArgumentError, match="grid is 0"):
        PyTorch3DRenderer(scene)(8, grid=0)
    torus.material = nt.Material((0.5, 0.5, 0.5), "shiny", roughness=0.5)
    with pytest.raises(nt.SceneError, match="'shiny' has a roughness map"):
        PyTorch3DRenderer(scene)(8)
    parallel = nt.Scene(plate, nt.OrthographicCamera(), nt.Flash(1.0))
    with pytest.raises(nt.SceneError, match="Flash"):
        PyTorch3DRenderer(parallel)(8)
