"""`neurotex demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..fit.options import Options
from .console import console
from .fit import report, run_fit
from .options import Overwrite, Resume


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    resume: Resume = False,
    overwrite: Overwrite = False,
) -> None:
    """Fit a texture to the photographs of a teapot that come with neurotex, in three ways."""
    from .. import assets

    data = assets.folder() / "demo"
    common: dict[str, Any] = {
        "mesh": str(data / "mesh.obj"),
        "views": str(data / "views"),
        "holdout": str(data / "holdout"),
    }
    runs = {
        "pixels": Options(**common),
        "palette": Options(**common, through=("palette:12",)),
        "generator": Options(**common, texture="materials", optimize="both"),
    }
    for name, options in runs.items():
        console.print(f"[bold]{name}[/]: 12 flash photographs of a teapot → its texture")
        begun = resume and (out / name / "checkpoint.safetensors").is_file()
        report(run_fit(options, out / name, resume=begun, overwrite=overwrite), out / name)
