"""Cameras there and back: the same points, and what is refused.

Without PyTorch3D its cameras' arithmetic in `conventions`, which is held to it elsewhere, stands in.
"""

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d import (
    cameras,
    conventions,
    from_cameras,
    to_camera,
)
from neurotex.compat.pytorch3d.cameras import ndc_lens

SIZE = (36, 52)


def _cameras() -> list[nt.Camera]:
    place = nt.look_at(torch.tensor([0.5, 0.7, 2.5]), torch.tensor([0.1, -0.2, 0.3]))
    pinhole = nt.PinholeCamera(place, (60.0, 66.0), (40.0, 21.0), (48, 64))
    stretched = nt.OrthographicCamera(place, 1.3, xmag=0.7)
    return [nt.PerspectiveCamera(place, 38.0), pinhole, nt.OrthographicCamera(place, 1.3), stretched]


def _points() -> Tensor:
    """(9, 3), in front of the cameras."""
    return torch.rand(9, 3) * 2 - 1


def _pixels(camera: nt.Camera, points: Tensor, size: tuple[int, int] = SIZE) -> Tensor:
    """Where our camera sees points: (n, 2)."""
    matrix = camera.screen_matrix(size)
    screen = points @ matrix[:, :3].T + matrix[:, 3]
    return screen[:, :2] / screen[:, 3:]


def _from_their_ndc(ndc: Tensor, size: tuple[int, int] = SIZE) -> Tensor:
    """Pixels of points (n, 2) in their NDC."""
    return torch.tensor([size[1], size[0]]) / 2 - ndc * min(size) / 2


@pytest.mark.parametrize("size", [SIZE, (52, 36), (40, 40)])
def test_lenses_in_ndc_show_points_where_ours_do(size):
    points = _points()
    for camera in _cameras()[:2]:
        focal, principal = ndc_lens(camera, size)
        view = conventions.rotation_and_translation(camera.transform[None])
        theirs = conventions.pinhole(*view, focal.tolist(), principal.tolist())
        ndc = theirs.ndc(points)[0, :, :2] * torch.tensor([-1, 1])  # this has x to the right
        torch.testing.assert_close(_from_their_ndc(ndc, size), _pixels(camera, points, size), atol=1e-4, rtol=1e-5)
    focal, principal = ndc_lens(_cameras()[2], size)
    assert focal.tolist() == pytest.approx([size[0] / min(size) / 1.3] * 2)
    assert principal.tolist() == [0, 0]
    focal, _ = ndc_lens(_cameras()[3], size)
    assert focal.tolist() == pytest.approx([size[1] / min(size) / 0.7, size[0] / min(size) / 1.3])


def test_only_our_own_kinds_of_cameras_have_a_counterpart():
    class Mine(nt.Camera):
        pass

    with pytest.raises(nt.ArgumentError, match="a Mine has no counterpart"):
        ndc_lens(Mine(), SIZE)


def _projection(focal: tuple[float, float] = (2.0, 2.5), principal: tuple[float, float] = (0.1, -0.3)) -> Tensor:
    """Their matrix, acting on columns."""
    return conventions.pinhole(torch.eye(3)[None], torch.zeros(1, 3), focal, principal).projection.double()


def test_projections_that_no_camera_of_ours_has_are_refused():
    skewed, turned, backwards, flat = (_projection() for _ in range(4))
    skewed[0, 1], turned[3, 3], backwards[0, 0] = 0.2, 1, -2
    parallel = flat[[0, 1, 3, 2]][:, [0, 1, 3, 2]].clone()  # (x, y, z, 1) → (… + principal point, z, 1)
    parallel[2:] = torch.eye(4, dtype=torch.float64)[2:]
    oblique = parallel.clone()
    oblique[0, 2] = 0.3
    oblique[1, 1] = oblique[0, 0]
    for matrix, kind, message in (
        (skewed, False, "skewed or oblique"),
        (turned, False, "skewed or oblique"),
        (backwards, False, "focal lengths -2 and 2.5"),
        (oblique, True, "skewed or oblique"),
    ):
        with pytest.raises(nt.ArgumentError, match=f"number 3 .*{message}"):
            cameras._from_ndc("number 3 of these", matrix, torch.eye(4), kind, SIZE, 0.1)
    stretched = cameras._from_ndc("these", parallel, torch.eye(4), True, SIZE, None)
    points = _points()
    ndc = points[:, :2] * torch.tensor([-2, 2.5]) + torch.tensor([0.1, -0.3])  # their x is minus ours
    torch.testing.assert_close(_pixels(stretched, points), _from_their_ndc(ndc), atol=1e-4, rtol=1e-5)
    assert stretched.near is None


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]])
def test_cameras_see_points_in_the_same_places(pytorch3d, size):
    points = _points()
    for camera in _cameras():
        theirs = to_camera(camera, size)
        assert len(theirs) == 1
        assert theirs.in_ndc()
        ndc = theirs.transform_points_ndc(points)[:, :2]
        wanted = _pixels(camera, points, size)
        torch.testing.assert_close(_from_their_ndc(ndc, size) / min(size), wanted / min(size), atol=1e-5, rtol=0)
        torch.testing.assert_close(theirs.get_camera_center()[0], camera.position, atol=1e-5, rtol=0)
        (back,) = from_cameras(theirs, size)
        torch.testing.assert_close(_pixels(back, points, size) / min(size), wanted / min(size), atol=1e-5, rtol=0)
        torch.testing.assert_close(back.transform, camera.transform, atol=1e-5, rtol=0)
        assert bool(back.eye[3]) == bool(camera.eye[3])


