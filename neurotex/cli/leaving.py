"""Ctrl-C and SIGTERM where there is nothing to finish first: one line, and the process is gone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.interrupts import SIGNALS

# the folder of the run that is going on: what there is to say depends on whether it has a checkpoint
running: Path | None = None


@contextmanager
def leaving_at_once() -> Iterator[None]:
    """While inside, a signal ends the process, wherever it is: files are written whole or not at all.

    An exception would be lost where the interpreter cannot raise one, as in callbacks, or become another in extension
    modules that are being loaded. `interrupts.stoppable` takes signals over where there is something to finish.
    """
    before = {}
    try:
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                before[number] = signal.signal(number, _leave)
    except ValueError:  # not the main thread
        pass
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: object) -> None:
    storage = sys.modules.get("neurotex.core.storage")
    if (drop_unfinished := getattr(storage, "drop_unfinished", None)) is not None:
        drop_unfinished()
    try:
        cursor = "\x1b[?25h" if os.isatty(2) else ""  # a bar hides it
        os.write(2, f"{cursor}\n{stopped()}\n".lstrip("\n").encode(errors="replace"))
    except OSError:  # nobody reads it
        pass
    os._exit(128 + number)


def stopped() -> str:
    """What is said of a run that was stopped."""
    file = running and running / "checkpoint.safetensors"
    if file and file.is_file():
        return f"stopped; the same command with --resume continues {file}"
    return "stopped"
