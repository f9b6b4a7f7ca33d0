"""Texture nodes in a user's own Mitsuba scene."""

from typing import Any

import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.compat.mitsuba import BoundScene, bind_texture
from neurotex.shading import srgb_to_linear

KEY = "plate.bsdf.reflectance.data"
ROUGHNESS = "plate.bsdf.roughness.data"
LATENT = 0.3 * torch.arange(4.0)[None]


@pytest.mark.parametrize(
    ("kind", "sampler"), [("variant", {}), ("fp16", {"filter_type": "nearest", "wrap_mode": "clamp"})]
)
def test_a_node_is_what_loading_its_picture_is(mi: Any, wall, tmp_path, kind, sampler):
    pixels = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    Image.fromarray(pixels.movedim(0, -1).numpy()).save(tmp_path / "wall.png")
    bitmap = {"type": "bitmap", "filename": str(tmp_path / "wall.png"), "format": kind, **sampler}
    expected = mi.render(wall(bitmap), spp=16, seed=3).torch()
    other = {**bitmap, "filename": str(tmp_path / "other.png")}
    Image.new("RGB", (9, 4)).save(other["filename"])
    bound = bind_texture(wall(other), KEY, nt.ImageTexture(pixels / 255))
    assert float(expected.std()) > 0.1
    torch.testing.assert_close(bound.render(spp=16, seed=3), expected, atol=2e-6, rtol=0)


def test_data_go_in_as_they_are(mi: Any, wall):
    gloss = {
        "type": "roughconductor",
        "alpha": {"type": "bitmap", "raw": True, "data": mi.TensorXf(torch.ones(2, 2, 1))},
    }
    values = 0.2 + 0.6 * torch.rand(1, 3, 4)
    sun = {"type": "directional", "direction": [0.2, 0, -1]}
    bound = bind_texture(wall(bsdf=gloss, sun=sun), "plate.bsdf.alpha.data", nt.ImageTexture(values), srgb=False)
    gloss["alpha"]["data"] = mi.TensorXf(values[0, :, :, None].clone())
    torch.testing.assert_close(bound.render(), mi.render(wall(bsdf=gloss, sun=sun), spp=16, seed=0).torch())


def test_several_keys_and_sensors_share_one_evaluation(mi: Any, wall, tiny_generator):
    blank = {"type": "bitmap", "raw": True, "data": mi.TensorXf(torch.zeros(2, 2, 3))}
    second = {"type": "disk", "bsdf": {"type": "diffuse", "reflectance": blank}}
    second["to_world"] = mi.ScalarTransform4f().translate([0, 0, 0.5]).scale(0.3)
    node = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, name="skin"))
    bound = bind_texture(wall(disk=second), KEY, node).bind("disk.bsdf.reflectance.data", node)
    images = bound.render(sensor=(0, 1), latents={"skin": LATENT})
    assert images.shape == (2, 12, 12, 3)
    assert tiny_generator.calls == 1
    assert set(bound.parameters()) == set(tiny_generator.parameters())
    torch.testing.assert_close(bound.render(latents={"skin": LATENT}), images[0])
    own = bound.render(sensor=bound.mi_scene.sensors()[1], latents={"skin": LATENT}, seed=1)
    torch.testing.assert_close(own, images[1])
    bound.bind(KEY, nt.ConstantTexture((0.0, 0.0, 0.0)))
    black = bound.render(latents={"skin": LATENT})
    assert float(black[1:-1, 1:3].detach().max()) == 0
    assert float(black[6, 6].detach().min()) > 0
    (slope,) = torch.autograd.grad(images.sum(), tiny_generator.out.bias)
    assert bool(slope.any())


def test_gradients_to_texels_are_finite_differences(mi: Any, wall):
    """The adjoint has other samples than the image: as many as it takes for both to be near the mean."""
    node = nt.ImageTexture(0.2 + 0.6 * torch.rand(3, 2, 3), trainable=True)
    bound = bind_texture(wall(), KEY, node)
    method = mi.load_dict({"type": "prb"})
    probe = torch.rand(12, 12, 3)

    def value() -> torch.Tensor:
        return (bound.render(spp=256, integrator=method) * probe).sum()

    value().backward()
    with torch.no_grad():
        for place in ((0, 0, 0, 0), (0, 1, 1, 2), (0, 2, 0, 1)):
            node.image[place] += 0.01
            after = float(value())
            node.image[place] -= 0.02
            slope = (after - float(value())) / 0.02
            node.image[place] += 0.01
            assert float(node.image.grad[place]) == pytest.approx(slope, rel=0.02)


def test_a_single_row_of_texels_may_be_bound(wall):
    """Mitsuba wants two: here it has them, and the gradient is that of both."""
    row = nt.ImageTexture(0.5 * torch.ones(3, 1, 4), trainable=True)
    bound = bind_texture(wall(), KEY, row)
    image = bound.render(spp=256)
    image.sum().backward()
    # the image is linear in the decoded texels, and these are all alike
    slope = (srgb_to_linear(torch.tensor(0.501)) - srgb_to_linear(torch.tensor(0.499))) / 0.002
    linear = float(srgb_to_linear(torch.tensor(0.5)))
    lit = float((image.detach() - _background(bound, row)).sum())
    assert float(row.image.grad.sum()) == pytest.approx(lit / linear * float(slope), rel=0.01)


def _background(bound: BoundScene, node: nt.ImageTexture) -> torch.Tensor:
    with torch.no_grad():
        saved = node.image.clone()
        node.image.zero_()
        image = bound.render(spp=256)
        node.image.copy_(saved)
    return image


