"""`neurotex convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import say
from .options import Overwrite


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint: see `neurotex info`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The file to write.")],
    network: Annotated[
        str | None, typer.Option(help="Which network of the file. The default is G_ema where there is one.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Write the generator in any checkpoint in neurotex's own format: safetensors with its configuration."""
    from .. import generators
    from ..core import storage
    from ..core.memory import memory_for
    from ..errors import ArgumentError

    if out.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{out} must end in .safetensors.")
    storage.claim_file(out, overwrite)
    with memory_for(f"{source}", "convert it on a machine with more memory"):
        generator = generators.load(source, network)
        with storage.new_folder(out.parent):
            generators.save(generator, out)
    say(f"wrote {type(generator).__name__} to {out}")
