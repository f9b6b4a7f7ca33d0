"""Peak memory of a piece of work, in a fresh process: `python -m benchmarks.memory NAME SCALE`, for `peak` below."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import contextlib
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from .work import QUICK, WORK, Data, Scale

REPOSITORY = Path(__file__).parents[1]
# glibc hands freed blocks back at once: what loading has left behind would otherwise be used again and not be counted
EAGER = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16), "MALLOC_TRIM_THRESHOLD_": "0"}


def peak(name: str, data: Data, scale: Scale) -> float | None:
    """Bytes that `WORK[name]` takes at its peak, above the process that has loaded its scene; None if it failed."""
    what = json.dumps([str(data.folder), asdict(scale)])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", name, what],
        cwd=REPOSITORY,
        env={**os.environ, **EAGER},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def _resident(peak: bool) -> float:
    """Bytes in memory, now or at most so far.

    Where there is no /proc, both are the most so far. Linux could say that through getrusage, too, but hands a parent's
    figure on to its children.
    """
    try:
        status = Path("/proc/self/status").read_text()
        return 1024.0 * int(re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s*(\d+)", status)[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def rise(call: Callable[[], object]) -> float:
    """Bytes by which this process grows at most while `call` runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak so far is forgotten
    before = _resident(peak=False)
    call()
    return max(_resident(peak=True) - before, 0.0)


def main() -> None:
    """What the fresh process does."""
    name, what = sys.argv[1:]
    folder, scale = json.loads(what)
    data = Data.find(Path(folder))
    WORK[name](data, QUICK)()  # loads libraries and compiled kernels
    print(rise(WORK[name](data, Scale(**scale))))


if __name__ == "__main__":
    main()
