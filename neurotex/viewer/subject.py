"""What a path holds that can be looked at: a mesh, a generator, a fit's folder, a training run's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .. import assets, generators
from ..core import storage
from ..core.checkpoint import load_state
from ..errors import FileError, NeurotexError
from ..generators.protocol import StyledPrior
from ..scene import Scene, Views

MESHES = (".obj", ".ply", ".stl", ".glb", ".gltf")


@dataclass
class Subject:
    """A scene; the generator that it wears, entered where its latents lie, and the one latent to begin with; and
    photographs of it."""

    scene: Scene
    generator: nn.Module | None = None
    latent: Tensor | None = None
    views: Views | None = None


def subject(
    path: str | Path, texture: str | None = None, label: int | None = None, views: str | Path | None = None
) -> Subject:
    """Read what `path` holds. A generator without a mesh is worn by the bundled teapot.

    `texture` is a generator, by its bundled name or file, to wear instead; `label` its class. `views` are photographs,
    those of a fit unless given. FileError for what is none of these, and for a folder that a run has left unfinished.
    """
    path = Path(path)
    given = None if views is None else Views.load(views)
    if path.is_dir():
        found = _run(path)
    elif path.suffix.lower() in MESHES:
        found = Subject(Scene.load(path))
    else:  # a name or a checkpoint; generators.load says what it could be
        found = Subject(_teapot(), _entered(generators.load(str(path)), label))
    if texture is not None:
        found.generator, found.latent = _entered(generators.load(texture), label), None
    if given is not None:
        found.views = given
    return found


def _run(folder: Path) -> Subject:
    """What a run has left: a training run a generator alone, a fit of its weights both."""
    if (folder / "model.glb").exists():
        return _fit(folder)
    if (folder / "generator.safetensors").exists():
        return _trained(folder)
    raise FileError(
        f"{folder} is nothing to look at: give a mesh, a generator, or the folder of a fit or a training run that has "
        "finished (--resume goes on with one)."
    )


def _fit(folder: Path) -> Subject:
    """The model that a fit has left, with its photographs if they are still there; and the latent of its generator."""
    model = folder / "model.glb"
    options = _options(folder / "checkpoint.safetensors")
    found = Subject(Scene.load(model))
    where = Path(str(options.get("views", "")))
    if options.get("views") and where.exists():
        try:
            found.views = Views.load(where)
        except NeurotexError:  # moved or changed since: the model can be looked at without
            found.views = None
    stored = folder / "latent.safetensors"
    if stored.exists():
        own = folder / "generator.safetensors"
        try:
            ((space, value),) = storage.read_tensors(stored)[0].items()
        except (*storage.UNREADABLE, ValueError):
            raise FileError(f"{stored} holds no latent: fit again with --overwrite.") from None
        generator = generators.load(own if own.exists() else str(options.get("texture", "")))
        found.generator = _entered(generator, options.get("label"), space)
        found.latent = value
    return found


def _trained(folder: Path) -> Subject:
    """What a training run has made so far, worn by the teapot."""
    return Subject(_teapot(), _entered(generators.load(folder / "generator.safetensors"), None))


def _entered(generator: nn.Module, label: int | None, space: str = "w") -> nn.Module:
    """A style-based generator at its styles, where a straight line is a smooth change; others as they are."""
    if isinstance(generator, StyledPrior):
        return generators.LatentSpace(generator, space, generators.one_hot(generator, label))
    return generator


def _teapot() -> Scene:
    return Scene.load(assets.folder() / "demo" / "mesh.obj")


def _options(checkpoint: Path) -> dict[str, Any]:
    """What a fit was asked for; nothing where its checkpoint is gone."""
    if not checkpoint.exists():
        return {}
    return load_state(checkpoint)[1]
