"""`python -m benchmarks.threads`: what it gains that torch's idle threads sleep (see `neurotex.core.threads`).

Each row is one step of the README's code in milliseconds, alone and beside two busy processes. "spinning" is torch as
it is, "asleep" with what `core.threads` does, "passive" with OMP_WAIT_POLICY=passive ahead of torch. The three are
processes that take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from neurotex.core.threads import DECIDED

WAYS = {"spinning": {"GOMP_SPINCOUNT": "300000"}, "asleep": {}, "passive": {"OMP_WAIT_POLICY": "passive"}}
STEPS = ("baked, generator", "baked, 512² pixels", "render and backward", "200 additions of 64 Ki")
BUSY = 2


def work() -> dict[str, Callable[[], object]]:
    """The rows, by name."""
    import torch

    import neurotex as nt

    demo = nt.assets.folder() / "demo"
    views = nt.Views.load(demo / "views")
    generator = nt.generators.load("materials").requires_grad_(False)
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, "skin").sample(0)).maps()["base_color"]

    def scene(texture: nt.Texture) -> nt.Scene:
        return nt.Scene.load(demo / "mesh.obj", nt.Material(texture), views.cameras, views.lights)

    made, drawn = nt.bake(scene(skin), views.size), nt.bake(scene(nt.PyramidTexture(512)), views.size)
    plain, numbers = scene(nt.PyramidTexture(512)), torch.ones(1 << 16)
    return dict(
        zip(
            STEPS,
            (
                lambda: nt.losses.photometric(made(), views.images).backward(),
                lambda: nt.losses.photometric(drawn(), views.images).backward(),
                lambda: nt.losses.photometric(nt.render(plain, views.size), views.images).backward(),
                lambda: [numbers + numbers for _ in range(200)],
            ),
            strict=True,
        )
    )


def serve() -> None:
    """Do the step that each line names, and answer how long it took."""
    steps = work()
    for step in steps.values():
        step()
    for line in sys.stdin:
        began = time.perf_counter()
        steps[line.strip()]()
        print(1e3 * (time.perf_counter() - began), flush=True)


def measure(children: dict[str, subprocess.Popen], turns: int) -> dict[str, dict[str, float]]:
    """Median milliseconds by step and way."""
    times = {step: {way: [] for way in children} for step in STEPS}
    for step, ways in times.items():
        for _ in range(turns):
            for way, child in children.items():
                time.sleep(0.05)  # until the threads of the one before have spun out
                child.stdin.write(f"{step}\n")
                child.stdin.flush()
                ways[way].append(float(child.stdout.readline()))
    return {step: {way: statistics.median(found) for way, found in ways.items()} for step, ways in times.items()}


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return
    command = [sys.executable, "-m", "benchmarks.threads", "--serve"]
    clean = {name: value for name, value in os.environ.items() if name not in DECIDED}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = {way: subprocess.Popen(command, env={**clean, **more}, **pipes) for way, more in WAYS.items()}
    table = Table("beside", "step", *(f"{way} ms" for way in WAYS), "spinning / asleep", title="torch's idle threads")
    for count in (0, BUSY):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        try:
            for step, ways in measure(children, options.turns).items():
                ratio = f"{ways['spinning'] / ways['asleep']:.2f}×"
                table.add_row(f"{count} busy", step, *(f"{ways[way]:.1f}" for way in WAYS), ratio)
        finally:
            for process in busy:
                process.kill()
    for child in children.values():
        child.stdin.close()
        child.wait()
    Console().print(table)


if __name__ == "__main__":
    main()
