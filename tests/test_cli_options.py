"""Options are fields of dataclasses, written once: their types, defaults, ranges and texts reach the command line."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import dataclass, fields
from typing import Annotated

import pytest
import typer

import neurotex as nt
from neurotex import gan
from neurotex.cli import app
from neurotex.cli.options import spread
from neurotex.core.options import Commas, File, Flag, Range, check, told
from neurotex.errors import ArgumentError
from neurotex.fit import Options
from neurotex.viewer import Viewer

COMMANDS = typer.main.get_command(app.app).commands


@dataclass(frozen=True)
class Soup:
    """What to cook."""

    pot: Annotated[str, File()]
    """Where to cook it: see `salt`."""
    salt: Annotated[float, Range(0, 2)] = 0.5
    """How much,
    in spoons."""
    spices: Annotated[tuple[str, ...], Commas()] = ("pepper",)
    """Which."""
    guests: tuple[str, ...] = ()
    """Who comes."""
    minutes: Annotated[int | None, Range(1), Flag("--time")] = None
    """How long."""
    hot: bool = True
    """Whether it is hot."""
    spilled: bool = False
    """Whether it is spilled."""
    between: tuple[float, float] = (1.0, 2.0)
    """From, and to."""


def cooked(*words: str) -> Soup:
    cli, found = typer.Typer(), []

    @spread
    def cook(soup: Soup, loud: bool = False) -> None:
        """Cook."""
        found.append((soup, loud))

    cli.command()(cook)
    cli(list(words), standalone_mode=False)
    ((soup, _),) = found
    return soup


def test_without_words_options_are_the_dataclass_defaults():
    assert cooked("a.pot") == Soup("a.pot")


def test_words_become_what_the_dataclass_has():
    words = ["--salt", "1", "--spices", "curry,dill", "--guests", "a", "--guests", "b", "--time", "3", "--no-hot"]
    found = cooked("a.pot", *words, "--spilled", "--between", "3", "4")
    assert found == Soup("a.pot", 1.0, ("curry", "dill"), ("a", "b"), 3, False, True, (3.0, 4.0))
    assert type(found.pot) is str


@pytest.mark.parametrize("words", [["--salt", "3"], ["--time", "0"], ["--salt", "much"], ["--between", "1"]])
def test_numbers_out_of_range_and_words_are_refused(words):
    with pytest.raises((app.UsageError, ArgumentError)):
        cooked("a.pot", *words)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Soup("a", 3.0), "--salt 3.0 is out of range: give 2 at most."),
        (Soup("a", float("nan")), "--salt nan is no number: give a finite one."),
        (Soup("a", minutes=0), "--time 0 is out of range: give 1 or more."),
    ],
)
def test_from_python_the_same_ranges_hold(options, said):
    with pytest.raises(ArgumentError, match=said):
        check(options)
    check(Soup("a"))


def test_texts_name_other_options_as_the_command_line_does():
    cli = typer.Typer()

    @spread
    def cook(soup: Soup) -> None:
        """Cook."""

    cli.command()(cook)
    texts = {option.name: option.help for option in typer.main.get_command(cli).params}
    assert texts["pot"] == "Where to cook it: see --salt."
    assert texts["salt"] == "How much, in spoons."


@pytest.mark.parametrize("kind", [Options, gan.Options, gan.Machine])
def test_every_field_has_a_text_below_it(kind):
    assert [field.name for field in told(kind)] == [field.name for field in fields(kind)]
    assert all(field.help.endswith(".") for field in told(kind))


@pytest.mark.parametrize(("verb", "kind"), [("fit", Options), ("train", gan.Options), ("train", gan.Machine)])
def test_every_field_is_an_option(verb, kind):
    names = {option.name for option in COMMANDS[verb].params}
    assert {field.name for field in fields(kind)} <= names


@pytest.mark.parametrize(
    ("verb", "names", "function"),
    [("render", ["elevation"], nt.around), ("view", ["host", "port"], Viewer.__init__), ("train", [], gan.launch)],
)
def test_defaults_of_other_commands_are_those_of_the_function(verb, names, function):
    options = {option.name: option.default for option in COMMANDS[verb].params}
    given = inspect.signature(function).parameters
    for name in names or given:
        assert options[name] == given[name].default, name


def test_help_does_not_wait_for_torch():
    code = "import sys, neurotex.cli.app; print(sorted({'torch', 'numpy', 'numba', 'kornia'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
