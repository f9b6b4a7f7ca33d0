"""Block compression of textures: the step, its search in tensor language and in kernels, and the bytes of blocks."""

from .compress import BlockCompress, LeastSquares

__all__ = ["BlockCompress", "LeastSquares"]
