"""Runs of training: what they leave, that they can be stopped at any moment, and what they refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial, partialmethod
from pathlib import Path

import pytest
import torch
from PIL import Image

from neurotex import generators
from neurotex.core import storage
from neurotex.core.checkpoint import load_state
from neurotex.core.storage import read_tensors
from neurotex.errors import ArgumentError, FileError, TrainingError
from neurotex.gan import Interrupted, Options, ProceduralMaterials, materials, picture, plan, run, train_generator
from tests.misfits import write_misfit

TINY = Options(
    data=("materials",),
    maps=("base_color", "normal", "roughness"),
    size=16,
    images=20,
    batch=4,
    channel_base=64,
    channel_max=8,
    latent_dim=4,
    smoothness=0.2,
    reconstruction=1.0,
    augment=0.6,
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A bank of a few materials: drawing thousands is not what is tested."""
    monkeypatch.setattr(plan, "ProceduralMaterials", partial(ProceduralMaterials, bank=8))


@pytest.fixture
def folder(tmp_path):
    """Six images of several sizes."""
    pictures = picture(materials(6, 32, 0))
    for k, image in enumerate(pictures):
        pixels = (image * 255).byte().movedim(0, -1).numpy()
        side = (32, 24 + k)
        path = tmp_path / "images" / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).resize(side).save(path)
    return tmp_path / "images"


def stopped_after(count, number=signal.SIGINT):
    """A progress that asks for a stop as Ctrl-C does, or a scheduler."""

    def progress(done, total, measured, rate):
        if done == count:
            os.kill(os.getpid(), number)

    return progress


def test_a_run_leaves_a_generator_samples_figures_and_a_log(tmp_path):
    seen = []
    metrics = train_generator(TINY, tmp_path, progress=lambda *args: seen.append(args), scores=False)
    assert metrics["images"] == 20
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert [(done, total) for done, total, *_ in seen] == [(4 * k, 20) for k in range(1, 6)]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert {"loss/discriminator", "loss/generator", "penalty/R1", "augment/strength"} <= set(lines[0])
    assert Image.open(tmp_path / "samples" / "0000005.png").size == (8 * 16, 6 * 16)
    made = generators.load(tmp_path / "generator.safetensors")
    assert made(made.sample_latents(2)).shape == (2, 6, 16, 16)
    assert made.mapping.w_avg.abs().sum() > 0


def test_scores_are_of_textures_and_data(tmp_path, monkeypatch):
    pytest.importorskip("torchmetrics")
    monkeypatch.setattr(run.Trainer, "evaluate", partialmethod(run.Trainer.evaluate, 64, ("kid",)))
    metrics = train_generator(replace(TINY, size=32, maps=("base_color",), images=4), tmp_path)
    assert metrics["kid"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(number, tmp_path):
    train_generator(TINY, tmp_path / "whole", scores=False)
    with pytest.raises(Interrupted):
        train_generator(TINY, tmp_path / "parts", progress=stopped_after(8, number), scores=False)
    train_generator(TINY, tmp_path / "parts", resume=True, scores=False)
    whole, parts = (read_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "parts")]
    assert logs[0] == logs[1]


def test_a_log_that_was_cut_goes_on_whole_and_what_a_kill_left_out_is_made(tmp_path):
    train_generator(TINY, tmp_path / "whole", scores=False, minutes=0)
    with pytest.raises(Interrupted):
        train_generator(TINY, tmp_path / "parts", progress=stopped_after(12), scores=False, minutes=0)
    log = tmp_path / "parts" / "log.jsonl"
    lines = log.read_text().splitlines()
    assert len(lines) == 3
    # as if it had been killed in step 5, beyond its checkpoint, while that was written
    later = ['{"step": 4, "loss/generator": 1.0}', '{"step": 5, "loss/gene']
    log.write_text("\n".join([*lines, *later]))
    metrics = train_generator(TINY, tmp_path / "parts", resume=True, scores=False, minutes=0)
    assert log.read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
    for name in ("generator.safetensors", "samples/0000005.png"):  # killed after its last checkpoint
        (tmp_path / "parts" / name).unlink()
    again = train_generator(TINY, tmp_path / "parts", resume=True, scores=False)
    whole = json.loads((tmp_path / "whole" / "metrics.json").read_text())
    for each in (metrics, again):
        timeless = {k: v for k, v in each.items() if "second" not in k}
        assert timeless == {k: v for k, v in whole.items() if "second" not in k}
    for path in (tmp_path / "whole").rglob("*.png"):
        assert (tmp_path / "parts" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()
    found = (tmp_path / "parts" / "generator.safetensors").read_bytes()
    assert found == (tmp_path / "whole" / "generator.safetensors").read_bytes()


KILLED = """
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
sys.path.insert(0, {here!r})
from test_run import TINY
from neurotex.gan import plan, train_generator
import torch
torch.set_num_threads(1)
plan.ProceduralMaterials = partial(plan.ProceduralMaterials, bank=8)
train_generator(replace(TINY, images=48), Path(sys.argv[1]), minutes=0, scores=False)
"""


def test_a_killed_run_resumes_bitwise(tmp_path):
    """SIGKILL at whatever moment: the last checkpoint is whole, and another process makes the same run of it."""
    script = KILLED.format(here=str(Path(__file__).parent))
    killed = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "killed")])
    file = tmp_path / "killed" / "checkpoint.safetensors"
    deadline = time.monotonic() + 120
    while not file.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.37)
    killed.kill()
    killed.wait()
    left = file.with_name(f".neurotex-{killed.pid}-0123abcd.tmp.safetensors")
    left.touch()  # as if it had been killed while it wrote
    done = load_state(file)[0]["steps_done"]
    assert 0 < done < 12
    train_generator(replace(TINY, images=48), tmp_path / "killed", resume=True, scores=False)
    train_generator(replace(TINY, images=48), tmp_path / "whole", scores=False)
    expected, found = (read_tensors(tmp_path / name / "checkpoint.safetensors")[0] for name in ("whole", "killed"))
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    assert not left.exists()
    logs = [(tmp_path / name / "log.jsonl").read_text() for name in ("whole", "killed")]
    assert logs[0] == logs[1]


