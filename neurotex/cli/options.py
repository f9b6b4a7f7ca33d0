"""Options that several commands have, and how a command's become a function's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ..core.interrupts import Interrupted
from . import leaving
from .console import ImageBar, StageBars, say

T = TypeVar("T")

LARGEST = 1 << 16  # of sides in pixels
SEEDS = 1 << 62

Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, ...")]
Label = Annotated[int | None, typer.Option("--class", help="Which class, for generators that have classes.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")]
Seed = Annotated[int, typer.Option(min=-SEEDS, max=SEEDS, help="Another seed gives another random start.")]


def options_of(kind: type[T], values: Mapping[str, object]) -> T:
    """A dataclass of options from a command's arguments, which have its names. Lists become tuples, paths text."""
    names: Any = kind  # a dataclass
    return kind(**{field.name: _plain(values[field.name]) for field in fields(names)})


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else tuple(value) if isinstance(value, list) else value


@contextmanager
def running_in(out: Path, bar: StageBars | ImageBar) -> Iterator[None]:
    """While a run works in `out`: a signal stops it after its step, with its checkpoint written."""
    leaving.running = out
    try:
        yield
    except Interrupted as stop:
        bar.stop()
        say(leaving.stopped())
        raise typer.Exit(128 + stop.signal) from None
    finally:
        bar.stop()
        leaving.running = None
