"""DirectDraw Surface files: block-compressed textures as graphics cards take them.

After Microsoft's programming guide for DDS: a magic number, a header of 124 bytes, and the blocks of one level of
detail after the other, the full texture first. Four letters in the header name the format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from ..errors import ArgumentError

FOUR_LETTERS = {"bc1": b"DXT1", "bc3": b"DXT5", "bc4": b"BC4U", "bc5": b"BC5U"}
BLOCK_BYTES = {"bc1": 8, "bc3": 16, "bc4": 8, "bc5": 16}
CAPS, HEIGHT, WIDTH, PIXELFORMAT, MIPMAPCOUNT, LINEARSIZE = 0x1, 0x2, 0x4, 0x1000, 0x20000, 0x80000  # header flags
FOURCC = 0x4  # pixel format flag
COMPLEX, TEXTURE, MIPMAP = 0x8, 0x1000, 0x400000  # capabilities


def dds(format: str, size: tuple[int, int], levels: Sequence[bytes]) -> bytes:
    """A DDS file of a texture of (height, width) = `size`: the blocks of the texture and of its smaller levels, if any.

    Level k has max(1, ⌊size / 2ᵏ⌋) texels, in ⌈ / 4⌉ blocks each way, row by row from the top left. ArgumentError if
    a level has other than that many bytes.
    """
    if format not in FOUR_LETTERS:
        raise ArgumentError(f"'{format}' cannot be written as DDS: choose one of {', '.join(FOUR_LETTERS)}.")
    height, width = size
    for k, blocks in enumerate(levels):
        rows, columns = (max(1, side >> k) + 3 >> 2 for side in size)
        if len(blocks) != rows * columns * BLOCK_BYTES[format]:
            raise ArgumentError(
                f"level {k} of a {format} texture of {height}×{width} takes {rows * columns * BLOCK_BYTES[format]} "
                f"bytes, but it has {len(blocks)}."
            )
    if not levels:
        raise ArgumentError("a DDS file has at least one level, the texture itself.")
    several = len(levels) > 1
    flags = CAPS | HEIGHT | WIDTH | PIXELFORMAT | LINEARSIZE | (MIPMAPCOUNT if several else 0)
    header = struct.pack("<4s7I44x", b"DDS ", 124, flags, height, width, len(levels[0]), 0, len(levels))
    pixel_format = struct.pack("<2I4s20x", 32, FOURCC, FOUR_LETTERS[format])
    capabilities = struct.pack("<I16x", TEXTURE | (COMPLEX | MIPMAP if several else 0))
    return b"".join([header, pixel_format, capabilities, *levels])
