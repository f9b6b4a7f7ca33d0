"""Pictures: the one door in and out, and the colours in them."""

from .colour import linear_to_srgb, srgb_to_linear
from .picture import Picture
from .read import ENDINGS, contents, decode, is_file, read, read_radiance, sizes, warn
from .write import save_gif, to_image, to_photograph

__all__ = [
    "ENDINGS",
    "Picture",
    "contents",
    "decode",
    "is_file",
    "linear_to_srgb",
    "read",
    "read_radiance",
    "save_gif",
    "sizes",
    "srgb_to_linear",
    "to_image",
    "to_photograph",
    "warn",
]
