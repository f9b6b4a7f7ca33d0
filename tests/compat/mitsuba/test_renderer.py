"""Scenes of ours, rendered by Mitsuba: pictures and gradients beside neurotex.render's."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import neurotex as nt
from neurotex.compat.mitsuba import MitsubaRenderer
from neurotex.compat.mitsuba import bsdf as bsdf_of_gltf
from neurotex.shading import linear_to_srgb

# Mitsuba compiles sizes and numbers of samples in: few of each keep these tests fast
SIZE, SAMPLES = (36, 54), 256
POSE = nt.look_at(torch.tensor([0.5, 0.4, 3.2]))
CAMERAS = {
    "perspective": nt.PerspectiveCamera(POSE, 45.0),
    "orthographic": nt.OrthographicCamera(POSE, 1.3),
    "stretched": nt.OrthographicCamera(POSE, 1.3, xmag=1.1),
    "pinhole": nt.PinholeCamera(POSE, (84.0, 84.0), (44.0, 51.0), (72, 108)),
}
SKY = torch.stack(torch.meshgrid(torch.linspace(2, 0, 8), torch.linspace(0, 1, 16), indexing="ij"))
SKY = torch.stack([SKY[0], (2 * math.pi * SKY[1]).sin() + 1, (2 * math.pi * SKY[1]).cos() + 1])
LIGHTS = {
    "flash": nt.Flash((9.0, 8.0, 7.0)),
    "point": nt.PointLight((2.0, 2.0, 3.0), (14.0, 10.0, 5.0)),
    "directional": nt.DirectionalLight((-1.0, -1.0, -2.0), 2.0),
    "ambient": nt.AmbientLight((0.8, 0.7, 0.6)),
    "environment": nt.EnvironmentLight(SKY, (0.4, 0.5, 0.5)),
}


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """PSNR of all views together, sRGB-encoded, dB."""
    a, b = (linear_to_srgb(image[:, :3].clamp(0, 1)) for image in (a, b))
    return float(-10 * (a - b).square().mean().log10())


@pytest.mark.parametrize(
    ("shape", "camera", "lights"),
    [
        ("ball", "perspective", ["flash"]),
        ("plate", "orthographic", ["point", "flash_free"]),
        ("ball", "pinhole", ["directional"]),
        ("ball", "orthographic", ["ambient"]),
        ("ball", "stretched", ["point"]),
        ("ball", "perspective", ["environment"]),
        ("plate", "pinhole", ["environment", "ambient", "ambient"]),
    ],
)
@torch.no_grad()
def test_pictures_are_those_of_the_embedded_renderer(mi: Any, request, picture, shape, camera, lights):
    mesh = request.getfixturevalue(shape)
    mesh.material = nt.Material(nt.ImageTexture(picture))
    scene = nt.Scene(mesh, CAMERAS[camera], [LIGHTS[name] for name in lights if name in LIGHTS])
    ours, theirs = nt.render(scene, SIZE, grid=8), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)
    assert theirs.shape == (1, 4, *SIZE)
    assert theirs.dtype == torch.float32
    assert 0.1 < float(ours[:, 3].mean()) < 0.9
    assert difference(ours, theirs) > 42
    assert float((ours[:, 3] - theirs[:, 3]).abs().mean()) < 4e-3


@torch.no_grad()
def test_a_flash_is_at_every_camera_and_sizes_may_change(mi: Any, ball, picture):
    ball.material = nt.Material(nt.ImageTexture(picture))
    scene = nt.Scene(ball, nt.orbit(3, 3.5), [nt.Flash(9.0), nt.Flash(1.0)])
    renderer = MitsubaRenderer(scene)
    for size in (SIZE, 24):
        ours, theirs = nt.render(scene, size, grid=8), renderer(size, spp=SAMPLES)
        assert all(difference(a[None], b[None]) > 42 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("wrap", "kind"), [("repeat", "nearest"), ("repeat", "bilinear"), ("clamp", "bilinear")])
@torch.no_grad()
def test_the_first_row_is_the_top_and_samplers_are_ours(mi: Any, plate, wrap, kind):
    plate.uvs = 2.5 * plate.uvs - 0.75
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 3, 2), wrap, filter=kind))
    scene = nt.Scene(plate, nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 2]))), LIGHTS["directional"])
    assert difference(nt.render(scene, SIZE, grid=8), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)) > 40


@pytest.mark.parametrize("lens", ["perspective", "orthographic"])
@torch.no_grad()
def test_what_is_nearer_than_near_is_not_seen(mi: Any, plate, picture, lens):
    front = nt.Mesh(plate.vertices + torch.tensor([0.0, 0, 1]), plate.faces, plate.uvs)
    plate.material = nt.Material(nt.ImageTexture(picture))
    kind = {"perspective": nt.PerspectiveCamera, "orthographic": nt.OrthographicCamera}[lens]
    camera = kind(nt.look_at(torch.tensor([0.0, 0, 3.2])), {"perspective": 45.0, "orthographic": 1.4}[lens], near=2.5)
    scene = nt.Scene([plate, front], camera, nt.PointLight((0.5, 0.5, 0.6), 1.0))
    assert difference(nt.render(scene, SIZE, grid=8), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)) > 42


@torch.no_grad()
def test_instances_are_where_the_graph_puts_them(mi: Any, ball, plate, picture):
    """Scaled unevenly and mirrored; two materials, one without UVs."""
    ball.material = nt.Material((0.9, 0.3, 0.2))
    ball.uvs = None
    plate.material = nt.Material(nt.ImageTexture(picture))
    moves = [torch.diag(torch.tensor([0.4, 0.2, 0.3, 1])), torch.diag(torch.tensor([-0.2, 0.5, 0.2, 1]))]
    moves[0][0, 3], moves[1][1, 3] = 1.2, 0.9
    scene = nt.Scene([nt.Node(plate), *[nt.Node(ball, move) for move in moves]], CAMERAS["perspective"], nt.Flash(9.0))
    assert difference(nt.render(scene, SIZE, grid=8), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)) > 42


@pytest.mark.parametrize("light", ["flash", "point", "ambient"])
@torch.no_grad()
def test_rough_surfaces_are_gltf_s(mi: Any, ball, picture, light):
    """Lit from the camera, from the side, and from everywhere, where Mitsuba samples the surface, too."""
    roughness, metallic = (nt.ImageTexture(torch.zeros(1, 2, 2)) for _ in range(2))
    ball.material = nt.Material(nt.ImageTexture(picture), roughness=roughness, metallic=metallic)
    scene = nt.Scene(ball, CAMERAS["perspective"], LIGHTS[light])
    renderer = MitsubaRenderer(scene)
    for metallic.image[:] in (0.0, 0.3, 0.7, 1.0):
        for roughness.image[:] in (0.2, 0.6, 1.0):
            ours, theirs = nt.render(scene, SIZE, grid=4), renderer(SIZE, spp=SAMPLES)
            assert difference(ours, theirs) > (42 if light == "ambient" else 45)  # noise of 256 samples


def test_the_density_of_samples_is_that_of_their_directions(mi: Any):
    """The mean of value over density is the integral of values; of one over density, the lobes' solid angle."""
    import drjit as dr

    names = {"base_color": [0.8, 0.5, 0.2], "roughness": 0.4, "metallic": 0.3}
    maps = {
        name: {
            "type": "bitmap",
            "raw": True,
            "data": mi.TensorXf(torch.full((2, 2, np.size(value)), 1.0) * torch.tensor(value)),
        }
        for name, value in names.items()
    }
    bsdf = mi.load_dict({"type": bsdf_of_gltf.register(mi), **maps})
    count = 1 << 16
    rng = mi.PCG32(size=count)
    si = dr.zeros(mi.SurfaceInteraction3f, count)
    si.wi = mi.Vector3f(0.6, 0, 0.8)
    ctx = mi.BSDFContext()
    bs, weight = bsdf.sample(ctx, si, rng.next_float32(), mi.Point2f(rng.next_float32(), rng.next_float32()))
    value, density = bsdf.eval_pdf(ctx, si, bs.wo)
    assert dr.allclose(weight * density, value, rtol=1e-4, atol=1e-6)
    even = mi.warp.square_to_uniform_hemisphere(mi.Point2f(rng.next_float32(), rng.next_float32()))
    reflected, total = bsdf.eval_pdf(ctx, si, even)
    sampled, integral = dr.mean(weight, axis=1), dr.mean(reflected, axis=1) * 2 * dr.pi
    assert dr.allclose(sampled, integral, rtol=0.02)
    assert float(dr.mean(total)[0] * 2 * dr.pi) == pytest.approx(1, abs=0.03)  # what goes below the surface is lost


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("roughness", [None, 0.5])
@torch.no_grad()
def test_normal_maps_turn_the_same_way_on_both_sides(mi: Any, plate, picture, side, roughness):
    slope = torch.nn.functional.interpolate(torch.rand(1, 2, 4, 6) - 0.5, (24, 36), mode="bilinear")
    value = torch.cat([slope, (1 - slope.square().sum(1, keepdim=True)).sqrt()], 1) / 2 + 0.5
    plate.material = nt.Material((0.6, 0.7, 0.8), roughness=roughness, normal=nt.ImageTexture(value))
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.5, 0.4, 3.2 * side])), 45.0)
    scene = nt.Scene(plate, camera, nt.PointLight((1.5, 1.5, 2 * side), 9.0))
    ours, theirs = nt.render(scene, SIZE, grid=6), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)
    plate.material.normal = None
    assert difference(ours, theirs) > 42
    assert difference(ours, nt.render(scene, SIZE)) < 35


