"""Points, directions, rays and matrices; products are rounded the same way on every machine."""

from .rays import Hits, Rays
from .transforms import cofactors, determinant, inverse, product, transform
from .vectors import dot, unit

__all__ = ["Hits", "Rays", "cofactors", "determinant", "dot", "inverse", "product", "transform", "unit"]
