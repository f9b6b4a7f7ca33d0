"""Scene → image."""

from ..images import save_gif
from .baked import BakedMatrix, BakedScene
from .baked_samples import BakedSamples
from .baking import bake
from .direct import render
from .passes import Passes, render_passes
from .turntable import around, on_background, portrait_png, turntable

__all__ = [
    "BakedMatrix",
    "BakedSamples",
    "BakedScene",
    "Passes",
    "around",
    "bake",
    "on_background",
    "portrait_png",
    "render",
    "render_passes",
    "save_gif",
    "turntable",
]
