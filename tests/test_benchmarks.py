import json
import mmap
import signal
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from benchmarks import (
    cuda,
    discrete,
    fits,
    memory,
    plot,
    render,
    report,
    run,
    step_costs,
    through_renders,
    timing,
    with_mitsuba,
    with_pytorch3d,
    work,
)
from neurotex.compat.mitsuba import activate
from neurotex.gan import Trainer

DEMO = nt.assets.folder() / "demo"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the other systems."""
    systems = {"neurotex": nt.__version__, "PyTorch3D": "absent: no such module", "Mitsuba": "absent: no LLVM"}
    monkeypatch.setattr(run, "find_systems", lambda: (systems, False, None))


@pytest.mark.usefixtures("alone")
def test_a_quick_run_writes_table_figures_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n\n{BEGIN}\nstale\n{END}\n\nbelow\n")
    where = ["--page", str(readme), "--docs", str(tmp_path)]
    render.main(["--quick", "--data", str(DEMO), "--write", *where])
    text = readme.read_text()
    assert text.startswith(f"above\n\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\n\nbelow\n")
    assert "stale" not in text
    assert "absent: no LLVM" in text
    figures = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {row["row"] for row in figures["rows"]} >= set(render.ROWS) - {"loop"}  # which is PyTorch3D's
    assert all(row["value"] > 0 for row in figures["rows"] if row["unit"] == "s" and row["value"] is not None)
    assert text.count("\n| ") == len(figures["rows"]) + 2  # headings and the rule below them
    for name in ("faces", "sides"):
        ElementTree.parse(tmp_path / f"benchmarks-{name}.svg")
    assert "the teapot takes its place" in capsys.readouterr().err


BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"


def test_a_part_of_the_rows_is_not_written() -> None:
    with pytest.raises(SystemExit):
        render.main(["--quick", "--only", "bake", "--write"])


def test_a_readme_without_markers_is_left_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("nothing\n")
    with pytest.raises(nt.FileError, match="needs the lines"):
        report.splice(readme, "table")
    assert readme.read_text() == "nothing\n"


def test_calls_take_turns() -> None:
    order: list[str] = []
    timing.interleaved(lambda: order.append("a"), lambda: order.append("b"), turns=2)
    assert order == ["a", "b", "a", "b", "a", "b"]  # the first of each does not count


def test_fast_calls_are_repeated_within_a_turn() -> None:
    calls: list[None] = []
    timing.interleaved(lambda: calls.append(None), turns=1, seconds=0.01)
    assert len(calls) > 10


def test_targets_are_met_from_the_side_they_mean() -> None:
    assert report.faster("", "", 1.0, "other", 400.0, 400).met
    assert not report.faster("", "", 1.0, "other", 399.0, 400).met
    assert report.faster("", "", 1.0, "other", None, 400).met is None  # the other one is absent
    assert report.limited("", "", 0.4, 0.5).met
    assert not report.limited("", "", 0.6, 0.5).met
    assert report.Row("", "", 3.5, "s", "floor", 1.0, 3.5, 3.0, at_least=False).met is False
    assert report.Row("", "", 47.0, "dB", "other", 48.0, None, 46.5, bounded="value").met


def test_figures_have_units_that_suit_them() -> None:
    shown = [report.show(*what) for what in ((0.00192, "s"), (12.0, "s"), (2**20, "bytes"), (47.04, "dB"), (None, "s"))]
    assert shown == ["1.92 ms", "12 s", "1 MiB", "47.0 dB", "–"]


def test_a_line_of_slope_one_is_straight_in_the_plot() -> None:
    text = plot.log_log(
        "title", "note", "faces", {1.0: "1", 100.0: "100"}, {"a & b": [(1, 0.01), (10, 0.1), (100, 1.0)]}
    )
    root = ElementTree.fromstring(text)
    points = [tuple(map(float, pair.split(","))) for pair in root.find(f"{SVG}polyline").get("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.11)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.11)
    assert y0 > y2  # longer is higher up
    assert "a & b" in {element.text for element in root.iter(f"{SVG}text")}


def test_a_trace_says_when_a_level_was_reached() -> None:
    trace = fits.Trace([1.0, 2.0, 3.0], [40.0, 46.0, 45.0])
    assert trace.until(45.5) == 2.0
    assert trace.until(47.0) is None
    assert trace.plateau == 46.0


def test_views_to_measure_by_are_rendered_where_there_is_a_texture_but_no_mitsuba(tmp_path: Path) -> None:
    demo = work.Data.find(DEMO)
    Image.new("RGB", (4, 4), (255, 128, 0)).save(tmp_path / "truth.png")
    data = replace(demo, truth=tmp_path / "truth.png", holdout=None)
    unseen, maker = fits.unseen_views(data, None, replace(work.QUICK, views=3))
    assert maker == "our renderer"
    assert len(unseen.cameras) == len(unseen.images) == len(unseen.names) == 3
    red, green, blue, alpha = unseen.images.sum((0, 2, 3)).tolist()
    assert red > green > blue == 0
    assert alpha > 0


def test_memory_is_seen_to_rise() -> None:
    def touch() -> None:
        # pages from the system: an allocator could reuse what earlier tests have freed
        with mmap.mmap(-1, 64 << 20) as block:
            block[:: mmap.PAGESIZE] = b"1" * (len(block) // mmap.PAGESIZE)

    assert memory.rise(touch) > 60 << 20
    assert memory.rise(lambda: None) < 60 << 20


def test_the_large_mesh_is_closed() -> None:
    mesh = work.torus(400)
    assert len(mesh.faces) == 400
    number = torch.unique((mesh.vertices * 1e4).round(), dim=0, return_inverse=True)[1]
    sides = torch.cat([number[mesh.faces[:, [i, (i + 1) % 3]].long()] for i in range(3)])
    forward = sides[:, 0] * len(number) + sides[:, 1]
    backward = sides[:, 1] * len(number) + sides[:, 0]
    assert torch.equal(forward.sort().values, backward.sort().values)  # every edge is met once from each side
    assert len(forward.unique()) == len(forward)


@pytest.fixture
def single_view() -> nt.Scene:
    data = work.Data.find(DEMO)
    return data.scene(work.random_texture(16), data.views, 1)


def test_pytorch3d_does_the_same_work(single_view: nt.Scene) -> None:
    pytest.importorskip("pytorch3d")
    corners = work.camera_corners(single_view)
    theirs, ours = with_pytorch3d.rasterize(corners, 32)(), work.rasterize(corners, 32)()
    assert torch.equal(theirs[0], ours.pix_to_face)
    texture = torch.rand(3, 16, 16, requires_grad=True)
    (slope,) = work.step(with_pytorch3d.render(single_view, texture, 32), [texture])()
    assert bool((slope != 0).any())


def test_ours_in_pytorch3ds_place_draw_the_same(single_view: nt.Scene) -> None:
    pytest.importorskip("pytorch3d", exc_type=ImportError)
    texture = torch.rand(3, 16, 16)
    parts = ("FastMeshRasterizer", "FastMeshRenderer", "GeneratedTexturesUV")
    theirs, ours = (with_pytorch3d.render(single_view, texture, 32, *names)() for names in ((), parts))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_mitsuba_does_the_same_work(single_view: nt.Scene) -> None:
    try:
        mi = activate()
    except ImportError as error:
        pytest.skip(f"Mitsuba: {error}")
    found = with_mitsuba.rays(mi, single_view, 32)()
    ours = work.rasterize(work.camera_corners(single_view), 32)()
    hit = torch.tensor(found.is_valid().numpy()).view(32, 32)
    assert float((hit == (ours.pix_to_face[0, :, :, 0] >= 0)).float().mean()) > 0.99
    same = torch.tensor(found.prim_index.numpy().astype("int64")).view(32, 32) == ours.pix_to_face[0, :, :, 0]
    assert float(same[hit].float().mean()) > 0.95


def test_a_quick_run_through_steps_continues_where_it_stopped(tmp_path, monkeypatch, capsys):
    words = ["discrete", "--quick", "--data", str(DEMO), "--kind", "1,024²", "--out", str(tmp_path), "--steps"]
    for steps in ("levels:2", "levels:2,bayer:2"):
        monkeypatch.setattr("sys.argv", [*words, steps])
        discrete.main()
    told = capsys.readouterr().out
    assert told.count("1,024² levels:2") == 1  # not measured again
    found = json.loads((tmp_path / "discrete.json").read_text())["1,024²"]
    assert found["unconstrained"] > 15
    assert set(found["steps"]) == {"levels:2", "bayer:2"}
    for levels in found["steps"].values():
        assert {"afterwards", "straight_through", "surrogate"} <= set(levels)
        assert all(5 < level < 60 for level in levels.values())
    with Image.open(tmp_path / "discrete.png") as picture:
        assert picture.width == 4 * picture.height / 2  # four parts a row, two rows
    assert discrete.DEFAULT in found["steps"]["levels:2"]
    assert discrete.levels_table(found).count("**") >= 2 * 2
    assert "levels:2" in discrete.summary_table({"1,024²": found})


def test_costs_are_ratios_to_a_lookup():
    name, estimator, seconds, ratio, _ = next(iter(step_costs.rows(side=16)))
    assert (name, estimator) == step_costs.COSTS[0]
    assert seconds > 0
    assert ratio > 0


def test_training_through_renders_continues_where_it_stopped(tmp_path, monkeypatch, capsys):
    step = Trainer.step

    def interrupted(trainer: Trainer) -> dict:
        signal.raise_signal(signal.SIGINT)
        return step(trainer)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(SystemExit, match="--resume continues"):
        through_renders.main(["--quick", "--out", str(tmp_path)])
    assert not (tmp_path / "through_renders.png").exists()
    monkeypatch.setattr(Trainer, "step", step)
    through_renders.main(["--quick", "--out", str(tmp_path), "--resume"])
    told = capsys.readouterr().out
    assert f"{through_renders.QUICK.images} renders of a sphere" in told
    assert "1.000" in told  # the untrained generator, beside itself
    with Image.open(tmp_path / "through_renders.png") as picture:
        cells = np.array(picture)[:, through_renders.MARGIN :]
    rows = np.split(cells, 6)  # materials, untrained, trained, and these as they are seen
    assert (rows[1] != rows[2]).any()  # something was learned
    assert all(row.any(2).mean() > 0.9 for row in rows[:3])  # textures fill their cells
    assert all(row.any() and not row[0].any() for row in rows[3:])  # objects stand before black


def test_without_a_gpu_it_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match=r"^There is no NVIDIA GPU here that torch can use: nothing is measured\.$"):
        cuda.main([])


@pytest.mark.filterwarnings("ignore:Sparse")
def test_what_is_measured_on_a_gpu_runs(monkeypatch, capsys):
    monkeypatch.setattr(cuda, "TURNS", 1)
    bench = cuda.Bench(torch.device("cpu"), work.QUICK)
    cuda.show(bench.rows(), bench.bandwidth, "a CPU")
    printed = capsys.readouterr().out
    for part in ("A x", "Aᵀ y", "baked", "z-buffer", "forward + backward", "floor", "torch.sparse", "GB/s"):
        assert part in printed
