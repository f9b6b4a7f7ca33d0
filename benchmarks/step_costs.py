"""What a step costs forward and backward at 1,024², as a ratio to one bilinear lookup of as many samples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from neurotex import discrete

from .memory import EAGER, rise
from .timing import interleaved

SIDE = 1024
REPOSITORY = Path(__file__).parents[1]
COSTS = (
    ("levels:4", "straight_through"),
    ("levels:4", "surrogate"),
    ("threshold:0.5", "straight_through"),
    ("palette:16", "straight_through"),
    ("palette:256", "straight_through"),
    ("palette:256", "surrogate"),
    ("palette:256", "gumbel"),
    ("bayer:2", "straight_through"),
    ("floyd_steinberg:2", "straight_through"),
    ("jpeg:75", "straight_through"),
    ("jpeg:75", "surrogate"),
    ("blocks:bc1", "straight_through"),
    ("blocks:bc1", "surrogate"),
)


def work(name: str, estimator: str, side: int = SIDE) -> Callable[[], object]:
    """Forward and backward of a step on a texture of smooth colours with some noise."""
    step = discrete.parse(name, estimator)
    x = lookup_source(side)
    step.calibrate(x.detach())
    return lambda: step(x).sum().backward()


def lookup_source(side: int) -> torch.Tensor:
    """A texture (1, 3, side, side) with a gradient."""
    torch.manual_seed(0)
    coarse = torch.rand(1, 3, 16, 16)
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    return (smooth + 0.02 * torch.randn_like(smooth)).clamp(0, 1).requires_grad_()


def lookup(side: int = SIDE) -> Callable[[], object]:
    """One `grid_sample`, forward and backward to the texture, of a sample for each texel: the texture, turned by 30°.

    Neighbours read neighbours, as on a surface; places drawn at random would take ten times as long.
    """
    x = lookup_source(side)
    turn = torch.tensor([[[0.75**0.5, -0.5, 0.0], [0.5, 0.75**0.5, 0.0]]])
    grid = torch.nn.functional.affine_grid(turn, [1, 3, side, side], align_corners=False)
    return lambda: torch.nn.functional.grid_sample(x, grid, align_corners=False).sum().backward()


def rows(side: int = SIDE) -> Iterator[tuple[str, str, float, float, float | None]]:
    """(step, estimator, seconds, ratio to the lookup, extra bytes at the peak) of each."""
    for name, estimator in COSTS:
        seconds, beside = interleaved(work(name, estimator, side), lookup(side), turns=7)
        yield name, estimator, seconds, seconds / beside, _peak(name, estimator, side)


def _peak(name: str, estimator: str, side: int) -> float | None:
    """Bytes above a process that has the texture, its gradient and the library in memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.step_costs", json.dumps([name, estimator, side])],
        cwd=REPOSITORY,
        env={**os.environ, **EAGER},
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main() -> None:
    """What the fresh process does."""
    name, estimator, side = json.loads(sys.argv[1])
    work(name, estimator, 32)()  # loads libraries and compiled kernels
    call = work(name, estimator, side)
    print(rise(call))


if __name__ == "__main__":
    main()
