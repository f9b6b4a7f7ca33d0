"""Pickles as NVIDIA's training writes them, made from our own networks: the same calls with the same arguments."""

import pickle
import sys
import types
from pathlib import Path
from unittest.mock import patch

from torch import nn

from neurotex.generators.style_network import StyleNetwork


def _reconstruct(meta):
    raise AssertionError("nobody calls this")


_reconstruct.__module__, _reconstruct.__qualname__ = "torch_utils.persistence", "_reconstruct_persistent_obj"


class _Persistent:
    """A module that is pickled as a call with its class's name, source text and attributes."""

    def __init__(self, module: nn.Module, class_name: str, **attributes: object):
        children = {name: _Persistent(child, type(child).__name__) for name, child in module.named_children()}
        own = dict(module.named_parameters(recurse=False))
        learned = {name: value for name, value in own.items() if value.requires_grad}
        fixed = {name: value.data for name, value in own.items() if not value.requires_grad} | dict(module._buffers)
        left_out = set(module._non_persistent_buffers_set)
        state = {"_parameters": learned, "_buffers": fixed, "_modules": children, **attributes}
        state["_non_persistent_buffers_set"] = left_out
        self.meta = {"type": "class", "version": 6, "module_src": "raise SystemExit", "class_name": class_name}
        self.meta["state"] = {"_init_args": (), "_init_kwargs": {}, **state}

    def __reduce__(self):
        return _reconstruct, (self.meta,), None


def write(path: Path, networks: dict[str, nn.Module], **kwargs: object) -> Path:
    """Write a pickle of these networks; `kwargs` replace arguments of the generators' constructors."""
    contents: dict[str, object] = {"training_set_kwargs": {"path": "x.zip"}, "augment_pipe": None}
    for name, network in networks.items():
        if not isinstance(network, StyleNetwork):
            contents[name] = _Persistent(network, "Discriminator")
            continue
        given = {key: value for key, value in network.config.items() if key not in ("noise", "tileable")} | kwargs
        sizes = {key: given[key] for key in ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")}
        contents[name] = _Persistent(network, "Generator", _init_kwargs=given, **sizes, num_ws=network.synthesis.num_ws)
    modules = {name: types.ModuleType(name) for name in ("torch_utils", "torch_utils.persistence")}
    modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct
    with patch.dict(sys.modules, modules):
        path.write_bytes(pickle.dumps(contents))
    return path
