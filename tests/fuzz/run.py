"""The parent: hands inputs to a child, watches its time and memory, and begins a new one after a crash."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

SECONDS = 10  # of the child's processor time for one input; four times as many by the clock, for a busy machine
BYTES = 2 << 30
SENTENCE = 1000  # letters; names in a file may be long


@dataclass
class Result:
    """How many inputs were read and refused, and why others failed, by their number."""

    read: int = 0
    refused: int = 0
    failures: dict[int, str] = field(default_factory=dict)


def run(kind: str, n: int, seed: int, keep: Path | None = None) -> Result:
    """Inputs 0 … n − 1 of a kind, or of several in turn, their names joined by commas."""
    result, done = Result(), 0
    with tempfile.TemporaryDirectory() as folder:
        while done < n:
            done = _child(kind, n, seed, done, Path(folder), result, keep)
    return result


def _child(kind: str, n: int, seed: int, first: int, folder: Path, result: Result, keep: Path | None) -> int:
    """One child from input `first` on, as far as it comes; returns where the next one begins."""
    command = [sys.executable, "-m", "tests.fuzz.worker", kind, str(seed), str(first), str(n), str(folder)]
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1)
        number, began = None, 0.0
        try:
            while True:
                line = _line(child.stdout, child.pid, began if number is not None else None)
                if line is None:
                    why = f"took more than {SECONDS} s"
                    break
                if not line:
                    errors.seek(0)
                    code = child.wait()
                    if number is None and code == 0:
                        return n
                    why = f"the process ended with {code}\n{errors.read()[-3000:]}"
                    break
                said = json.loads(line)
                if "begins" in said:
                    number, began = said["begins"], _processor_seconds(child.pid)
                    continue
                _check(said, result)
                if said["number"] in result.failures:
                    _keep(kind, seed, said["number"], folder, keep)
                number = None
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
    if number is None:
        raise RuntimeError(f"the child that reads {kind} cannot start: {why}")
    result.failures[number] = why
    _keep(kind, seed, number, folder, keep)
    return number + 1


def _line(stream: IO[str], pid: int, began: float | None) -> str | None:
    """The child's next line, "" at its end, None if it takes too long over an input."""
    limit = time.monotonic() + (4 * SECONDS if began is not None else 300)
    while time.monotonic() < limit:
        if select.select([stream], [], [], 0.5)[0]:
            return stream.readline()
        if began is not None and _processor_seconds(pid) - began > SECONDS:
            break
    return None


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _check(said: dict, result: Result) -> None:
    number, refused = said["number"], said.get("refused")
    if "failed" in said:
        result.failures[number] = said["failed"]
    elif said["bytes"] > BYTES:
        result.failures[number] = f"took {said['bytes'] >> 20} MiB"
    elif refused is None:
        result.read += 1
    elif not refused.strip() or "\n" in refused.strip() or len(refused) > SENTENCE:
        result.failures[number] = f"this is not one sentence: {refused!r}"
    else:
        result.refused += 1


def _keep(kind: str, seed: int, number: int, folder: Path, keep: Path | None) -> None:
    if keep is not None:
        place = keep / f"{kind}.{seed}.{number}"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "input", place)
