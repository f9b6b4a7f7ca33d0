"""The rows of the table: each function measures one piece of work and yields what came out."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, replace

import torch

import neurotex as nt

from . import fits, with_mitsuba, with_pytorch3d, work
from .report import Row, faster, limited
from .run import Run
from .timing import copying
from .work import BLUR, LAYERS, WORK


def rasterise(run: Run) -> Iterator[Row]:
    """Complete fragments of one image: the nearest face, and layers around soft edges."""
    data, side = run.data, run.scale.image
    corners = work.camera_corners(data.scene(work.random_texture(4), data.views, 1))
    what = f"rasterise {data.name} ({len(corners):,} faces) at {side}²"
    cases = {"hard": (1, 0.0, 1500, 150), "soft": (LAYERS, BLUR, 200, 40)}
    for name, (layers, blur, bound, bound_reference) in cases.items():
        described = f"{what}, " + ("hard" if layers == 1 else f"{layers} layers, blur {blur:g}")
        run.say(described)
        settings = (corners, side, layers, blur)
        calls = [work.rasterize(*settings), work.rasterize_reference(*settings)]
        if run.pytorch3d:
            calls.append(with_pytorch3d.rasterize(*settings))
        kernel, reference, *others = run.time(*calls)
        other = others[0] if others else None
        yield faster("rasterise", described, kernel, "PyTorch3D", other, bound)
        yield faster("rasterise", "… in plain torch", reference, "PyTorch3D", other, bound_reference)
        yield limited("rasterise", "… peak memory", run.peak(name), None, "bytes")


def steps(run: Run) -> Iterator[Row]:
    """Forward, and backward to a texture, for one view."""
    data, side, texture = run.data, run.scale.image, run.scale.texture
    what = f"forward + backward to a {texture}² texture, one view of {side}²"
    run.say(what)
    calls = [WORK["unbaked"](data, run.scale), WORK["baked"](data, run.scale)]
    if run.pytorch3d:
        pixels = torch.rand(3, texture, texture, requires_grad=True)
        scene = data.scene(work.random_texture(4), data.views, 1)
        calls.append(work.step(with_pytorch3d.render(scene, pixels, side), [pixels]))
    unbaked, baked, *others = run.time(*calls)
    other = others[0] if others else None
    yield faster("step", what, unbaked, "PyTorch3D", other, 400)
    yield faster("step", "… baked", baked, "PyTorch3D", other, 1500)
    yield limited("step", "… peak memory, not baked", run.peak("unbaked"), None, "bytes")


def loop(run: Run) -> Iterator[Row]:
    """PyTorch3D's loop that fits a texture, with its own parts and with ours in their place."""
    if not run.pytorch3d:
        return
    data, side, texture = run.data, run.scale.image, run.scale.texture
    scene = data.scene(work.random_texture(4), data.views, 1)
    what = f"a step of PyTorch3D's loop: {texture}² texture, one view of {side}²"
    run.say(what)
    target = torch.rand(1, 3, side, side)
    parts, calls = ("FastMeshRasterizer", "FastMeshRenderer", "GeneratedTexturesUV"), []
    for count in range(4):
        pixels = torch.rand(3, texture, texture, requires_grad=True)
        image = with_pytorch3d.render(scene, pixels, side, *parts[:count])
        calls.append(work.descent(lambda image=image: (image()[:, :3] - target).square().mean(), pixels))
    theirs, *seconds = run.time(*calls)
    for words, part, own in zip((f"{what}, by", "… and", "… and"), parts, seconds, strict=True):
        yield faster("loop", f"{words} {part}", own, "PyTorch3D", theirs, 100)


def product(run: Run) -> Iterator[Row]:
    """The baked step alone, beside its floor and torch's own sparse product."""
    scale = run.scale
    views = run.data.views
    baked = nt.bake(run.data.scene(work.random_texture(scale.texture), views, scale.views), scale.view)
    operator = baked.operator
    run.say(f"product and transposed product, {operator.nnz:,} entries")
    rows, columns = operator.shape
    x, y = torch.rand(columns, 3), torch.rand(rows, 3)
    matrix = torch.sparse_csr_tensor(
        operator.pointers, operator.columns.long(), operator.values[:, 0].contiguous(), operator.shape
    )
    transposed = torch.sparse_csr_tensor(
        operator.transposed_pointers,
        operator.transposed_columns.long(),
        operator.transposed_values[:, 0].contiguous(),
        (columns, rows),
    )

    @torch.no_grad()
    def both() -> None:
        operator(x)
        operator.transposed_product(y)

    own, csr, copied = run.time(both, lambda: (matrix @ x, transposed @ y), copying(scale.copied), turns=9)
    state = sum(buffer.nbytes for buffer in operator.buffers())
    moved = state + 2 * (x.nbytes + y.nbytes)
    run.bandwidth = 2 * scale.copied / copied  # read and written
    floor = moved / run.bandwidth
    what = f"baked step, {baked.shape[0]} views of {scale.view}², 4×4 samples: product and its transpose"
    yield Row("product", what, own, "s", "floor", floor, own / floor, 3.0, at_least=False)
    yield faster("product", "… beside torch's", own, "torch CSR", csr, None)
    yield limited("product", "… what the operator keeps", float(state), None, "bytes")


