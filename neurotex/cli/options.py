"""A command's options, made of dataclasses; and those that several commands have.

`tyro` makes command lines of dataclasses, too. It was tried (1.0.16): it imports as fast as typer and exits with 2, but
prints errors itself, in frames of several lines, and completion is a file that users must install by hand. What
follows is all that typer lacks.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ..core.interrupts import Interrupted
from ..core.options import SIDE, Commas, File, Told, check, told
from ..fit.options import Options as FitOptions
from . import leaving
from .console import ImageBar, StageBars, say

LARGEST = SIDE

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already there.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue the run in --out where it stopped.")]


def spread(command: Callable) -> Callable:
    """`command`, with an option for each field of the dataclasses that it takes; fields without default are arguments.

    Texts come from below the fields, where `name` in backticks is another option.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, type] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if isinstance(kind, type) and is_dataclass(kind):
            groups[parameter.name] = kind
            flags = {field.name: field.flag for field in told(kind)}
            parameters += [_parameter(field, flags) for field in told(kind)]
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    @wraps(command)
    def run(**values: object) -> Any:
        given = {
            name: kind(**{field.name: _value(field, values.pop(field.name)) for field in told(kind)})
            for name, kind in groups.items()
        }
        for options in given.values():
            check(options)
        return command(**given, **values)

    del run.__wrapped__  # typer looks at the signature of what it finds there
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def like(kind: type, name: str) -> Any:
    """What typer is told of an option that another command has, too: a field of its dataclass."""
    (field,) = (field for field in told(kind) if field.name == name)
    return _parameter(field, {}).annotation.__metadata__[0]


def _parameter(field: Told, flags: dict[str, str]) -> inspect.Parameter:
    text = re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[1]), field.help)
    kind, default = field.kind, field.default
    if field.mark(Commas):
        kind, default = str, ",".join(default)
    elif field.mark(File):
        kind = Path if kind is str else Path | None
    elif kind == tuple[str, ...]:
        kind, default = list[str], list(default or ())
    if field.required:
        how, default = typer.Argument(metavar=field.name.upper(), help=text), inspect.Parameter.empty
    elif kind is bool and not default:
        how = typer.Option(field.flag, help=text)
    elif kind is bool:
        how = typer.Option(f"{field.flag}/--no-{field.flag[2:]}", help=text)
    else:
        how = typer.Option(field.flag, help=text)
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, how]
    )


def _value(field: Told, value: object) -> object:
    """As the dataclass has it: names of files are text, lists are tuples."""
    if field.mark(Commas):
        return tuple(str(value).split(","))
    return str(value) if isinstance(value, Path) else tuple(value) if isinstance(value, list) else value


Label = Annotated[int | None, like(FitOptions, "label")]
Seed = Annotated[int, like(FitOptions, "seed")]


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
