"""Generators on disk: safetensors whose metadata says how to rebuild the module. Opening one runs no code of its."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from torch import nn

from .. import assets, storage
from ..errors import ArgumentError, FileError
from .tile import TileGenerator

ARCHITECTURES = {"TileGenerator": TileGenerator}


def bundled() -> list[str]:
    """Names of the generators that ship with neurotex."""
    return sorted(path.stem for path in assets.folder().glob("*.safetensors"))


def load(source: str | Path) -> nn.Module:
    """A generator by bundled name ("materials") or from a checkpoint file written by `save`. In eval mode, float32."""
    path = Path(source)
    if str(source) in bundled():
        path = assets.folder() / f"{source}.safetensors"
    elif not path.is_file():
        raise ArgumentError(
            f"there is no generator '{source}': give one of {', '.join(bundled())}, or the path of a .safetensors file."
        )
    try:
        state, metadata = storage.read_tensors(path)
    except (SafetensorError, OSError) as error:
        raise FileError(f"{path} cannot be read as safetensors ({error}): it may be cut off, get it again.") from None
    if metadata.get("architecture") not in ARCHITECTURES:
        raise FileError(
            f"{path} holds architecture '{metadata.get('architecture', 'unknown')}', "
            f"but this version knows {', '.join(ARCHITECTURES)}."
        )
    try:
        generator = ARCHITECTURES[metadata["architecture"]](**json.loads(metadata["config"]))
        generator.load_state_dict(state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileError(f"{path} does not fit its own description ({reason}): write it again with save().") from None
    return generator.eval()


def save(generator: nn.Module, path: str | Path) -> None:
    """Write weights and configuration to `path` (.safetensors), whole or not at all.

    `generator` is one of the architectures of this package: it carries its constructor's arguments as `config`.
    """
    name = type(generator).__name__
    if name not in ARCHITECTURES:
        raise ArgumentError(f"{name} cannot be rebuilt from a file: save its state_dict and wrap the module again.")
    metadata = {"format": "neurotex", "architecture": name, "config": json.dumps(generator.config)}
    state = {key: value.detach().contiguous().cpu() for key, value in generator.state_dict().items()}
    storage.write_tensors(path, state, metadata)
