"""`python -m benchmarks.rays`: shadow rays per second, by Embree and by the hierarchy of our own.

Rays go from what pixels of eight views of a mesh see, in their order, to a light; and from the same points anywhere,
which is the worst that bounces do. The tracers take turns; each figure is its best turn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import neurotex as nt
from neurotex.geometry import Rays
from neurotex.geometry.embree import has_embree

TARGETS = {"embree": 8.0, "bvh": 1.5}  # million shadow rays a second, of Spot on two cores


def measure(mesh: Path, size: int, turns: int) -> dict[str, dict[str, float]]:
    """Million rays a second, by tracer and kind of rays."""
    scene = nt.Scene.load(mesh)
    center, radius = scene.bounds()
    cameras = nt.orbit(8, 3 * radius, target=center.tolist())
    passes = nt.render_passes(scene, size, cameras=cameras)
    seen = passes.mask[:, 0]
    origin, face = passes.position.movedim(1, -1)[seen], passes.face[:, 0][seen]
    light = center + radius * torch.tensor([1.0, 2.0, 1.5])
    directions = {"to a light": light - origin, "anywhere": torch.randn_like(origin), "anywhere, closest": None}
    directions["anywhere, closest"] = directions["anywhere"]
    geometry = scene.geometry()
    tracers = {by: Rays(geometry.vertices, geometry.faces, by) for by in TARGETS if by == "bvh" or has_embree()}
    best: dict[str, dict[str, float]] = {by: {} for by in tracers}
    for kind, direction in directions.items():
        for _ in range(turns + 1):
            for by, rays in tracers.items():
                ask = rays.closest if "closest" in kind else rays.occluded
                began = time.perf_counter()
                ask(origin, direction, 0.999, face)
                speed = len(origin) / (time.perf_counter() - began) / 1e6
                best[by][kind] = max(best[by].get(kind, 0.0), speed)
    return best


def main(arguments: list[str] | None = None) -> dict[str, dict[str, float]]:
    """Measure, print a table."""
    spot = Path(__file__).parents[2] / "shared/data/spot/cow.obj"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "mesh", nargs="?", type=Path, default=spot if spot.is_file() else nt.assets.folder() / "demo/mesh.obj"
    )
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args(arguments)
    found = measure(options.mesh, options.size, options.turns)
    title = f"million rays a second, {options.mesh.name}, {torch.get_num_threads()} threads"
    table = Table("tracer", *next(iter(found.values())), "target", title=title)
    for by, speeds in found.items():
        table.add_row(by, *(f"{speed:.2f}" for speed in speeds.values()), f"≥ {TARGETS[by]:g} to a light")
    Console().print(table)
    return found


if __name__ == "__main__":
    main()
