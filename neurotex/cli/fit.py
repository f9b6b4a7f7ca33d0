"""`neurotex fit`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import StageBars
from .options import LARGEST, Device, Json, Label, Overwrite, Resume, Seed, options_of, running_in

if TYPE_CHECKING:
    from ..fit import Options

COUNT = 1 << 30


# 22 parameters: Typer makes an option of each
def fit(
    mesh: Annotated[Path, typer.Argument(metavar="MESH", help="The object: OBJ, PLY, GLB or glTF, with UVs.")],
    views: Annotated[
        Path, typer.Argument(metavar="VIEWS", help="The photographs: a folder with transforms.json, or that file.")
    ],
    texture: Annotated[
        str, typer.Option(help="What makes the texture: pixels, a bundled generator's name, or a checkpoint.")
    ] = "pixels",
    optimize: Annotated[str, typer.Option(help="What to fit of a generator: latents, weights or both.")] = "latents",
    space: Annotated[str, typer.Option(help="Its latent space: w, w+, z, gaussian or noise.")] = "w",
    label: Label = None,
    through: Annotated[
        list[str], typer.Option(help="A discrete step that the texture passes, such as levels:8. May be repeated.")
    ] = [],  # noqa: B006
    estimator: Annotated[str, typer.Option(help="How gradients pass discrete steps.")] = "straight_through",
    temperature: Annotated[
        tuple[float, float], typer.Option(help="First and last temperature of estimators that have one.")
    ] = (0.3, 0.01),
    imagined: Annotated[
        int, typer.Option(max=COUNT, help="Extra rendered views that a fit through discrete steps learns from.")
    ] = 24,
    size: Annotated[int, typer.Option(min=1, max=LARGEST, help="Side of a texture of pixels, in texels.")] = 512,
    steps: Annotated[
        int | None, typer.Option(min=1, max=COUNT, help="Optimisation steps. The default depends on --texture.")
    ] = None,
    holdout: Annotated[Path | None, typer.Option(help="Photographs to measure the result by, never fitted.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("fit"),
    seed: Seed = 0,
    device: Device = "cpu",
    huber: Annotated[float | None, typer.Option(help="Colour difference above which the loss grows linearly.")] = None,
    ssim: Annotated[float, typer.Option(min=0, help="Weight of structural dissimilarity (SSIM) in the loss.")] = 0.0,
    prior: Annotated[float, typer.Option(min=0, help="Weight of the latents' prior in the loss.")] = 0.0,
    resume: Resume = False,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Fit the texture of MESH to the photographs VIEWS."""
    values = locals()
    from ..fit import Options

    metrics = run_fit(options_of(Options, values), out, resume=resume, overwrite=overwrite)
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
    over = "" if metrics["judged_pixels"] == "all" else " over what the mesh covers"
    judged = "" if held is None else f", held out {held:.1f} dB"
    spent = f"{metrics['steps']} steps, {metrics['seconds']:.1f} s"
    print(f"PSNR{over}: train {metrics['train_psnr_db']:.1f} dB{judged}; {spent}")
    print(f"pictures: {out / 'report.html'}, {out / 'turntable.gif'}, {out / 'model.glb'}")