def test_a_larger_run_begins_as_the_smaller_enlarged(tmp_path):
    train_generator(TINY, tmp_path / "small", scores=False)
    large = replace(TINY, size=32, begin=str(tmp_path / "small"), reconstruction=0.0)
    grown = plan.make_trainer(large).average.module
    small = generators.load(tmp_path / "small" / "generator.safetensors")
    z = small.sample_latents(2, torch.Generator().manual_seed(0))
    enlarged = torch.nn.functional.avg_pool2d(grown(z), 2)
    assert (enlarged - small(z)).abs().mean() < 0.2 * small(z).abs().mean()


def test_beginning_from_something_else_is_refused(tmp_path):
    train_generator(TINY, tmp_path / "a", scores=False)
    other = replace(TINY, channel_base=48, channel_max=6, latent_dim=3, begin=str(tmp_path / "a"))
    with pytest.raises(FileError, match="another architecture"):
        plan.make_trainer(other)


def test_a_folder_of_images_of_any_size_is_learned(folder, tmp_path):
    options = Options((str(folder),), size=16, images=8, batch=4, channel_base=64, channel_max=8, latent_dim=4)
    metrics = train_generator(options, tmp_path / "out", scores=False)
    assert metrics["images"] == 8


@pytest.mark.parametrize("discriminator", ["stylegan2", "patch", "texture"])
def test_textures_are_learned_from_renders(tmp_path, discriminator):
    """A textured scene stands for photographs; the sphere wears what the generator makes."""
    options = Options(
        (str(write_scene(tmp_path)),),
        through_renders=True,
        mesh=("sphere",),
        size=16,
        render_size=32,
        images=8,
        batch=4,
        channel_base=64,
        channel_max=8,
        latent_dim=4,
        discriminator=discriminator,
        loss="hinge",
    )
    trainer = plan.make_trainer(options)
    before = [p.clone() for p in trainer.generator.parameters()]
    trainer.train(2)
    moved = [not torch.equal(p, b) for p, b in zip(trainer.generator.parameters(), before, strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert trainer.data.channels == 4


def write_scene(folder):
    from neurotex.gan.render_scenes import sphere
    from neurotex.scene import ImageTexture, Material, Scene

    ball = sphere(16, 8)
    ball.material = Material(ImageTexture(torch.rand(3, 8, 8)))
    Scene(ball).save(folder / "ball.glb")
    return folder / "ball.glb"


def test_a_resume_with_other_options_is_refused(tmp_path):
    train_generator(TINY, tmp_path, scores=False)
    with pytest.raises(ArgumentError, match="another seed, channel_base"):
        train_generator(replace(TINY, channel_base=32, seed=1), tmp_path, resume=True, scores=False)
    metrics = train_generator(replace(TINY, images=24), tmp_path, resume=True, scores=False)  # longer is no other run
    assert metrics["images"] == 24


def test_resuming_from_nothing_is_refused(tmp_path):
    with pytest.raises(FileError, match="nothing to resume"):
        train_generator(TINY, tmp_path / "new", resume=True)
    assert not (tmp_path / "new").exists()


def test_losses_that_are_no_numbers_leave_the_last_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        train_generator(TINY, tmp_path, progress=stopped_after(8), scores=False)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    monkeypatch.setattr(plan.NonSaturating, "generator", lambda self, fake: fake.mean() * float("inf"))
    with pytest.raises(TrainingError, match="no number"):
        train_generator(TINY, tmp_path, resume=True, minutes=0, scores=False)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        train_generator(TINY, tmp_path, progress=stopped_after(8), scores=False)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "save", full)
    with pytest.raises(FileError, match=r"generator.safetensors cannot be written \(No space left on device\)"):
        train_generator(TINY, tmp_path, resume=True, scores=False)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"maps": ("colour",)}, "maps are some of"),
        ({"loss": "huber"}, "there is no loss 'huber'"),
        ({"discriminator": "vgg"}, "there is no discriminator 'vgg'"),
        ({"data": ("a", "b")}, "one folder"),
        ({"data": ()}, "nothing to train on"),
        ({"size": 20}, "power of two"),
        ({"through_renders": True}, "only base_color"),
        ({"through_renders": True, "maps": ("base_color",), "data": ("views/",)}, "one --mesh"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_written(tmp_path, wrong, says):
    (tmp_path / "views").mkdir()
    data = wrong.get("data")
    if data == ("views/",):
        wrong = {**wrong, "data": (str(tmp_path / "views"),)}
    with pytest.raises(ArgumentError, match=says):
        train_generator(replace(TINY, **wrong), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(FileError, match="images"):
        train_generator(replace(TINY, data=(str(tmp_path / "images"),)), tmp_path / "out")


def test_checkpoints_of_other_keys_types_and_shapes_are_refused_in_one_sentence(tmp_path):
    """Or read, where what is another does not matter: then a step can be made."""
    train_generator(TINY, tmp_path, scores=False)
    file, read = tmp_path / "misfit.safetensors", 0
    for number in range(60):
        write_misfit(tmp_path / "checkpoint.safetensors", file, number)
        trainer = plan.make_trainer(TINY)
        with suppress(FileError):
            state, _ = load_state(file)
            with storage.of_this_run(file):
                run.restore(trainer, state)
            read += 1
            trainer.step()
    assert 0 < read < 20
