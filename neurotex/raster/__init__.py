"""Triangles → fragments → filtered samples → one sparse operator. Plain tensor functions; knows nothing of scenes."""

from .fragments import Fragments, barycentrics, rasterize
from .operator import SparseOperator, assemble_rows
from .samples import Samples, sample_surface
from .textures import WRAPS, TexelLayout, bilinear_taps, gather_texels
from .zbuffer import z_buffer

__all__ = [
    "WRAPS",
    "Fragments",
    "Samples",
    "SparseOperator",
    "TexelLayout",
    "assemble_rows",
    "barycentrics",
    "bilinear_taps",
    "gather_texels",
    "rasterize",
    "sample_surface",
    "z_buffer",
]
