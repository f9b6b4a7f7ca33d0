"""The plots: hard fragments of one image over the number of faces, and over the image's side."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import neurotex as nt
from neurotex.core import storage

from . import plot, work
from .run import Run
from .timing import interleaved

PATIENCE = 6.0  # seconds: a plot's line ends where a point would take longer
NOTE = f"Time for one image. A line ends where it would take over {PATIENCE:g} s; Mitsuba's tree was built before."
FACES = {1e3: "1 k", 1e4: "10 k", 1e5: "100 k", 1e6: "1 M"}
SIDES = {64: "64²", 128: "128²", 256: "256²", 512: "512²", 1024: "1,024²", 2048: "2,048²"}


def sweep(run: Run) -> None:
    """Fill `run.curves` with lines over faces and over the image's side."""
    camera, side = nt.orbit(1, 2.7, elevation=30.0)[0], run.scale.image
    counts = [64, 256] if run.quick else [1_024, 3_136, 10_000, 31_684, 99_856, 315_844, 1_000_000]
    meshes = [work.torus(count) for count in counts]
    points = [Point(len(mesh.faces), nt.Scene(mesh, camera), side, len(mesh.faces)) for mesh in meshes]
    run.curves["faces"] = _lines(run, points)
    scene = run.data.scene(work.random_texture(4), run.data.views, 1)
    run.curves["sides"] = _lines(
        run, [Point(size, scene, size, size**2) for size in ([16, 32] if run.quick else SIDES)]
    )


class Point(NamedTuple):
    """A place on a plot's x axis: what is drawn there, and a measure of the work."""

    x: int
    scene: nt.Scene
    side: int
    cost: int


def _lines(run: Run, points: list[Point]) -> dict[str, list]:
    """Lines of (x, seconds) by system; a line ends before the first point that would take longer than PATIENCE."""
    lines: dict[str, list] = {name: [] for name in run.rasterisers()}
    going = dict.fromkeys(lines, 0.0)  # seconds per unit of cost at the point before
    for point in points:
        going = {name: slope for name, slope in going.items() if slope * point.cost <= PATIENCE}
        run.say(f"plot: {point.x:,} ({', '.join(going)})")
        prepared = [run.rasterisers()[name](point.scene, point.side) for name in going]
        medians = interleaved(*prepared, turns=1 if run.quick else 2, seconds=0.0 if run.quick else 0.05)
        for name, seconds in zip(going, medians, strict=True):
            lines[name].append((point.x, seconds))
            going[name] = seconds / point.cost
    return lines


def write_plots(run: Run, folder: Path) -> None:
    """benchmarks-faces.svg and benchmarks-sides.svg."""
    ticks = {"faces": FACES, "sides": SIDES}
    titles = {
        "faces": (f"Rasterising a torus, {run.scale.image}²", "faces"),
        "sides": (f"Rasterising {run.data.name}", "image size, pixels"),
    }
    for name, (title, x_name) in titles.items():
        lines = {system: line for system, line in run.curves[name].items() if line}
        shown = {x: f"{x:,}" for x, _ in lines["neurotex"]} if run.quick else ticks[name]
        with storage.replacing(folder / f"benchmarks-{name}.svg") as file:
            file.write_text(plot.log_log(title, NOTE, x_name, shown, lines), encoding="utf-8")
