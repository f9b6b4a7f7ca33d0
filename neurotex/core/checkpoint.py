"""Nested states, such as optimisers have, as one safetensors file: tensors as they are, the rest as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from . import storage


def save_state(path: str | Path, state: dict, about: dict) -> None:
    """Write `state` (dicts, lists, tensors, numbers, strings), and `about`, which run it is of. Whole or not at all."""
    tensors: dict[str, Tensor] = {}
    tree = _flat(state, "", tensors)
    storage.write_tensors(path, tensors, {"state": json.dumps(tree), "about": json.dumps(about)})


def load_state(path: str | Path) -> tuple[dict, dict]:
    """What `save_state` wrote: state and about. FileError if it is missing or cut off."""
    return storage.read_checkpoint(path, _parse)


def _parse(tensors: dict[str, Tensor], kept: dict[str, str]) -> tuple[dict, dict]:
    state, about = _nested(json.loads(kept["state"]), tensors), json.loads(kept["about"])
    if not isinstance(state, dict) or not isinstance(about, dict):
        raise TypeError("its state has no names")
    return state, about


def _flat(value: object, name: str, tensors: dict[str, Tensor]) -> object:
    """JSON in which tensors are {"tensor": name}, dicts lists of pairs, since optimisers number their parameters."""
    if isinstance(value, torch.Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _flat(item, f"{name}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_flat(item, f"{name}/{k}", tensors) for k, item in enumerate(value)]
    return value


def _nested(tree: object, tensors: dict[str, Tensor]) -> object:
    if isinstance(tree, list):
        return [_nested(item, tensors) for item in tree]
    if isinstance(tree, dict):
        if "tensor" in tree:
            return tensors[tree["tensor"]]
        return {key: _nested(item, tensors) for key, item in tree["dict"]}
    return tree