def test_gradients_are_those_of_the_embedded_renderer(mi: Any, torus, tiny_generator):
    latent = nt.Latent(tiny_generator, name="skin").sample(0)
    torus.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    scene = nt.Scene(torus, nt.orbit(2, 3.0, elevation=35.0), nt.Flash(7.0))
    renderer = MitsubaRenderer(scene)
    assert set(renderer.parameters()) == set(scene.parameters())
    probe = torch.rand(2, 4, *SIZE)
    slopes = []
    for render in (nt.render, lambda scene, size: renderer(size, spp=16)):
        tiny_generator.calls = 0
        image = render(scene, SIZE)
        assert tiny_generator.calls == 1
        slopes.append(torch.autograd.grad((image * probe).sum(), [latent.value, tiny_generator.out.weight]))
    for ours, theirs in zip(*slopes, strict=True):
        assert float(torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0)) > 0.999
        assert float(theirs.norm() / ours.norm()) == pytest.approx(1, abs=0.02)


def test_gradients_reach_every_map(mi: Any, plate):
    maps = {
        name: nt.ImageTexture(value, trainable=True)
        for name, value in {
            "base_color": torch.rand(3, 4, 4),
            "roughness": 0.3 + 0.5 * torch.rand(1, 2, 2),
            "metallic": torch.rand(1, 2, 2),
            "normal": torch.tensor([0.5, 0.55, 0.95])[:, None, None].repeat(1, 2, 2),
        }.items()
    }
    plate.material = nt.Material(**maps)
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE, 45.0), LIGHTS["flash"])
    images, leaves = (nt.render(scene, SIZE), MitsubaRenderer(scene)(SIZE, spp=16)), [t.image for t in maps.values()]
    slopes = [torch.autograd.grad(image[:, :3].sum(), leaves) for image in images]
    for name, ours, theirs in zip(maps, *slopes, strict=True):
        agreement = float(torch.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0))
        assert agreement > (0.99 if name == "normal" else 0.9999), name
        assert float(theirs.norm() / ours.norm()) == pytest.approx(1, abs=0.02), name


