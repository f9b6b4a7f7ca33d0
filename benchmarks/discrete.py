"""`python -m benchmarks.discrete`: every discrete step with every estimator, on views that no fit saw.

A texture is fitted to the photographs without steps. Then each step is applied to it afterwards; and, from there,
optimised through: with each estimator from the fit's own start, and as `neurotex fit --through` does it. Measured is
the render of what is exported. Figures are kept step by step in discrete.json; another run continues there. `--write`
puts tables and pictures into docs/.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from PIL import Image
from rich.console import Console
from rich.progress import Progress

import neurotex as nt
from neurotex.core import storage
from neurotex.fit.options import Options
from neurotex.shading import linear_to_srgb

from . import step_costs, through
from .fits import Validation, unseen_views
from .report import find_markers, splice
from .through import DEFAULT, Bench, Outcome
from .work import QUICK, Data, Scale

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "discrete.md"
FEW = ("straight_through", "surrogate")
SOME = ("levels:3", "palette:8", "bayer:2", "floyd_steinberg:2", "jpeg:20", "blocks:bc1")
# of each kind: what is fitted, through what, and with which estimators (None: all that the step takes)
KINDS = {
    "1,024²": (Options("", "", size=1024, steps=30), through.STEPS, FEW),
    "512²": (Options("", "", size=512, steps=30), SOME, None),
    "256²": (Options("", "", size=256, steps=30), through.STEPS, FEW),
    "latents": (Options("", "", texture="materials", optimize="latents"), ("levels:4", "palette:8"), FEW),
    "weights": (Options("", "", texture="materials", optimize="both"), ("levels:4", "palette:8"), FEW),
}
# shown in the picture, from top to bottom
PICTURED = ("levels:2", "levels:3", "palette:4", "floyd_steinberg:2", "bayer:2")


def main() -> None:
    """Measure, print tables, write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder with an .obj, flash/ or views/, and the texture as .png")
    parser.add_argument("--kind", choices=[*KINDS, "costs"], action="append", help="only these; may be repeated")
    parser.add_argument("--steps", help="only these discrete steps, with commas")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--write", action="store_true", help="tables and pictures into docs/")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="where discrete.json goes")
    chosen = parser.parse_args()
    out = storage.make_folder(chosen.out)
    data, scale = Data.find(chosen.data), QUICK if chosen.quick else Scale()
    if chosen.write:
        for name in ("summary", "discrete"):
            find_markers(PAGE, name)
    only = None if chosen.steps is None else chosen.steps.split(",")
    file = out / "discrete.json"
    results: dict = json.loads(file.read_text()) if file.is_file() else {}
    console = Console(width=140)
    for kind in chosen.kind or [*KINDS, "costs"]:
        if kind == "costs":
            side = 64 if chosen.quick else step_costs.SIDE
            results[kind] = [list(row) for row in step_costs.rows(side)]
            console.print(costs_table(results[kind]), markup=False)
        else:
            found = results.setdefault(kind, {"unconstrained": None, "steps": {}})
            for name in _measure(kind, data, scale, only, chosen.quick, out, found):
                storage.write_json(file, results)
                print(kind, name, found["steps"][name], flush=True)
            console.print(f"\n{kind}: {data.name}, without steps {found['unconstrained']:.1f} dB\n")
            console.print(levels_table(found), markup=False)
        storage.write_json(file, results)
    if "1,024²" in results:
        _join(out)
    if chosen.write:
        results = {kind: results[kind] for kind in (*KINDS, "costs") if kind in results}
        splice(PAGE, summary_table(results), "summary")
        parts = []
        for kind, found in results.items():
            if kind == "costs":
                parts.append("**Costs** of forward and backward at 1,024².\n\n" + costs_table(found))
            else:
                head = f"**{kind}**, {data.name}, without steps {found['unconstrained']:.1f} dB."
                parts.append(head + "\n\n" + levels_table(found))
        splice(PAGE, "\n\n".join(parts), "discrete")
        if (out / "discrete.png").is_file():
            shutil.copy(out / "discrete.png", REPOSITORY / "docs" / "discrete.png")


