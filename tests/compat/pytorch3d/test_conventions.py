"""PyTorch3D's cameras against ours, and against the conventions that their documentation states."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.compat.pytorch3d.conventions import (
    camera_to_world,
    fov_orthographic,
    fov_perspective,
    pinhole,
    rotation_and_translation,
)
from neurotex.errors import ArgumentError

EYE = torch.tensor([0.4, 0.7, 2.5], dtype=torch.float64)
POINTS = torch.tensor([[0.1, 0.2, 0.3], [-0.5, 0.4, -0.2], [0.3, -0.6, 0.1]], dtype=torch.float64)


def _extrinsics() -> tuple[torch.Tensor, torch.Tensor]:
    rotation, translation = rotation_and_translation(nt.scene.look_at(EYE).double())
    return rotation[None], translation[None]


def _our_ndc(camera: nt.Camera, size: tuple[int, int]) -> torch.Tensor:
    """Points through one of our cameras: pixels, then NDC."""
    matrix = camera.intrinsics(*size) @ torch.linalg.inv(camera.transform.double())
    x, y, depth, w = (torch.nn.functional.pad(POINTS, (0, 1), value=1.0) @ matrix.T).unbind(1)
    half = min(size) / 2
    return torch.stack([(x / w - size[1] / 2) / half, (size[0] / 2 - y / w) / half, depth], 1)


@pytest.mark.parametrize("size", [(64, 64), (40, 64)])
def test_cameras_see_what_ours_see(size):
    transform = nt.scene.look_at(EYE)
    rotation, translation = _extrinsics()
    theirs = fov_perspective(rotation, translation, fov=50.0)
    expected = _our_ndc(nt.PerspectiveCamera(transform, fov=50.0), size)
    torch.testing.assert_close(theirs.ndc(POINTS)[0], expected, rtol=1e-6, atol=1e-6)

    theirs = fov_orthographic(rotation, translation, scale=0.5)
    expected = _our_ndc(nt.OrthographicCamera(transform, ymag=2.0), size)
    torch.testing.assert_close(theirs.ndc(POINTS)[0], expected, rtol=1e-6, atol=1e-6)

    # their principal point counts from the centre to the left and up
    half, (height, width) = min(size) / 2, size
    center = (width / 2 - 0.1 * half, height / 2 + 0.05 * half)
    ours = nt.PinholeCamera(transform, (2.2 * half, 1.8 * half), center, size)
    theirs = pinhole(rotation, translation, (2.2, 1.8), (0.1, -0.05))
    torch.testing.assert_close(theirs.ndc(POINTS)[0], _our_ndc(ours, size), rtol=1e-6, atol=1e-6)


def test_extrinsics_follow_their_documentation():
    """X_view = X_world R + T, with +X left, +Y up and +Z into the scene."""
    rotation, translation = (t[0] for t in _extrinsics())
    view = POINTS @ rotation + translation
    transform = nt.scene.look_at(EYE).double()
    ours = (POINTS - transform[:3, 3]) @ transform[:3, :3]
    torch.testing.assert_close(view, ours * torch.tensor([-1, 1, -1]))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones((), dtype=torch.float64))
    # their camera at rest: R = 1, T = (0, 0, 3) is 3 before the origin, on the side where z is negative
    at_rest = camera_to_world(torch.eye(3), torch.tensor([0.0, 0, 3]))
    assert at_rest[:3, 3].tolist() == [0, 0, -3]
    assert at_rest[:3, 2].tolist() == [0, 0, -1]  # it looks along +Z, and its back is −Z


def test_transforms_survive_the_way_there_and_back():
    transforms = torch.stack([nt.scene.look_at(eye) for eye in torch.randn(5, 3)]).double()
    rotation, translation = rotation_and_translation(transforms)
    torch.testing.assert_close(camera_to_world(rotation, translation), transforms)


def test_where_rasterising_clips():
    rotation, translation = _extrinsics()
    assert fov_perspective(rotation, translation, znear=0.4).near == pytest.approx(0.2)
    assert fov_orthographic(rotation, translation).near is None
    assert pinhole(rotation, translation).near is None


def test_views_are_independent():
    rotation, translation = rotation_and_translation(torch.stack([nt.scene.look_at(eye) for eye in torch.randn(3, 3)]))
    together = fov_perspective(rotation, translation).ndc(POINTS.float())
    for k in range(3):
        alone = fov_perspective(rotation[k : k + 1], translation[k : k + 1]).ndc(POINTS.float())[0]
        torch.testing.assert_close(together[k], alone)


def test_a_point_in_the_plane_of_the_eye_has_no_image_and_no_gradient():
    camera = fov_perspective(torch.eye(3)[None], torch.zeros(1, 3), fov=math.degrees(2 * math.atan(0.5)))
    points = torch.tensor([[1.0, 2.0, 0.0], [1.0, 2.0, 4.0]], requires_grad=True)
    ndc = camera.ndc(points)[0]
    assert bool(ndc[0, :2].isnan().all())
    torch.testing.assert_close(ndc[1], torch.tensor([-0.5, 1.0, 4.0]))
    ndc[:, :2].nansum().backward()
    assert bool(points.grad.isfinite().all())


def test_a_field_of_view_beyond_half_a_turn_is_refused():
    rotation, translation = _extrinsics()
    with pytest.raises(ArgumentError, match="fov is 180"):
        fov_perspective(rotation, translation, fov=180.0)
