"""Scenes in Mitsuba's words, and what it has no words for."""

import warnings
from typing import Any

import pytest
import torch

import neurotex as nt
from neurotex.compat.mitsuba import MitsubaRenderer, to_mitsuba

POSE = nt.look_at(torch.tensor([0.0, 0, 3]))


@torch.no_grad()
def test_the_dictionary_is_the_scene_and_may_be_edited(mi: Any, plate, tiny_generator):
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, name="skin")))
    scene = nt.Scene(plate, nt.orbit(2, 3.0, elevation=10.0), [nt.Flash(5.0), nt.AmbientLight(0.5)])
    latents = {"skin": torch.ones(1, 4)}
    words = to_mitsuba(scene, (10, 12), latents=latents)
    assert set(words) == {"type", "integrator", "camera_0", "camera_1", "light_0", "environment", "surface_0"}
    image = mi.render(mi.load_dict(words), spp=16, seed=0).torch()
    expected = MitsubaRenderer(scene)((10, 12), spp=16, latents=latents)[0]
    torch.testing.assert_close(image.movedim(-1, 0), expected)
    words["light_0"]["intensity"]["value"] = [0.0, 0.0, 0.0]
    darker = mi.render(mi.load_dict(words), spp=16, seed=0).torch()
    assert 0 < float(darker[5, 6, 0]) < float(image[5, 6, 0])
    with pytest.raises(nt.SceneError, match="'skin' is unbound"):
        to_mitsuba(scene)


def test_an_integrator_may_be_mitsuba_s_own(mi: Any, plate):
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE), nt.AmbientLight(1.0))
    depth = MitsubaRenderer(scene, integrator={"type": "aov", "aovs": "depth:depth", "image": {"type": "direct"}})
    assert depth(4, spp=4).shape == (1, 5, 4, 4)
    assert float(depth(4, spp=4)[0, 4, 2, 2]) == pytest.approx(3, abs=0.3)
    with pytest.raises(nt.ArgumentError, match="'direct', 'path' or a dictionary"):
        MitsubaRenderer(scene, integrator="bidirectional")


class Lamp(nt.Light):
    """A light of no known kind."""


class Fisheye(nt.Camera):
    """A camera of no known kind."""


def _cut() -> nt.Material:
    return nt.Material(nt.ImageTexture(torch.rand(4, 2, 2)), "leaf", alpha_cutoff=0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"material": _cut()}, "material 'leaf' has an alpha_cutoff"),
        (
            {"camera": nt.PinholeCamera(POSE, (90.0, 80.0), (8.0, 8.0), (16, 16))},
            "camera 0 has focal lengths of 90 and 80",
        ),
        ({"camera": Fisheye(POSE)}, "camera 0 is a Fisheye"),
        ({"lights": [nt.Flash(1.0), Lamp(1.0)]}, "light 1 is a Lamp"),
        ({"lights": [nt.EnvironmentLight(torch.ones(3, 2, 4))] * 2}, "two EnvironmentLights"),
        ({"lights": []}, "no light"),
        ({"camera": nt.OrthographicCamera(POSE)}, "Flash stands at the camera"),
    ],
)
def test_what_mitsuba_cannot_express_is_refused_by_name(mi: Any, plate, changes, message):
    parts = {"material": nt.Material(), "camera": nt.PerspectiveCamera(POSE), "lights": [nt.Flash(1.0)], **changes}
    plate.material = parts["material"]
    scene = nt.Scene(plate, parts["camera"], parts["lights"])
    with pytest.raises(nt.SceneError, match=message):
        to_mitsuba(scene, 16)
    with pytest.raises(nt.SceneError, match=message):
        MitsubaRenderer(scene)(16)


def test_normal_maps_on_mirrored_uvs_are_refused(mi: Any, plate, ball):
    bumps = nt.Material(normal=nt.ImageTexture(torch.rand(3, 2, 2)), name="bumps")
    plate.material = ball.material = bumps
    camera, light = nt.PerspectiveCamera(POSE), nt.Flash(1.0)
    to_mitsuba(nt.Scene([plate, ball], camera, light))
    plate.uvs = plate.uvs * torch.tensor([-1.0, 1.0])
    with pytest.raises(nt.SceneError, match="material 'bumps' has a normal map on faces whose UVs are mirrored"):
        to_mitsuba(nt.Scene([plate, ball], camera, light))


def test_filters_with_mip_maps_are_warned_of_once(mi: Any, plate):
    maps = {"roughness": nt.ImageTexture(torch.rand(1, 2, 2), filter="anisotropic")}
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 2, 2), filter="trilinear"), "rug", **maps)
    scene = nt.Scene(plate, nt.PerspectiveCamera(POSE), nt.Flash(1.0))
    with pytest.warns(UserWarning, match="material 'rug'") as caught:
        renderer = MitsubaRenderer(scene)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        renderer(4, spp=1)


@pytest.mark.parametrize("shape", [(3, 1, 4), (3, 4, 1)])
@torch.no_grad()
def test_single_rows_and_columns_are_taken(mi: Any, plate, shape):
    plate.material = nt.Material(nt.ImageTexture(torch.full(shape, 0.7)))
    scene = nt.Scene(plate, nt.OrthographicCamera(POSE, 0.5), nt.EnvironmentLight(torch.full(shape, 0.6)))
    image = MitsubaRenderer(scene)(4, spp=64)
    torch.testing.assert_close(
        image[:, :3].mean((0, 2, 3)), nt.render(scene, 4)[:, :3].mean((0, 2, 3)), rtol=0.02, atol=0
    )
