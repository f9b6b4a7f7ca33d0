"""What README and docs show, taken out of them: their blocks of code, and what the text around those names."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neurotex.errors import MissingError

REPOSITORY = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in (REPOSITORY / "docs").glob("*.md")),
)
FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """What stands between two fences, without the indentation of a list, and the line of the file where it begins."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    def replaced(self, replacements: dict[str, str]) -> str:
        """The text with other numbers."""
        text = self.text
        for old, new in replacements.items():
            text = text.replace(old, new)
        return text

    def commands(self, text: str) -> list[list[str]]:
        """The words of each line of a shell's, comments left out."""
        return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def text_of(document: str) -> str:
    return (REPOSITORY / document).read_text(encoding="utf-8")


def blocks(document: str) -> list[Block]:
    """All of a document, in order."""
    text = text_of(document)
    return [
        Block(document, text.count("\n", 0, match.start(3)) + 1, match[2], textwrap.dedent(match[3]))
        for match in FENCED.finditer(text)
    ]


def spans(document: str) -> list[str]:
    """What stands between single backquotes."""
    prose = FENCED.sub("", text_of(document))
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


@dataclass
class Reader:
    """Types in what a document shows, a statement at a time, in one namespace. What needs a package that is absent is
    left out, and so is what needs its results; `absent` says of each name why."""

    names: dict[str, Any]
    absent: dict[str, str] = field(default_factory=dict)

    def run(self, block: Block, replacements: dict[str, str]) -> list[str]:
        """Run a block; returns why parts of it were left out."""
        source = "\n" * (block.line - 1) + block.replaced(replacements)
        why: dict[str, None] = {}
        for statement in ast.parse(source, block.document).body:
            reason = next((self.absent[name] for name in _loaded(statement) if name in self.absent), None)
            if reason is None:
                try:
                    exec(compile(ast.Module([statement], []), str(REPOSITORY / block.document), "exec"), self.names)
                except MissingError as error:
                    reason = str(error)
            if reason is not None:
                why[reason] = None
                self.absent |= dict.fromkeys((name for name in _stored(statement) if name not in self.names), reason)
        return list(why)


def _names(statement: ast.stmt, context: type[ast.expr_context]) -> Iterator[str]:
    return (node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, context))


def _loaded(statement: ast.stmt) -> Iterator[str]:
    return _names(statement, ast.Load)


def _stored(statement: ast.stmt) -> Iterator[str]:
    return _names(statement, ast.Store)