def bake(run: Run) -> Iterator[Row]:
    """Baking, diffuse and glossy, and a step of what is glossy."""
    scale = run.scale
    what = f"{scale.views} views of {scale.view}², 4×4 samples"
    run.say(f"bake {what}")
    names = ("bake", "bake glossy", "step glossy")
    seconds = dict(zip(names, run.time(*(WORK[name](run.data, scale) for name in names), turns=5), strict=True))
    yield limited("bake", f"bake {what}", seconds["bake"], 0.5)
    yield limited("bake", "… peak memory", run.peak("bake"), None, "bytes")
    yield limited("bake", "bake with roughness, metallic and normal maps", seconds["bake glossy"], None)
    yield limited("bake", "… peak memory", run.peak("bake glossy"), None, "bytes")
    yield limited("bake", "… one step, forward + backward to all maps", seconds["step glossy"], None)


def fit(run: Run) -> Iterator[Row]:
    """Photographs → texture: seconds to a level on unseen views, and the best level."""
    data, scale, mi = run.data, run.scale, run.mitsuba
    level = 45.5 if data.name == "Spot" else 43.0
    run.say("fit: unseen views")
    unseen, maker = fits.unseen_views(data, mi, scale)
    validation = fits.Validation(data, unseen, scale.texture)
    count = 1 if run.quick else None
    if not run.quick:
        fits.ours(data, scale, validation, 1)  # compiled code is loaded at first use
    traces = []
    for turn in range(1 if run.quick else 3):
        run.say("fit: neurotex")
        traces.append(fits.ours(data, scale, validation, count))
        if turn == 0:
            other = None
            if mi is not None:
                run.say("fit: Mitsuba")
                other = fits.mitsubas(mi, data, scale, validation, count or with_mitsuba.STEPS)
    run.curves["fit"] = {"neurotex": asdict(traces[0]), "Mitsuba": None if other is None else asdict(other)}
    reached = [trace.until(level) for trace in traces]
    own = None if None in reached else statistics.median(reached)
    theirs = None if other is None else other.until(level)
    what = f"{data.name}, {scale.views} views → {level:g} dB on {len(unseen.cameras)} unseen ones, bake included"
    ratio = None if own is None or theirs is None else theirs / own
    yield Row("fit", what, own, "s", "Mitsuba", theirs, ratio, 5.0)
    best = None if other is None else other.plateau
    bound = 46.5 if data.name == "Spot" else None
    yield Row(
        "fit",
        f"… best level (unseen views by {maker})",
        traces[0].plateau,
        "dB",
        "Mitsuba",
        best,
        None,
        bound,
        bounded="value",
    )
    yield Row("fit", "… whole fit", traces[0].seconds[-1], "s", "Mitsuba", other and other.seconds[-1])


def large(run: Run) -> Iterator[Row]:
    """A mesh of a million faces, and one of twice as many."""
    scale = run.scale
    run.say(f"{scale.large_faces:,} faces")
    double = replace(scale, large_faces=2 * scale.large_faces)
    names = {
        "large fragments": "rasterise",
        "large image": "render",
        "large step": "render, forward + backward",
    }
    bounds = {"large fragments": 0.5, "large image": 0.5, "large step": None}
    what = f"{scale.large_faces:,} faces at {scale.large_image:,}²"
    for name, described in names.items():
        one, two = run.time(WORK[name](run.data, scale), WORK[name](run.data, double))
        yield limited("large", f"{what}: {described}", one, bounds[name])
        yield Row("large", "… twice as many faces", two, "s", "half of them", one, two / one, 2.2, at_least=False)
        yield limited(
            "large", "… peak memory above the scene", run.peak(name), None if name == "large step" else 2**30, "bytes"
        )
