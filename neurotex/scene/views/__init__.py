"""Photographs and their cameras, as programs that find cameras write them.

`lens` knows how lenses bend, `shots` what any program says of a photograph, `frames` finds its picture; a file per
program; `read` recognises them.
"""

from .frames import Frame
from .read import read_frames, recognise
from .views import Views

__all__ = ["Frame", "Views", "read_frames", "recognise"]
