"""Photographs projected back onto a texture: the least squares that it claims to be."""

import pytest
import torch

import neurotex as nt
from neurotex.fit.backproject import backproject, least_squares
from neurotex.fit.losses import psnr
from tests import tiny


def _case() -> tuple[nt.Scene, nt.BakedScene, torch.Tensor]:
    mesh = tiny.box()
    mesh.material = nt.Material(nt.ImageTexture(tiny.picture(24)))
    scene = nt.Scene(mesh, tiny.cameras(8), nt.Flash(30.0))
    baked = nt.bake(scene, 64)
    return scene, baked, nt.render(scene, 64)


def test_what_was_rendered_is_found_again():
    scene, baked, images = _case()
    levels = []
    for iterations in (0, 3, 12):
        texels = least_squares(baked, images, iterations)
        assert texels.shape == (len(baked.texel), 3)
        picture = torch.zeros(3, 24 * 24).index_copy(1, baked.texel, nt.shading.linear_to_srgb(texels).T)
        scene.materials()[0].base_color = nt.ImageTexture(picture.view(3, 24, 24))
        levels.append(float(psnr(baked(), images).mean()))
    assert levels[0] + 5 < levels[1] < levels[2] + 1
    scene.materials()[0].base_color = nt.ImageTexture(backproject(baked, images, (24, 24)))
    assert float(psnr(baked(), images).mean()) == pytest.approx(levels[1], abs=0.01)
    assert levels[1] > 45


def test_black_photographs_give_a_black_texture_and_overexposed_ones_a_white_one():
    _, baked, images = _case()
    black = backproject(baked, torch.zeros_like(images), (24, 24))
    assert bool((black == 0).all())
    assert float(backproject(baked, 100 * images, (24, 24)).amax()) > 0.999


def test_a_pyramid_becomes_the_picture_it_draws():
    for size in (1, 7, 32):
        texture, picture = nt.PyramidTexture(size), torch.rand(3, size, size)
        texture.draw(picture)
        torch.testing.assert_close(texture()[0], picture, atol=1e-6, rtol=0)
        coarse = nt.PyramidTexture(size)
        for level in list(coarse.levels)[1:]:
            assert bool((level == 0).all())
