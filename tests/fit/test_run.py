"""Whole runs: they find what is hidden, respect their discrete steps, and what ships is what was measured."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.fit import Options, fit_views, report, run, search_latent
from neurotex.fit.adam import Adam
from neurotex.fit.run import GRID, make_plan
from neurotex.renderers import turntable
from tests import tiny


def png(out: Path) -> np.ndarray:
    with Image.open(out / "textures" / "base_color.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_texture_is_recovered(seed, fit, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "search_latent", partial(search_latent, draws=32, rounds=((4, 15),)))
    secret = nt.GeneratedTexture(tiny.generator(), nt.Latent(tiny.generator()).sample(100))
    case = tiny.write_case(tmp_path / "hidden", secret)
    options = {name: str(case[name]) for name in ("mesh", "views", "holdout")}
    metrics = fit(tmp_path / "out", texture=str(case["generator"]), seed=seed, steps=100, **options)
    assert metrics["holdout_psnr_db"] > 35
    truth = secret.eval()()[0].detach().movedim(0, -1).numpy()
    assert np.abs(png(tmp_path / "out") / 255 - truth).mean() < 0.02


def test_weights_reach_further_than_latents(case, fit, short_search, tmp_path):
    options = {"texture": str(case["generator"]), "steps": 60}
    latents = fit(tmp_path / "latents", optimize="latents", **options)
    both = fit(tmp_path / "both", optimize="both", **options)
    assert both["train_psnr_db"] > latents["train_psnr_db"] + 1
    assert both["holdout_psnr_db"] > latents["holdout_psnr_db"] + 1


def test_weights_alone_leave_the_latent_where_the_search_left_it(case, fit, short_search, tmp_path):
    from safetensors.torch import load_file

    options = {"texture": str(case["generator"]), "steps": 4}
    for optimize in ("latents", "weights"):
        fit(tmp_path / optimize, optimize=optimize, **options)
    plan = make_plan(Options(str(case["mesh"]), str(case["views"]), **options))
    fresh = nt.Fit(plan.scene, plan.views, Adam([plan.latent.value]), 1, grid=GRID)
    plan.stages[0].prepare(fresh, lambda done, total: None)
    start = plan.latent.value.detach()
    assert torch.equal(load_file(tmp_path / "weights" / "latent.safetensors")["w"], start)
    assert not torch.equal(load_file(tmp_path / "latents" / "latent.safetensors")["w"], start)


@pytest.mark.parametrize("estimator", ["straight_through", "surrogate"])
def test_through_a_palette_the_texture_has_that_many_colours(fit, tmp_path, estimator):
    metrics = fit(tmp_path, through=("palette:4",), estimator=estimator, steps=16)
    colours = np.unique(png(tmp_path).reshape(-1, 3), axis=0)
    assert 2 <= len(colours) <= 4
    assert metrics["steps"] == 16


def test_through_levels_every_channel_has_that_many_values(fit, tmp_path):
    fit(tmp_path, through=("levels:4",), steps=16)
    assert set(np.unique(png(tmp_path))) <= {0, 85, 170, 255}


@pytest.mark.parametrize("through", [(), ("palette:4",)])
def test_what_ships_is_what_was_measured(case, fit, tmp_path, through):
    metrics = fit(tmp_path, through=through, steps=20)
    views = nt.Views.load(case["holdout"])
    shipped = nt.render(nt.Scene.load(tmp_path / "model.glb", None, views.cameras, views.lights), views.size)
    assert float(nt.losses.psnr(shipped, views.images).mean()) == pytest.approx(metrics["holdout_psnr_db"], abs=0.1)


def test_the_same_run_gives_the_same_texture(fit, tmp_path):
    for name in ("a", "b"):
        fit(tmp_path / name, steps=5)
    assert np.array_equal(png(tmp_path / "a"), png(tmp_path / "b"))


def test_huber_ssim_and_prior_reach_the_loss(case, fit, short_search, tmp_path):
    losses = {}
    for name, terms in {"plain": {}, "huber": {"huber": 0.01}, "ssim": {"ssim": 0.2}, "prior": {"prior": 0.1}}.items():
        seen: list[float] = []
        fit(
            tmp_path / name,
            texture=str(case["generator"]),
            steps=1,
            progress=lambda stage, done, total, loss, seen=seen: seen.append(loss),
            **terms,
        )
        losses[name] = seen[-1]
    assert losses["huber"] < losses["plain"] < min(losses["ssim"], losses["prior"])


def test_without_a_light_the_photographs_are_taken_as_they_are(case):
    """Each view then shows the albedo itself: ambient light of radiance 1."""
    file = case["views"] / "transforms.json"
    data = json.loads(file.read_text())
    del data["light"]
    file.write_text(json.dumps(data))
    plan = make_plan(Options(str(case["mesh"]), str(case["views"]), size=8))
    (light,) = plan.scene.lights
    assert isinstance(light, nt.AmbientLight)
    assert light.intensity.tolist() == [1, 1, 1]


def test_photographs_of_spot_give_its_texture(spot, tmp_path, monkeypatch):
    """Mitsuba's photographs, a texture of 256², judged by two views that were not fitted."""
    monkeypatch.setattr(report, "turntable", partial(turntable, size=32, frames=2))
    data = json.loads((spot / "flash" / "transforms.json").read_text())
    for frame in data["frames"]:
        frame["file_path"] = str((spot / "flash" / frame["file_path"]).resolve())
    fitted, held = tmp_path / "fitted.json", tmp_path / "held.json"
    fitted.write_text(json.dumps({**data, "frames": [f for k, f in enumerate(data["frames"]) if k not in (3, 8)]}))
    held.write_text(json.dumps({**data, "frames": [data["frames"][k] for k in (3, 8)]}))
    options = Options(str(spot / "cow.obj"), str(fitted), size=256, holdout=str(held))
    assert fit_views(options, tmp_path / "out")["holdout_psnr_db"] > 39
