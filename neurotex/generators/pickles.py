"""NVIDIA's pickles of StyleGAN2-ADA and StyleGAN3: the networks in them as records, read without running anything.

Their classes carry themselves along: an instance is pickled as a call of `torch_utils.persistence.
_reconstruct_persistent_obj` with a dict that holds the class's name, the source text of its module and the instance's
attributes. The original executes that text. Here it is text; class name, constructor's arguments and tensors are enough
to build the network from our own code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from .stored import DEPTH, MappedFile, StoredTensor, check_name, checked, load_all, opened
from .torch_pickles import data_rules, refused_name
from .unpickle import Budget, Inert, Name, PickleReader, Record, Refused


@dataclass(frozen=True)
class PickledModule:
    """A network as it was pickled.

    `init_args` and `init_kwargs` are what its constructor was given, `attributes` its own numbers and texts (such as
    z_dim), `tensors` its parameters and buffers by the names of its state_dict. All of it is a stranger's: sizes in
    the arguments need not fit the tensors. Build the network on torch's meta device, which takes no memory, and
    compare shapes first.
    """

    class_name: str
    init_args: tuple
    init_kwargs: dict[str, object]
    attributes: dict[str, object]
    tensors: dict[str, StoredTensor]

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """Its state_dict, read from the file when first asked for."""
        return load_all(self.tensors)

    @property
    def parameter_count(self) -> int:
        return sum(tensor.count for tensor in self.tensors.values() if tensor.is_parameter)

    @property
    def architecture(self) -> str:
        """ "StyleGAN3" and "StyleGAN2" call their class alike: the first draws its input from frequencies."""
        if "synthesis.input.freqs" in self.tensors:
            return "StyleGAN3"
        return "StyleGAN2" if "synthesis.b4.conv1.weight" in self.tensors else "unknown"


def read_pickle(path: str | Path) -> dict[str, PickledModule]:
    """The networks in a .pkl file, by their names in it: usually G, D and G_ema, the one to use.

    A file that holds one network and no dict gives it under its class's name. FileError, in one sentence, for files
    that are cut off, hold no network, or name anything beside tensors, plain data and modules.
    """
    with opened(path) as data:
        budget = Budget()
        value = _read(data, budget)
        found = value if type(value) is dict else {value.class_name: value} if type(value) is Record else {}
        networks = {
            name: _module(record, budget, len(data))
            for name, record in found.items()
            if type(record) is Record and type(name) is str and name.isidentifier()
        }
        if not networks:
            raise Refused("holds no network, such as G_ema: give a pickle that NVIDIA's training wrote.")
        return networks


def describe(module: PickledModule) -> dict[str, str | int]:
    """What to tell about a network: class, architecture, resolution, sizes of its latents, channels, parameters."""
    facts: dict[str, str | int] = {"class": module.class_name, "architecture": module.architecture}
    names = {"img_resolution": "resolution", "z_dim": "z_dim", "w_dim": "w_dim", "c_dim": "c_dim"}
    names |= {"num_ws": "num_ws", "img_channels": "channels"}
    for theirs, ours in names.items():
        value = module.attributes.get(theirs, module.init_kwargs.get(theirs))
        if type(value) is int:
            facts[ours] = value
    return facts | {"parameters": module.parameter_count}


def _read(data: MappedFile, budget: Budget) -> object:
    rules = data_rules(budget) | {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
        ("dnnlib.util", "EasyDict"): lambda arguments: {},
    }

    def find(module: str, name: str) -> Name:
        if module == "dnnlib.tflib.network":
            raise Refused("was written by StyleGAN for TensorFlow: convert it with legacy.py of stylegan3 first.")
        if module.startswith("torch.nn.modules."):
            return Name(name, lambda arguments: Record(name))
        if (module, name) not in rules:
            raise refused_name(module, name)
        return Name(name, rules[module, name])

    return PickleReader(memoryview(data), find, budget).read()


def _persistent(arguments: tuple) -> Record:
    """({type, version, module_src, class_name, state}) → the record. The source text is dropped."""
    (meta,) = arguments
    if type(meta) is not dict or meta.get("type") != "class" or type(meta.get("class_name")) is not str:
        raise Refused("is not a pickle of NVIDIA's: an object in it has no class.")
    return Record(meta["class_name"], meta.get("state"))


def _module(record: Record, budget: Budget, available: int) -> PickledModule:
    state = _attributes(record, budget)
    arguments, keywords = _plain((state.get("_init_args", ()), state.get("_init_kwargs", {})), budget)
    if type(arguments) is not tuple or type(keywords) is not dict or not record.class_name.isidentifier():
        raise Refused("is not a pickle of NVIDIA's: a network in it has no class or was not constructed by arguments.")
    return PickledModule(
        class_name=record.class_name,
        init_args=arguments,
        init_kwargs=keywords,
        attributes={k: v for k, v in state.items() if type(k) is str and type(v) in (bool, int, float, str)},
        tensors=checked(_tensors(record, budget), available),
    )


def _tensors(network: Record, budget: Budget) -> dict[str, StoredTensor]:
    """Parameters and buffers of a module and all below it, as `state_dict()` names them."""
    tensors: dict[str, StoredTensor] = {}

    def walk(record: Record, prefix: str, depth: int) -> None:
        state = _attributes(record, budget)
        left_out = set(_names(state.get("_non_persistent_buffers_set", []), budget))
        for group in ("_parameters", "_buffers", "_modules"):
            named = state.get(group, {})
            for name in _names(named, budget):
                value = named[name]
                check_name(prefix + name, depth, budget)
                if group == "_modules" and type(value) is Record:
                    walk(value, f"{prefix}{name}.", depth + 1)
                elif group != "_modules" and type(value) is StoredTensor and name not in left_out:
                    tensors[prefix + name] = value
                elif value is not None and name not in left_out:
                    raise Refused(f"is not a pickle of NVIDIA's: {group} of a module hold something else.")

    walk(network, "", 0)
    return tensors


def _attributes(record: Record, budget: Budget) -> dict:
    if type(record.state) is not dict:
        raise Refused("is not a pickle of modules: one of them has no attributes.")
    budget.spend(len(record.state))
    return record.state


def _names(named: Any, budget: Budget) -> list[str]:
    """The keys of a dict, or the items of a set."""
    if type(named) not in (dict, list):
        raise Refused("is not a pickle of modules: what one of them should hold is something else.")
    budget.spend(len(named) + 1)
    if not all(type(name) is str for name in named):
        raise Refused("is not a pickle of modules: what one of them holds has no names.")
    return list(named)


def _plain(value: Any, budget: Budget, depth: int = 0) -> Any:
    """A copy that is a tree of plain values: no cycles, nothing shared that would grow when it is written out."""
    budget.spend(1)
    if depth > DEPTH:
        raise Refused("nests its arguments without end: do not trust it.")
    if type(value) is dict:
        return {key: _plain(item, budget, depth + 1) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(item, budget, depth + 1) for item in value)
    return value if type(value) in (bool, int, float, str, type(None), Inert) else Inert(type(value).__name__)
