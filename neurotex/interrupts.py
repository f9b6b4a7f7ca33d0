"""Ctrl-C during long work: the step is finished and kept first."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """The run was stopped by Ctrl-C; what it had done is in its checkpoint."""


@contextmanager
def ctrl_c() -> Iterator[list]:
    """While inside, Ctrl-C fills the list that this yields, so that a step is never cut in two; a second one kills."""
    pressed: list[int] = []

    def note(number: int, frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: signals are not ours to take
        yield pressed
        return
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
