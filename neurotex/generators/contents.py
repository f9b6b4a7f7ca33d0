"""What a checkpoint holds: its networks, told from the file's own bytes and not from its name, before any is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..errors import FileError
from .family import FamilyGenerator
from .material import MaterialGenerator
from .nvidia import architecture_of, our_config, without_filters
from .pickles import PickledModule, describe, read_pickle
from .protocol import layers
from .rebuild import UNFIT, check_shapes, parameter_count, plan, reason, rebuild
from .recognise import Tensors, generators_in, recognise
from .style_network import StyleNetwork
from .stylegan2 import StyleGAN2
from .stylegan3 import StyleGAN3
from .torch_files import is_torch_file, stored_tensors

Architecture = type[FamilyGenerator] | type[MaterialGenerator] | type[StyleNetwork]
ARCHITECTURES: dict[str, Architecture] = {
    architecture.__name__: architecture for architecture in (FamilyGenerator, MaterialGenerator, StyleGAN2, StyleGAN3)
}
# of NVIDIA's constructor, which their training gives by name
POSITIONAL = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
ELSEWHERE = "open it with the code that trained it, and give that module to neurotex.generators.wrap()."


@dataclass(frozen=True)
class Network:
    """One network of a file. `facts` tells what it is; `build` reads its numbers and gives the generator, if it is one.

    Facts are those of class, architecture, resolution, channels, z_dim, w_dim, c_dim, num_ws (styles of w+),
    parameters and config that are known.
    """

    facts: Mapping[str, object]
    build: Callable[[], nn.Module] | None


@dataclass(frozen=True)
class Contents:
    """A checkpoint: its networks by their names in the file, and the shapes of all tensors of a plain state dict."""

    path: Path
    format: str
    networks: dict[str, Network]
    shapes: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class SafeTensor:
    """A tensor in an open safetensors file."""

    file: safe_open
    name: str

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.file.get_slice(self.name).get_shape())

    def load(self) -> Tensor:
        return self.file.get_tensor(self.name)


def read_contents(path: Path) -> Contents:
    """What is in a file. FileError, in one sentence, where it is of no kind that is known, or damaged."""
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError as error:
        raise FileError(f"{path} cannot be opened ({error.strerror or error}): check the path.") from None
    if head[4:] == b"\0\0\0\0{":  # 8 bytes of length, then JSON
        return _safetensors(path)
    if is_torch_file(path):
        return _state_dict(path, "torch", stored_tensors(path))
    if head[:1] == b"\x80":  # every pickle since protocol 2
        found = {name: _pickled(path, name, module) for name, module in read_pickle(path).items()}
        return Contents(path, "NVIDIA pickle", found, {})
    raise FileError(
        f"{path} cannot be read: it is neither safetensors, nor a state dict of torch.save, nor a pickle of NVIDIA's; "
        "if it should be, it is cut off or damaged: get it again."
    )


def _safetensors(path: Path) -> Contents:
    try:
        file = safe_open(path, framework="pt")
        tensors, metadata = {name: SafeTensor(file, name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FileError(
            f"{path} cannot be read as safetensors ({reason(error)}): it may be cut off, get it again."
        ) from None
    if not all(name.isprintable() for name in tensors):
        raise FileError(f"{path} gives a tensor a name that cannot be printed: do not trust it.")
    if "architecture" not in metadata:
        return _state_dict(path, "safetensors", tensors)
    return Contents(path, "neurotex", {metadata["architecture"]: _own(path, tensors, metadata)}, {})


def _own(path: Path, tensors: Tensors, metadata: dict[str, str]) -> Network:
    """What `save` wrote."""
    name = metadata["architecture"]
    if name not in ARCHITECTURES:
        raise FileError(
            f"{path} holds architecture {name[:40]!a}, but this version knows {', '.join(ARCHITECTURES)}: "
            "open it with the version that wrote it."
        )
    try:
        config = json.loads(metadata["config"])
        facts = _facts(ARCHITECTURES[name], config, tensors)
        return Network({**facts, "config": config}, partial(_load, path, ARCHITECTURES[name], config, tensors))
    except UNFIT as error:
        raise FileError(
            f"{path} does not fit its own description ({reason(error)}): write it again with save()."
        ) from None


def _state_dict(path: Path, kind: str, tensors: Tensors) -> Contents:
    """Somebody's state dict: generators in it go by what precedes the names of their tensors."""
    networks = {prefix: _recognised(path, prefix, group) for prefix, group in generators_in(tensors).items()}
    return Contents(path, kind, networks, {name: tuple(tensor.size) for name, tensor in tensors.items()})


def _recognised(path: Path, prefix: str, tensors: Tensors) -> Network:
    try:
        architecture, config = recognise(tensors)
        tensors = without_filters(architecture, tensors)
        facts = _facts(architecture, config, tensors)
        return Network({**facts, "config": config}, partial(_load, path, architecture, config, tensors))
    except UNFIT as error:
        where = f"{path}, {prefix}," if prefix else f"{path}"
        problem = (
            f"{where} has NVIDIA's names, but its configuration cannot be told from its tensors ({reason(error)}): "
            "give the constructor's arguments to neurotex.generators.from_nvidia(kwargs, read_state_dict(path))."
        )
        return Network({"architecture": architecture_of(tensors).__name__}, partial(_refuse, problem))


def _pickled(path: Path, name: str, module: PickledModule) -> Network:
    facts = describe(module)
    return Network(facts, None if facts["architecture"] == "unknown" else partial(_load_pickled, path, name, module))


def _load_pickled(path: Path, name: str, module: PickledModule) -> nn.Module:
    architecture = architecture_of(module.tensors)
    tensors = without_filters(architecture, module.tensors)
    try:
        config = our_config(architecture, dict(zip(POSITIONAL, module.init_args, strict=False)) | module.init_kwargs)
        _facts(architecture, config, tensors)  # shapes, before numbers are read
    except UNFIT as error:
        raise FileError(
            f"{path}: {name} is no {architecture.__name__} that neurotex can rebuild ({reason(error)}): {ELSEWHERE}"
        ) from None
    return _load(path, architecture, config, tensors)


def _load(path: Path, architecture: Architecture, config: dict, tensors: Tensors) -> nn.Module:
    try:
        return rebuild(architecture, config, {name: tensor.load() for name, tensor in tensors.items()})
    except (*UNFIT, SafetensorError) as error:
        raise FileError(f"{path} cannot be loaded ({reason(error)}): {ELSEWHERE}") from None


def _refuse(problem: str) -> nn.Module:
    raise FileError(problem)


def _facts(architecture: Architecture, config: dict, tensors: Tensors) -> dict[str, object]:
    """What there is to tell; one of UNFIT where tensors do not fit the configuration."""
    shapes = {name: tuple(tensor.size) for name, tensor in tensors.items()}
    network = plan(architecture, config, shapes)
    check_shapes(network, shapes)
    facts = {
        "architecture": architecture.__name__,
        "resolution": network.config["img_resolution" if isinstance(network, StyleNetwork) else "size"],
        "channels": network.out_channels,
        "z_dim": network.latent_shape[0],
        "w_dim": network.config["w_dim" if isinstance(network, StyleNetwork) else "style_dim"],
    }
    if isinstance(network, StyleNetwork):
        facts["c_dim"] = network.config["c_dim"]
    if (count := layers(network.synthesis)) is not None:
        facts["num_ws"] = count
    return {**facts, "parameters": parameter_count(network)}
