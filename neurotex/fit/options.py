"""What `neurotex fit` is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..core.options import SIDE, File, Flag, Range

TEMPERATURE = (0.3, 0.01)
STEPS = 1 << 30


@dataclass(frozen=True)
class Options:
    """What to fit to what."""

    mesh: Annotated[str, File()]
    """The object: OBJ, PLY, GLB or glTF, with UVs."""
    views: Annotated[str, File()]
    """The photographs: a folder with transforms.json, or that file."""
    texture: str = "pixels"
    """What makes the texture: pixels, a bundled generator's name, or a checkpoint."""
    optimize: str = "latents"
    """What to fit of a generator: latents, weights or both."""
    space: str = "w"
    """Its latent space: w, w+, z, gaussian or noise."""
    label: Annotated[int | None, Flag("--class")] = None
    """Which class, for generators that have classes."""
    through: tuple[str, ...] = ()
    """A discrete step that the texture passes, such as levels:8. The first half of `steps` runs without. May be
    repeated."""
    estimator: str = "straight_through"
    """How gradients pass discrete steps."""
    temperature: tuple[float, float] = TEMPERATURE
    """First and last temperature of estimators that have one, in units of each step."""
    imagined: Annotated[int, Range(0, STEPS)] = 24
    """How many views a fit through discrete steps learns from beside the photographs: renders, from new viewpoints, of
    what was fitted without steps."""
    size: Annotated[int, Range(1, SIDE)] = 512
    """Side of a texture of pixels, in texels."""
    steps: Annotated[int | None, Range(1, STEPS)] = None
    """Optimisation steps. The default depends on `texture`."""
    holdout: Annotated[str | None, File()] = None
    """Photographs to measure the result by, never fitted."""
    seed: Annotated[int, Range(-(1 << 62), 1 << 62)] = 0
    """Another seed gives another random start."""
    device: str = "cpu"
    """Where to compute: cpu, cuda, cuda:1, ..."""
    huber: float | None = None
    """Colour difference, of 1, above which the loss grows linearly."""
    ssim: Annotated[float, Range(0)] = 0.0
    """Weight of structural dissimilarity (SSIM) in the loss."""
    prior: Annotated[float, Range(0)] = 0.0
    """Weight of the latents' prior in the loss."""
