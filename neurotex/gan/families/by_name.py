"""All families by their names."""

from __future__ import annotations

from collections.abc import Callable

from ..dice import Dice
from .cloth import camouflage, knit, stripes, tartan, weave
from .hides import leather, scales, spots
from .layout import Layout
from .masonry import bricks, cobbles, concrete, gravel, plaster, sand
from .metal import brushed, circuits, corrugated, foil, hammered, panels, plates, rust, treads
from .tiles import checker, hexagons, marble, mosaic, terrazzo, tiles
from .timber import herringbone, planks, wood

FAMILIES: dict[str, Callable[[Dice], Layout]] = {
    draw.__name__: draw
    for draw in (
        bricks,
        tiles,
        hexagons,
        planks,
        wood,
        marble,
        weave,
        scales,
        rust,
        camouflage,
        stripes,
        checker,
        spots,
        cobbles,
        concrete,
        leather,
        plaster,
        hammered,
        terrazzo,
        herringbone,
        plates,
        treads,
        brushed,
        foil,
        corrugated,
        panels,
        circuits,
        gravel,
        sand,
        mosaic,
        tartan,
        knit,
    )
}
