"""Pictures of materials, and sheets of them."""

import pytest
import torch

from neurotex.errors import ArgumentError
from neurotex.gan.pictures import picture, sheet


def test_light_comes_from_the_upper_left():
    flat = torch.zeros(1, 6, 2, 2)
    towards, away = flat.clone(), flat.clone()
    towards[:, 3], towards[:, 4] = -0.3, 0.3
    away[:, 3], away[:, 4] = 0.3, -0.3
    dark, middle, light = (picture(m).mean() for m in (away, flat, towards))
    assert dark < middle < light
    assert picture(flat).shape == (1, 3, 2, 2)


def test_a_matt_surface_shows_its_own_colour():
    """White is about white, and what is twice as light in linear light is so in the picture."""
    colours = torch.ones(1, 6, 1, 3)
    colours[0, 3:5] = 0
    colours[0, :3, 0, 1:] = torch.tensor([0.0, -1.0])
    white, grey, black = picture(colours)[0, :, 0].unbind(1)
    assert (white > 0.9).all()
    assert ((grey - 0.5).abs() < 0.15).all()
    assert (black < 0.25).all()


def test_a_sheet_lays_images_out_in_rows():
    images = torch.rand(5, 3, 4, 6)
    pixels = torch.frombuffer(bytearray(sheet(images, 3).tobytes()), dtype=torch.uint8).view(8, 18, 3)
    assert torch.equal(pixels[4:, 6:12].movedim(2, 0), (images[4] * 255).round().byte())
    assert pixels[4:, 12:].max() == 0
    with pytest.raises(ArgumentError, match="1 column"):
        sheet(images, 0)
