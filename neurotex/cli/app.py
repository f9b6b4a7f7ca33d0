"""The commands put together, and what is said where one of them fails."""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Annotated, Any

import typer

from . import convert, demo, fit, info, render, train, view, views, warm_up
from .console import console, say_error, say_warning
from .streams import silence

app = typer.Typer(
    name="neurotex",
    help="Textures made by a neural network, as a differentiable node of a 3D scene.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# what typer raises about words that a command does not take; newer ones have a copy of click of their own
UsageError: Any = typer.BadParameter.__base__
for module in (demo, fit, train, render, view, views, info, convert, warm_up):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def _version(shown: bool) -> bool:
    if shown:
        from .. import __version__

        print(__version__)
        raise typer.Exit
    return shown


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command that `sys.argv` says, and leave the process."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no letter for × shows ? instead
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="replace")
    warnings.showwarning = lambda message, *_, **__: say_warning(str(message))
    code = 0
    try:
        code = app(prog_name="neurotex", standalone_mode=False)
    except SystemExit as leaving:
        code = leaving.code
    except Exception as error:
        sentence = _usage(error) if isinstance(error, UsageError) else _sentence(error)
        if sentence is None:
            raise
        if sentence:
            say_error(sentence)
        code = 2
    sys.exit(_flushed(code))


def _usage(error: Any) -> str:
    """What to say of words that a command does not take; nothing where there are none and typer has shown the help."""
    text = " ".join(error.format_message().split()).rstrip(".")
    where = error.ctx.command_path if error.ctx else "neurotex"
    return f"{text[0].lower()}{text[1:]}: see {where} --help." if text else ""


def _sentence(error: Exception) -> str | None:
    """What to say of an error; None of one that is a fault of neurotex's."""
    from ..core.memory import ran_out
    from ..errors import NeurotexError

    if isinstance(error, NeurotexError):
        return str(error)
    if ran_out(error):
        return "there is not enough memory for this: turn down --size, --batch, or the size of what is read."
    if isinstance(error, OSError) and error.strerror:
        what = error.filename or "what is printed"
        return f"{what} cannot be read or written ({error.strerror}): check it and free space."
    return None


def _flushed(code: int | str | None) -> int | str | None:
    """The exit code, once what was printed is out. A reader that has left, as `head` does, is no error to speak of."""
    try:
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout.fileno())  # or Python would try again, and speak of it
        if error.errno == errno.EPIPE:
            return 1
        say_error(f"what is printed cannot be written ({error.strerror}): check where it goes.")
        return 2
    return code


__all__ = ["app", "console", "run"]
