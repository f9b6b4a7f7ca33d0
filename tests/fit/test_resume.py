"""Ctrl-C: the run stops between two steps, and continued it is bitwise the run that was never stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from neurotex import cli
from neurotex.core.checkpoint import load_state
from neurotex.fit import Interrupted

Case = dict[str, Path]

PALETTE = {"through": ("palette:4",), "steps": 8, "imagined": 2}
GENERATOR = {"texture": "generator", "steps": 6}
FEW = {"steps": 6, "imagined": 1, "seed": 5, "size": 16}  # 3 steps without and 3 with the discrete ones

CHAIN = "through palette:4, jpeg:30"

# options, and the stage and its step after which Ctrl-C is pressed
STOPS = {
    "pixels": ({"steps": 8}, "pixels", 3),
    "pixels at the last step": ({"steps": 8}, "pixels", 8),
    "palette, before it": (PALETTE, "pixels", 2),
    "palette, just before it": (PALETTE, "pixels", 4),
    "palette, in it": (PALETTE, "through palette:4", 1),
    "gumbel, its temperature falling": (
        {**FEW, "through": ("levels:3",), "estimator": "gumbel"},
        "through levels:3",
        2,
    ),
    "perturbation": ({**FEW, "through": ("palette:4", "jpeg:30"), "estimator": "perturbation"}, CHAIN, 2),
    "score function": ({**FEW, "through": ("levels:3",), "estimator": "score_function"}, "through levels:3", 1),
    "latents, searching": (GENERATOR, "search", 10),
    "latents": (GENERATOR, "latents", 3),
    "both": ({**GENERATOR, "optimize": "both"}, "both", 2),
    "both through levels": (
        {**GENERATOR, "optimize": "both", "through": ("levels:8",), "imagined": 2},
        "through levels:8",
        2,
    ),
}


def history(out: Path) -> list[float]:
    state, _ = load_state(out / "checkpoint.safetensors")
    return state["past"].tolist() + state["fit"]["history"].tolist()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, dict]]:
    """The folder and the metrics of a run that is not stopped. Made once for all who stop it."""
    runs: dict[str, tuple[Path, dict]] = {}

    def call(fit: Callable[..., dict], case: Case, options: dict) -> tuple[Path, dict]:
        about = repr(options)
        if about not in runs:
            out = tmp_path_factory.mktemp("whole")
            runs[about] = out, fit(out, **with_files(options, case))
        return runs[about]

    return call


def with_files(options: dict, case: Case) -> dict:
    return {**options, "texture": str(case["generator"])} if "texture" in options else options


@pytest.mark.parametrize("what", STOPS)
def test_a_resumed_run_is_bitwise_the_uninterrupted_one(what, case, fit, short_search, tmp_path, uninterrupted):
    options, stage, step = STOPS[what]
    whole, expected = uninterrupted(fit, case, options)
    options, parts = with_files(options, case), tmp_path / "parts"

    def press(name: str, done: int, total: int, loss: float | None) -> None:
        if (name, done) == (stage, step):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        fit(parts, progress=press, **options)
    left = sorted(path.name for path in parts.rglob("*") if path.is_file())
    assert left == ["checkpoint.safetensors"]

    found = fit(parts, resume=True, **options)
    assert history(parts) == history(whole)
    assert len(history(parts)) == options["steps"]
    (file,) = (whole / "textures").iterdir()
    assert (parts / "textures" / file.name).read_bytes() == file.read_bytes()
    for name in ("train_psnr_db", "holdout_psnr_db", "steps"):
        assert found[name] == expected[name]


def test_a_finished_run_can_be_resumed_for_its_pictures(fit, tmp_path):
    fit(tmp_path, steps=4)
    before = (tmp_path / "textures" / "base_color.png").read_bytes()
    (tmp_path / "textures" / "base_color.png").unlink()
    assert fit(tmp_path, resume=True, steps=4)["steps"] == 4
    assert (tmp_path / "textures" / "base_color.png").read_bytes() == before


def test_handlers_of_signals_are_given_back(fit, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    fit(tmp_path, steps=2)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_finished_run_resumed_writes_what_is_missing_and_says_the_same(fit, tmp_path):
    out = tmp_path / "out"
    first = fit(out, steps=4)
    names = {path.name for path in out.rglob("*") if path.is_file()}
    for path in out.rglob("*"):  # as if it had been killed just after its last checkpoint
        if path.is_file() and path.name != "checkpoint.safetensors":
            path.unlink()
    again = fit(out, resume=True, steps=4)
    assert {path.name for path in out.rglob("*") if path.is_file()} == names
    assert {k: v for k, v in again.items() if "seconds" not in k} == {
        k: v for k, v in first.items() if "seconds" not in k
    }
    assert again["fit_seconds"] >= first["fit_seconds"] - 0.01


# the command line with a wait in every step, and a checkpoint after each
SLOW = """
import time
from neurotex import cli
from neurotex.core.checkpoint import load_state
from neurotex.fit import Fit, stages
stages.CHECKPOINT_SECONDS = 0.0
step = Fit.step
Fit.step = lambda self: (time.sleep(0.1), step(self))[1]
cli.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to a single process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_command_line_leaves_a_checkpoint_that_resume_continues(
    number, case, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    words = ["fit", str(case["mesh"]), str(case["views"]), "--out", str(out), "--size", "16", "--steps", "150"]
    process = subprocess.Popen([sys.executable, "-c", SLOW, *words], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    while not (out / "checkpoint.safetensors").is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert err.splitlines()[-1] == f"stopped; the same command with --resume continues {out / 'checkpoint.safetensors'}"
    assert "Traceback" not in err
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["checkpoint.safetensors"]
    done = len(history(out))
    assert 0 < done < 150

    monkeypatch.setattr(sys, "argv", ["neurotex", *words, "--resume"])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert not leaving.value.code, capsys.readouterr().err
    assert len(history(out)) == 150
    assert (out / "model.glb").is_file()
