"""How the house is kept: short files, few parameters, and a sentence that says why where it is not so.

A file of more than 400 lines says `# Over 400 lines: …`, a function of more than seven parameters `# 9 parameters: …`
above its `def`. What is compiled (`*kernels.py`, `*_warp.py`) takes arrays one by one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
FOLDERS = ("neurotex", "benchmarks", "examples", "tests")
LINES, PARAMETERS = 400, 7
WHY = re.compile(r"\s*# (\d+) parameters: \w.{19,}")
LONG = re.compile(rf"^# Over {LINES} lines: \w.{{19,}}", re.MULTILINE)
HANDED_ON = (ast.Import, ast.ImportFrom)


def files(*folders: str) -> Iterator[tuple[Path, str]]:
    """Those of our own, and what is in them."""
    for folder in folders:
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if "golden" not in path.parts:
                yield path.relative_to(REPOSITORY), path.read_text(encoding="utf-8")


def over_long(text: str) -> bool:
    """Whether a file is too long and does not say why."""
    return text.count("\n") > LINES and not LONG.search(text)


def crowded(text: str) -> list[str]:
    """Functions with too many parameters that do not say why, or count them wrongly."""
    lines, found = text.splitlines(), []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        given = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        count = len([name for name in given if name not in ("self", "cls")])
        said = WHY.match(lines[node.lineno - 2]) if node.lineno > 1 else None
        if (count > PARAMETERS and said is None) or (said is not None and int(said[1]) != count):
            found.append(f"{node.name} ({count})")
    return found


def defines(text: str) -> list[str]:
    """What an `__init__.py` does beside handing on names."""
    return [
        ast.unparse(node).partition("\n")[0]
        for node in ast.parse(text).body
        if not isinstance(node, HANDED_ON)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        and not (isinstance(node, ast.Assign) and re.match(r"\(?__", ast.unparse(node.targets[0])))
        and not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]


def test_files_are_short() -> None:
    assert [str(path) for path, text in files(*FOLDERS) if over_long(text)] == []


def test_functions_take_few_parameters() -> None:
    plain = [(path, text) for path, text in files("neurotex") if not path.stem.endswith(("kernels", "_warp"))]
    assert {str(path): names for path, text in plain if (names := crowded(text))} == {}


def test_packages_hand_on_names_and_define_nothing() -> None:
    inits = [(path, text) for path, text in files("neurotex") if path.name == "__init__.py"]
    assert {str(path): found for path, text in inits if (found := defines(text))} == {}


@pytest.mark.parametrize("name", ["long", "unexplained", "miscounted", "defining"])
def test_what_is_not_so_is_found(name: str) -> None:
    eight = "def f(a, b, c, d, e, f, g, h): ..."
    if name == "long":
        assert over_long("\n" * 401)
        assert not over_long("# Over 400 lines: a table that would be two tables\n" + "\n" * 401)
    elif name == "unexplained":
        assert crowded(eight) == crowded(f"# 8 parameters: why not\n{eight}") == ["f (8)"]
        assert crowded(f"# 8 parameters: the op's schema, which torch wants flat\n{eight}") == []
        assert crowded("def f(a, b, c, d, e, f, g): ...") == []
    elif name == "miscounted":
        assert crowded(f"# 9 parameters: the op's schema, which torch wants flat\n{eight}") == ["f (8)"]
    else:
        assert defines('"""."""\nfrom .a import b\n__all__ = ["b"]\n') == []
        assert defines("def b(): ...\nX = 3") == ["def b():", "X = 3"]


def test_places_that_contributing_names_are_there() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("Where new things go") :]
    named = re.findall(r"`([\w/]+(?:/|\.py))`", table)
    assert len(named) > 10
    assert [place for place in named if not (REPOSITORY / "neurotex" / place).exists()] == []
