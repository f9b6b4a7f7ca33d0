"""Memory that runs out, told in one sentence, whoever asked for it: torch, numpy, numba or Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import OutOfMemoryError

# what torch and C++ say, as RuntimeError; the first group is a number of bytes
ASKED = re.compile(r"allocate (?:memory: you tried to allocate )?(\d+) bytes|size calculation overflowed|bad[_ ]alloc")
# numpy: "Unable to allocate 3.21 GiB for an array"; CUDA: "Tried to allocate 20.00 GiB"; and ourselves
SAID = re.compile(r"(?:to allocate|a piece of) ([\d.]+ [KMGTPE]?i?B)")
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


@contextmanager
def memory_for(what: str, remedy: str) -> Iterator[None]:
    """OutOfMemoryError where what is inside runs out of memory: "`what` needs more memory …: `remedy`.".

    Of several, one within the other, the outermost speaks: it knows what the user has asked for.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise OutOfMemoryError(f"{what} needs more memory than there is{_asked(error)}: {remedy}.") from None


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error)
    short = ASKED.search(text) or SAID.search(text) or "start new thread" in text or "out of memory" in text.lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(short))


def _asked(error: BaseException) -> str:
    """The piece that could not be had, if the error tells."""
    text = str(error)
    if said := SAID.search(text):
        return f" (a piece of {said[1]} could not be had)"
    asked = ASKED.search(text)
    if not asked or not asked[1]:
        return ""
    size, unit = float(asked[1]), 0
    while size >= 1000 and unit + 1 < len(UNITS):
        size, unit = size / 1000, unit + 1
    return f" (a piece of {size:.3g} {UNITS[unit]} could not be had)"
