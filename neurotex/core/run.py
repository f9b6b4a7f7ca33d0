"""A folder that one run of long work fills: claimed once, kept in a checkpoint, resumed or overwritten."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ArgumentError
from . import storage
from .checkpoint import load_state, save_state

CHECKPOINT = "checkpoint.safetensors"
_ABSENT = object()


class Run:
    """The run with `options` that fills the folder `out` with `files` (glob patterns) and a checkpoint.

    With `resume` it is the one that has left a checkpoint there, and `state` is what that holds; else `state` is None.
    What an earlier run has left is refused, or with `overwrite` replaced. Of several processes one `writes`.

    ArgumentError where `out` has results already, both `resume` and `overwrite` are asked for, or the options of the
    resumed run were others, but for those in `free`; FileError where there is nothing to resume.
    """

    def __init__(
        self,
        out: str | Path,
        files: Sequence[str],
        options: Mapping[str, object],
        *,
        resume: bool = False,
        overwrite: bool = False,
        writes: bool = True,
        free: Sequence[str] = (),
    ):
        if resume and overwrite:
            raise ArgumentError("a run is either resumed or overwritten: give one of the two.")
        self.out = Path(out)
        self.file = self.out / CHECKPOINT
        self.files, self.overwrite, self.writes = (CHECKPOINT, *files), overwrite, writes
        self.options = json.loads(json.dumps(options))
        self.state: dict | None = None
        self._saved = time.monotonic()
        if resume:
            self.state, found = load_state(self.file)
            changed = [
                name for name, value in self.options.items() if found.get(name, _ABSENT) != value and name not in free
            ]
            if changed:
                raise ArgumentError(
                    f"{self.file} is of a run with another {', '.join(changed)}: repeat its options to resume it."
                )
        elif not overwrite and writes:
            storage.claim(self.out, self.files, overwrite=False)

    @contextmanager
    def folder(self, *below: str) -> Iterator[None]:
        """While results are made: the folder, and those `below` it, are there, without what killed runs have left."""
        if not self.writes:
            yield
            return
        with storage.new_folder(self.out, *below):
            storage.sweep(self.out, *(self.out / name for name in below))
            if self.overwrite:
                storage.claim(self.out, self.files, overwrite=True)
            yield

    def save(self, state: dict) -> None:
        """Keep `state` (see `save_state`) to be resumed from."""
        save_state(self.file, state, self.options)
        self._saved = time.monotonic()

    def due(self, seconds: float) -> bool:
        """Whether that many seconds have gone since the checkpoint was last saved, or the run began."""
        return time.monotonic() - self._saved > seconds
