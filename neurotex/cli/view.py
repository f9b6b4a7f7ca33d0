"""`neurotex view`."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from .console import say
from .options import Label


def view(
    path: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="A mesh, a generator, the folder of a fit or of a training run."),
    ],
    texture: Annotated[str | None, typer.Option(help="A generator whose texture to wear.")] = None,
    label: Label = None,
    views: Annotated[Path | None, typer.Option(help="Photographs to compare with; a fit's own unless given.")] = None,
    host: Annotated[
        str, typer.Option(help="Where to serve. 0.0.0.0 lets other machines look, who can then do what you can.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The first one to try.")] = 8080,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in your browser.")] = True,
) -> None:
    """Look at WHAT in the browser, move its latents, and compare it with photographs. Ctrl-C ends it."""
    from ..viewer import Viewer
    from ..viewer.model import Model
    from ..viewer.subject import subject

    found = subject(path, texture, label, views)
    with Viewer(Model(found.scene, found.generator, found.latent), found.views, host, port) as viewer:
        say(f"look at {viewer.url} (Ctrl-C ends it)")
        if open_:
            webbrowser.open(viewer.url)
        viewer.wait()
