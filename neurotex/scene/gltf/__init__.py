"""glTF 2.0 files, text and binary: read by `load`, written by `save`.

Core glTF, and KHR_texture_transform, KHR_mesh_quantization, EXT_texture_webp. A file that requires any other extension
is refused by name; what is not rendered is said in one warning.
"""

from .load import load
from .write import save, to_bytes

__all__ = ["load", "save", "to_bytes"]
