"""Every public name says what it takes, the shapes of its tensors, and the errors that it raises itself.

What a program cannot tell from a text, units and ranges for instance, is for who reviews it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType

import pytest

# names that mean the same everywhere and, with their type, need no words
SELF_EVIDENT = {"self", "cls", "args", "scene", "mesh", "material", "camera", "path", "name", "rng", "seed"}
# what torch asks of its modules is told by their class
OF_TORCH = {"forward", "compute", "extra_repr", "train", "backward", "setup_context", "vmap"}
SHAPE = re.compile(r"\([^()]*(?:,|…)[^()]*\)|one number|of any shape")
SHAPED = re.compile(r"\w+\[(Tensor|np\.ndarray), ")  # Float[Tensor, "n 3"]


def public(module: ModuleType, seen: frozenset[str] = frozenset()) -> Iterator[type | object]:
    """Functions and classes that a module names in `__all__`, else all its own; and those of modules among them."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    for name in getattr(module, "__all__", [name for name in own if not name.startswith("_")]):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            if value.__name__ not in seen:
                yield from public(value, seen | {value.__name__})
        elif (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith("neurotex"):
            yield value


@lru_cache
def written(module: str) -> dict[str, ast.FunctionDef | ast.ClassDef]:
    """What a module defines, by name: as it is written, and not as a check wraps it."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def described(kind: type) -> list[ast.ClassDef]:
    """A class and the bases that are neurotex's own."""
    ours = [base for base in kind.__mro__ if base.__module__.startswith("neurotex")]
    return [node for base in ours if isinstance(node := written(base.__module__).get(base.__qualname__), ast.ClassDef)]


def text(*nodes: ast.FunctionDef | ast.ClassDef) -> str:
    return "\n".join(ast.get_docstring(node) or "" for node in nodes)


def words(said: str) -> set[str]:
    return set(re.findall(r"\w+", said.lower()))


def fields(node: ast.ClassDef) -> Iterator[str]:
    """Those of a dataclass that no text of their own follows."""
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            kind = ast.unparse(field.annotation) if isinstance(field, ast.AnnAssign) else "ClassVar"
            if "ClassVar" not in kind and not SHAPED.match(kind) and not told and isinstance(field, ast.AnnAssign):
                yield ast.unparse(field.target)


def of_function(name: str, node: ast.FunctionDef, said: str) -> Iterator[str]:
    """What is missing in all that is said of a function."""
    known = words(said) | SELF_EVIDENT
    args = node.args
    for arg in (*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs):
        if arg is None:
            continue
        kind = "" if arg.annotation is None else ast.unparse(arg.annotation)
        if arg.arg.lower() not in known and not SHAPED.match(kind):
            yield f"{name} does not say what {arg.arg} is"
        if re.match(r"Tensor\b", kind) and not SHAPE.search(said):
            yield f"{name} does not say the shape of {arg.arg}"
    if node.returns is not None and ast.unparse(node.returns) == "Tensor" and not SHAPE.search(said):
        yield f"{name} does not say the shape of what it returns"
    for inner in ast.walk(node):
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            error = ast.unparse(inner.exc.func).rpartition(".")[2]
            if error.endswith("Error") and error != "NotImplementedError" and error not in said:
                yield f"{name} does not say that it raises {error}"


def of_class(name: str, kind: type) -> Iterator[str]:
    """What is missing in a class and the methods of its own; what its bases say of the same ones counts."""
    classes = described(kind)
    whole = text(*classes)
    for field in fields(classes[0]):
        if not field.startswith("_") and field.lower() not in words(whole) | SELF_EVIDENT:
            yield f"{name} does not say what {field} is"
    for method in (node for node in classes[0].body if isinstance(node, ast.FunctionDef)):
        if method.name in OF_TORCH or (method.name.startswith("_") and method.name != "__init__"):
            continue
        same = [n for c in classes for n in c.body if isinstance(n, ast.FunctionDef) and n.name == method.name]
        if method.name != "__init__" and not text(*same).strip() and method.name.lower() not in words(whole):
            yield f"{name}.{method.name} has no docstring"
        yield from of_function(f"{name}.{method.name}", method, text(*classes, *same))


def faults(value: type | object) -> Iterator[str]:
    name = f"{value.__module__}.{value.__qualname__}"
    node = written(value.__module__).get(value.__qualname__)
    if node is None:
        return  # made by a function, and told of where it is made
    if not text(node):
        yield f"{name} has no docstring"
    if isinstance(node, ast.FunctionDef):
        yield from of_function(name, node, text(node))
    else:
        yield from of_class(name, value)


@pytest.mark.parametrize("name", ["neurotex", "neurotex.compat.mitsuba", "neurotex.generators.interop"])
def test_public_names_say_what_they_take_and_raise(name):
    values = dict.fromkeys(public(importlib.import_module(name)))
    assert values
    wrong = sorted({fault for value in values for fault in faults(value)})
    assert not wrong, "\n".join(wrong)


def test_what_is_missing_is_found():
    source = '''
def f(x: Tensor, size: int, y: Float[Tensor, "n"]) -> Tensor:
    """Enlarge."""
    if size < 1:
        raise ArgumentError("no")
'''
    (node,) = ast.parse(source).body
    assert list(of_function("f", node, text(node))) == [
        "f does not say what x is",
        "f does not say the shape of x",
        "f does not say what size is",
        "f does not say the shape of what it returns",
        "f does not say that it raises ArgumentError",
    ]
    assert not list(of_function("f", node, "x (n, 3) enlarged to `size`; ArgumentError where that is below 1."))
