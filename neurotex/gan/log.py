"""The log of a training run: whole, whenever its processes were killed."""

from __future__ import annotations

import json
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
from PIL import Image

from ..core import storage
from ..errors import FileError


class Log:
    """A line of JSON for each step, and TensorBoard's scalars and pictures where it is installed.

    Lines are on disk once `flush` was called, before a checkpoint. A run that goes on after step `begun` keeps those up
    to it: what an earlier process did beyond its last checkpoint is done again, and a line that was cut is among that.
    """

    def __init__(self, out: Path, begun: int, writes: bool):
        self.file = out / "log.jsonl"
        self.begun, self.writes = begun, writes
        self.board = None
        self.lines: list[str] = []

    def __enter__(self) -> Log:
        if self.writes:
            kept = {step: line for step, line in self._read() if 0 < step <= self.begun} if self.begun else {}
            with storage.replacing(self.file) as temporary:
                temporary.write_text("".join(kept[step] + "\n" for step in sorted(kept)), encoding="utf-8")
            try:
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(self.file.parent / "tensorboard"), purge_step=self.begun + 1)
            except ModuleNotFoundError:
                pass
        return self

    def __call__(self, step: int, measured: dict[str, float]) -> None:
        if self.writes:
            self.lines.append(json.dumps({"step": step, **measured}))
            if self.board is not None:
                for name, value in measured.items():
                    self.board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Onto disk with what there is."""
        try:
            with self.file.open("a", encoding="utf-8") as stream:
                stream.writelines(line + "\n" for line in self.lines)
        except OSError as error:
            raise FileError(f"{self.file} cannot be written ({error.strerror}): check free space.") from None
        self.lines = []

    def means(self) -> dict[str, float]:
        """The mean of each figure over the whole run, of the steps that measured it."""
        sums: dict[str, list[float]] = {}
        for _, line in self._read():
            for name, value in json.loads(line).items():
                if name != "step":
                    sums.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in sums.items()}

    def picture(self, step: int, sheet: Image.Image) -> None:
        if self.board is not None:
            self.board.add_image("samples", np.array(sheet), step, dataformats="HWC")

    def _read(self) -> list[tuple[int, str]]:
        """Steps and their lines, as far as they are whole."""
        lines = self.file.read_text(encoding="utf-8", errors="replace").splitlines() if self.file.is_file() else []
        return [(step, line) for line in lines if (step := _step(line)) is not None]

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.writes:
            with suppress(FileError) if kind else nullcontext():  # what has gone wrong before is told of
                self.flush()
            if self.board is not None:
                self.board.close()


def _step(line: str) -> int | None:
    """Which step a line is of; None where it is not a whole one."""
    try:
        step, *values = (json.loads(line)[name] for name in ("step", *json.loads(line)))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return step if type(step) is int and all(type(value) in (float, int) for value in values) else None
