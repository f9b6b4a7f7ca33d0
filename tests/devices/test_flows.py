"""Whole flows on a device that is not there: nothing of two devices meets, and pictures are those of the CPU."""

import copy
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.fit import Options, fit_views, outputs, plan, search_latent
from neurotex.fit.adam import Adam
from neurotex.gan.penalties import R1
from neurotex.gan.processes import Alone
from neurotex.gan.trainer import Trainer
from neurotex.renderers import turntable
from tests import pretend, tiny
from tests.gan.test_trainer import Critic, Made, Points


def texture(channels: int = 3, filter: str = "bilinear") -> nt.ImageTexture:
    return nt.ImageTexture(torch.rand(channels, 16, 16), filter=filter, trainable=True)


MATERIALS = {
    **{name: lambda name=name: nt.Material(texture(filter=name)) for name in nt.raster.FILTERS},
    "glossy": lambda: nt.Material(texture(), roughness=texture(1), metallic=0.2, normal=texture(3)),
    "cut out": lambda: nt.Material(texture(4), alpha_cutoff=0.5),
}
LIGHTS = {
    "flash": lambda: nt.Flash(7.0),
    "point": lambda: nt.PointLight((1.0, 2.0, 3.0), 5.0),
    "direction": lambda: nt.DirectionalLight((0.0, -1.0, 0.0), 2.0),
    "ambient": lambda: nt.AmbientLight((1.0, 0.5, 0.7)),
    "environment": lambda: nt.EnvironmentLight(torch.rand(3, 4, 8)),
}


def both(scene: nt.Scene, device: torch.device) -> tuple[nt.Scene, nt.Scene]:
    """The scene here, and there."""
    return scene, copy.deepcopy(scene).to(device)


def here(x: Tensor) -> Tensor:
    """Numbers, to look at, of a tensor that is not on the CPU."""
    assert x.device.type != "cpu"
    return x.detach().cpu()


def close(there: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(here(there), expected.detach(), rtol=1e-4, atol=tolerance)


def step(draw, scene: nt.Scene) -> tuple[Tensor, list[Tensor]]:
    """A picture and the gradients of all that learns."""
    picture = draw()
    picture[..., :3, :, :].square().sum().backward()
    return picture, [p.grad for p in scene.parameters() if p.requires_grad]


@pytest.mark.parametrize("material", MATERIALS)
def test_render_and_bake(scene, device, material):
    scene.meshes()[0].material = MATERIALS[material]()
    pairs = both(scene, device)
    (picture, grads), (there, grads_there) = (step(partial(nt.render, s, 16, grid=2), s) for s in pairs)
    close(there, picture)
    for ours, expected in zip(grads_there, grads, strict=True):
        close(ours, expected)
    baked, baked_there = (nt.bake(s, 16, grid=2) for s in pairs)
    close(baked_there(), baked())
    baked_there()[..., :3, :, :].sum().backward()


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("material", ["bilinear", "glossy"])
def test_lights(scene, device, material, light):
    scene.meshes()[0].material = MATERIALS[material]()
    pairs = both(nt.Scene(scene.meshes()[0], scene.cameras, LIGHTS[light]()), device)
    picture, there = (step(partial(nt.render, s, 16, grid=1), s)[0] for s in pairs)
    close(there, picture)


def test_antialiased(scene, device):
    picture, there = (nt.render(s, 24, grid=1, antialias=True) for s in both(scene, device))
    close(there, picture)


def test_passes(scene, device):
    expected, there = (nt.render_passes(s, 24) for s in both(scene, device))
    for name, pass_there in vars(there).items():
        if isinstance(pass_there, Tensor):
            close(pass_there, getattr(expected, name), 1e-4)


def test_phong(scene, device):
    picture, there = (nt.render_phong(s, 16) for s in both(scene, device))
    close(there, picture)


@pytest.mark.parametrize("form", nt.discrete.STEPS)
@pytest.mark.parametrize("estimator", nt.discrete.ESTIMATORS)
def test_steps_and_estimators(device, form, estimator):
    try:
        made = nt.discrete.parse(f"{form}:{nt.discrete.STEPS[form][2]}", estimator)
    except nt.errors.ArgumentError as refused:
        pytest.skip(str(refused))
    there = made.to(device)
    x = torch.rand(1, 3, 8, 8).to(device).requires_grad_()
    out = there(x)
    here(out)
    if out.requires_grad:
        out.square().sum().backward()
        for leaf in (x, *there.parameters()):
            if leaf.grad is not None:  # a score function estimates it from the losses of draws
                here(leaf.grad)


def test_saved(scene, device, tmp_path):
    here_and_there = both(scene, device)
    for name, s in zip(("here", "there"), here_and_there, strict=True):
        s.save(tmp_path / f"{name}.glb")
    assert (tmp_path / "here.glb").read_bytes() == (tmp_path / "there.glb").read_bytes()


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return tiny.write_case(tmp_path_factory.mktemp("case") / "case")


@pytest.mark.parametrize(
    ("optimize", "through"),
    [("pixels", ()), ("pixels", ("palette:4",)), ("pixels", ("jpeg:20",)), ("latents", ()), ("weights", ())],
)
def test_fit(case, device, tmp_path, monkeypatch, optimize, through):
    monkeypatch.setattr(outputs, "turntable", partial(turntable, size=16, frames=2))
    monkeypatch.setattr(plan, "search_latent", partial(search_latent, draws=4, rounds=((2, 2),)))
    options = {"mesh": str(case["mesh"]), "views": str(case["views"]), "holdout": str(case["holdout"]), "imagined": 2}
    if optimize != "pixels":
        options |= {"texture": str(case["generator"]), "optimize": optimize}
    metrics = fit_views(Options(**options, size=16, steps=2, through=through, device=str(device)), tmp_path)
    assert metrics["train_psnr_db"] > 5
    assert (tmp_path / "model.glb").is_file()


def _waits(work: Callable[[], object]) -> Counter[str]:
    """What the CPU waits for in some work, done for the second time."""
    work()
    with pretend.Pretended() as again:
        work()
    return again.waits


@pytest.mark.parametrize("material", ["bilinear", "glossy"])
def test_a_step_of_a_baked_fit_waits_for_nothing(scene, device, material):
    """So it can be captured in a CUDA graph."""
    scene.meshes()[0].material = MATERIALS[material]()
    baked = nt.bake(scene.to(device), 16, grid=2)
    optimizer = Adam(list(scene.parameters()), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        baked().square().mean().backward()
        optimizer.step()

    assert not _waits(step)


def test_a_render_waits_twice_a_view(torus, device):
    """For the number of covered samples, and of pixels; a few times more for checks of the scene."""
    torus.material = MATERIALS["bilinear"]()
    scenes = [nt.Scene(copy.deepcopy(torus), nt.orbit(n, 3.0), nt.Flash(7.0)).to(device) for n in (2, 4)]
    few, more = (_waits(lambda s=s: step(partial(nt.render, s, 16, grid=2), s)) for s in scenes)
    assert (more - few).total() <= 2 * 2
    assert few.total() <= 2 * 2 + 8


def test_training(device):
    """Updates of both sides, penalties, the average, and samples."""
    trainer = Trainer(Made(), Critic(), Points(), batch=8, penalties=[R1(0.1, every=2)], fabric=Alone(device))
    trainer.train(3)
    assert trainer.steps_done == 3
    sampled = trainer.sample(trainer.average.module.sample_latents(4, torch.Generator().manual_seed(0)))
    assert sampled.shape == (4, 2, 2, 2)
    for value in trainer.state_dict()["generator"].values():
        assert bool(value.isfinite().all())
