"""`python -m benchmarks.render`: neurotex, PyTorch3D and Mitsuba 3 on the same work, in turns, in one run.

Systems that cannot be imported are left out, and named. Times are medians over turns in this process, after a first
call that is not counted; peak memory is that of a fresh process, above one that holds the scene. The floor is the time
in which this machine copies as many bytes as a step must move: its matrices, inputs and outputs once each. `--write`
puts the table into docs/figures.md, and the figures and two plots into docs/.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import platform
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from neurotex.core import storage

from . import rows, run, sweeps, with_mitsuba
from .report import Row, find_markers, markdown, print_table, splice
from .run import Run
from .work import QUICK, Data, Scale

REPOSITORY = Path(__file__).parents[1]
ROWS: dict[str, Callable[[Run], Iterator[Row]]] = {
    "rasterise": rows.rasterise,
    "step": rows.steps,
    "loop": rows.loop,
    "product": rows.product,
    "bake": rows.bake,
    "fit": rows.fit,
    "large": rows.large,
}


def _measured(name: str, here: Run) -> list[Row] | None:
    """The rows of one kind; None if that failed: minutes of other figures are not to be lost."""
    try:
        return list(ROWS[name](here))
    except Exception:
        traceback.print_exc()
        return None


def _notes(here: Run, systems: dict[str, str]) -> list[str]:
    """What a reader of the table must know."""
    told = ", ".join(f"{name} {what}" for name, what in systems.items())
    threads = torch.get_num_threads()
    notes = [
        f"{told}; Python {platform.python_version()}, {threads} threads on {platform.machine()}.",
        f"Data: {here.data.name}. Mitsuba's fit: Adam({with_mitsuba.RATE}, {with_mitsuba.BETAS}) on texels in sRGB, "
        f"{with_mitsuba.STEPS} steps of all views with {with_mitsuba.SAMPLES} samples per pixel.",
    ]
    if here.bandwidth is not None:
        size, speed = here.scale.copied >> 20, here.bandwidth / 1e9
        notes.append(f"The floor: a copy of {size} MiB on all threads reads and writes {speed:.1f} GB/s.")
    return notes


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.render", description=__doc__)
    parser.add_argument("--only", action="append", choices=list(ROWS), help="this row alone; may be repeated")
    parser.add_argument("--data", type=Path, help="a folder with an .obj, its texture and flash/ or views/")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--write", action="store_true", help="the table into docs/figures.md, plots beside it")
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs/figures.md", help="where the markers are")
    parser.add_argument("--docs", type=Path, default=REPOSITORY / "docs", help="where JSON and plots go")
    args = parser.parse_args(arguments)
    if args.write and args.only:
        parser.error("--write takes all rows: leave --only out.")
    warnings.filterwarnings("ignore", "Sparse")  # torch says that its CSR tensors are in beta
    torch.manual_seed(0)

    if args.write:
        find_markers(args.page)  # now, not after minutes

    data = Data.find(args.data)
    systems, pytorch3d, mitsuba = run.find_systems()
    here = Run(data, QUICK if args.quick else Scale(), args.quick, pytorch3d, mitsuba)
    if data.name != "Spot":
        here.say(f"Spot is not there: {data.name} takes its place (--data names a folder)")
    for name, what in systems.items():
        here.say(f"{name} {what}")
    groups = {name: _measured(name, here) for name in args.only or ROWS}
    found = [row for group in groups.values() for row in group or ()]
    failed = [name for name, group in groups.items() if group is None]
    notes = _notes(here, systems)
    print_table(found, notes)
    if failed:
        sys.exit(f"failed, see above: {', '.join(failed)}; nothing is written")
    if args.write:
        sweeps.sweep(here)
        splice(args.page, markdown(found, notes))
        folder = storage.make_folder(args.docs)
        figures = {
            "systems": systems,
            "threads": torch.get_num_threads(),
            "copy_bytes_per_second": here.bandwidth,
            "rows": [{**asdict(row), "met": row.met} for row in found],
            "curves": here.curves,
        }
        storage.write_json(folder / "benchmarks.json", figures)
        sweeps.write_plots(here, folder)
        print(f"wrote {args.page}, {folder / 'benchmarks.json'} and two plots beside it")


if __name__ == "__main__":
    main()
