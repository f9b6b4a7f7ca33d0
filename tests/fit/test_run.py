"""Whole runs: they find what is hidden, respect their discrete steps, and what is exported is what was measured."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.core.checkpoint import load_state
from neurotex.discrete import parse
from neurotex.fit import Options, fit_views, outputs, plan, run, search_latent
from neurotex.fit.adam import Adam
from neurotex.fit.plan import GRID, make_plan
from neurotex.fit.starts import calibrate
from neurotex.fit.validation import Reference
from neurotex.renderers import turntable
from tests import tiny


def png(out: Path) -> np.ndarray:
    with Image.open(out / "textures" / "base_color.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_texture_is_recovered(seed, fit, tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "search_latent", partial(search_latent, draws=32, rounds=((4, 15),)))
    secret = nt.GeneratedTexture(tiny.generator(), nt.Latent(tiny.generator()).sample(100))
    case = tiny.write_case(tmp_path / "hidden", secret)
    options = {name: str(case[name]) for name in ("mesh", "views", "holdout")}
    metrics = fit(tmp_path / "out", texture=str(case["generator"]), seed=seed, steps=100, **options)
    assert metrics["holdout_psnr_db"] > 35
    truth = secret.eval()()[0].detach().movedim(0, -1).numpy()
    assert np.abs(png(tmp_path / "out") / 255 - truth).mean() < 0.02


def test_held_out_views_that_see_nothing_are_said(case, fit, tmp_path):
    file = case["holdout"] / "transforms.json"
    tree = json.loads(file.read_text())
    for frame in tree["frames"]:
        frame["transform_matrix"][0][3] += 100
        picture = case["holdout"] / frame["file_path"]
        Image.open(picture).convert("RGB").save(picture)  # opaque: what the mesh covers is measured
    file.write_text(json.dumps(tree))
    with pytest.warns(UserWarning, match=r"no view of .*holdout sees the mesh: nothing is measured by it"):
        assert fit(tmp_path / "out", steps=1)["holdout_psnr_db"] is None


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
    (target,) = plan.targets
    fresh = nt.Fit(plan.scene, plan.views, Adam([target.latent.value]), 1, grid=GRID)
    plan.stages[0].prepare(fresh, lambda done, total: None)
    start = target.latent.value.detach()
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
def test_what_is_exported_is_what_was_measured(case, fit, tmp_path, through):
    metrics = fit(tmp_path, through=through, steps=20)
    views = nt.Views.load(case["holdout"])
    exported = nt.render(nt.Scene.load(tmp_path / "model.glb", None, views.cameras, views.lights), views.size)
    assert float(nt.losses.psnr(exported, views.images).mean()) == pytest.approx(metrics["holdout_psnr_db"], abs=0.1)


# steps, and what their file is: its ending, and the mode that Pillow opens it in
THROUGH = {
    "levels:2": (".png", "RGB"),
    "levels:3": (".png", "RGB"),
    "palette:4": (".png", "P"),
    "jpeg:20": (".jpg", "RGB"),
    "blocks:bc1": (".dds", "RGBA"),
    "bayer:2": (".png", "RGB"),
    "floyd_steinberg:2": (".png", "RGB"),
}


@pytest.fixture(scope="module")
def through(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, plan.Plan]]:
    """The folder that a fit of the tiny case through a step has left, and its plan. Short, or it would take long."""
    folder = tmp_path_factory.mktemp("through")
    case, done = tiny.write_case(folder / "case"), {}

    def call(step: str) -> tuple[Path, plan.Plan]:
        if step not in done:
            plans = []
            options = Options(str(case["mesh"]), str(case["views"]), size=32, steps=8, imagined=8, through=(step,))
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(outputs, "turntable", partial(turntable, size=16, frames=2))
                patch.setattr(run, "make_plan", lambda options: plans.append(make_plan(options)) or plans[0])
                fit_views(options, folder / step.replace(":", " "))
            done[step] = folder / step.replace(":", " "), plans[0]
        return done[step]

    return call


@pytest.mark.parametrize("step", THROUGH)
def test_through_a_step_is_never_worse_than_rounding_afterwards(step, through):
    """On validation views, which know the texture without the step. Both are shown in the mode of exports."""
    out, plan = through(step)
    (texture,) = load_state(out / "checkpoint.safetensors")[0]["without steps"]
    rounding = parse(step)
    imagined = plan.options.imagined if step.startswith("palette") else 0  # from what they show, colours are learned
    plain = nt.ImageTexture(texture)
    reference = Reference(plan.wearing([plain]), plan.views, imagined, plan.options.seed, grid=GRID)
    calibrate([rounding], texture, reference.baked)
    found = nt.Scene.load(out / "model.glb").meshes()[0].material.base_color
    before, after = (reference.validation.score(plan.wearing([worn]))() for worn in (plain.through(rounding), found))
    slack = 1.01 if step.startswith("jpeg") else 1 + 1e-5  # another decoder's rounding
    assert after <= before * slack
    if step in ("levels:2", "levels:3", "palette:4", "blocks:bc1"):
        assert after < 0.95 * before


@pytest.mark.parametrize("step", THROUGH)
def test_what_is_exported_is_what_the_loop_saw(step, through):
    """In training mode: what was optimised by straight-through, to the bit. A JPEG to one step of 8 bits."""
    out, plan = through(step)
    exported = nt.Scene.load(out / "model.glb", None, plan.views.cameras, plan.views.lights)
    worn, loop = exported.meshes()[0].material.base_color, plan.stages[-1].textures[0].train()
    with torch.no_grad():
        images = [nt.render(plan.wearing([texture]), plan.views.size, grid=GRID) for texture in (loop, worn)]
        # a GLB counts v from the other end and has normals: its own render is the same up to rounding of these
        torch.testing.assert_close(nt.render(exported, plan.views.size, grid=GRID), images[1], atol=1e-4, rtol=1e-3)
        assert float((worn() - loop()).abs().max()) <= (1.01 / 255 if step.startswith("jpeg") else 0)
    assert torch.equal(*images) or step.startswith("jpeg")
    assert float(images[0][:, :3].max()) > 0.1


@pytest.mark.parametrize("step", THROUGH)
def test_what_is_exported_is_in_the_format_of_its_step(step, through):
    out, plan = through(step)
    suffix, mode = THROUGH[step]
    (file,) = (out / "textures").iterdir()
    assert file.name == f"base_color{suffix}"
    with Image.open(file) as image:
        assert image.mode == mode
        pixels = torch.from_numpy(np.asarray(image.convert("RGB")).copy()).movedim(-1, 0)
    loop = (plan.stages[-1].textures[0].eval()().detach()[0] * 255).round()
    assert float((pixels - loop).abs().max()) <= (1 if suffix == ".jpg" else 0)
    colours = len(pixels.flatten(1).unique(dim=1).T)
    if step == "palette:4":
        assert 2 <= colours <= 4
    elif step.endswith(":2"):
        assert set(pixels.unique().tolist()) == {0, 255}


def test_the_best_is_kept_and_not_the_last(fit, tmp_path, monkeypatch):
    """Steps that are much too large leave the start as it was."""
    monkeypatch.setitem(plan.RATES, "stepped pixels", (50.0, (0.9, 0.99)))
    fit(tmp_path / "wild", through=("levels:2",), imagined=1, steps=6)
    monkeypatch.setitem(plan.RATES, "stepped pixels", (0.0, (0.9, 0.99)))
    fit(tmp_path / "still", through=("levels:2",), imagined=1, steps=6)
    assert np.array_equal(png(tmp_path / "wild"), png(tmp_path / "still"))


def test_several_steps_follow_one_another_and_imagined_views_and_temperatures_reach_the_fit(fit, tmp_path, monkeypatch):
    seen: list[nt.Fit] = []
    whole = nt.Fit.run
    monkeypatch.setattr(nt.Fit, "run", lambda self, on_step: seen.append(self) or whole(self, on_step))
    options = {"estimator": "surrogate", "imagined": 5, "temperature": (0.7, 0.2), "seed": 3, "steps": 6}
    fit(tmp_path, through=("palette:5", "levels:4"), **options)
    colours = np.unique(png(tmp_path).reshape(-1, 3), axis=0)
    assert 2 <= len(colours) <= 5
    assert set(np.unique(colours)) <= {0, 85, 170, 255}
    first, second = seen
    assert [len(each.images) for each in seen] == [4, 9]
    assert (first.temperature, second.temperature) == (None, (0.7, 0.2))
    assert first.seed == second.seed == 3


def test_more_levels_than_error_diffusion_takes_are_fitted_too(fit, tmp_path):
    with pytest.warns(UserWarning, match="PNG file of 8 bits"):
        fit(tmp_path, through=("levels:300",), steps=2, imagined=0)
    assert (tmp_path / "model.glb").is_file()


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
    """Mitsuba's photographs, a texture of 256², measured on two views that were not fitted."""
    monkeypatch.setattr(outputs, "turntable", partial(turntable, size=32, frames=2))
    data = json.loads((spot / "flash" / "transforms.json").read_text())
    for frame in data["frames"]:
        frame["file_path"] = str((spot / "flash" / frame["file_path"]).resolve())
    fitted, held = tmp_path / "fitted.json", tmp_path / "held.json"
    fitted.write_text(json.dumps({**data, "frames": [f for k, f in enumerate(data["frames"]) if k not in (3, 8)]}))
    held.write_text(json.dumps({**data, "frames": [data["frames"][k] for k in (3, 8)]}))
    options = Options(str(spot / "cow.obj"), str(fitted), size=256, holdout=str(held))
    assert fit_views(options, tmp_path / "out")["holdout_psnr_db"] > 39
