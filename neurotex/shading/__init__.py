"""BRDFs, lights and colour as plain tensor functions."""

from .colour import linear_to_srgb, srgb_to_linear
from .diffuse import diffuse
from .lights import incident

__all__ = ["diffuse", "incident", "linear_to_srgb", "srgb_to_linear"]
