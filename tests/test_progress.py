"""Bars: where they show, and that they never do where nobody watches."""

import io
import sys

import pytest
import torch
from rich.console import Console

import neurotex as nt
from neurotex.core.progress import Bar


def count(console: Console, shown: bool | None, **options: float) -> str:
    with Bar("search", 40, shown, console=console, **options) as bar:
        for done in range(1, 41):
            bar(done, f"loss {done}")
    return console.file.getvalue()


def log() -> Console:
    return Console(file=io.StringIO(), width=200)


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)


def test_a_log_file_gets_lines_when_it_asks_and_else_nothing():
    assert count(log(), None) == count(log(), False) == ""
    lines = count(log(), True).splitlines()
    assert lines == [f"search {done}/40 loss {done}" for done in range(4, 41, 4)]
    assert len(count(log(), True, lines=2).splitlines()) == 2


def test_a_terminal_gets_a_bar_unless_it_is_over_soon():
    assert count(terminal(), None) == count(terminal(), True) == ""
    assert count(terminal(), False, patience=0.0) == ""
    for shown in (None, True):
        text = count(terminal(), shown, patience=0.0)
        assert "40/40" in text
        assert "loss 40" in text
        assert text.endswith("\x1b[?25h")  # the cursor is back


def test_a_bar_ends_with_what_it_shows():
    console = terminal()

    def interrupted() -> None:
        with Bar("fit", 9, console=console, patience=0.0) as bar:
            bar(3)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "3/9" in console.file.getvalue()
    assert console.file.getvalue().endswith("\x1b[?25h")


def test_a_notebook_without_widgets_gets_no_bar_that_it_could_not_move(monkeypatch):
    console = terminal()
    console.is_jupyter = True
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    assert count(console, None, patience=0.0) == ""


@pytest.fixture
def fit(scene, tiny_generator):
    latent = nt.Latent(tiny_generator).sample()
    (material,) = scene.materials()
    material.base_color = nt.GeneratedTexture(tiny_generator, latent)
    views = nt.Views(list(scene.cameras), torch.rand(2, 4, 8, 8), list(scene.lights), ["a", "b"])
    return nt.Fit(scene, views, torch.optim.Adam([latent.value], lr=0.01), 10), latent


def test_long_calls_say_how_far_they_are(fit, scene, capsys):
    fit, latent = fit
    search = {"draws": 4, "rounds": ((1, 6),)}
    nt.fit.search_latent(fit, latent, **search)
    nt.bake(scene, 8)
    assert capsys.readouterr() == ("", "")
    nt.fit.search_latent(fit, latent, progress=True, **search)
    nt.bake(scene, 8, progress=True)
    fit.run(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    for line in ("search 10/10", "bake 1/2", "bake 2/2", "fit 1/10 loss", "fit 10/10 loss"):
        assert line in err


def test_who_watches_is_not_shown_a_bar_as_well(fit, monkeypatch):
    fit, latent = fit
    shown = []
    monkeypatch.setattr(Bar, "__call__", lambda bar, done, note="": shown.append((bar.name, bar.shown)))
    nt.fit.search_latent(fit, latent, draws=2, rounds=((1, 1),), on_render=lambda done, total: None)
    fit.run(lambda fit: None)
    assert set(shown) == {("search", False), ("fit", False)}