@torch.no_grad()
def test_shadows_are_cast(mi: Any, plate):
    cover = nt.Mesh(0.3 * plate.vertices + torch.tensor([0.0, 0, 0.5]), plate.faces, name="cover")
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 0, 4])), 45.0)
    scene = nt.Scene([plate, cover], camera, nt.DirectionalLight((1.0, 0.0, -1.0), math.pi))
    image = MitsubaRenderer(scene)(SIZE, spp=SAMPLES)[0, 0]
    ours = nt.render(scene, SIZE)[0, 0]
    lamp = nt.DirectionalLight((1.0, 0.0, -1.0), math.pi, cast_shadows=False)
    lit = nt.render(scene, SIZE, lights=lamp)[0, 0]
    assert float(image[18, 33]) == float(ours[18, 33]) == 0 < float(lit[18, 33])
    assert float(image[18, 18]) == pytest.approx(float(lit[18, 18]), rel=1e-3)


def test_light_that_bounces_colours_a_corner(mi: Any, plate):
    """A white floor beside a red wall: the floor near the wall gets red light, and the wall gets the gradient."""
    turn = torch.eye(4)
    turn[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    turn[:3, 3] = torch.tensor([0.0, -1, 1])
    paint = nt.ImageTexture(torch.tensor([0.9, 0.1, 0.1])[:, None, None].repeat(1, 2, 2), trainable=True)
    floor = nt.Mesh(plate.vertices, plate.faces, plate.uvs, name="floor")
    plate.material = nt.Material(paint)
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.0, 2.5, 3.5]), torch.tensor([0.0, -1, 1])), 40.0)
    scene = nt.Scene([nt.Node(plate), nt.Node(floor, turn)], camera, nt.PointLight((0.0, 1.5, 2.0), 8.0))
    middle = (..., slice(20, 31), slice(18, 36))
    images = [
        MitsubaRenderer(scene, **how)(SIZE, spp=SAMPLES)[0][middle]
        for how in ({}, {"integrator": "path", "max_depth": 2}, {"integrator": "path", "max_depth": 3})
    ]
    direct, same, bounced = (image.mean((1, 2)) for image in images)
    (slope,) = torch.autograd.grad(bounced[0], paint.image)
    direct, same, bounced = direct.detach(), same.detach(), bounced.detach()
    torch.testing.assert_close(same, direct, rtol=2e-3, atol=0)
    gain = bounced - direct
    assert float(gain[0]) > 0.01 * float(direct[0])
    assert float(gain[0]) > 5 * float(gain[1]) > 0
    assert float(slope[0, 0].sum()) > 0


