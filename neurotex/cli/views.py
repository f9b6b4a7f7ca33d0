"""`neurotex views`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .console import say
from .options import LARGEST, Json, Overwrite

if TYPE_CHECKING:
    from ..scene.views import Frame

SIZE = 1024


def views(
    path: Annotated[
        Path, typer.Argument(metavar="VIEWS", help="A folder of photographs with cameras, or the file that has them.")
    ],
    mesh: Annotated[Path | None, typer.Option(help="Draw this mesh among the cameras.")] = None,
    out: Annotated[Path | None, typer.Option(help="A .png picture of the cameras.")] = None,
    size: Annotated[int, typer.Option(min=1, max=LARGEST, help="Height and width of --out in pixels.")] = SIZE,
    json_: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Print what is understood of VIEWS: which program wrote them, their sizes and lenses, and where cameras stand."""
    from ..core import storage
    from ..errors import ArgumentError
    from ..scene.views import read_frames, recognise

    if out is None and mesh is not None:
        out = Path("views.png")
    if out is not None and out.suffix.lower() != ".png":
        raise ArgumentError(f"{out} must end in .png.")
    if out is not None:
        storage.claim_file(out, overwrite)
    program, file = recognise(path)
    frames = read_frames(path)
    facts = _facts(program, file, frames)
    if out is not None:
        _draw(frames, mesh, out, size)  # first, so that what fails has printed nothing
    if json_:
        print(json.dumps(facts))
    else:
        _print(facts)
        if out is not None:
            say(f"wrote {out}")


def _facts(program: str, file: Path, frames: list[Frame]) -> dict[str, Any]:
    import numpy as np

    eyes = np.array([frame.camera.transform[:3, 3].double().numpy() + (frame.camera.origin or 0) for frame in frames])
    lenses = Counter(str(frame.straightening.lens) for frame in frames if frame.straightening is not None)
    return {
        "program": program,
        "file": str(file),
        "photographs": len(frames),
        "sizes": Counter(f"{frame.stored[1]} x {frame.stored[0]}" for frame in frames),
        "straightened": Counter(f"{frame.size[1]} x {frame.size[0]}" for frame in frames) if lenses else {},
        "lenses": lenses,
        "masks": sum(frame.mask is not None for frame in frames),
        "lights": Counter("none" if frame.flash is None else f"flash {frame.flash}" for frame in frames),
        "cameras_from": eyes.min(0).tolist(),
        "cameras_to": eyes.max(0).tolist(),
    }


def _print(facts: dict[str, Any]) -> None:
    lenses = ", ".join(f"{count} × {lens}" for lens, count in list(facts["lenses"].items())[:3])
    if len(facts["lenses"]) > 3:
        lenses += f", … {len(facts['lenses']) - 3} more"
    low, high = ("(" + ", ".join(f"{x:.4g}" for x in facts[key]) + ")" for key in ("cameras_from", "cameras_to"))
    rows = {
        "written by": f"{facts['program']} ({facts['file']})",
        "photographs": _counted(facts["sizes"]),
        "lenses": lenses or "none: pinholes",
        "straightened to": _counted(facts["straightened"]),
        "masks": str(facts["masks"] or "none"),
        "light": _counted(facts["lights"]),
        "cameras stand": f"between {low} and {high}",
    }
    out = Console(soft_wrap=True, highlight=False, markup=False)
    for name, text in rows.items():
        if text:
            out.print(f"{name:<17}{text}")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in counts.items())


def _draw(frames: list[Frame], mesh: Path | None, out: Path, size: int) -> None:
    import torch

    from ..core import storage
    from ..core.memory import memory_for
    from ..renderers import on_background, render
    from ..renderers.frusta import with_frusta
    from ..scene import Scene

    with memory_for(f"a picture of {size} x {size} pixels", "turn down --size"), torch.no_grad():
        scene = with_frusta(Scene([]) if mesh is None else Scene.load(mesh), frames)
        image = render(scene, size)[0]
        with storage.new_folder(out.parent), storage.replacing(out) as file:
            on_background(image, 0.8).save(file, "PNG")
