"""Views that nobody took: the same cameras elsewhere, looking at the same thing from as far."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import neurotex as nt
from neurotex.errors import ArgumentError
from neurotex.fit.imagined import TURN, imagine, join
from tests import tiny

MIDDLE = torch.tensor([0.3, -0.2, 0.5])
LENSES = {
    "perspective": lambda place: nt.PerspectiveCamera(place, 40.0),
    "pinhole": lambda place: nt.PinholeCamera(place, (20.0, 22.0), (7.0, 9.0), (16, 16)),
    "orthographic": lambda place: nt.OrthographicCamera(place, 1.5),
}


def staged(lens: str = "perspective", dtype: torch.dtype = torch.float32) -> tuple[nt.Scene, nt.Views]:
    """A box that is not in the origin, and three photographs of it that look past its middle."""
    mesh = tiny.box()
    mesh.material = nt.Material(nt.ImageTexture(tiny.picture(12)))
    mesh.vertices += MIDDLE
    places = [nt.look_at(MIDDLE + 3 * torch.eye(3)[k] + 0.2, target=MIDDLE + 0.1) for k in range(3)]
    cameras = [LENSES[lens](place) for place in places]
    flash = [nt.Flash(tiny.FLASH)] if lens != "orthographic" else []  # which has no place to put it
    scene = nt.Scene(mesh, cameras, [*flash, nt.AmbientLight(0.1)]).to(dtype)
    views = nt.Views(cameras, torch.rand(3, 4, 16, 16), [nt.Flash(1.0)], ["a", "b", "c"])
    return scene, views


@pytest.mark.parametrize("lens", LENSES)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**31))
def test_cameras_are_carried_around_the_middle_and_keep_their_lens(lens, seed):
    scene, views = staged(lens)
    imagined = imagine(scene, views, 5, seed, grid=1)
    assert len({str(camera.transform.tolist()) for camera in imagined.cameras}) == 5
    for k, camera in enumerate(imagined.cameras):
        before = views.cameras[k % 3]
        assert type(camera) is type(before)
        assert torch.equal(camera.intrinsics(16, 16), before.intrinsics(16, 16))
        assert camera.near == before.near
        move = camera.transform.double() @ torch.linalg.inv(before.transform.double())
        turn = move[:3, :3]
        torch.testing.assert_close(turn @ turn.T, torch.eye(3, dtype=torch.float64), atol=1e-5, rtol=0)
        torch.testing.assert_close(turn @ MIDDLE.double() + move[:3, 3], MIDDLE.double(), atol=1e-5, rtol=0)
        assert float(torch.linalg.det(turn)) == pytest.approx(1, abs=1e-5)
        assert float((turn.trace() - 1) / 2) >= math.cos(math.radians(TURN)) - 1e-5
        distance = [(c.transform[:3, 3] - MIDDLE).norm() for c in (camera, before)]
        torch.testing.assert_close(*distance, rtol=1e-5, atol=0)


def test_their_pictures_are_renders_under_the_lights_of_the_scene():
    scene, views = staged()
    imagined = imagine(scene, views, 4, grid=2)
    stage = nt.Scene(list(scene.nodes), imagined.cameras, list(scene.lights))
    assert torch.equal(imagined.images, nt.render(stage, 16, grid=2).detach())
    assert imagined.images.shape == (4, 4, 16, 16)
    assert float(imagined.images[:, 3].amax((1, 2)).min()) == 1  # each sees the box
    assert not imagined.images.requires_grad
    assert imagined.lights is views.lights
    assert imagined.names == [f"imagined {k}" for k in range(4)]


def test_the_seed_decides_and_nothing_else_changes():
    scene, views = staged()
    before = [camera.transform.clone() for camera in views.cameras]
    state = torch.random.get_rng_state()
    first, same, other = (imagine(scene, views, 3, seed, grid=1) for seed in (4, 4, 5))
    assert torch.equal(first.images, same.images)
    assert not torch.equal(first.images, other.images)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(camera.transform, b) for camera, b in zip(views.cameras, before, strict=True))
    assert list(scene.cameras) == views.cameras


def test_more_views_begin_with_the_same_ones():
    scene, views = staged()
    few, many = (imagine(scene, views, count, 1, grid=1).images for count in (2, 6))
    assert torch.equal(few, many[:2])


def test_a_scene_in_double_precision_is_imagined_in_it():
    scene, views = staged(dtype=torch.float64)
    assert imagine(scene, views, 2, grid=1).images.dtype == torch.float64


@pytest.mark.parametrize("count", [0, -3])
def test_at_least_one_is_imagined(count):
    with pytest.raises(ArgumentError, match=f"at least 1 view can be imagined, not {count}"):
        imagine(*staged(), count)


def test_joined_views_keep_their_order_under_the_first_lights():
    scene, views = staged()
    more = imagine(scene, views, 2, grid=1)
    joined = join(views, more, views)
    assert joined.names == ["a", "b", "c", "imagined 0", "imagined 1", "a", "b", "c"]
    assert joined.cameras == [*views.cameras, *more.cameras, *views.cameras]
    assert torch.equal(joined.images, torch.cat([views.images, more.images, views.images]))
    assert joined.lights is views.lights
    assert join(views).names == views.names


def test_joined_images_have_the_precision_of_the_first():
    scene, views = staged(dtype=torch.float64)
    assert join(views, imagine(scene, views, 1, grid=1)).images.dtype == torch.float32
