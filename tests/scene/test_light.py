import pytest
import torch

import neurotex as nt

EYE = torch.tensor([1.0, 2, 3, 1])


def test_where_each_light_stands():
    assert torch.equal(nt.Flash(1.0).point(EYE), EYE)
    assert nt.PointLight((4.0, 5.0, 6.0), 1.0).point(EYE).tolist() == [4, 5, 6, 1]
    assert nt.DirectionalLight((0.0, -2.0, 0.0), 1.0).point(EYE).tolist() == [0, 2, 0, 0]  # towards the light
    assert nt.AmbientLight(1.0).point(EYE).tolist() == [0, 0, 0, 0]


def test_an_intensity_is_grey_or_a_colour():
    assert nt.Flash(7.0).intensity.tolist() == [7, 7, 7]
    assert nt.Flash((1.0, 2.0, 3.0)).intensity.tolist() == [1, 2, 3]


@pytest.mark.parametrize("intensity", [-1.0, (1.0, 2.0), (1.0, 2.0, -3.0), float("nan")])
def test_other_intensities_are_refused(intensity):
    with pytest.raises(nt.ArgumentError, match="intensity"):
        nt.Flash(intensity)


def test_a_direction_is_not_zero():
    with pytest.raises(nt.ArgumentError, match="direction"):
        nt.DirectionalLight((0.0, 0.0, 0.0), 1.0)


def test_a_flash_needs_a_camera_with_a_place():
    with pytest.raises(nt.SceneError, match="orthographic"):
        nt.Flash(1.0).point(nt.OrthographicCamera().eye)
