"""Runs that are killed at random moments and resumed: `python -m tests.kills fit|train SIGKILLS SEED [SIGTERMS]`.

Real processes of the command line are killed: at any time from their start on, and, half of the SIGKILLs, within a
write: while a file is being written, before it is renamed, just after, or in the middle of a line of the log. When
what was killed has been resumed to its end, its folder must be that of a run that nobody disturbed, but for seconds,
and the user's own files in it as they were.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

FEW = {"channel-base": 64, "channel-max": 8, "latent-dim": 4, "batch": 4, "size": 16, "images": 20}
PENALTIES = {"smoothness": 0.2, "reconstruction": 1.0, "augment": 0.6}
USERS = (".notes.2024.txt", "textures/.backup.12.tar", "samples/.0001.4.png", ".cache.1/x", "samples/mine.png")
MOMENTS = ("within", "before", "after", "line")
PATIENCE = 300  # seconds for any process


def command_of(verb: str, case: dict[str, Path], number: int) -> list[str]:
    """The command line of one of several kinds of runs, but for --out."""
    if verb == "train":
        options = FEW | (PENALTIES | {"maps": "base_color,normal,roughness"} if number % 2 else {})
        return ["train", "materials", "--minutes", "0", *(str(w) for k, v in options.items() for w in (f"--{k}", v))]
    more = (
        ["--steps", "8"],
        ["--steps", "8", "--through", "palette:4", "--imagined", "2"],
        ["--steps", "6", "--texture", str(case["generator"]), "--optimize", "both", "--holdout", str(case["holdout"])],
    )[number % 3]
    return ["fit", str(case["mesh"]), str(case["views"]), "--size", "16", *more]


def kill_runs(verb: str, kills: int, seed: int, terms: int = 0) -> int:
    """Kill until so many signals have hit a process at work; returns how many runs were compared. AssertionError where
    one is not what it should be."""
    from tests import tiny

    draw, runs, left = random.Random(seed), 0, {signal.SIGKILL: kills, signal.SIGTERM: terms}
    with tempfile.TemporaryDirectory() as name:
        case = tiny.write_case(Path(name) / "case")
        whole: dict[int, tuple[Path, float]] = {}
        while any(left.values()):
            number = draw.randrange(6)
            command = command_of(verb, case, number)
            if number not in whole:
                began = time.monotonic()
                assert _ended(_start([*command, "--out", str(Path(name) / f"whole{number}")]))[0] == 0
                whole[number] = Path(name) / f"whole{number}", time.monotonic() - began
            expected, seconds = whole[number]
            out = Path(name) / "killed"
            shutil.rmtree(out, ignore_errors=True)
            for path in (out / user for user in USERS):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{path.name} is mine")
            _disturb([*command, "--out", str(out)], seconds, draw, left)
            _compare(expected, out)
            runs += 1
            print(
                f"{verb} run {runs}: to go {left[signal.SIGKILL]} SIGKILLs, {left[signal.SIGTERM]} SIGTERMs", flush=True
            )
    return runs


def _disturb(command: list[str], seconds: float, draw: random.Random, left: dict[signal.Signals, int]) -> None:
    """One run, killed a few times, to its end."""
    from neurotex.core import storage

    out = Path(command[-1])
    for _ in range(draw.randint(1, 3)):
        chosen = draw.choice([number for number, count in left.items() if count] or [None])
        if chosen is None:
            break
        if chosen == signal.SIGKILL and draw.random() < 0.5:
            process = _start([*command, *_how(out)], f"{draw.choice(MOMENTS)} {draw.randint(1, 12)} {draw.random()}")
        else:
            process = _start([*command, *_how(out)])
            time.sleep(draw.random() * 1.1 * seconds)
            process.send_signal(chosen)
        code, text = _ended(process)
        if code == -signal.SIGKILL or code == 128 + signal.SIGTERM:
            left[chosen] -= 1
        else:
            assert code in (0, -signal.SIGTERM), text  # it had ended before, or Python itself was still starting
        assert "Traceback" not in text, text
        if code == 0:
            break
        for path in out.rglob("*.safetensors"):
            if not path.name.startswith("."):
                storage.read_tensors(path)  # whole
    code, text = _ended(_start([*command, *_how(out)]))
    assert code == 0, text


def _how(out: Path) -> list[str]:
    """As a user would go on: resumed from a checkpoint, else begun again."""
    return ["--resume"] if (out / "checkpoint.safetensors").is_file() else ["--overwrite"]


def _start(command: list[str], moment: str = "") -> subprocess.Popen:
    script = [sys.executable, "-c", f"from tests import kills; kills.child({moment!r})", *command]
    return subprocess.Popen(script, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _ended(process: subprocess.Popen) -> tuple[int, str]:
    try:
        _, text = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, text


def _compare(expected: Path, found: Path) -> None:
    for user in USERS:
        assert (found / user).read_text() == f"{Path(user).name} is mine", user
        (found / user).unlink()
    names = [{str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} for folder in (expected, found)]
    names = [{name for name in each if not name.startswith("tensorboard")} for each in names]
    assert names[0] == names[1], names[0] ^ names[1]
    for name in names[0]:
        a, b = (_timeless(folder / name) for folder in (expected, found))
        assert a == b, name


def _timeless(path: Path) -> object:
    """What is in a file, but for seconds."""
    from neurotex.core import storage

    if path.name == "checkpoint.safetensors":
        tensors, metadata = storage.read_tensors(path)
        metadata.pop("seconds", None)
        state = re.sub(r'\["seconds", [^\]]*\]', "", metadata.pop("state", ""))
        return {name: value.numpy().tobytes() for name, value in tensors.items()}, metadata, state
    if path.name == "metrics.json":
        return {name: v for name, v in json.loads(path.read_text()).items() if "second" not in name}
    if path.name == "report.html":
        return re.sub(r"seconds</dt><dd>[^<]*", "", path.read_text(encoding="utf-8"))
    return path.read_bytes()


# ---------------------------------------------------------------- in the process that is killed


def child(moment: str) -> None:
    """The command line, with less to wait for: few materials, a short search and turntable, a checkpoint each step."""
    from neurotex import cli
    from neurotex.cli.leaving import leaving_at_once

    with leaving_at_once():  # what follows is imported by the command line, too
        if sys.argv[1] == "train":
            from neurotex.gan import log, plan

            sys.modules["torch.utils.tensorboard"] = None  # takes a second to load
            plan.ProceduralMaterials = partial(plan.ProceduralMaterials, bank=8)
            if moment.startswith("line"):
                log.Log.flush = _flush_half(log.Log.flush, int(moment.split()[1]))
        else:
            from neurotex.fit import outputs, plan, stages

            stages.CHECKPOINT_SECONDS = 0.0
            plan.search_latent = partial(plan.search_latent, draws=8, rounds=((2, 3),))
            outputs.turntable = partial(outputs.turntable, size=32, frames=3)
        if moment:
            from neurotex.core import storage

            storage.replacing = _killing(storage.replacing, *moment.split())
    cli.main()


def _killing(replacing: object, moment: str, count: str, part: str) -> object:
    """`storage.replacing`, which kills the process in, before or after the rename of its `count`-th file."""
    begun = iter(range(1, 1 << 30))

    @contextmanager
    def replace(path: Path):
        now = next(begun) == int(count) and moment != "line"
        if now and moment == "within":
            threading.Timer(float(part) * 0.003, _die).start()
        with replacing(path) as temporary:
            yield temporary
            if now and moment == "before":
                _die()
        if now and moment == "after":
            _die()

    return replace


def _flush_half(flush: object, count: int) -> object:
    """`Log.flush`, which the `count`-th time writes half of what there is and kills the process."""
    begun = iter(range(1, 1 << 30))

    def half(self: object) -> None:
        if next(begun) == count:
            text = "".join(line + "\n" for line in self.lines)
            with self.file.open("a") as stream:
                stream.write(text[: len(text) // 2])
            _die()
        flush(self)

    return half


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    verb, kills, seed, *terms = sys.argv[1:]
    print(f"{kill_runs(verb, int(kills), int(seed), *map(int, terms))} runs are those that nobody disturbed")
