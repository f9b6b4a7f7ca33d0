"""A viewer in the browser: `neurotex view`, `nt.view`. Served to this machine only, unless asked; nothing is fetched.

`model` is what is looked at and what it wears, `directions` where its latents lead, `panel_*` what stands beside it,
`worker` who computes it all, one thing after another, and `viewer` puts them together.
"""

from .directions import Directions, principal_directions
from .viewer import Viewer, view

__all__ = ["Directions", "Viewer", "principal_directions", "view"]