def test_seeds_and_samples(mi: Any, plate, picture):
    plate.material = nt.Material(nt.ImageTexture(picture, wrap="clamp").double())
    scene = nt.Scene(plate, [CAMERAS["perspective"]] * 2, LIGHTS["ambient"]).double()
    renderer = MitsubaRenderer(scene)
    with torch.no_grad():
        a, b, c = renderer(12, spp=7, seed=1), renderer(12, spp=8, seed=1), renderer(12, spp=7, seed=2)
    assert torch.equal(a, b)  # 7 do not fill a grid
    assert not torch.equal(a, c)
    assert not torch.equal(a[0], a[1])
    with pytest.raises(nt.ArgumentError, match="spp is 0"):
        renderer(12, spp=0)
    with pytest.raises(nt.SceneError, match="no latent 'skin'"):
        renderer(12, latents={"skin": torch.zeros(4)})
    scene.to("meta")
    with pytest.raises(nt.SceneError, match=r"on meta, but .* llvm_ad_rgb"):
        renderer(12)


@torch.no_grad()
def test_a_translation_keeps_its_cameras_and_refuses_other_maps(mi: Any, plate, picture):
    plate.material = nt.Material(nt.ImageTexture(picture), "rug")
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE, 45.0), LIGHTS["flash"])
    renderer = MitsubaRenderer(scene)
    before = renderer(SIZE, spp=16)
    scene.cameras[0].transform[2, 3] += 3
    assert torch.equal(renderer(SIZE, spp=16), before)
    plate.material.base_color = nt.ImageTexture(picture.flip(2))
    assert not torch.equal(renderer(SIZE, spp=16), before)
    plate.material.roughness = nt.ConstantTexture((0.5,))
    with pytest.raises(nt.SceneError, match="translate it again"):
        renderer(SIZE, spp=16)


@torch.no_grad()
@pytest.mark.parametrize("wrap", ["repeat", "clamp", "mirror"])
def test_textures_are_read_as_their_samplers_say(mi: Any, plate, picture, wrap):
    turned = ((1.4, -0.9, 0.3), (0.8, 1.2, -0.4))
    plate.material = nt.Material(nt.ImageTexture(picture, wrap, uv_transform=turned))
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE), [nt.Flash(9.0)])
    ours, theirs = nt.render(scene, SIZE, grid=8), MitsubaRenderer(scene)(SIZE, spp=SAMPLES)
    assert difference(ours, theirs) > 40


def test_two_wraps_at_once_are_refused(mi: Any, plate, picture):
    plate.material = nt.Material(nt.ImageTexture(picture, ("repeat", "clamp")), "rug")
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE), [nt.Flash(9.0)])
    with pytest.raises(nt.SceneError, match="'rug': base_color wraps as"):
        MitsubaRenderer(scene)(SIZE)
