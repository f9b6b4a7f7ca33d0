"""A network from its constructor's arguments and its tensors, where both are a stranger's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

N = TypeVar("N", bound=nn.Module)
Shapes = Mapping[str, tuple[int, ...]]

# arguments that cost time and memory when the network runs; NVIDIA's largest are 1024, 10, 6, 2 and four taps
LIMITS = {"img_resolution": 8192, "size": 8192, "margin_size": 1024, "filter_size": 64, "lrelu_upsampling": 8}
TAPS = 64
SPARE = 1 << 20  # numbers that a network may make beside those in its file

# what arguments that are not what they should be can end in
UNFIT = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError)


def plan(architecture: type[N], config: Mapping, shapes: Shapes) -> N:
    """The network with zeros in the place of random numbers, which take no memory before they are written to.

    One of UNFIT if there is none, or if it would be larger than a file that has tensors of these shapes.
    """
    _check_counts(config, len(shapes))
    with Rationed(SPARE + sum(math.prod(shape) for shape in shapes.values())):
        return architecture(**config)


def check_shapes(planned: nn.Module, shapes: Shapes) -> None:
    """ValueError unless a file's tensors are those of the network, by name and shape."""
    expected = {name: tuple(tensor.shape) for name, tensor in planned.state_dict().items()}
    for name in sorted(expected.keys() | shapes.keys()):
        theirs, ours = shapes.get(name, "absent"), expected.get(name, "absent")
        if theirs != ours:
            raise ValueError(f"{name} is {theirs} where its arguments say {ours}")


def rebuild(architecture: type[N], config: Mapping, state: Mapping[str, Tensor]) -> N:
    """The network in eval mode, float32; one of UNFIT where arguments and tensors do not fit each other."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    network = plan(architecture, config, shapes)
    check_shapes(network, shapes)
    network.load_state_dict(state)
    return network.eval()


class Rationed(TorchFunctionMode):
    """While inside, torch makes no more than so many numbers from nothing, and none at random: zeros instead.

    torch's meta device would do for the check; but its first use imports for two seconds, and what depends on numbers
    alone, such as filters, is needed.
    """

    def __init__(self, numbers: int):
        super().__init__()
        self.left = self.numbers = numbers

    def __torch_function__(self, function, types, arguments=(), keywords=None):
        if function in (torch.randn, torch.rand, torch.zeros, torch.ones, torch.full):
            size = arguments[:1] if function is torch.full else arguments
            self._take(math.prod(size[0] if size and isinstance(size[0], list | tuple) else size))
        elif function in (torch.arange, torch.eye):
            self._take(max(arguments) ** (1 if function is torch.arange else 2))
        elif function is not torch.Tensor.to:  # its second tensor is read for its type alone
            self._check_broadcast([value.shape for value in arguments if isinstance(value, Tensor)])
        keywords = dict(keywords or {})
        if function in (torch.randn, torch.rand):
            function = torch.zeros
            keywords.pop("generator", None)
        return function(*arguments, **keywords)

    def _take(self, numbers: float) -> None:
        self.left -= numbers
        if self.left < 0:
            raise ValueError("its arguments ask for more numbers than it has")

    def _check_broadcast(self, shapes: list[torch.Size]) -> None:
        """A row and a column make a matrix."""
        sides = [max(pair) for pair in zip(*(_padded(shape) for shape in shapes), strict=True)]
        if math.prod(sides) > self.numbers:
            raise ValueError("its arguments ask for more numbers than it has")


def _padded(shape: torch.Size, dimensions: int = 8) -> tuple[int, ...]:
    return (1,) * (dimensions - len(shape)) + tuple(shape)


def reason(error: BaseException) -> str:
    """What an error says, as a part of one sentence."""
    if isinstance(error, LookupError):
        return f"it has no {str(error)[:80]}" if isinstance(error, KeyError) else "it lacks layers"
    line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    return "".join(letter for letter in line[:200] if letter.isprintable())


def parameter_count(network: nn.Module) -> int:
    """How many numbers training moves: maps of noise or detail, which start out frozen, do not count."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _check_counts(config: Mapping, tensors: int) -> None:
    """Every layer has a tensor, so a file cannot ask for millions of modules; and images are of this world."""
    mapping = config.get("mapping_kwargs") or {}
    layers = [config.get("num_layers", 1), mapping.get("num_layers", 1), len(config.get("widths", []))]
    layers += [config.get(name, 1).bit_length() for name in ("img_resolution", "size")]
    if max(layers) > tensors:
        raise ValueError(f"it has {tensors} tensors, too few for {max(layers)} layers")
    for name, limit in LIMITS.items():
        if config.get(name, 0) > limit:
            raise ValueError(f"{name} is {config[name]}, above {limit}")
    if len(config.get("resample_filter", ())) > TAPS:
        raise ValueError(f"its resample_filter has more than {TAPS} taps")
