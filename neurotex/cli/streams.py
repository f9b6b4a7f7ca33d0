"""Standard output and standard error where nobody listens: closed, or read by a program that has left."""

from __future__ import annotations

import os
import sys


def open_streams() -> None:
    """Give the process the streams that it was started without.

    Else the next file that it opens would take their number, and get what is printed.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            silence(number)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))


def silence(number: int) -> None:
    """What is written to the stream of this number is lost from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


class StandardError:
    """`sys.stderr`, which falls silent where nobody reads it: no work is lost for want of somebody to tell of it."""

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr, name)

    def write(self, text: str) -> int:
        """As a file does."""
        try:
            return sys.stderr.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """As a file does."""
        try:
            sys.stderr.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        silence(2)
