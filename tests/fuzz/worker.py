"""The child process: reads one damaged input after the other, and says how each ended."""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import traceback
import warnings
from pathlib import Path

SPARE = 6 << 30  # bytes of address space above what the child holds at its start: a last guard for the machine


def main(kinds: list[str], seed: int, first: int, last: int, folder: Path) -> None:
    faulthandler.enable()
    import torch

    from neurotex.errors import NeurotexError

    from .kinds import prepare

    torch.set_num_threads(1)
    for name in kinds:
        prepare(name, folder)()  # loads what is loaded once
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + SPARE, resource.RLIM_INFINITY))
    warnings.simplefilter("ignore")
    for number in range(first, last):
        read = prepare(kinds[number % len(kinds)], folder, seed, number)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _peak()
        print(json.dumps({"begins": number}), flush=True)
        said: dict = {"number": number}
        try:
            read()
        except NeurotexError as error:
            said["refused"] = str(error)
        except MemoryError:
            said["failed"] = "MemoryError\n" + traceback.format_exc()
        except Exception:
            said["failed"] = traceback.format_exc()
        said["bytes"] = _peak() - before
        print(json.dumps(said), flush=True)


def _peak() -> int:
    """Most memory resident since the peak was last forgotten, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


if __name__ == "__main__":
    main(sys.argv[1].split(","), *map(int, sys.argv[2:5]), Path(sys.argv[5]))
