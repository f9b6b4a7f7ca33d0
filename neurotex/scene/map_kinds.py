"""The maps that a material may have: the one table that knows them.

A new map is a row here, what it does to light in `renderers.radiance`, its words in `scene.gltf`, and a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MapKind:
    """What texels of a map are. All lie in [0, 1].

    `channels` are the numbers of channels that a value may have. `neutral` is one texel, encoded as all are, that
    changes nothing: it stands in where another material of the scene has the map and this one has none. Colours are
    sRGB-encoded (`encoded`) and become linear light before they are filtered; all else is data.
    """

    channels: tuple[int, ...]
    neutral: tuple[float, ...]
    encoded: bool = False


MAPS = {
    "base_color": MapKind((3, 4), (0.0, 0.0, 0.0), encoded=True),
    "roughness": MapKind((1,), (1.0,)),
    "metallic": MapKind((1,), (0.0,)),
    "normal": MapKind((3,), (0.5, 0.5, 1.0)),
    "emissive": MapKind((3,), (0.0, 0.0, 0.0), encoded=True),
}
