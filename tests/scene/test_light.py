import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene import EnvironmentLight, PlacedLight
from neurotex.shading import prefilter, sh_irradiance

CAMERA = nt.PerspectiveCamera(nt.look_at(torch.tensor([1.0, 2, 3])))


def test_where_each_light_stands():
    assert nt.Flash(1.0).point(CAMERA).tolist() == [1, 2, 3, 1]
    assert nt.PointLight((4.0, 5.0, 6.0), 1.0).point(CAMERA).tolist() == [4, 5, 6, 1]
    assert nt.DirectionalLight((0.0, -2.0, 0.0), 1.0).point(CAMERA).tolist() == [0, 2, 0, 0]  # towards the light
    for everywhere in (nt.AmbientLight(1.0), EnvironmentLight(torch.rand(3, 4, 8))):
        assert not isinstance(everywhere, PlacedLight)


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
        nt.Flash(1.0).point(nt.OrthographicCamera())


def test_an_environment_has_maps():
    light = EnvironmentLight(torch.rand(3, 8, 16), 2.0)
    coefficients, prefiltered = light.maps()
    torch.testing.assert_close(coefficients, 2 * sh_irradiance(light.image))
    torch.testing.assert_close(prefiltered, 2 * prefilter(light.image))


def test_a_light_of_no_known_kind_is_refused_by_name(plate):
    class Glow(nt.Light):
        pass

    scene = nt.Scene(plate, nt.orbit(1, 3.0), [nt.Flash(1.0), Glow(1.0)])
    for use in (nt.render, nt.bake):
        with pytest.raises(nt.SceneError, match="Glow is no light that this renderer knows"):
            use(scene, 4)


def test_maps_are_made_once_and_again_when_the_image_changes():
    light = EnvironmentLight(torch.rand(3, 4, 8), (1.0, 2.0, 3.0))
    first = light.maps()[0]
    made = light._maps
    assert torch.equal(light.maps()[0], first)
    assert light._maps is made
    light.image.mul_(2)
    torch.testing.assert_close(light.maps()[0], 2 * first)
    assert light.double().maps()[1].dtype == torch.float64


def test_a_trained_environment_gets_a_gradient():
    light = EnvironmentLight(torch.rand(3, 4, 8), trainable=True)
    sum(m.sum() for m in light.maps()).backward()
    assert bool((light.image.grad != 0).all())
    with torch.no_grad():
        assert not light.maps()[0].requires_grad
    assert list(EnvironmentLight(torch.rand(3, 4, 8)).parameters()) == []


@pytest.mark.parametrize("image", [torch.rand(1, 4, 4), torch.rand(4, 4), -torch.rand(3, 4, 4), torch.rand(3, 0, 4)])
def test_other_images_are_refused(image):
    with pytest.raises(nt.ArgumentError, match="environment"):
        EnvironmentLight(image)


def _packed(rows: np.ndarray) -> bytes:
    """Rows (H, W, 4) in Radiance's run-length encoding: a run, then the rest as it is, plane by plane."""
    out = b""
    for row in rows:
        out += bytes([2, 2, len(row) >> 8, len(row) & 255])
        for plane in row.T:
            run = next((k for k in range(len(plane)) if plane[k] != plane[0]), len(plane))
            out += bytes([128 + run, plane[0]])
            if run < len(plane):
                out += bytes([len(plane) - run]) + plane[run:].tobytes()
    return out


@pytest.mark.parametrize("pack", [_packed, np.ndarray.tobytes])
def test_a_radiance_file_is_read(tmp_path, pack):
    rows = np.random.default_rng(0).integers(0, 256, (5, 11, 4), dtype=np.uint8)
    rows[:, :4] = rows[:, :1]
    rows[..., 3] = 120 + rows[..., 3] % 16
    rows[2, 3, 3] = 0  # black, whatever the mantissas
    header = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\nEXPOSURE=2.0\n\n-Y 5 +X 11\n"
    (tmp_path / "sky.hdr").write_bytes(header + pack(rows))
    expected = rows[..., :3] * np.exp2(rows[..., 3:] - 136.0) / 2
    expected[2, 3] = 0
    image = EnvironmentLight(tmp_path / "sky.hdr").image
    torch.testing.assert_close(image, torch.tensor(expected).movedim(-1, 0).float())


def test_pictures_are_decoded_and_arrays_taken_as_they_are(tmp_path):
    Image.new("RGB", (4, 2), (255, 0, 188)).save(tmp_path / "sky.png")
    image = EnvironmentLight(str(tmp_path / "sky.png")).image
    assert image.shape == (3, 2, 4)
    torch.testing.assert_close(image[:, 0, 0], torch.tensor([1, 0, 0.5029]), atol=1e-4, rtol=0)
    np.save(tmp_path / "sky.npy", np.full((3, 2, 4), 7.0))
    assert bool((EnvironmentLight(tmp_path / "sky.npy").image == 7).all())


HEADER = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 8\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("header.hdr", b"#?RADIANCE\n\n-Y 2 +X 8\n"),
        ("upside.hdr", HEADER.replace(b"-Y", b"+Y")),
        ("cut.hdr", HEADER + bytes([2, 2, 0, 8, 136, 9])),
        ("flat.hdr", HEADER + bytes(range(20))),
        ("long.hdr", HEADER + bytes([2, 2, 0, 8, 255, 9])),
        ("noise.png", b"noise"),
        ("noise.npy", b"noise"),
    ],
)
def test_broken_images_are_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(nt.FileError, match=name):
        EnvironmentLight(tmp_path / name)


def test_missing_and_unknown_images_are_refused(tmp_path):
    with pytest.raises(nt.FileError, match="does not exist"):
        EnvironmentLight(tmp_path / "gone.hdr")
    with pytest.raises(nt.ArgumentError, match=r"\.hdr, \.npy"):
        EnvironmentLight("sky.exr")