@pytest.mark.parametrize("size", [SIZE, SIZE[::-1]])
def test_all_their_cameras_come_over(pytorch3d, size):
    R, T = pytorch3d.look_at_view_transform(3.0, torch.tensor([20.0, -50]), torch.tensor([40.0, 130]))
    view = {"R": R, "T": T}
    screen = {"in_ndc": False, "image_size": (size,)}
    matrix = torch.zeros(2, 4, 4)
    matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, 0, 2], matrix[:, 2, 3], matrix[:, 3, 2] = 1.9, 2.1, 0.2, 1, 1
    volume = {"max_x": 2.0, "min_x": -1.0, "max_y": 1.7, "min_y": -1.3}
    batches = [
        pytorch3d.FoVPerspectiveCameras(fov=torch.tensor([40.0, 70]), aspect_ratio=1.3, znear=0.4, **view),
        pytorch3d.FoVPerspectiveCameras(fov=0.7, degrees=False, **view),
        pytorch3d.FoVPerspectiveCameras(K=matrix, **view),
        pytorch3d.PerspectiveCameras(2.0, ((0.1, -0.2),), **view),
        pytorch3d.PerspectiveCameras(((50.0, 55.0),), ((30.0, 15.0),), **screen, **view),
        pytorch3d.FoVOrthographicCameras(scale_xyz=((0.8, 0.8, 1.0),), **view),
        pytorch3d.FoVOrthographicCameras(**volume, **view),
        pytorch3d.OrthographicCameras(0.8, ((0.1, -0.2),), **view),
        pytorch3d.FoVOrthographicCameras(scale_xyz=((1.0, 0.5, 1.0),), **view),
        pytorch3d.OrthographicCameras(((0.8, 1.1),), ((0.1, -0.2),), **view),
        pytorch3d.OrthographicCameras(15.0, ((30.0, 15.0),), **screen, **view),
    ]
    points = _points()
    for batch in batches:
        ours = from_cameras(batch, size)
        assert len(ours) == 2
        for n, camera in enumerate(ours):
            wanted = _from_their_ndc(batch[n].transform_points_ndc(points)[:, :2], size)
            torch.testing.assert_close(_pixels(camera, points, size) / min(size), wanted / min(size), atol=1e-5, rtol=0)
    assert [from_cameras(batch, 8)[1].near for batch in batches[:3]] == pytest.approx([0.2, 0.5, 0.5])
    assert all(from_cameras(batch, 8)[1].near is None for batch in batches[3:])
    no_size = pytorch3d.PerspectiveCameras(((50.0, 55.0),), ((30.0, 15.0),), in_ndc=False, **view)
    assert from_cameras(no_size, size)[0].focal == from_cameras(batches[4], size)[0].focal


def test_other_cameras_are_refused_by_name(pytorch3d):
    from pytorch3d.renderer.fisheyecameras import FishEyeCameras

    with pytest.raises(nt.ArgumentError, match=r"FishEyeCameras cannot become.*straight edges.*undistorted"):
        from_cameras(FishEyeCameras(), SIZE)
    with pytest.raises(nt.ArgumentError, match="Mesh cannot become"):
        from_cameras(nt.Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2]])), SIZE)
    matrix = torch.diag(torch.tensor([2.0, 2, 0, 0]))[None]
    matrix[:, 0, 1], matrix[:, 2, 3], matrix[:, 3, 2] = 0.1, 1, 1
    with pytest.raises(nt.ArgumentError, match="PerspectiveCameras has a skewed"):
        from_cameras(pytorch3d.PerspectiveCameras(K=matrix), SIZE)
