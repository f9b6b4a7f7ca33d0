"""What a path holds that can be looked at."""

import pytest
import torch

import neurotex as nt
from neurotex import generators
from neurotex.errors import FileError
from neurotex.generators import LatentSpace
from neurotex.viewer.subject import subject


def test_a_mesh_or_a_generator(teapot, tiny, tmp_path):
    found = subject(teapot)
    assert found.generator is None
    assert len(found.scene.meshes()) == 1
    generators.save(tiny, tmp_path / "tiny.safetensors")
    for found in (subject(tmp_path / "tiny.safetensors"), subject(teapot, texture=str(tmp_path / "tiny.safetensors"))):
        assert isinstance(found.generator, LatentSpace)
        assert found.scene.geometry().vertices.shape == nt.Scene.load(teapot).geometry().vertices.shape


def test_a_fit_is_taken_up_with_its_latent_its_weights_and_its_photographs(teapot, tiny, tmp_path):
    generators.save(tiny, tmp_path / "tiny.safetensors")
    views = str(nt.assets.folder() / "demo" / "views")
    options = nt.fit.Options(
        teapot, views, texture=str(tmp_path / "tiny.safetensors"), optimize="both", steps=1, space="w+"
    )
    nt.fit.fit_views(options, tmp_path / "fit")
    found = subject(tmp_path / "fit")
    assert found.views is not None
    assert len(found.views.cameras) == len(nt.Views.load(views).cameras)
    assert found.generator.space == "w+"
    assert found.latent.shape == (1, *found.generator.latent_shape)
    own = generators.load(tmp_path / "fit" / "generator.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(found.generator(found.latent), own.synthesis(found.latent))


def test_a_training_run_is_worn_by_the_teapot(tiny, tmp_path):
    generators.save(tiny, tmp_path / "generator.safetensors")
    assert isinstance(subject(tmp_path).generator, LatentSpace)
    (tmp_path / "metrics.json").write_text("{}")  # as a run writes that has ended
    assert isinstance(subject(tmp_path).generator, LatentSpace)


@pytest.mark.parametrize("damage", ["empty", "unfinished", "broken latent", "nothing there"])
def test_a_broken_folder_is_one_sentence(damage, teapot, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    if damage == "unfinished":
        (folder / "metrics.json").write_text("{}")
    if damage == "broken latent":
        nt.Scene.load(teapot).save(folder / "model.glb")
        (folder / "latent.safetensors").write_bytes(b"no tensors")
    with pytest.raises(FileError) as said:
        subject(folder if damage != "nothing there" else tmp_path / "nothing.obj")
    assert "\n" not in str(said.value)
    assert str(tmp_path) in str(said.value)
