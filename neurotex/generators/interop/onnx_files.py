"""ONNX files as plain data. Reading one runs nothing that it holds, and opens no file outside its folder.

The format: https://github.com/onnx/onnx/blob/main/docs/IR.md, tensors in files beside it: docs/ExternalData.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FileError, MissingError

TYPES = {  # the numbers that TensorProto gives to types, of those that torch computes with
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
}


@dataclass(frozen=True)
class Node:
    """One operation. Names of tensors go in and come out, "" for one left out; attributes are numbers and arrays."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A model: `nodes` in an order that can be computed, of the operator set `opset`."""

    nodes: list[Node]
    tensors: dict[str, np.ndarray]  # initialisers
    input: str
    input_shape: tuple[int | None, ...]  # None where any size will do
    output: str
    opset: int


def read_onnx(path: str | Path) -> Graph:
    """The graph in an ONNX file. FileError, in one sentence, for one that is cut off or that no generator has."""
    onnx, path = _find_onnx(), Path(path)
    try:
        model = onnx.load_model_from_string(path.read_bytes())
        graph = model.graph
    except OSError as error:
        raise FileError(f"{path} cannot be read ({error.strerror}): check the path.") from None
    except Exception as error:  # protobuf's errors have no common name over its versions
        raise FileError(f"{path} is no ONNX file ({type(error).__name__}): it may be cut off, get it again.") from None
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 0))
    if not graph.node or opset < 7:
        raise FileError(f"{path} holds no graph of operator set 7 or later: export the generator again.")
    if graph.sparse_initializer:
        raise FileError(f"{path} holds sparse tensors: export the generator with dense ones.")
    tensors = {tensor.name: _array(onnx, tensor, path) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in tensors]
    for what, values in (("inputs", inputs), ("outputs", graph.output)):
        if len(values) != 1:
            names = ", ".join(value.name for value in values) or "none"
            raise FileError(f"{path} has the {what} {names}: export it with the latent in and the texture out alone.")
    shape = inputs[0].type.tensor_type.shape.dim
    return Graph(
        [_node(onnx, node, opset, path) for node in graph.node],
        tensors,
        inputs[0].name,
        tuple(side.dim_value if side.HasField("dim_value") else None for side in shape),
        graph.output[0].name,
        opset,
    )


def _node(onnx: Any, node: Any, opset: int, path: Path) -> Node:
    if node.domain not in ("", "ai.onnx"):
        raise FileError(
            f"{path} needs {node.op_type} of {node.domain}, but only ONNX's own operators (set {opset}) are known: "
            "export the generator without it."
        )
    kinds = onnx.AttributeProto
    attributes = {}
    for attribute in node.attribute:
        if attribute.type in (kinds.GRAPH, kinds.GRAPHS):
            raise FileError(f"{path} has a {node.op_type}, which branches: export the generator without control flow.")
        if attribute.type == kinds.TENSOR:
            attributes[attribute.name] = _array(onnx, attribute.t, path)
        else:
            value = onnx.helper.get_attribute_value(attribute)
            attributes[attribute.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return Node(node.op_type, node.name or node.op_type, tuple(node.input), tuple(node.output), attributes)


def _array(onnx: Any, tensor: Any, path: Path) -> np.ndarray:
    """The numbers of a TensorProto; as many as its shape says, or FileError."""
    dtype, shape = TYPES.get(tensor.data_type), tuple(tensor.dims)
    if dtype is None:
        kinds = {number: name for name, number in onnx.TensorProto.DataType.items() if number}
        kind = kinds.get(tensor.data_type, f"type {tensor.data_type}, which ONNX does not have")
        kind = kind if tensor.data_type else "no type"
        raise FileError(f"the tensor {tensor.name} in {path} is of {kind}: export the generator in float32.")
    if min(shape, default=0) < 0:
        raise FileError(f"the tensor {tensor.name} in {path} has the shape {shape}: do not trust the file.")
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return _beside(tensor, dtype, shape, path)
    try:
        return onnx.numpy_helper.to_array(tensor).reshape(shape).astype(dtype)
    except (ValueError, TypeError) as error:
        raise FileError(
            f"the tensor {tensor.name} in {path} does not have the numbers that its shape {shape} says ({error}): "
            "the file may be cut off, get it again."
        ) from None


def _beside(tensor: Any, dtype: np.dtype, shape: tuple[int, ...], path: Path) -> np.ndarray:
    """Numbers that lie in another file, which must be in the model's folder or below it, links followed."""
    said = {entry.key: entry.value for entry in tensor.external_data}
    folder = path.resolve().parent
    where = (folder / said.get("location", "")).resolve()
    if folder not in where.parents:
        raise FileError(f"{path} keeps {tensor.name} in {where}, outside its own folder: do not trust the file.")
    size = math.prod(shape) * dtype.itemsize
    try:
        offset, length = int(said.get("offset", 0)), int(said.get("length", size))
        with where.open("rb") as file:
            if offset < 0 or length != size or file.seek(0, 2) < offset + size:
                raise ValueError
            file.seek(offset)
            return np.frombuffer(file.read(size), dtype.newbyteorder("<")).reshape(shape).astype(dtype)
    except OSError as error:
        raise FileError(
            f"{where}, which {path} keeps {tensor.name} in, cannot be read ({error.strerror}): keep both together."
        ) from None
    except ValueError:
        raise FileError(
            f"{where} does not hold the {size} bytes of {tensor.name} where {path} says: get both files again."
        ) from None


def _find_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingError("onnx is not installed: pip install 'neurotex[onnx]'") from error
    return onnx
