"""`python -m benchmarks.cuda`: neurotex on an NVIDIA GPU, beside nvdiffrast, PyTorch3D and torch's own sparse product.

Systems that cannot be imported are left out. Times are medians, in turns, of work that was done once before and is
waited for; a floor is the time in which this GPU copies as many bytes as the work must move, its inputs and outputs
once each. Views are of Spot if shared/data is beside the repository, else of the bundled teapot.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from neurotex import bake, render
from neurotex.core import warp
from neurotex.raster import z_buffer

from . import with_nvdiffrast, with_pytorch3d, work
from .work import QUICK, Data, Scale

GRID = 4  # samples per pixel and axis
TURNS = 30


@dataclass(frozen=True)
class Row:
    """Milliseconds of some work, of the floor below it (None where nothing says what must be moved), of others."""

    what: str
    ours: float
    floor: float | None
    others: dict[str, float]


class Bench:
    """Times work on one device."""

    def __init__(self, device: torch.device, scale: Scale):
        self.device, self.scale, self.data = device, scale, Data.find(None)
        self.systems = [name for name in ("nvdiffrast", "pytorch3d") if self._usable(name)]
        source = torch.ones(scale.copied // 4, device=device)
        target = torch.empty_like(source)
        (copied,) = self.time(lambda: target.copy_(source))
        self.bandwidth = 2 * source.nbytes / copied  # bytes per millisecond

    def _usable(self, name: str) -> bool:
        return self.device.type == "cuda" and importlib.util.find_spec(name) is not None

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def time(self, *calls: Callable[[], object]) -> list[float]:
        """Median milliseconds of each call, taken in turns."""
        for call in calls:
            call()
        times: list[list[float]] = [[] for _ in calls]
        for _ in range(TURNS):
            for call, record in zip(calls, times, strict=True):
                self.wait()
                began = time.perf_counter()
                call()
                self.wait()
                record.append(1e3 * (time.perf_counter() - began))
        return [sorted(record)[TURNS // 2] for record in times]

    def row(self, what: str, call: Callable, moved: int | None, others: dict[str, Callable]) -> Row:
        ours, *theirs = self.time(call, *others.values())
        floor = None if moved is None else moved / self.bandwidth
        return Row(what, ours, floor, dict(zip(others, theirs, strict=True)))

    def rows(self) -> Iterator[Row]:
        yield from self.product()
        yield from self.step()
        yield from self.view()

    def product(self) -> Iterator[Row]:
        """The baked picture of all views, and its transpose."""
        scene = self.data.scene(work.random_texture(self.scale.texture), self.data.views, self.scale.views)
        operator = bake(scene.to(self.device), self.scale.view, grid=GRID).operator
        for what, matrix, product, size in (
            ("A x", operator.matrix(), operator, operator.shape),
            ("Aᵀ y", operator.transposed(), operator.transposed_product, operator.shape[::-1]),
        ):
            x = torch.rand(size[1], 4, device=self.device)
            pointers, columns, values = matrix
            csr = torch.sparse_csr_tensor(pointers, columns.long(), values[:, 0], size)
            moved = sum(t.nbytes for t in matrix) + 16 * sum(size)
            what = f"{what}, {operator.nnz:,} entries"
            yield self.row(what, lambda p=product, x=x: p(x), moved, {"torch.sparse": lambda a=csr, x=x: a @ x})

    def step(self) -> Iterator[Row]:
        """A step of a baked fit, forward and backward; on a GPU also as a captured graph."""
        scene = self.data.scene(work.random_texture(self.scale.texture), self.data.views, self.scale.views)
        baked = bake(scene.to(self.device), self.scale.view, grid=GRID)
        target = torch.rand_like(baked().detach())
        operator, texels = baked.operator, 12 * self.scale.texture**2
        matrices = sum(t.nbytes for m in (operator.matrix(), operator.transposed()) for t in m)
        moved = matrices + 32 * sum(operator.shape) + 5 * target.nbytes + 2 * texels

        def step() -> None:
            (baked() - target).square().mean().backward()

        views = f"{self.scale.views} views of {self.scale.view}², forward + backward, baked"
        yield self.row(views, step, moved, {})
        if self.device.type == "cuda":
            yield self.row("… as a CUDA graph", self.captured(step, scene), moved, {})

    def captured(self, step: Callable[[], None], scene: torch.nn.Module) -> Callable[[], object]:
        """The same work as a graph, by torch's recipe."""
        apart = torch.cuda.Stream()
        apart.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(apart):
            for _ in range(3):
                scene.zero_grad(set_to_none=True)
                step()
        torch.cuda.current_stream().wait_stream(apart)
        scene.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        return graph.replay

    def view(self) -> Iterator[Row]:
        """One view: visibility alone, the picture, and its gradient in the texture."""
        side, fine = self.scale.image, self.scale.image * GRID
        scene = self.data.scene(work.random_texture(self.scale.texture), self.data.views, 1).to(self.device)
        geometry = scene.geometry()
        matrix = scene.cameras[0].screen_matrix((fine, fine)).to(geometry.vertices)
        screen = (geometry.vertices @ matrix[:, :3].T + matrix[:, 3]).detach()
        moved = screen.nbytes + geometry.faces.nbytes + 8 * fine**2
        what = f"z-buffer of {len(geometry.faces):,} faces at {fine}²"
        yield self.row(what, lambda: z_buffer(screen, geometry.faces, (fine, fine)), moved, {})

        pixels = torch.rand(3, self.scale.texture, self.scale.texture, device=self.device, requires_grad=True)
        draw: dict[str, Callable[[], Tensor]] = {}
        if "nvdiffrast" in self.systems:
            draw["nvdiffrast"] = with_nvdiffrast.render(scene, pixels, side, GRID)
        if "pytorch3d" in self.systems:
            draw["PyTorch3D (1 sample)"] = with_pytorch3d.render(scene, pixels, side)
        ours = lambda: render(scene, side, grid=GRID)  # noqa: E731
        what = f"one view of {side}² at {GRID} x {GRID} samples"
        yield self.row(f"{what}, forward", ours, None, draw)
        both = {name: lambda image=image: image().sum().backward() for name, image in draw.items()}
        yield self.row(f"{what}, forward + backward", lambda: ours().sum().backward(), None, both)


def show(rows: Iterator[Row], bandwidth: float, name: str) -> None:
    """Print the table as it grows into being."""
    table = Table("what", "ms", "floor, ms", "x floor", "beside")
    for row in rows:
        floor = ("", "") if row.floor is None else (f"{row.floor:.3f}", f"{row.ours / row.floor:.1f}")
        beside = ", ".join(f"{other}: {ms:.3f} ms, {ms / row.ours:.1f} x ours" for other, ms in row.others.items())
        table.add_row(row.what, f"{row.ours:.3f}", *floor, beside)
    console = Console(width=140)
    console.print(table)
    console.print(f"{name}, torch {torch.__version__}: a copy reads and writes {bandwidth / 1e6:.0f} GB/s.")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuda", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    args = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        sys.exit("There is no NVIDIA GPU here that torch can use: nothing is measured.")
    if not warp.available():
        sys.exit(f"The kernels to be measured are not installed: {warp.MISSING}")
    warnings.filterwarnings("ignore", "Sparse")  # torch says that its CSR tensors are in beta
    bench = Bench(torch.device("cuda"), QUICK if args.quick else Scale())
    show(bench.rows(), bench.bandwidth, torch.cuda.get_device_name())


if __name__ == "__main__":
    main()
