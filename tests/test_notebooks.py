"""At the end of a notebook's cell, things show what they look like."""

import io

import numpy as np
import torch
from PIL import Image

import neurotex as nt
from neurotex.generators.material import MaterialGenerator


def picture(thing) -> np.ndarray:
    content = thing._repr_png_()
    return np.asarray(Image.open(io.BytesIO(content)))


def test_textures_show_their_texels():
    red = nt.ConstantTexture((1.0, 0.0, 0.5))
    seen = picture(red)
    assert seen.shape == (256, 256, 3)
    assert (seen == (255, 0, 128)).all()
    grey = nt.ImageTexture(torch.tensor([[[0.0, 1.0]]]))
    seen = picture(grey)
    assert seen.shape == (128, 256, 3)
    assert (seen[:, :128] == 0).all()
    assert (seen[:, 128:] == 255).all()
    leaf = nt.ImageTexture(torch.rand(4, 300, 400))
    assert picture(leaf).shape == (300, 400, 4)


def test_a_latent_shows_what_is_made_of_it_and_an_unbound_one_its_words():
    generator = MaterialGenerator(16, 6, 4, 6, (4, 3), 3, 2).eval()
    latent = nt.Latent(generator, "skin")
    texture = nt.GeneratedTexture(generator, latent)
    assert latent._repr_png_() is None
    assert texture._repr_png_() is None
    latent.sample(0)
    assert (picture(latent) == picture(texture.maps()["base_color"])).all()


def test_scenes_show_themselves_with_or_without_cameras(torus):
    scene = nt.Scene([torus])
    seen = picture(scene)
    assert seen.shape == (256, 256, 3)
    assert (seen[0, 0] == seen[-1, -1]).all()  # the background
    assert (seen != seen[0, 0]).any(2).mean() > 0.1
    lit = nt.Scene([torus], nt.orbit(3, 4.0), nt.Flash(7.0))
    assert picture(lit).shape == (128, 384, 3)
    assert nt.Scene([])._repr_png_() is None
    unbound = nt.Material(nt.GeneratedTexture(g := MaterialGenerator(16, 3, 4, 6, (4, 3), 3, 2), nt.Latent(g)))
    worn = scene.replace(materials={scene.materials()[0]: unbound})
    assert worn._repr_png_() is None


def test_views_show_their_photographs_on_white():
    images = torch.zeros(7, 4, 20, 30)
    images[3, 0], images[3, 3] = 1, 1
    seen = picture(nt.Views(nt.orbit(7, 3.0), images))
    assert seen.shape == (40, 180, 3)
    assert (seen[:20, 90:120] == (255, 0, 0)).all()
    assert (seen[:20, :90] == 255).all()
