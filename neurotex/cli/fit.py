"""`neurotex fit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..fit.options import Options
from .console import StageBars
from .options import Json, Overwrite, Resume, running_in, spread


@spread
def fit(
    options: Options,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("fit"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Fit the texture of MESH to the photographs VIEWS."""
    metrics = run_fit(options, out, resume=resume, overwrite=overwrite)
    if json_:
        print(json.dumps(metrics))
    else:
        report(metrics, out)


def run_fit(options: Options, out: Path, *, resume: bool = False, overwrite: bool = False) -> dict:
    """Fit with bars of progress; after a signal, say how to go on and leave."""
    from ..fit import fit_views

    show = StageBars()
    with running_in(out, show):
        return fit_views(options, out, resume=resume, overwrite=overwrite, progress=show)


def report(metrics: dict, out: Path) -> None:
    """What was reached, and where the results are."""
    held = metrics["holdout_psnr_db"]
    over = "" if metrics["evaluated_pixels"] == "all" else " over what the mesh covers"
    heldout = "" if held is None else f", held out {held:.1f} dB"
    spent = f"{metrics['steps']} steps, {metrics['seconds']:.1f} s"
    print(f"PSNR{over}: train {metrics['train_psnr_db']:.1f} dB{heldout}; {spent}")
    print(f"pictures: {out / 'report.html'}, {out / 'turntable.gif'}, {out / 'model.glb'}")
