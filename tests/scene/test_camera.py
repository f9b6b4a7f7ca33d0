import math

import pytest
import torch

import neurotex as nt
from neurotex.scene.camera import check_rigid

TRANSFORM = nt.look_at(torch.tensor([2.0, 1.5, 3.0]), torch.tensor([0.1, 0.2, -0.3]))


def _project(camera: nt.Camera, point: torch.Tensor, size: tuple[int, int]) -> tuple[float, float, float]:
    x, y, depth, w = (camera.screen_matrix(size) @ torch.cat([point, torch.ones(1)])).tolist()
    return x / w, y / w, depth


def _camera_space(point: torch.Tensor) -> list[float]:
    return (TRANSFORM[:3, :3].T @ (point - TRANSFORM[:3, 3])).tolist()


POINT = torch.tensor([0.4, -0.1, 0.2])


def test_perspective_projection_is_by_the_book():
    x, y, z = _camera_space(POINT)
    focal = 60 / 2 / math.tan(math.radians(40) / 2)
    expected = (100 / 2 + focal * x / -z, 60 / 2 - focal * y / -z, -z)
    assert _project(nt.PerspectiveCamera(TRANSFORM, 40.0), POINT, (60, 100)) == pytest.approx(expected, rel=1e-5)


def test_the_field_of_view_spans_the_image_from_top_to_bottom():
    camera = nt.PerspectiveCamera(fov=90.0)
    assert _project(camera, torch.tensor([0.0, 2, -2]), (60, 100))[1] == pytest.approx(0, abs=1e-5)
    assert _project(camera, torch.tensor([0.0, -2, -2]), (60, 100))[1] == pytest.approx(60)


def test_pinhole_projection_is_by_the_book_and_scales_with_the_image():
    camera = nt.PinholeCamera(TRANSFORM, (120.0, 130.0), (52.0, 28.0), (60, 100))
    x, y, z = _camera_space(POINT)
    expected = (52 + 120 * x / -z, 28 - 130 * y / -z, -z)
    assert _project(camera, POINT, (60, 100)) == pytest.approx(expected, rel=1e-5)
    scaled = (expected[0] * 2.5, expected[1] * 1.5, -z)
    assert _project(camera, POINT, (90, 250)) == pytest.approx(scaled, rel=1e-5)


def test_orthographic_projection_is_by_the_book():
    x, y, z = _camera_space(POINT)
    camera = nt.OrthographicCamera(TRANSFORM, ymag=1.5)
    assert _project(camera, POINT, (60, 100)) == pytest.approx((50 + 20 * x, 30 - 20 * y, -z), rel=1e-5)
    assert torch.equal(camera.eye, torch.cat([TRANSFORM[:3, 2], torch.zeros(1)]))  # towards the viewer, at infinity
    camera = nt.OrthographicCamera(TRANSFORM, ymag=1.5, xmag=2.0)
    assert _project(camera, POINT, (60, 100)) == pytest.approx((50 + 25 * x, 30 - 20 * y, -z), rel=1e-5)
    assert _project(camera, POINT, (60, 80)) == pytest.approx((40 + 20 * x, 30 - 20 * y, -z), rel=1e-5)
    assert camera.extra_repr() == "ymag=1.5, xmag=2"


def test_look_at_stands_there_looks_there_and_keeps_up():
    eye, target = torch.tensor([2.0, 1.5, 3.0]), torch.tensor([0.1, 0.2, -0.3])
    check_rigid(TRANSFORM)
    assert torch.equal(TRANSFORM[:3, 3], eye)
    torch.testing.assert_close(-TRANSFORM[:3, 2], (target - eye) / (target - eye).norm())
    assert float(TRANSFORM[1, 0]) == pytest.approx(0, abs=1e-6)  # the image's x-axis is level
    assert float(TRANSFORM[1, 1]) > 0


@pytest.mark.parametrize("height", [-2.0, 2.0])
def test_look_at_works_straight_up_and_down(height):
    transform = nt.look_at(torch.tensor([0, height, 0]))
    check_rigid(transform)
    torch.testing.assert_close(transform[:3, 2], torch.tensor([0, math.copysign(1, height), 0]))


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e30])
def test_look_at_knows_no_scale(scale):
    up = torch.tensor([0.0, scale, 0.0])
    found = nt.look_at(scale * TRANSFORM[:3, 3], scale * torch.tensor([0.1, 0.2, -0.3]), up)
    torch.testing.assert_close(found[:3, :3], TRANSFORM[:3, :3])
    for camera, other in zip(nt.orbit(3, 3 * scale), nt.orbit(3, 3.0), strict=True):
        torch.testing.assert_close(camera.transform[:3, :3], other.transform[:3, :3])


def test_a_camera_that_looks_at_where_it_stands_is_refused():
    with pytest.raises(
        nt.ArgumentError, match=r"a camera at \[1.0, 2.0, 3.0\] cannot look at that very point: move it"
    ):
        nt.look_at(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 2, 3]))


def test_orbit_goes_around_from_the_front():
    target = torch.tensor([1.0, 2.0, 3.0])
    cameras = nt.orbit(4, 5.0, elevation=30.0, fov=33.0, target=target)
    assert [camera.fov for camera in cameras] == [33.0] * 4
    offset = torch.stack([camera.position for camera in cameras]) - target
    torch.testing.assert_close(offset.norm(dim=1), torch.full((4,), 5.0))
    torch.testing.assert_close(offset[:, 1], torch.full((4,), 2.5))
    flat = 5 * math.cos(math.radians(30))
    torch.testing.assert_close(offset[:, [0, 2]], flat * torch.tensor([[0.0, 1], [1, 0], [0, -1], [-1, 0]]))
    for camera in cameras:
        assert _project(camera, target, (40, 40))[:2] == pytest.approx((20, 20), abs=1e-3)


def _with(row: int, column: int, value: float) -> torch.Tensor:
    out = torch.eye(4)
    out[row, column] = value
    return out


@pytest.mark.parametrize(
    "transform", [_with(0, 0, 2.0), _with(0, 0, -1.0), _with(0, 1, 0.1), _with(3, 0, 1.0), _with(0, 3, math.nan)]
)
def test_a_camera_without_a_rigid_transform_is_refused(transform):
    with pytest.raises(nt.ArgumentError, match=r"rigid|finite"):
        nt.PerspectiveCamera(transform)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nt.PerspectiveCamera(fov=0.0),
        lambda: nt.PerspectiveCamera(fov=180.0),
        lambda: nt.PerspectiveCamera(fov=math.nan),
        lambda: nt.OrthographicCamera(ymag=0.0),
        lambda: nt.OrthographicCamera(xmag=math.inf),
        lambda: nt.OrthographicCamera(xmag=-1.0),
        lambda: nt.PinholeCamera(None, (0.0, 1.0), (1.0, 1.0), (2, 2)),
        lambda: nt.PinholeCamera(None, (1.0, 1.0), (1.0, 1.0), (2, 0)),
    ],
)
def test_impossible_lenses_are_refused(make):
    with pytest.raises(nt.ArgumentError):
        make()
