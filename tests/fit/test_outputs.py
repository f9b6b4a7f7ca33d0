"""What a run leaves in its folder, read back by other software where there is some."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

import neurotex as nt
from neurotex.fit import Options, fit_views, report
from neurotex.fit.plan import make_plan
from neurotex.generators import load
from tests import tiny

KEYS = {"train_psnr_db", "holdout_psnr_db", "evaluated_pixels", "steps", "bake_seconds", "fit_seconds", "seconds"}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one whole run, turntable of full length included."""
    folder = tmp_path_factory.mktemp("outputs")
    case = tiny.write_case(folder / "case")
    options = Options(str(case["mesh"]), str(case["views"]), size=32, steps=20, holdout=str(case["holdout"]))
    fit_views(options, folder / "out")
    return folder / "out"


def test_the_folder_holds_what_was_promised_and_no_temporary_files(out):
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    results = {"model.glb", "turntable.gif", "report.html", "metrics.json", "textures/base_color.png"}
    results |= {f"report/00{k}.jpg" for k in range(4)}
    assert names == results | {"checkpoint.safetensors"}


def test_the_model_wears_the_fitted_texture_on_the_uvs_of_the_mesh(out):
    (mesh,) = trimesh.load_scene(out / "model.glb", process=False).geometry.values()
    with Image.open(out / "textures" / "base_color.png") as image:
        png = np.asarray(image.convert("RGB")).astype(int)
    worn = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")).astype(int)
    assert png.shape == (32, 32, 3)
    assert np.abs(worn - png).max() <= 1
    box = tiny.box()
    np.testing.assert_allclose(mesh.vertices, box.vertices.numpy(), atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, box.faces.numpy())
    np.testing.assert_allclose(mesh.visual.uv, box.uvs.numpy(), atol=1e-6)


def test_the_turntable_shows_the_mesh_from_several_sides(out):
    with Image.open(out / "turntable.gif") as film:
        frames = []
        for k in range(film.n_frames):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB")).astype(int))
    assert len(frames) > 1
    for frame in frames:
        covered = (frame < 250).any(-1)
        assert 0.1 < covered.mean() < 0.9
        assert frame[covered].std() > 10
        assert not covered[[0, -1]].any()
    assert all(np.abs(a - b).mean() > 1 for a, b in pairwise(frames))


def test_the_report_is_one_page_with_a_thumbnail_of_every_view_and_pictures_beside_it(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]*)"', page)
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|url\(|<script|<link", page)
    views = re.findall(r'href="([^"]*)"><img [^>]*></a><figcaption>(\S+): [\d.]+ dB</figcaption>', page)
    assert views == [(f"report/00{k}.jpg", str(k)) for k in range(4)]
    assert len(sources) == len(views) + 1  # and the texture
    files = re.findall(r'href="([^"]*)"', page)
    assert files[-1] == "textures/base_color.png"
    assert all((out / file).is_file() for file in files)
    with Image.open(out / files[0]) as strip:
        assert strip.size == (3 * tiny.SIDE, tiny.SIDE)
    assert len(re.search(r'<polyline points="([^"]*)"', page)[1].split()) == 20  # the loss of every step


@pytest.mark.parametrize(("side", "shown"), [(256, 256), (40, 40), (2 * report.LARGEST, report.LARGEST)])
def test_a_report_of_many_views_is_small_and_names_are_words_only(case, tmp_path, side, shown):
    count = 48 if side < 1000 else 1
    plan = make_plan(Options(str(case["mesh"]), str(case["views"]), size=8))
    images = torch.cat([tiny.picture(side), torch.ones(1, side, side)]).expand(count, -1, -1, -1)
    names = ['<img src="x">', *(f"view {k}" for k in range(1, count))]
    views = nt.Views(plan.views.cameras[:1] * count, images, plan.views.lights, names)
    (tmp_path / "report").mkdir()
    about = (images.flip(2), {"a & b.png": tiny.picture(8)[None]}, [0.1, 0.01], {"steps": 2})
    report.write_report(tmp_path, replace(plan, views=views), *about)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    assert "<figcaption>&lt;img src=&#34;x&#34;&gt;: " in page
    assert 'href="a%20%26%20b.png"' in page
    pictures = sorted((tmp_path / "report").iterdir())
    assert len(pictures) == count
    with Image.open(pictures[0]) as strip:
        assert strip.size == (3 * shown, shown)


def test_the_metrics_are_all_there(out):
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics) == KEYS
    assert metrics["steps"] == 20
    assert 0 < metrics["bake_seconds"] + metrics["fit_seconds"] < metrics["seconds"]
    assert metrics["train_psnr_db"] > 30


def test_the_learned_latent_makes_the_texture_that_is_exported(case, fit, short_search, tmp_path):
    fit(tmp_path, texture=str(case["generator"]), steps=5)
    assert not (tmp_path / "generator.safetensors").exists()  # it is as it was
    assert torch.equal(texture_of(tmp_path, case["generator"]), png_of(tmp_path))


def test_the_learned_generator_makes_the_texture_that_is_exported_but_for_its_seams(case, fit, short_search, tmp_path):
    fit(tmp_path, texture=str(case["generator"]), optimize="both", steps=20)
    learned = (texture_of(tmp_path, tmp_path / "generator.safetensors") - png_of(tmp_path)).abs().mean()
    original = (texture_of(tmp_path, case["generator"]) - png_of(tmp_path)).abs().mean()
    assert float(learned) < 0.25 * float(original)


@torch.no_grad()
def texture_of(out: Path, generator: Path) -> torch.Tensor:
    """What a generator makes of the latent that a run has left, as 8 bits."""
    from safetensors.torch import load_file

    value = load(generator).synthesis(load_file(out / "latent.safetensors")["w"])[0]
    return ((value + 1) / 2 * 255).round()


def png_of(out: Path) -> torch.Tensor:
    (mesh,) = nt.Scene.load(out / "model.glb").meshes()
    return (mesh.material.base_color()[0] * 255).round()
