"""How far a long call has come: a bar of rich's on standard error, in terminals and notebooks.

Every function that may take minutes has `progress`: True shows it always, False never, and None, the default, where
somebody watches (a terminal or a notebook), once it has taken a second. Where a bar cannot move, as in a log file, it
is a line for every tenth.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

PATIENCE = 1.0  # seconds without a bar: most calls are over by then


class Bar:
    """`with Bar("search", 256) as bar: bar(done, "loss 0.1")`: `done` are of `total`, None if that is not known."""

    def __init__(
        self,
        name: str,
        total: int | None,
        shown: bool | None = None,
        *,
        console: Console | None = None,
        lines: int = 10,
        patience: float = PATIENCE,
    ):
        self.name, self.total, self.shown, self.lines = name, total, shown, lines
        self._console, self._after = console, time.perf_counter() + patience
        self._progress: Progress | None = None
        self._line = 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the bar as it is, and the cursor below it."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def __call__(self, done: int, note: str = "") -> None:
        """So many are done; `note` stands behind the bar."""
        if self.shown is False:
            return
        if self._console is None:  # rich is loaded where it is needed
            from rich.console import Console

            self._console = Console(stderr=True)
        if _moves(self._console):
            self._draw(done, note)
        elif self.shown and self.total:
            line = done * self.lines // self.total
            if line > self._line:
                self._line = line
                text = f"{self.name} {done:,}/{self.total:,} {note}".strip()
                self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _draw(self, done: int, note: str) -> None:
        if self._progress is None:
            if time.perf_counter() < self._after:
                return
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
            self._progress = Progress(TextColumn("{task.description}"), *columns, console=self._console)
            self._progress.add_task(self.name, total=self.total, note="")
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=done, note=note)


def _moves(console: Console) -> bool:
    """Whether what is printed can be overwritten: in notebooks that takes ipywidgets."""
    if not console.is_jupyter:
        return console.is_terminal
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True
