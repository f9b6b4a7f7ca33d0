"""Checkpoints that are whole files, of another run or of nothing: a tensor or a value in them is another."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import torch

from neurotex.core import storage

VALUES = (None, -1, 10**40, 0.5, float("nan"), "x", [], {}, [[1]], True, {"tensor": "nowhere"}, {"dict": 3})
ANOTHER = (
    lambda value: value.long() if value.is_floating_point() else value.float(),
    lambda value: value[None],
    lambda value: torch.cat([value.flatten(), value.flatten()]),
    lambda value: torch.full(value.shape, torch.nan, dtype=torch.float32),
    lambda value: value.double() if value.dtype != torch.float64 else value.half(),
    lambda value: value[:0] if value.dim() else torch.zeros(0),
)


def write_misfit(source: Path, path: Path, number: int) -> None:
    """A copy of the checkpoint `source` in which something is not what it was."""
    random = Random(number)
    tensors, metadata = storage.read_tensors(source)
    chosen = random.choice(("drop", "rename", "another", "another", "metadata", "metadata", "value", "value"))
    name = random.choice(sorted(tensors))
    if chosen == "drop":
        del tensors[name]
    elif chosen == "rename":
        tensors[random.choice(("", "optimizer.x", f"{name}.", "history.1", "scene."))] = tensors.pop(name)
    elif chosen == "another":
        tensors[name] = random.choice(ANOTHER)(tensors[name])
    else:
        key = random.choice(sorted(metadata))
        if chosen == "metadata":
            metadata[key] = random.choice(("", "x", "nan", "-1", "7", "[" * 5000, json.dumps(random.choice(VALUES))))
        else:
            try:
                metadata[key] = json.dumps(_changed(json.loads(metadata[key]), random))
            except ValueError:
                metadata[key] += "x"
    storage.write_tensors(path, tensors, metadata)


def _changed(tree: object, random: Random) -> object:
    """The tree with one of its nodes another, or left out."""
    if isinstance(tree, list | dict) and tree and random.random() < 0.9:
        key = random.choice(sorted(tree) if isinstance(tree, dict) else range(len(tree)))
        if random.random() < 0.1:
            tree.pop(key)
        else:
            tree[key] = _changed(tree[key], random)
        return tree
    return random.choice(VALUES)
