"""Values of a glTF file's JSON, each of the kind that the specification asks for, or one sentence that says which
is not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, TypeVar

from ...errors import SceneError
from ...images.read import shown

REQUIRED: Any = object()
D = TypeVar("D")  # of a default


def parse(text: str) -> Item:
    """The object that a JSON text holds. Raises SceneError for text that is no JSON, or not an object."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        tree = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise SceneError("its JSON is nested too deeply: export it again.") from None
    except ValueError as error:  # also of whole numbers of thousands of digits
        raise SceneError(f"its JSON cannot be read ({shown(error)}): it may be cut off, export it again.") from None
    if not isinstance(tree, dict):
        raise SceneError("its JSON is not an object, so it is no glTF: export it again.")
    return Item(tree, "")


class Item:
    """A JSON object, and where it stands in the file. Values are asked for by kind; SceneError says what is wrong.

    What is not there has the default, and without one is an error.
    """

    def __init__(self, values: dict[str, Any], where: str):
        self._values = values
        self.where = where

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def whole(self, key: str, default: D = REQUIRED, low: int = 0) -> int | D:
        """A whole number, `low` or more."""
        value = self._get(key, default)
        if key not in self._values:
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise self.wrong(key, f"a whole number, {low} or more")
        return value

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A finite number."""
        value = self._get(key, default)
        found = _finite(value)
        if found is None:
            raise self.wrong(key, "a number")
        return found

    def numbers(self, key: str, count: int | None, default: D = REQUIRED) -> list[float] | D:
        """`count` finite numbers; any number of them if it is None."""
        values = self._get(key, default)
        if key not in self._values:
            return values
        given = values if isinstance(values, list) else [None]
        found = [number for value in given if (number := _finite(value)) is not None]
        if len(found) < len(given) or (count is not None and len(found) != count):
            raise self.wrong(key, f"{'a list of' if count is None else count} numbers")
        return found

    def get(self, key: str) -> Any:
        """Whatever is there; None if nothing is."""
        return self._values.get(key)

    def truth(self, key: str) -> bool:
        """True or false; false if there is no such key."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def text(self, key: str, default: D = REQUIRED) -> str | D:
        """A string."""
        value = self._get(key, default)
        if key in self._values and not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def texts(self, key: str) -> list[str]:
        """Strings; none if there is no such key."""
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self.wrong(key, "a list of texts")
        return values

    def item(self, key: str) -> Item:
        """An object; an empty one if there is none."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Item(value, self._place(key))

    def items(self, key: str) -> list[Item]:
        """A list of objects; none if there is no such key."""
        values = self._values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.wrong(key, "a list of objects")
        return [Item(value, f"{self._place(key)}[{k}]") for k, value in enumerate(values)]

    def index(self, key: str, length: int, of: str, default: D = REQUIRED) -> int | D:
        """A place in a list of the file, named `of`, of this length."""
        value = self.whole(key, default)
        if isinstance(value, int) and value >= length:
            raise SceneError(f"{self._place(key)} is {shown(value)}, but there are {length} {of}: export it again.")
        return value

    def indices(self, key: str, length: int, of: str) -> list[int]:
        """Places in a list of the file; none if there is no such key."""
        values = self._values.get(key, [])
        if not isinstance(values, list):
            raise self.wrong(key, "a list of whole numbers")
        listed = Item({str(k): value for k, value in enumerate(values)}, self._place(key))
        return [listed.index(str(k), length, of) for k in range(len(values))]

    def extension(self, name: str) -> Item | None:
        """What an extension says of this object, if it does."""
        extensions = self.item("extensions")
        return extensions.item(name) if name in extensions else None

    def wrong(self, key: str, wanted: str) -> SceneError:
        """The error of a value that is not what is wanted."""
        return SceneError(f"{self._place(key)} is {shown(self._values[key], 60)}, not {wanted}: export it again.")

    def _get(self, key: str, default: Any) -> Any:
        if key not in self._values and default is REQUIRED:
            raise SceneError(f"{self._place(key)} is missing: export it again.")
        return self._values.get(key, default)

    def _place(self, key: str) -> str:
        return f"{self.where}.{key}" if self.where else key


def _finite(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        value = float(value)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None
