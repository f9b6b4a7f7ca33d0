"""Points and matrices, rounded the same way on every machine; rays."""

from .rays import Hits, Rays
from .transforms import cofactors, determinant, inverse, product, transform

__all__ = ["Hits", "Rays", "cofactors", "determinant", "inverse", "product", "transform"]
