"""The figures as a table on the terminal, between two markers of a page, and as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from neurotex.core import storage
from neurotex.errors import FileError

HEADINGS = ("what", "neurotex", "beside", "", "ratio", "target")


@dataclass(frozen=True)
class Row:
    """One comparison. `value` and `beside_value` share a unit: s, dB or bytes.

    `bound` is the target, for the figure that `bounded` names ("ratio" or "value"); `at_least` says from which side.
    """

    row: str
    what: str
    value: float | None
    unit: str = "s"
    beside: str = ""
    beside_value: float | None = None
    ratio: float | None = None
    bound: float | None = None
    at_least: bool = True
    bounded: str = "ratio"

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one, or without a figure."""
        measured = getattr(self, self.bounded)
        if self.bound is None or measured is None:
            return None
        return measured >= self.bound if self.at_least else measured <= self.bound

    def cells(self) -> tuple[str, ...]:
        """As text, one cell for each heading."""
        target = ""
        if self.bound is not None:
            bound = f"{self.bound:,g}×" if self.bounded == "ratio" else show(self.bound, self.unit)
            mark = {True: " ✓", False: " ✗", None: ""}[self.met]
            target = f"{'≥' if self.at_least else '≤'} {bound}{mark}"
        ratio = "" if self.ratio is None else f"{self.ratio:,.3g}×" if self.ratio < 100 else f"{self.ratio:,.0f}×"
        beside = show(self.beside_value, self.unit) if self.beside else ""
        return self.what, show(self.value, self.unit), self.beside, beside, ratio, target


def faster(row: str, what: str, value: float, beside: str, beside_value: float | None, bound: float | None) -> Row:
    """A time beside another system's; the ratio says how many times faster ours is."""
    ratio = None if beside_value is None else beside_value / value
    return Row(row, what, value, "s", beside, beside_value, ratio, bound)


def limited(row: str, what: str, value: float | None, bound: float | None, unit: str = "s") -> Row:
    """A figure of ours alone, that is to stay below `bound`."""
    return Row(row, what, value, unit, bound=bound, at_least=False, bounded="value")


def show(value: float | None, unit: str) -> str:
    """A figure with three digits and the unit that suits it."""
    if value is None:
        return "–"
    if unit == "s":
        return f"{value:,.3g} s" if value >= 1 else f"{value * 1e3:,.3g} ms"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB" if value < 2**30 else f"{value / 2**30:,.3g} GiB"
    return f"{value:.1f} {unit}" if unit == "dB" else f"{value:,.3g} {unit}"


def print_table(rows: list[Row], notes: list[str]) -> None:
    """To the terminal."""
    table = Table(*HEADINGS)
    for row in rows:
        style = {True: "green", False: "red", None: ""}[row.met]
        *cells, target = row.cells()
        table.add_row(*cells, f"[{style}]{target}[/]" if style else target)
    console = Console(width=max(Console().width, 130))
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)


def markdown(rows: list[Row], notes: list[str]) -> str:
    """The same for a page."""
    lines = [HEADINGS, ("---", *("---:" if k in (0, 2, 3) else "---" for k in range(len(HEADINGS) - 1)))]
    lines += [row.cells() for row in rows]
    return " ".join(notes) + "\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def find_markers(file: Path, name: str = "benchmarks") -> str:
    """The text of `file`; FileError unless both markers of this name are in it."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    begin, end = _markers(name)
    if text.count(begin) != 1 or text.count(end) != 1:
        raise FileError(f"{file} needs the lines {begin} and {end} once each, around the table.")
    return text


def splice(file: Path, text: str, name: str = "benchmarks") -> None:
    """Replace what stands between the markers of this name in `file`."""
    begin, end = _markers(name)
    pattern = f"{re.escape(begin)}.*?{re.escape(end)}"
    after = re.sub(pattern, lambda _: f"{begin}\n\n{text}\n\n{end}", find_markers(file, name), flags=re.DOTALL)
    with storage.replacing(file) as temporary:
        temporary.write_text(after, encoding="utf-8")


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- /{name} -->"
