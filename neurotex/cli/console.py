"""What the commands print while they work: to standard error, so that standard output holds results alone."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

console = Console(stderr=True)


def say(text: str) -> None:
    """A line, as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def say_error(sentence: str) -> None:
    """What went wrong, on one line."""
    console.print(f"[red]error:[/] {escape(sentence)}", highlight=False, soft_wrap=True)


def say_warning(sentence: str) -> None:
    """What may not be as it was meant."""
    console.print(f"[yellow]warning:[/] {escape(sentence)}", highlight=False, soft_wrap=True)


class StageBars:
    """A bar for each stage of a fit; where nobody watches (a log file), a line for every tenth of it."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=console)
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        note = "" if loss is None else f"loss {loss:.2e}  PSNR {-10 * math.log10(max(loss, 1e-12)):.1f} dB"
        if not console.is_terminal:
            if done * 10 // total > (done - 1) * 10 // total:
                say(f"{stage} {done}/{total} {note}")
            return
        if stage not in self.tasks:
            self.bars.start()
            self.tasks[stage] = self.bars.add_task(stage, total=total, note="")
        self.bars.update(self.tasks[stage], completed=done, note=note)


class ImageBar:
    """A bar of images; where nobody watches (a log file), a line for every hundredth of them."""

    def __init__(self) -> None:
        columns = (BarColumn(), TextColumn("{task.fields[note]}"), TextColumn("ETA"), TimeRemainingColumn())
        self.bars = Progress(*columns, console=console)
        self.task: TaskID | None = None
        self.shown = -1

    def __call__(self, done: int, total: int, measured: dict[str, float], rate: float) -> None:
        losses = "  ".join(f"{name[5:]} {value:.2f}" for name, value in measured.items() if name.startswith("loss/"))
        note = f"{done:,}/{total:,} images  {rate:.1f}/s  {losses}"
        if not console.is_terminal:
            if done * 100 // total > self.shown:
                self.shown = done * 100 // total
                say(f"{note}  ETA {(total - done) / rate / 60:.0f} min")
            return
        if self.task is None:
            self.bars.start()
            self.task = self.bars.add_task("", total=total, note="")
        self.bars.update(self.task, completed=done, note=note)
