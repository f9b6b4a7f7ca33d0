"""Points and matrices, rounded the same way on every machine."""

from .transforms import cofactors, determinant, inverse, product, transform

__all__ = ["cofactors", "determinant", "inverse", "product", "transform"]