def _measure(
    kind: str, data: Data, scale: Scale, only: list[str] | None, quick: bool, out: Path, found: dict
) -> Iterator[str]:
    """Add to `found` the steps that are not in it yet; yields the name of each."""
    options, names, allowed = KINDS[kind]
    names = [name for name in names if name not in found["steps"] and (only is None or name in only)]
    if not names:
        return
    options = replace(options, mesh=str(data.mesh), views=str(data.photographs))
    if quick:
        options = replace(options, size=64, steps=2)
    unseen, _ = unseen_views(data, None, scale)
    validation = lru_cache(lambda side: Validation(data, unseen, side))
    bench = Bench(data, validation, options, imagined=2 if quick else 24, steps=2 if quick else 40)
    found["unconstrained"] = bench.unconstrained
    with Progress(transient=True, console=Console(stderr=True)) as bar:
        task = bar.add_task(kind, total=len(names))
        for name in names:
            ways = [way for way in through.estimators(name) if allowed is None or way in allowed]
            if options.texture == "pixels" and through.searched(name):
                ways.append(DEFAULT)
            outcomes = [bench.afterwards(name)]
            for way in ways:
                bar.update(task, description=f"{kind}, {name}, {way}")
                outcomes.append(bench.through(name, way))
            found["steps"][name] = {outcome.how: outcome.level for outcome in outcomes}
            if kind == "1,024²":
                best = max(outcomes[1:], key=lambda outcome: outcome.level)
                _draw(bench, unseen, [outcomes[0], best], _strip(out, name))
            bar.advance(task)
            yield name


def _strip(out: Path, name: str) -> Path:
    return storage.make_folder(out / "strips") / f"{name.replace(':', '_')}.png"


def _draw(bench: Bench, unseen: nt.Views, outcomes: list[Outcome], file: Path) -> None:
    """A part of an unseen view: the photograph, without steps, afterwards, through."""
    stage = bench.validation
    height, width = unseen.size
    box = (slice(None), slice(height // 5, height // 5 + height // 2), slice(width // 4, width // 4 + width // 2))

    def shown(texture: torch.Tensor) -> torch.Tensor:
        stage.texture.image.copy_(texture)
        return linear_to_srgb(stage.baked()[0, :3].clamp(0, 1))[box]

    with torch.no_grad():
        target = linear_to_srgb(unseen.images[0, :3].clamp(0, 1))[box]
        parts = [target, shown(bench.texture[0]), *(shown(outcome.texture) for outcome in outcomes)]
    with storage.replacing(file) as temporary:
        nt.scene.to_image(torch.cat(parts, 2).repeat_interleave(2, 1).repeat_interleave(2, 2)).save(temporary)


def _join(out: Path) -> None:
    """The strips of `PICTURED` one below the other, as discrete.png."""
    strips = [Image.open(_strip(out, name)) for name in PICTURED if _strip(out, name).is_file()]
    if not strips:
        return
    grid = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)))
    for k, strip in enumerate(strips):
        grid.paste(strip, (0, k * strip.height))
    with storage.replacing(out / "discrete.png") as temporary:
        grid.save(temporary)


def levels_table(found: dict) -> str:
    """dB by step and way of crossing; the best in bold."""
    ways = list(dict.fromkeys(way for levels in found["steps"].values() for way in levels))
    lines = [("step", *ways, "gain"), ("---", *["---:"] * (len(ways) + 1))]
    for name, levels in found["steps"].items():
        best = max(levels.values())
        cells = [
            "" if way not in levels else f"**{levels[way]:.1f}**" if levels[way] == best else f"{levels[way]:.1f}"
            for way in ways
        ]
        lines.append((name, *cells, f"{round(_gain(levels), 1) + 0.0:+.1f}"))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def summary_table(results: dict) -> str:
    """Afterwards and the best way through, a column a kind."""
    kinds = [kind for kind in results if kind != "costs"]
    lines = [("dB on unseen views, afterwards → through", *kinds), ("---", *["---:"] * len(kinds))]
    lines.append(("without steps", *[f"{results[kind]['unconstrained']:.1f}" for kind in kinds]))
    for name in through.STEPS:
        cells = []
        for kind in kinds:
            levels = results[kind]["steps"].get(name)
            if levels is None:
                cells.append("")
                continue
            best = max(level for way, level in levels.items() if way != "afterwards")
            cells.append(f"{levels['afterwards']:.1f} → {best:.1f}")
        lines.append((name, *cells))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def costs_table(rows: list) -> str:
    """Time beside one `grid_sample`, and extra memory."""
    lines = [("step", "estimator", "ms", "ratio to grid_sample", "MiB"), ("---", "---", "---:", "---:", "---:")]
    for name, estimator, seconds, ratio, extra in rows:
        memory = "–" if extra is None else f"{extra / 2**20:.0f}"
        lines.append((name, estimator, f"{1e3 * seconds:.0f}", f"{ratio:.2g}", memory))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _gain(levels: dict[str, float]) -> float:
    return max(level for way, level in levels.items() if way != "afterwards") - levels["afterwards"]


if __name__ == "__main__":
    main()
