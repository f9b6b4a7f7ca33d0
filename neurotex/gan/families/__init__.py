"""Families of procedural materials: what bricks, planks or leather look like, feel like and are coloured like.

A family draws layouts, each once for all maps, so that colours, bumps, roughness and metal belong together: mortar lies
deep and is rough, varnish is smooth, rust sits rough on smooth paint and leaves a rim of bare metal. Features are 8
texels and more at 128², edges are anti-aliased, grain is faint. Contrasts are those of photographed albedo maps, not of
posters.
"""

from .by_name import FAMILIES
from .layout import Layout

__all__ = ["FAMILIES", "Layout"]
