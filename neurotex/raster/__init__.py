"""Triangles → visible faces → filtered samples → one sparse operator. Plain tensor functions, without scenes."""

from .antialias import antialias, edge_blends, opposite_corners
from .layout import TexelLayout, flatten_maps
from .mesh_taps import MeshPoints, surface_taps
from .mipmap import mip_levels
from .operator import SparseOperator, assemble_rows
from .pixels import place_pixels
from .resolve import resolve
from .sampler import FILTERS, ON_MESH, WRAPS, Sampler
from .samples import Samples, gather_surface, sample_surface
from .texels import number_seen, take_texels
from .textures import Taps, bilinear_taps, taps
from .zbuffer import z_buffer

__all__ = [
    "FILTERS",
    "ON_MESH",
    "WRAPS",
    "MeshPoints",
    "Sampler",
    "Samples",
    "SparseOperator",
    "Taps",
    "TexelLayout",
    "antialias",
    "assemble_rows",
    "bilinear_taps",
    "edge_blends",
    "flatten_maps",
    "gather_surface",
    "mip_levels",
    "number_seen",
    "opposite_corners",
    "place_pixels",
    "resolve",
    "sample_surface",
    "surface_taps",
    "take_texels",
    "taps",
    "z_buffer",
]
