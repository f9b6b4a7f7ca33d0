"""What is said of an option beside its name, type and default, for Python and the command line alike.

A command's options are the fields of a dataclass. The text below a field is its help; what else there is to say stands
in its type: `size: Annotated[int, Range(1, 4096)] = 512`. `cli.options` makes the command line of that, `check` holds
callers from Python to it. Nothing here, and nothing in a module of such a dataclass, imports torch: help comes at once.
"""

from __future__ import annotations

import ast
import inspect
import math
import sys
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from ..errors import ArgumentError

SIDE = 1 << 16  # pixels: the longest side of any picture
COUNT = 1 << 40


@dataclass(frozen=True)
class Range:
    """The least and the most that a number may be, inclusive."""

    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True)
class Flag:
    """The name of an option on the command line, where it is not its field's."""

    name: str


@dataclass(frozen=True)
class Commas:
    """A tuple of names that the command line takes as one word, with commas."""


@dataclass(frozen=True)
class File:
    """The name of a file or a folder."""


@dataclass(frozen=True)
class Told:
    """A field of a dataclass of options: `default` is None where `required`, `marks` are those of its type."""

    name: str
    kind: Any
    default: Any
    required: bool
    help: str
    marks: tuple[Any, ...]

    def mark(self, kind: type) -> Any:
        """The mark of this kind, or None."""
        return next((mark for mark in self.marks if isinstance(mark, kind)), None)

    @property
    def flag(self) -> str:
        """How the command line calls it."""
        named = self.mark(Flag)
        return named.name if named else f"--{self.name.replace('_', '-')}"


@lru_cache
def told(kind: type) -> tuple[Told, ...]:
    """All fields of a dataclass of options, in order, as they are written."""
    texts = _texts(kind)
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for field in fields(kind):
        hint = hints[field.name]
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        plain = get_args(hint)[0] if marks else hint
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        required = default is MISSING
        found.append(Told(field.name, plain, None if required else default, required, texts[field.name], marks))
    return tuple(found)


def check(options: Any) -> None:
    """ArgumentError, by the command line's name, for numbers that are not finite or outside of their range."""
    for field in told(type(options)):
        value, span = getattr(options, field.name), field.mark(Range)
        if isinstance(value, float) and not math.isfinite(value):
            raise ArgumentError(f"{field.flag} {value} is no number: give a finite one.")
        if span is not None and value is not None and not span.least <= value <= span.most:
            bound = f"{span.least} or more" if value < span.least else f"{span.most} at most"
            raise ArgumentError(f"{field.flag} {value} is out of range: give {bound}.")


def _texts(kind: type) -> dict[str, str]:
    """What is written below each field, on one line."""
    tree = ast.parse(Path(inspect.getfile(sys.modules[kind.__module__])).read_text(encoding="utf-8"))
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    texts = {}
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            said = text.value.value if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) else ""
            texts[field.target.id] = " ".join(str(said).split())
    return texts
