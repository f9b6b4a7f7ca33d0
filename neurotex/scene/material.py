"""Materials, in glTF's names."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .textures import ConstantTexture, ImageTexture, Texture


class Material(nn.Module):
    """How a surface reflects. `base_color`: a texture node, a colour (3 numbers in [0, 1]) or pixels (3, H, W).

    Colours are sRGB-encoded. Surfaces are diffuse and seen from both sides.
    """

    def __init__(self, base_color: Texture | Tensor | Sequence[float] = (0.8, 0.8, 0.8), name: str = "material"):
        super().__init__()
        self.name = name
        if isinstance(base_color, Tensor) and base_color.ndim >= 3:
            base_color = ImageTexture(base_color)
        self.base_color = base_color if isinstance(base_color, Texture) else ConstantTexture(base_color)

    def extra_repr(self) -> str:
        return f"'{self.name}'"
