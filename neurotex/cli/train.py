"""`neurotex train`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..gan.options import Machine, Options
from .console import ImageBar
from .options import Json, Overwrite, Resume, running_in, spread


@spread
def train(
    options: Options,
    machine: Machine,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("train"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Train a generator of textures on images, or on pictures of textured objects."""
    from .. import gan

    fabric = gan.launch(machine.device, machine.processes, machine.precision)
    show = ImageBar()
    with running_in(out, show):
        metrics = gan.train_generator(
            options, out, resume=resume, overwrite=overwrite, fabric=fabric, progress=show, minutes=machine.minutes
        )
    if not fabric.is_global_zero:
        return
    if json_:
        print(json.dumps(metrics))
        return
    scores = [f"{name.upper()} {metrics[name]:.4g}" for name in ("fid", "kid") if name in metrics]
    print(", ".join([f"{metrics['images']:,} images in {metrics['seconds']:.0f} s", *scores]))
    print(f"generator: {out / 'generator.safetensors'}; samples: {out / 'samples'}")
