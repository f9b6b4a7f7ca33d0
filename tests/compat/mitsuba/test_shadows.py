"""Shadows beside Mitsuba's: a teapot on a plane."""

from typing import Any

import pytest
import torch

import neurotex as nt
from neurotex.compat.mitsuba import MitsubaRenderer
from neurotex.shading import linear_to_srgb


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """PSNR of all views together, sRGB-encoded, dB."""
    a, b = (linear_to_srgb(image[:, :3].clamp(0, 1)) for image in (a, b))
    return float(-10 * (a - b).square().mean().log10())


@pytest.fixture(scope="session")
def teapot() -> nt.Scene:
    """The demo's, on a plane, seen from above by two cameras."""
    pot = nt.Scene.load(nt.assets.folder() / "demo/mesh.obj", nt.Material((0.7, 0.6, 0.5)))
    center, radius = pot.bounds()
    corners = torch.tensor([[-1.0, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]]) * 4 * radius
    corners += torch.tensor([float(center[0]), float(pot.geometry().vertices[:, 1].min()), float(center[2])])
    floor = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), material=nt.Material((0.6, 0.6, 0.6)))
    return nt.Scene([*pot.nodes, floor], nt.orbit(2, 3.5 * radius, elevation=35.0, target=center))


@pytest.mark.parametrize("lamp", ["point", "sun"])
@torch.no_grad()
def test_shadows_of_a_teapot_on_a_plane_are_mitsubas(mi: Any, teapot, lamp):
    lights = {"point": nt.PointLight((1.5, 2.5, 1.0), 12.0), "sun": nt.DirectionalLight((-1.0, -1.5, -0.6), 2.5)}
    scene = teapot.replace(lights=lights[lamp])
    ours, theirs = nt.render(scene, 128, grid=8), MitsubaRenderer(scene)(128, spp=256)
    assert difference(ours, theirs) > 45
    # the border of a shadow lies within a pixel: what differs much is next to a pixel that agrees with theirs
    off = ((ours - theirs)[:, :3].abs().amax(1, keepdim=True) > 0.1).float()
    around = -torch.nn.functional.max_pool2d(-off, 3, 1, 1)
    assert float(around.sum()) == 0.0
    lights[lamp].cast_shadows = False
    assert difference(nt.render(scene, 128, grid=8), theirs) < 30
    with pytest.warns(UserWarning, match="light 0 casts shadows in Mitsuba"):
        MitsubaRenderer(scene)


@pytest.mark.parametrize("lamp", ["rectangle", "ball", "sky", "even"])
@torch.no_grad()
def test_soft_shadows_and_occlusion_are_mitsubas(mi: Any, teapot, lamp):
    """At 256 samples for each pixel, with no noise."""
    up = torch.linspace(1, 0, 64)[:, None].expand(64, 128)
    lights = {
        "rectangle": nt.RectangleLight((1.2, 2.0, 0.0), (0.0, 0.0, 1.2), (-0.9, -0.9, 0.0), 6.0),
        "ball": nt.SphereLight((1.2, 1.6, 1.0), 0.4, 12.0),
        "sky": nt.EnvironmentLight(torch.stack([up, 0.3 + 0.5 * up, 0.5 + up]), 0.6, cast_shadows=True),
        "even": nt.AmbientLight((0.8, 0.7, 0.6), cast_shadows=True),
    }
    scene = teapot.replace(cameras=teapot.cameras[:1], lights=lights[lamp])
    ours, theirs = nt.render(scene, 64), MitsubaRenderer(scene)(64, spp=1024)
    assert difference(ours, theirs) > 42
    assert float(ours.mean() / theirs.mean()) == pytest.approx(1, abs=0.004)
