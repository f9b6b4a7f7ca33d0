"""Small ONNX models, node by node."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurotex.generators.interop.onnx_files import Graph, read_onnx


class Model:
    """A graph of one input of shape `shape`, whose last node gives its output."""

    def __init__(self, onnx: Any, shape: tuple, opset: int = 20) -> None:
        self.onnx, self.opset = onnx, opset
        self.input = "z"
        self.shape = shape
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.last = "z"

    def tensor(self, value: np.ndarray | None, name: str | None = None) -> str:
        """The name of an initialiser; "" for an input left out."""
        if value is None:
            return ""
        name = name or f"t{len(self.tensors)}"
        self.tensors.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """The name of a node's result, or of each of several."""
        k = len(self.nodes)
        names = [f"v{k}_{j}" for j in range(outputs)]
        node = self.onnx.helper.make_node(operator, inputs, names, f"node_{k}", domain=domain, **attributes)
        self.nodes.append(node)
        self.last = names[0]
        return names if outputs > 1 else names[0]

    def proto(self) -> Any:
        helper = self.onnx.helper
        into = helper.make_tensor_value_info(self.input, 1, self.shape)
        out = helper.make_tensor_value_info(self.last, 1, None)
        graph = helper.make_graph(self.nodes, "generator", [into], [out], self.tensors)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def write(self, folder: Path) -> Path:
        path = folder / "generator.onnx"
        path.write_bytes(self.proto().SerializeToString())
        return path

    def read(self, folder: Path) -> tuple[Graph, Path]:
        path = self.write(folder)
        return read_onnx(path), path

    def runtime(self, z: np.ndarray) -> np.ndarray:
        """What ONNX Runtime computes."""
        onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed", exc_type=ImportError)
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        return onnxruntime.InferenceSession(self.proto().SerializeToString(), options).run(None, {self.input: z})[0]
