"""Accessors: typed rows of numbers in buffers. After glTF 2.0, section 3.6.2."""

from __future__ import annotations

import numpy as np

from ...errors import SceneError
from ...images.read import shown
from .document import Document
from .values import Item

KINDS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MOST_ZEROS = 10_000_000  # rows of an accessor that has no data but a few sparse ones


def read(document: Document, number: int) -> np.ndarray:
    """An accessor's rows, (count, columns), in the file's type; normalised ones are float32 in [-1, 1].

    Nothing is allocated before all of it is known to be in the file. Raises SceneError for what is not.
    """
    accessor = document.all("accessors")[number]
    code, kind = accessor.whole("componentType"), accessor.text("type")
    if code not in KINDS or kind not in COLUMNS:
        raise SceneError(
            f"{accessor.where} holds {shown(kind, 20)} of component type {shown(code, 20)}, which glTF has not or "
            "which cannot be used here: export it again."
        )
    count = accessor.whole("count", low=1)
    rows = _rows(document, accessor, count, np.dtype(KINDS[code]), COLUMNS[kind])
    if len(accessor.item("sparse")):
        rows = _patched(document, accessor, rows, count, np.dtype(KINDS[code]), COLUMNS[kind])
    elif rows is None:
        raise SceneError(f"{accessor.where} has no data: export it again.")
    return _normalised(rows) if accessor.truth("normalized") and code != 5126 else rows


def _rows(document: Document, item: Item, count: int, dtype: np.dtype, columns: int) -> np.ndarray | None:
    """Rows in the buffer view that an item names, from its byteOffset on; None if it names none."""
    number = item.index("bufferView", len(document.all("bufferViews")), "bufferViews", None)
    if number is None:
        return None
    data, stride = document.view(number)
    size, offset = columns * dtype.itemsize, item.whole("byteOffset", 0)
    stride = stride or size
    if stride < size or offset + (count - 1) * stride + size > len(data):
        raise SceneError(
            f"{item.where} has {shown(count, 30)} rows of {size} bytes, more than bufferViews[{number}] holds: "
            "it is damaged, export it again."
        )
    return np.ndarray((count, columns), dtype.newbyteorder("<"), data, offset, (stride, dtype.itemsize))


def _patched(
    document: Document, accessor: Item, rows: np.ndarray | None, count: int, dtype: np.dtype, columns: int
) -> np.ndarray:
    """Rows, or zeros, with some of them replaced."""
    sparse = accessor.item("sparse")
    some, places = sparse.whole("count", low=1), sparse.item("indices")
    code = places.whole("componentType")
    if code not in (5121, 5123, 5125):
        raise places.wrong("componentType", "5121, 5123 or 5125")
    index = _rows(document, places, some, np.dtype(KINDS[code]), 1)
    values = _rows(document, sparse.item("values"), some, dtype, columns)
    if index is None or values is None:
        raise SceneError(f"{sparse.where} has no data: export it again.")
    if int(index.max()) >= count:
        raise SceneError(f"{sparse.where} replaces row {index.max()} of {count}: export it again.")
    if rows is None and count > MOST_ZEROS:
        raise SceneError(f"{accessor.where} has {shown(count, 30)} rows, but data for {some}: export it again.")
    patched = np.zeros((count, columns), dtype) if rows is None else rows.copy()
    patched[index[:, 0]] = values
    return patched


def _normalised(rows: np.ndarray) -> np.ndarray:
    """Whole numbers as fractions of the largest of their type."""
    return np.maximum(rows.astype(np.float32) / np.float32(np.iinfo(rows.dtype).max), np.float32(-1))
