"""Scene → image."""

from .baked import BakedScene, bake
from .embedded import render
from .turntable import around, on_background, save_gif, turntable

__all__ = ["BakedScene", "around", "bake", "on_background", "render", "save_gif", "turntable"]
