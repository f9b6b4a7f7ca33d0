"""What is looked at, and what it wears."""

import pytest
import torch

import neurotex as nt
from neurotex.errors import ArgumentError
from neurotex.generators import LatentSpace
from neurotex.viewer.model import Model


def texels(model, tmp_path):
    """base_color as the GLB has it."""
    (tmp_path / "a.glb").write_bytes(model.glb())
    return nt.Scene.load(tmp_path / "a.glb").materials()[0].base_color()


def test_a_scene_keeps_its_materials_and_steps_change_what_is_exported(square, tmp_path):
    model = Model(square)
    plain = texels(model, tmp_path)
    torch.testing.assert_close(plain, square.materials()[0].base_color(), rtol=0, atol=0.002)
    model.set_steps(["levels:2"], "surrogate")
    model.refresh()
    assert set(texels(model, tmp_path).unique().tolist()) == {0.0, 1.0}
    maps = model.maps()
    assert set(maps) == {"base_color", "base_color, as a fit sees it"}
    assert len(maps["base_color, as a fit sees it"].unique()) > 2  # the surrogate is smooth
    model.set_steps(["palette:3"], "straight_through")
    model.refresh()
    seen = texels(model, tmp_path)
    assert len(seen.flatten(2)[0].T.unique(dim=0)) == 3
    assert (seen - plain).abs().mean() < 0.2  # colours of the texture, not of a palette that knows nothing of it
    model.set_steps([], "straight_through")
    assert torch.equal(texels(model, tmp_path), plain)
    with pytest.raises(ArgumentError):
        model.set_steps(["levels:1000000000"], "straight_through")
    with pytest.raises(ArgumentError):
        model.set_steps(["blocks:bc1"], "gumbel")


def test_a_generator_is_worn_with_all_its_maps_and_moved_by_its_latent(square, tiny, tmp_path):
    latent = tiny.mapping(torch.ones(1, 4))
    model = Model(square, tiny, latent)
    assert set(model.maps()) == {"base_color", "normal", "roughness", "metallic"}
    first = texels(model, tmp_path)
    torch.testing.assert_close(first, ((tiny(torch.ones(1, 4)) + 1) / 2).clamp(0, 1)[:, :3], rtol=0, atol=0.003)
    model.set_latent(tiny.mapping(-torch.ones(1, 4))[0])
    assert not torch.equal(texels(model, tmp_path), first)
    assert isinstance(model.generator, LatentSpace)


def test_a_picture_by_our_renderer_is_lit_and_shows_the_model(square):
    model = Model(square)
    torch.testing.assert_close(model.center, torch.tensor([12.0, 2, 0]))
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([12.0, 2, 8]), torch.tensor([12.0, 2, 0])))
    image = model.render(camera, (12, 16))
    assert image.shape == (4, 12, 16)
    assert image[3, 6, 8] == 1
    assert 0.02 < float(image[:3, 6, 8].mean()) < 1
