"""One run of the benchmarks: which systems take part, on which data, at which scale."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import torch

import neurotex as nt
from neurotex.compat.mitsuba import activate

from . import memory, with_pytorch3d, work
from .timing import interleaved
from .work import Data, Scale


@dataclass
class Run:
    """What a run has to work with, and what it found besides its rows."""

    data: Data
    scale: Scale
    quick: bool
    pytorch3d: bool
    mitsuba: object | None
    bandwidth: float | None = None  # bytes per second, once measured
    began: float = field(default_factory=time.perf_counter)
    curves: dict[str, dict] = field(default_factory=dict)

    def say(self, what: str) -> None:
        """A line of progress."""
        print(f"[{time.perf_counter() - self.began:4.0f} s] {what}", file=sys.stderr, flush=True)

    def time(self, *calls: Callable[[], object], turns: int = 3) -> list[float]:
        """Median seconds of each call."""
        return interleaved(*calls, turns=1 if self.quick else turns, seconds=0.0 if self.quick else 0.3)

    def rasterisers(self) -> dict[str, Callable[[nt.Scene, int], Callable]]:
        """By system: a call that finds what a scene's first camera sees in an image of some side."""
        systems: dict[str, Callable] = {
            "neurotex, plain torch": lambda scene, side: work.rasterize_reference(work.camera_corners(scene), side),
            "neurotex": lambda scene, side: work.rasterize(work.camera_corners(scene), side),
        }
        if self.mitsuba is not None:
            systems["Mitsuba 3 (rays)"] = lambda scene, side: with_mitsuba.rays(self.mitsuba, scene, side)
        if self.pytorch3d:
            systems["PyTorch3D"] = lambda scene, side: with_pytorch3d.rasterize(work.camera_corners(scene), side)
        return systems

    def peak(self, name: str) -> float | None:
        """Bytes at the peak of a piece of work, in a process of its own; a quick run spares that."""
        if self.quick:
            return None
        self.say(f"memory: {name}")
        return memory.peak(name, self.data, self.scale)


def find_systems() -> tuple[dict[str, str], bool, object | None]:
    """Versions of what is here and why the others are not; whether PyTorch3D is; Mitsuba, if it is."""
    found = {"neurotex": nt.__version__, "torch": torch.__version__}
    try:
        import pytorch3d
        from pytorch3d import _C  # noqa: F401 (its compiled half may be missing, or be of another torch)

        found["PyTorch3D"] = pytorch3d.__version__
    except (ImportError, OSError) as error:
        found["PyTorch3D"] = f"absent: {error}"
    mitsuba = None
    try:
        mitsuba = activate()
        found["Mitsuba"] = version("mitsuba")
    except (ImportError, RuntimeError, PackageNotFoundError) as error:
        found["Mitsuba"] = f"absent: {error}"
    return found, not found["PyTorch3D"].startswith("absent"), mitsuba
