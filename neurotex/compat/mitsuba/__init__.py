"""neurotex inside Mitsuba 3: nodes as textures of a user's own scene, and our scenes rendered by Mitsuba.

Importing this needs no Mitsuba; what cannot do without it says so when it is called.
"""

from .bound import BoundScene, bind_texture
from .renderer import MitsubaRenderer
from .translate import to_mitsuba
from .variant import activate, find_llvm

__all__ = ["BoundScene", "MitsubaRenderer", "activate", "bind_texture", "find_llvm", "to_mitsuba"]
