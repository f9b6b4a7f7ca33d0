"""Scene → image."""

from ..images import save_gif
from .baked import BakedMatrix, BakedSamples, BakedScene, bake
from .embedded import render
from .passes import Passes, render_passes
from .phong import Lookup, render_phong
from .turntable import around, on_background, turntable

__all__ = [
    "BakedMatrix",
    "BakedSamples",
    "BakedScene",
    "Lookup",
    "Passes",
    "around",
    "bake",
    "on_background",
    "render",
    "render_passes",
    "render_phong",
    "save_gif",
    "turntable",
]
