"""Generators on disk. Opening one, whoever wrote it, runs no code of its."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from .. import assets
from ..core import storage
from ..errors import ArgumentError, FileError

if TYPE_CHECKING:
    from .contents import Contents

PREFERRED = ("g_ema", "g")  # the average of weights over training makes the better textures


def bundled() -> list[str]:
    """Names of the generators that come with neurotex."""
    return sorted(path.stem for path in assets.folder().glob("*.safetensors"))


def load(source: str | Path, network: str | None = None) -> nn.Module:
    """A generator by bundled name ("materials") or from a checkpoint file. In eval mode, float32.

    A checkpoint is what `save` wrote; a pickle of StyleGAN2-ADA's or StyleGAN3's training; or a state dict of one of
    these, as safetensors or by `torch.save`, alone or in a dict. What the file is, is told from its content. `network`
    is which of its networks; without it the averaged generator, G_ema, else G, else the only one. FileError, in one
    sentence, for files that are damaged, hold nothing that is known, or would take more memory than they have bytes.
    `source` is the name or the file.
    """
    contents = _contents(source)
    name = _choose(contents, network)
    build = contents.networks[name].build
    if build is None:
        raise FileError(f"{contents.path}: {name} is no generator that neurotex knows: choose {_names(contents)}.")
    return build()


def info(source: str | Path) -> dict:
    """What `load` would find, without reading weights: path, format, networks (name → facts), tensors (name → shape).

    Facts are those of `architecture, resolution, channels, z_dim, w_dim, c_dim, num_ws, parameters` that are known: the
    number of styles in w+ is num_ws. Tensors are listed for a state dict of no known generator. `source` is a name or a
    file, as for `load`.
    """
    contents = _contents(source)
    networks = {name: network.facts for name, network in contents.networks.items()}
    shapes = {} if networks else {name: list(shape) for name, shape in contents.shapes.items()}
    return {"path": str(contents.path), "format": contents.format, "networks": networks, "tensors": shapes}


def save(generator: nn.Module, path: str | Path) -> None:
    """Write weights and configuration to `path` (.safetensors), whole or not at all.

    `generator` is one of the architectures of this package: it carries its constructor's arguments as `config`.
    ArgumentError for other modules.
    """
    from .contents import ARCHITECTURES

    name = type(generator).__name__
    if name not in ARCHITECTURES:
        raise ArgumentError(f"{name} cannot be rebuilt from a file: save its state_dict and wrap the module again.")
    metadata = {"format": "neurotex", "architecture": name, "config": json.dumps(generator.config)}
    # copies: the format keeps no two tensors that share memory
    state = {key: value.detach().cpu().contiguous().clone() for key, value in generator.state_dict().items()}
    storage.write_tensors(path, state, metadata)


def _contents(source: str | Path) -> Contents:
    from .contents import read_contents  # all networks and formats: only where a file is opened

    if str(source) in bundled():
        return read_contents(assets.folder() / f"{source}.safetensors")
    if not Path(source).is_file():
        raise ArgumentError(
            f"there is no generator '{source}': give one of {', '.join(bundled())}, or the path of a checkpoint."
        )
    return read_contents(Path(source))


def _choose(contents: Contents, wanted: str | None) -> str:
    """The name of the network to load."""
    known = [name for name, network in contents.networks.items() if network.build is not None]
    if wanted is not None:
        if wanted not in contents.networks:
            raise FileError(f"{contents.path} has no network '{wanted}': choose {_names(contents)}.")
        return wanted
    for preferred in PREFERRED:
        for name in known:
            if name.lower().rpartition(".")[2] == preferred:
                return name
    if len(known) == 1:
        return known[0]
    if known:
        raise FileError(f"{contents.path} holds several generators: choose one by its name, {_names(contents)}.")
    if contents.shapes:
        first = next(f"{name} {shape}" for name, shape in contents.shapes.items())
        raise FileError(
            f"{contents.path} holds tensors ({first} …), but no generator that neurotex knows: build its module, load "
            "them into it, and give it to neurotex.generators.wrap(module, latent_shape)."
        )
    raise FileError(
        f"{contents.path} holds {', '.join(contents.networks)}, no generator that neurotex knows: open it with the "
        "code that trained it, and give that module to neurotex.generators.wrap(module, latent_shape)."
    )


def _names(contents: Contents) -> str:
    known = [name for name, network in contents.networks.items() if network.build is not None]
    return " or ".join(f"'{name}'" for name in known) or "another file"
