"""Cameras drawn: pyramids whose edges run where the camera's own picture ends."""

import numpy as np
import pytest
import torch

import neurotex as nt
from neurotex.renderers.frusta import _points, with_frusta
from neurotex.scene.views import read_frames
from tests import tiny
from tests.scene.views import programs


@pytest.fixture
def frames(tmp_path):
    poses = programs.poses()
    programs.WRITERS["transforms.json"](programs.photographs(tmp_path), poses, lens=False)
    return read_frames(tmp_path)


def test_the_base_of_a_pyramid_is_what_the_camera_sees(frames):
    for frame in frames:
        height, width = frame.size
        points = _points(frame.camera, frame.size, 0.5)
        ends = torch.cat([points[1:], points.new_ones(5, 1)], 1) @ frame.camera.screen_matrix(frame.size).double().T
        pixels = (ends[:, :2] / ends[:, 3:]).numpy()
        expected = [[0, 0], [width, 0], [width, height], [0, height]]
        np.testing.assert_allclose(pixels[:4], expected, atol=1e-3)
        assert pixels[4, 0] == pytest.approx(width / 2, abs=1e-3)
        assert pixels[4, 1] < 0  # the mark is above the picture
        np.testing.assert_allclose(points[0], frame.camera.position, atol=1e-6)


def test_all_cameras_and_the_mesh_are_in_the_picture(frames):
    scene = with_frusta(nt.Scene([tiny.box()]), frames)
    image = nt.render(scene, 192, grid=2)[0]
    orange = (image[0] > 0.4) & (image[2] < 0.2)
    grey = (image[:3].amax(0) - image[:3].amin(0) < 0.02) & (image[3] > 0.9)
    assert int(orange.sum()) > 30
    assert int(grey.sum()) > 30
    for edge in (image[3, 0], image[3, -1], image[3, :, 0], image[3, :, -1]):
        assert not edge.any()
    assert len(nt.Scene([]).replace(cameras=with_frusta(nt.Scene([]), frames).cameras).cameras) == 1  # no mesh: fine


def test_no_cameras_are_refused():
    with pytest.raises(nt.ArgumentError, match="no cameras to draw"):
        with_frusta(nt.Scene([]), [])
