"""`python -m tests.fuzz KIND N SEED [--keep FOLDER]`: exit code 1 if any input ended in anything but its due."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .kinds import KINDS
from .run import run

parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
parser.add_argument("kind", choices=[*KINDS, "all"])
parser.add_argument("n", type=int, help="how many inputs (of each kind)")
parser.add_argument("seed", type=int, help="which ones: the same seed gives the same inputs")
parser.add_argument("--keep", type=Path, help="a folder for the inputs that failed")
options = parser.parse_args()

failures = 0
for kind in KINDS if options.kind == "all" else [options.kind]:
    result = run(kind, options.n, options.seed, keep=options.keep)
    failures += len(result.failures)
    print(f"{kind}: {options.n} inputs, {result.read} read, {result.refused} refused, {len(result.failures)} failed")
    for number, reason in result.failures.items():
        print(f"--- {kind}.{options.seed}.{number}\n{reason.rstrip()}")
sys.exit(1 if failures else 0)
