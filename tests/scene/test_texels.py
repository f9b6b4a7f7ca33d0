"""A picture is the same texture however it is given."""

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene.texels import texels

BYTES = torch.randint(256, (3, 6, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
RIGHT = BYTES.float() / 255
ARRAY = BYTES.permute(1, 2, 0).numpy()


@pytest.fixture
def file(tmp_path):
    Image.fromarray(ARRAY).save(tmp_path / "x.png")
    return tmp_path / "x.png"


GIVEN = {
    "floats": RIGHT,
    "one of a batch": RIGHT[None],
    "bytes": BYTES,
    "channels last": BYTES.permute(1, 2, 0),
    "floats, channels last": RIGHT.permute(1, 2, 0),
    "array": ARRAY,
    "array, channels first": BYTES.numpy(),
    "array of floats": RIGHT.numpy(),
    "array, upside down twice": ARRAY[::-1].copy()[::-1],
    "array of another byte order": RIGHT.numpy().astype(">f4"),
    "16 bits": ARRAY.astype(np.uint16) * 257,
    "Pillow's": Image.fromarray(ARRAY),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_tensors_arrays_and_images(given):
    texture = nt.ImageTexture(given)
    assert texture.image.dtype == torch.float32
    assert texture.image.is_contiguous()
    torch.testing.assert_close(texture(), RIGHT[None], rtol=0, atol=1e-7)
    torch.testing.assert_close(nt.Material(given).base_color(), RIGHT[None], rtol=0, atol=1e-7)


def test_files_by_either_kind_of_name(file):
    for given in (file, str(file)):
        assert torch.equal(nt.ImageTexture(given)(), RIGHT[None])
        assert torch.equal(nt.Material(given).base_color(), RIGHT[None])
    with pytest.raises(nt.FileError, match=r"none\.png does not exist"):
        nt.ImageTexture(file.with_name("none.png"))
    with pytest.raises(nt.ArgumentError, match=r"readme.txt is not a texture file.*\.png"):
        nt.Material("readme.txt")


def test_precision_is_kept_but_for_half():
    assert nt.ImageTexture(RIGHT.double())().dtype == torch.float64
    torch.testing.assert_close(nt.ImageTexture(RIGHT.half())(), RIGHT[None].half().float())


def test_floats_up_to_255_are_warned_of():
    with pytest.warns(UserWarning, match=r"lies in \[0, 1\], but this image goes up to 255: divide it"):
        texture = nt.ImageTexture(255 * RIGHT / RIGHT.max())
    assert float(texture().max()) == 255


def test_what_is_given_is_copied():
    array = RIGHT.numpy().copy()
    texture, fitted = nt.ImageTexture(array), nt.ImageTexture(torch.from_numpy(array), trainable=True)
    array[:] = 0
    assert torch.equal(texture(), RIGHT[None])
    assert torch.equal(fitted(), RIGHT[None])


def test_sizes_that_could_be_channels_are_rows_first():
    assert texels(torch.zeros(4, 2, 3)).shape == (4, 2, 3)
    assert texels(torch.zeros(9, 5, 6)).shape == (9, 5, 6)
    assert texels(np.zeros((6, 8))).shape == (1, 6, 8)


def test_grey_pictures_are_colours_and_colours_without_hue_are_grey():
    grey = Image.fromarray(ARRAY[..., 0])
    assert torch.equal(nt.Material(grey).base_color(), RIGHT[None, [0, 0, 0]])
    alpha = Image.merge("LA", (grey, Image.fromarray(ARRAY[..., 1])))
    assert torch.equal(nt.Material(alpha, alpha_cutoff=0.5).base_color(), RIGHT[None, [0, 0, 0, 1]])
    assert torch.equal(nt.Material(roughness=grey.convert("RGB")).roughness(), RIGHT[None, :1])
    with pytest.raises(nt.ArgumentError, match="roughness has 1 channel, but got 3"):
        nt.Material(roughness=Image.fromarray(ARRAY))
    with pytest.raises(nt.ArgumentError, match="normal has 3 channels, but got 1"):
        nt.Material(roughness=0.5, normal=grey)


class Maker(torch.nn.Module):
    latent_shape = (2,)

    def __init__(self, channels):
        super().__init__()
        self.out_channels = channels

    def forward(self, z):
        return torch.zeros(len(z), self.out_channels, 4, 4)


def test_a_generator_of_several_maps_says_how_to_wear_them():
    def worn(channels, what):
        generator = Maker(channels)
        return nt.Material(**{what: nt.GeneratedTexture(generator, nt.Latent(generator)), "roughness": 0.5})

    with pytest.raises(nt.ArgumentError, match=r"base_color has .* makes 6: neurotex.Material\(\*\*texture.maps\(\)\)"):
        worn(6, "base_color")
    with pytest.raises(nt.ArgumentError, match=r"makes 9: neurotex.scene.ChannelTexture"):
        worn(9, "base_color")
    with pytest.raises(nt.ArgumentError, match="normal has 3 channels, but this generator makes 4"):
        worn(4, "normal")
    assert worn(4, "base_color").base_color.generator.out_channels == 4


def test_environments_are_arrays_and_channels_last_too():
    light = torch.rand(3, 4, 8)
    for given in (light, light.numpy(), light.permute(1, 2, 0), light.permute(1, 2, 0).numpy(), light.double().numpy()):
        assert torch.equal(nt.EnvironmentLight(given).image, light)
