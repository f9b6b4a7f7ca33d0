"""Generators in ONNX files, as torch modules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError, FileError, NeurotexError
from ..rebuild import reason
from .named import NamedTensors
from .onnx_files import Graph, Node, read_onnx
from .onnx_layers import LAYERS
from .onnx_numbers import NUMBERS
from .onnx_operators import OPERATORS
from .onnx_step import Refused, Step, Value

KNOWN = {**OPERATORS, **LAYERS}
# inputs that say how to compute: never weights, nor is what they are computed from
SETTINGS = {"Clip": (1, 2), "Pad": (1, 2, 3), "Resize": (1, 2, 3), "Upsample": (1,)}
EXPONENTS = {"Pow": (1,)}  # likewise, where the file gives them
STATISTICS = {"BatchNormalization": (3, 4)}  # inputs that training measures rather than learns

FAILURES = (Refused, RuntimeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def from_onnx(path: str | Path, channels_last: bool = False) -> OnnxGenerator:
    """The generator in an ONNX file as a torch module, computed by torch: latents (N, ...) → textures in [-1, 1].

    The file has one input, the latents, and one output, the textures: (N, C, H, W), or (N, H, W, C) if
    `channels_last`. Its floating-point initialisers become parameters, named as in the file; single numbers, and
    inputs that are settings or statistics, do not. ONNX does not say what was trained: freeze what was not.
    Nothing in the file is run. FileError names a node that is not known; `latent_shape` is there if the file says it.
    """
    try:
        return OnnxGenerator(read_onnx(path), path, channels_last)
    except NeurotexError:
        raise
    except FAILURES as error:  # a field of another kind than ONNX has there, such as a name that is no text
        raise FileError(f"{path} is no whole ONNX graph ({reason(error)}): get it or export it again.") from None


class OnnxGenerator(nn.Module):
    """An ONNX graph, evaluated node by node with torch's functions: derivatives of any order, torch.func, any device.

    A file that was exported for batches of B latents computes others B at a time. `graph` is what the file `path`
    holds. With `channels_last` it gives textures (N, H, W, C). FileError for an operator that is not known.
    """

    def __init__(self, graph: Graph, path: str | Path, channels_last: bool = False) -> None:
        super().__init__()
        self.path = str(path)
        self.channels_last = channels_last
        self.input, self.output = graph.input, graph.output
        self.opset = graph.opset
        self.nodes = [node for node in graph.nodes if node.operator != "Constant"]
        for node in self.nodes:
            if node.operator not in KNOWN and node.operator not in NUMBERS:
                raise FileError(
                    f"{path} needs the operator {node.operator} of ONNX's set {graph.opset}, which is not known: "
                    "export the generator without it, or wrap it as a module of your own."
                )
        literals = {node.outputs[0]: _literal(node, path) for node in graph.nodes if node.operator == "Constant"}
        weights, fixed, self._numbers = _sorted_out(graph, literals)
        names = {name: tuple(filter(None, name.replace("/", ".").split("."))) or ("_",) for name in weights}
        self._names = list(weights)
        self.weights = NamedTensors(
            {names[name]: torch.from_numpy(value.copy()) for name, value in weights.items()},
            {names[name] for name in fixed},
        )
        self._spent = _last_uses(self.nodes, graph, path)
        self._batch, *shape = graph.input_shape or (None,)
        if shape and None not in shape:
            self.latent_shape = tuple(shape)

    def forward(self, latent: Float[Tensor, "n *latent"]) -> Float[Tensor, "n c h w"]:
        size = self._batch or max(len(latent), 1)
        if len(latent) % size:
            raise ArgumentError(f"{self.path} was exported for {size} latents at once: give it a multiple of that.")
        parts = [self.evaluate(part) for part in latent.split(size)]
        texture = parts[0] if len(parts) == 1 else torch.cat(parts)
        if texture.ndim != 4 or len(texture) != len(latent):
            raise ArgumentError(
                f"{self.path} must give {'(N, H, W, C)' if self.channels_last else '(N, C, H, W)'}, one texture per "
                f"latent, but for {tuple(latent.shape)} it gives {tuple(texture.shape)}."
            )
        return texture.movedim(-1, 1) if self.channels_last else texture

    def evaluate(self, latent: Tensor) -> Tensor:
        """The output of the graph, whatever its shape. `latent` is (N, …)."""
        values: dict[str, Value] = {self.input: latent, **self._numbers}
        values.update(zip(self._names, self.weights.values(), strict=True))
        for node, spent in zip(self.nodes, self._spent, strict=True):
            inputs = [values.get(name) for name in node.inputs]  # None for one left out
            results = self._computed(node, inputs, latent)
            values.update((name, result) for name, result in zip(node.outputs, results, strict=False) if name)
            for name in spent:
                values.pop(name, None)  # of some results, such as Dropout's mask, there is none
        output = values[self.output]
        return output if isinstance(output, Tensor) else torch.as_tensor(output, device=latent.device)

    def _computed(self, node: Node, inputs: list[Value | None], latent: Tensor) -> tuple[Value, ...]:
        step = Step(node.attributes, self.opset, latent, len(node.outputs))
        try:
            if node.operator in NUMBERS and all(isinstance(value, np.ndarray) for value in inputs):
                return (np.asarray(NUMBERS[node.operator](step, *inputs)),)
            if node.operator not in KNOWN:
                raise Refused("it is known for numbers about shapes, but here depends on the latents' values")
            if inputs:
                if inputs[0] is None:
                    raise Refused("it lacks its first input")
                inputs = [step.tensor(inputs[0]), *inputs[1:]]
            result = KNOWN[node.operator](step, *inputs)
        except FAILURES as error:
            raise FileError(
                f"the node {node.name} ({node.operator}, set {self.opset}) of {self.path} cannot be computed for "
                f"latents {tuple(latent.shape)}: {_first_line(error)}."
            ) from error
        return result if isinstance(result, tuple) else (result,)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _sorted_out(
    graph: Graph, literals: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], set[str], dict[str, np.ndarray]]:
    """Weights, the names of those that are fixed, and numbers that stay as they are."""
    read_at = partial(_read_at, graph.nodes)
    settings, exponents, statistics = read_at(SETTINGS), read_at(EXPONENTS), read_at(STATISTICS)
    for node in reversed(graph.nodes):
        if node.operator in NUMBERS and settings.intersection(node.outputs):
            settings.update(node.inputs)
    weights, numbers = {}, {}
    for name, value in {**graph.tensors, **literals}.items():
        # exporters write the code's own numbers, 0.2 or √2, as initialisers of no dimension
        is_weight = value.dtype.kind == "f" and value.ndim > 0 and name not in settings | exponents
        (weights if is_weight else numbers)[name] = value
    return weights, {name for name in weights if name in statistics or name in literals}, numbers


def _read_at(nodes: list[Node], places: Mapping[str, tuple[int, ...]]) -> set[str]:
    return {name for node in nodes for k, name in enumerate(node.inputs) if k in places.get(node.operator, ())}


def _literal(node: Node, path: str | Path) -> np.ndarray:
    """The value of a Constant, under whichever name the node has it."""
    (name, value), *more = node.attributes.items() or [("nothing", None)]
    if more or name not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise FileError(f"the constant {node.name} of {path} has {name}, which no number is: export it again.")
    return np.asarray(value, None if name == "value" else np.float32 if "float" in name else np.int64)


def _last_uses(nodes: list[Node], graph: Graph, path: str | Path) -> list[list[str]]:
    """After each node, what no later one reads; FileError where a node reads what none before it gives."""
    known = {graph.input, *graph.tensors} | {n.outputs[0] for n in graph.nodes if n.operator == "Constant"}
    last: dict[str, int] = {}
    for k, node in enumerate(nodes):
        for name in filter(None, node.inputs):
            if name not in known:
                raise FileError(f"the node {node.name} of {path} reads {name}, which no node before it gives.")
            last[name] = k
        for name in filter(None, node.outputs):
            known.add(name)
            last[name] = k
    if graph.output not in known:
        raise FileError(f"no node of {path} gives its output {graph.output}: it may be cut off, get it again.")
    return [[name for name, at in last.items() if at == k and name != graph.output] for k in range(len(nodes))]
