"""What the commands print while they work: to standard error, so that standard output holds results alone."""

from __future__ import annotations

import math
from typing import IO, cast

from rich.console import Console
from rich.markup import escape

from ..core.progress import Bar
from .streams import StandardError

console = Console(file=cast(IO[str], StandardError()))


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
        self.bar: Bar | None = None

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        note = "" if loss is None else f"loss {loss:.2e}  PSNR {-10 * math.log10(max(loss, 1e-12)):.1f} dB"
        if self.bar is None or self.bar.name != stage:
            self.stop()
            self.bar = Bar(stage, total, True, console=console, patience=0.0)
        self.bar(done, note)

    def stop(self) -> None:
        """Leave the bars as they are."""
        if self.bar is not None:
            self.bar.stop()


class ImageBar:
    """A bar of images; where nobody watches (a log file), a line for every hundredth of them."""

    def __init__(self) -> None:
        self.bar: Bar | None = None

    def __call__(self, done: int, total: int, measured: dict[str, float], rate: float) -> None:
        losses = "  ".join(f"{name[5:]} {value:.2f}" for name, value in measured.items() if name.startswith("loss/"))
        if self.bar is None:
            self.bar = Bar("", total, True, console=console, lines=100, patience=0.0)
        self.bar(done, f"images  {rate:.1f}/s  {losses}  ETA {(total - done) / rate / 60:.0f} min")
        if done >= total:
            self.stop()

    def stop(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.stop()
