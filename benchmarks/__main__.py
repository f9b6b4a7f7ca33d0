"""`python -m benchmarks`: kernels beside their references, baked beside unbaked, and the floor of memory traffic.

Runs on the bundled teapot; writes bench/results.json.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import neurotex as nt
from neurotex import raster
from neurotex.core import storage
from neurotex.raster.operator import product_reference
from neurotex.raster.zbuffer import z_buffer_reference

from .timing import interleaved

warnings.filterwarnings("ignore", "Sparse")  # torch says that its CSR tensors are in beta


def main() -> None:
    """Measure, print a table, write a JSON."""
    demo = nt.assets.folder() / "demo"
    views = nt.Views.load(demo / "views")
    texture = nt.ImageTexture(torch.rand(3, 512, 512), trainable=True)
    scene = nt.Scene.load(demo / "mesh.obj", nt.Material(texture), views.cameras, views.lights)
    geometry, faces = scene.geometry(), len(scene.geometry().faces)
    matrix = views.cameras[0].screen_matrix((512, 512))
    screen = geometry.vertices @ matrix[:, :3].T + matrix[:, 3]

    rows: list[tuple[str, float, str, float]] = []

    def compare(what: str, fast: Callable, slow_name: str, slow: Callable) -> None:
        a, b = (1e3 * seconds for seconds in interleaved(fast, slow))
        rows.append((what, a, slow_name, b))

    size = (512, 512)
    compare(
        f"rasterise {faces} faces at 512²",
        lambda: raster.z_buffer(screen, geometry.faces, size),
        "torch reference",
        lambda: z_buffer_reference(screen, geometry.faces, size),
    )

    baked = nt.bake(scene, 256)
    target = views.images

    def unbaked_step() -> None:
        nt.losses.photometric(nt.render(scene, 256), target).backward()

    def baked_step() -> None:
        nt.losses.photometric(baked(), target).backward()

    compare("12 views of 256², forward + backward, baked", baked_step, "unbaked", unbaked_step)

    operator = baked.operator
    x = torch.rand(operator.shape[1], 3)
    matrix = (operator.pointers, operator.columns, operator.values)
    csr = torch.sparse_csr_tensor(operator.pointers, operator.columns.long(), operator.values[:, 0], operator.shape)
    compare(f"sparse product, {operator.nnz:,} entries", lambda: operator(x), "torch CSR", lambda: csr @ x)
    compare("sparse product", lambda: operator(x), "torch reference", lambda: product_reference(x, *matrix))

    # what the product must move once: matrix, input and output; measured against this machine's copy
    moved = 4 * (2 * operator.nnz + 3 * sum(operator.shape)) + 8 * operator.shape[0]
    source = torch.rand(moved // 8)  # a copy reads and writes: half the bytes each way
    compare("memory floor of the product (copy)", lambda: source.clone(), "sparse product", lambda: operator(x))

    table = Table("what", "ms", "beside", "ms", "ratio")
    for what, a, name, b in rows:
        table.add_row(what, f"{a:.2f}", name, f"{b:.2f}", f"{b / a:.1f}×")
    Console(width=120).print(table)
    out = storage.make_folder(Path("bench"))
    keys = ("what", "ms", "beside", "beside_ms")
    storage.write_json(out / "results.json", [dict(zip(keys, row, strict=True)) for row in rows])
    print(f"wrote {out / 'results.json'}")


if __name__ == "__main__":
    main()
