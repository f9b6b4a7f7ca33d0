"""Ctrl-C, and SIGTERM as schedulers send it: a step of long work is finished first, so that nothing is cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The work was stopped between two steps by `signal`, SIGINT (Ctrl-C) or SIGTERM; what was done is there.

    A KeyboardInterrupt, since it is one to whoever does not know better: `except Exception` lets it pass. `number` is
    that of the signal.
    """

    def __init__(self, number: int = signal.SIGINT):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = signal.Signals(number)


class Stop:
    """Whether a signal has come, and which."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.signal is not None:
            raise Interrupted(self.signal)


_current: Stop | None = None


@contextmanager
def stoppable() -> Iterator[Stop]:
    """While inside, the first signal is only noted, for `check()` between two steps; a second one does at once what it
    would have done outside. Within another `stoppable`, it is that one; in other threads than the main one, which alone
    sees signals, none comes.
    """
    global _current
    if threading.current_thread() is not threading.main_thread():
        yield Stop()
        return
    if _current is not None:
        yield _current
        return
    stop = _current = Stop()

    def note(number: int, frame: object) -> None:
        if stop:
            restore()
            signal.raise_signal(number)
        stop.signal = number

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    # None: what handles it was not set from Python, and could not be given back
    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) is not None}
    # what is ignored, as by nohup, stays ignored
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        _current = None
        restore()