def test_gradients_of_squares_are_unbiased(mi: Any, wall):
    """The image is t X for a plate of albedo t. The slope of its square is 2 t X X', whose mean is 2 t E[X]² only if
    both have random numbers of their own: with the same ones it is 2 t E[X²]. Light sampled all over the sphere has
    E[X] = 1 and E[X²] = 8/3."""
    node = nt.ImageTexture(torch.full((3, 2, 2), 0.5), trainable=True)
    bound = bind_texture(wall(), KEY, node, srgb=False)
    even = mi.load_dict({"type": "direct", "emitter_samples": 1, "bsdf_samples": 0})
    slopes = []
    for seed in range(20):
        red = bound.render(spp=1, seed=seed, integrator=even)[3:9, 3:9, 0]
        slopes.append(float(torch.autograd.grad(red.square().mean(), node.image)[0].sum()))
    assert sum(slopes) / len(slopes) == pytest.approx(1, abs=0.3)


def test_two_renders_may_wait_for_one_backward_pass(mi: Any, wall):
    """Mitsuba's adjoint reads the scene as it is then; each render has to find its own textures there."""
    nodes = [nt.ImageTexture(low + 0.3 * torch.rand(1, 4, 4), trainable=True) for low in (0.2, 0.6)]
    bound = bind_texture(wall(bsdf=_gloss(mi)), ROUGHNESS, nodes[0], srgb=False)
    images = [bound.bind(ROUGHNESS, node, srgb=False).render() for node in nodes]
    slopes = torch.autograd.grad(sum(images).sum(), [node.image for node in nodes])
    for node, slope in zip(nodes, slopes, strict=True):
        alone = bound.bind(ROUGHNESS, node, srgb=False).render().sum()
        torch.testing.assert_close(slope, torch.autograd.grad(alone, node.image)[0])


def test_an_optimiser_s_step_in_place_does_not_reach_into_a_render(mi: Any, wall):
    node = nt.ImageTexture(0.3 + 0.2 * torch.rand(1, 4, 4), trainable=True)
    bound = bind_texture(wall(bsdf=_gloss(mi)), ROUGHNESS, node, srgb=False)
    slopes = []
    for step in (0.0, 0.4):
        image = bound.render()
        with torch.no_grad():
            node.image += step
        slopes.append(torch.autograd.grad(image.sum(), node.image)[0])
    assert bool(slopes[0].any())
    torch.testing.assert_close(slopes[0], slopes[1])


def _gloss(mi: Any) -> dict:
    """A surface whose picture is not linear in its map."""
    blank = {"type": "bitmap", "raw": True, "data": mi.TensorXf(torch.ones(2, 2, 1))}
    return {"type": "principled", "roughness": blank}


def test_a_state_is_restored_after_a_backward_pass(mi: Any, wall):
    scene = wall()
    bound = bind_texture(scene, KEY, nt.ImageTexture(torch.full((3, 2, 2), 0.5), trainable=True))
    image = bound.render()
    bound.bind(KEY, nt.ConstantTexture((1.0, 1.0, 1.0))).render()
    image.sum().backward()
    torch.testing.assert_close(mi.traverse(scene)[KEY].torch(), torch.ones(2, 2, 3))


@pytest.mark.parametrize(
    ("key", "node", "error", "message"),
    [
        ("plate.bsdf.data", nt.ConstantTexture((1.0, 1.0, 1.0)), nt.ArgumentError, f"no bitmap .* there are {KEY}"),
        ("plate.to_world", nt.ConstantTexture((1.0, 1.0, 1.0)), nt.ArgumentError, "no bitmap 'plate.to_world'"),
        (KEY, torch.nn.Linear(2, 3), nt.ArgumentError, "a texture node, not to a Linear"),
        (KEY, nt.ConstantTexture((1.0,)), nt.SceneError, r"has 3 channels.*gives \(1, 1, 1, 1\)"),
        (KEY, nt.ConstantTexture((1.0, 1.0, 1.0)).to("meta"), nt.SceneError, "on meta, but .* llvm_ad_rgb"),
    ],
)
def test_what_cannot_be_bound_is_refused(wall, key, node, error, message):
    with pytest.raises(error, match=message):
        bind_texture(wall(), key, node).render()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sensor": 2}, "no sensor 2: it has 2"),
        ({"spp": 0}, "spp is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"latents": {"skin": LATENT}}, "no latent 'skin'"),
    ],
)
def test_what_cannot_be_rendered_is_refused(wall, arguments, message):
    bound = bind_texture(wall(), KEY, nt.ConstantTexture((1.0, 1.0, 1.0)))
    with pytest.raises(nt.NeurotexError, match=message):
        bound.render(**arguments)


def test_sensors_of_different_sizes_are_refused(mi: Any, wall):
    other = mi.load_dict({"type": "perspective", "film": {"type": "hdrfilm", "width": 4, "height": 4}})
    bound = bind_texture(wall(), KEY, nt.ConstantTexture((1.0, 1.0, 1.0)))
    with pytest.raises(nt.ArgumentError, match="films of one size"):
        bound.render(sensor=[0, other])


def test_eight_bit_bitmaps_are_refused(wall, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "wall.png")
    scene = wall({"type": "bitmap", "filename": str(tmp_path / "wall.png"), "format": "auto"})
    with pytest.raises(nt.ArgumentError, match=r"8 bits.*variant"):
        bind_texture(scene, KEY, nt.ConstantTexture((1.0, 1.0, 1.0)))


def test_only_scenes_that_differentiate_rgb_are_taken(mi: Any):
    with pytest.raises(nt.ArgumentError, match="not to a dict"):
        bind_texture({"type": "scene"}, KEY, nt.ConstantTexture((1.0, 1.0, 1.0)))
