"""`neurotex info`."""

from __future__ import annotations

import json
import math
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .options import Json

TENSORS_SHOWN = 12
FACTS = {
    "class": "class",
    "architecture": "architecture",
    "resolution": "resolution",
    "channels": "channels",
    "z_dim": "z",
    "w_dim": "w",
    "c_dim": "classes (c)",
    "num_ws": "layers of w+",
    "parameters": "parameters",
}


def info(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A checkpoint, or the name of a bundled generator.")],
    json_: Json = False,
) -> None:
    """Print which networks a checkpoint holds, without running anything in it."""
    from .. import generators

    found = generators.info(path)
    if json_:
        print(json.dumps(found))
        return
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"{found['path']}: {found['format']}", markup=False)
    if found["networks"]:
        out.print(_networks(found["networks"]))
        return
    tensors = list(found["tensors"].items())
    numbers = sum(math.prod(shape) for _, shape in tensors)
    out.print(f"no generator that neurotex knows: {len(tensors)} tensors, {numbers:,} numbers")
    for name, shape in tensors[:TENSORS_SHOWN]:
        out.print(f"  {name}  {' x '.join(map(str, shape)) or 'one number'}", markup=False)
    if len(tensors) > TENSORS_SHOWN:
        out.print(f"  … and {len(tensors) - TENSORS_SHOWN} more; --json lists all")


def _networks(networks: dict[str, dict]) -> Table:
    """A column for each network, a row for each fact and for each argument of its constructor."""
    table = Table("", *(escape(name or "the file") for name in networks))
    for name, label in FACTS.items():
        values = [facts.get(name) for facts in networks.values()]
        if any(value is not None for value in values):
            table.add_row(label, *map(_shown, values))
    configs = [facts.get("config", {}) for facts in networks.values()]
    for name in dict.fromkeys(name for config in configs for name in config):
        table.add_row(f"  {_shown(name)}", *(_shown(config.get(name)) for config in configs))
    return table


def _shown(value: object) -> str:
    """A value out of a file, which may be anything."""
    text = "–" if value is None else f"{value:,}" if type(value) is int else str(value)
    return escape("".join(letter for letter in text if letter.isprintable()))
