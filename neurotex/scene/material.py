"""Materials, in glTF's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from ..errors import ArgumentError, SceneError
from ..generators.protocol import out_channels
from ..raster.sampler import ON_MESH
from .generated import GeneratedTexture
from .latent import Evaluation
from .map_kinds import MAPS
from .texels import Pixels, texels
from .textures import ConstantTexture, ImageTexture, Texture

Map = Texture | Pixels | Sequence[float] | float


class Material(nn.Module):
    """How a surface reflects, seen from both sides.

    A map is a texture node, one number or several in [0, 1], or a picture: pixels (C, H, W) in [0, 1], an array, an
    image of Pillow's or a file's name (see `texels`); a grey one is a base_color, too.

    - `base_color`, 3 channels, sRGB-encoded; a fourth is straight alpha, which counts only with `alpha_cutoff`.
    - `roughness`, 1 channel. Without it the surface is perfectly diffuse (Lambert), with it it reflects as glTF's
      metallic-roughness surface does (see `neurotex.shading.ggx`).
    - `metallic`, 1 channel, 0 for dielectrics, 1 for metals; goes with `roughness`.
    - `normal`, 3 channels: tangent-space normals, 2 · value − 1 along +u, +v and outwards.
    - `emissive`, 3 channels, sRGB-encoded: light that the surface sends out by itself, the same in all directions. It
      is added to what it reflects, and lights nothing else.

    Roughness, metallic and normals are data, and linear. `alpha_cutoff`, above 0, cuts out where alpha is less (glTF's
    MASK); above 1 that is everywhere.
    Raises ArgumentError for values that do not fit each other.
    """

    def __init__(
        self,
        base_color: Map = (0.8, 0.8, 0.8),
        name: str = "material",
        *,
        roughness: Map | None = None,
        metallic: Map = 0.0,
        normal: Map | None = None,
        emissive: Map | None = None,
        alpha_cutoff: float | None = None,
    ):
        super().__init__()
        if not isinstance(name, str):
            raise ArgumentError(f"a material's second argument is its name, not {name}: give maps as roughness=….")
        self.name = name
        self.base_color = self._texture("base_color", base_color)
        self.roughness = None if roughness is None else self._texture("roughness", roughness)
        metallic = self._texture("metallic", metallic)
        if roughness is None and not (isinstance(metallic, ConstantTexture) and not bool(metallic.color.any())):
            raise ArgumentError(
                f"material '{name}' is metallic, but has no roughness: without one it would be diffuse. Give both."
            )
        self.metallic = None if roughness is None else metallic
        self.normal = None if normal is None else self._texture("normal", normal)
        self.emissive = None if emissive is None else self._texture("emissive", emissive)
        if alpha_cutoff is not None:
            if not 0 < alpha_cutoff < math.inf:
                raise ArgumentError(f"material '{name}': alpha_cutoff is above 0, but is {alpha_cutoff}.")
            if _known_channels(self.base_color) == 3:
                raise ArgumentError(
                    f"material '{name}' has an alpha_cutoff, but its base_color has no alpha: give it 4 channels."
                )
        self.alpha_cutoff = alpha_cutoff

    def _texture(self, what: str, value: Map) -> Texture:
        if isinstance(value, Texture):
            self._check_generated(what, value)
            return value
        if isinstance(value, str | Path | Image.Image) or (isinstance(value, Tensor | np.ndarray) and value.ndim >= 2):
            texture = ImageTexture(_in_channels(texels(value), MAPS[what].channels))
        else:
            try:
                numbers = torch.as_tensor(value, dtype=torch.get_default_dtype())
            except (TypeError, ValueError, RuntimeError):
                raise ArgumentError(
                    f"material '{self.name}': {what} is a texture node, numbers or pixels, not {value!r}."
                ) from None
            texture = ImageTexture(numbers) if numbers.ndim >= 3 else ConstantTexture(numbers.reshape(-1))
        pixels, channels = texture(), MAPS[what].channels
        if pixels.shape[1] not in channels:
            raise ArgumentError(f"material '{self.name}': {what} has {_numbers(channels)}, but got {pixels.shape[1]}.")
        if not bool(((pixels >= 0) & (pixels <= 1)).all()):
            raise ArgumentError(f"material '{self.name}': {what} lies in [0, 1], but got {_range(pixels)}.")
        return texture

    def _check_generated(self, what: str, texture: Texture) -> None:
        """ArgumentError where a generator's whole texture is to be one map, and says itself that it is more."""
        channels = out_channels(texture.generator) if isinstance(texture, GeneratedTexture) else None
        if channels is not None and channels not in MAPS[what].channels:
            remedy = "neurotex.Material(**texture.maps()) wears all its maps, " if channels in (6, 7) else ""
            raise ArgumentError(
                f"material '{self.name}': {what} has {_numbers(MAPS[what].channels)}, but this generator makes "
                f"{channels}: {remedy}neurotex.scene.ChannelTexture(texture, first, stop) takes some of them."
            )

    def maps(self) -> dict[str, Texture]:
        """The maps there are, by name, base_color first."""
        maps = {name: getattr(self, name) for name in MAPS}
        return {name: texture for name, texture in maps.items() if texture is not None}

    def replace(self, **maps: Map | None) -> Material:
        """This material with other maps, as the constructor takes them; None takes one away.

        This one stays as it is, and shares with the new one what is not replaced. Raises ArgumentError as the
        constructor does, and for names that no map has.
        """
        unknown = [name for name in maps if name not in MAPS]
        if unknown:
            raise ArgumentError(f"material '{self.name}': there is no map '{unknown[0]}', but {', '.join(MAPS)}.")
        worn: dict[str, Any] = {name: value for name, value in {**self.maps(), **maps}.items() if value is not None}
        return Material(**worn, name=self.name, alpha_cutoff=self.alpha_cutoff)

    def channels(self, name: str) -> tuple[int, ...]:
        """How many channels the map of this name may have."""
        return (4,) if name == "base_color" and self.alpha_cutoff is not None else MAPS[name].channels

    def needs_uvs(self) -> bool:
        """Whether any of the maps is looked up by UV, or as normals stands on its directions."""
        return any(
            not isinstance(texture, ConstantTexture) and (texture.filter not in ON_MESH or name == "normal")
            for name, texture in self.maps().items()
        )

    def values(self, evaluation: Evaluation) -> dict[str, Float[Tensor, "1 c h w"]]:
        """The maps evaluated, by name, base_color first and still encoded; its alpha is left out where it counts not.

        Raises SceneError where a node gives something of another shape. `evaluation` is the pass that they belong to.
        """
        values = {name: evaluation(texture) for name, texture in self.maps().items()}
        for name, value in values.items():
            allowed = self.channels(name)
            if value.ndim != 4 or value.shape[0] != 1 or value.shape[1] not in allowed:
                raise SceneError(
                    f"material '{self.name}': {name} must be (1, {' or '.join(map(str, allowed))}, H, W), "
                    f"but its node gives {tuple(value.shape)}."
                )
        if self.alpha_cutoff is None:
            values["base_color"] = values["base_color"][:, :3]
        return values

    def extra_repr(self) -> str:
        cut = "" if self.alpha_cutoff is None else f", alpha_cutoff={self.alpha_cutoff}"
        return f"'{self.name}'{', diffuse' if self.roughness is None else ''}{cut}"


def _known_channels(texture: Texture) -> int | None:
    """How many channels a leaf has; None for nodes that say so only when they are evaluated."""
    return texture().shape[1] if isinstance(texture, ConstantTexture | ImageTexture) else None


def _in_channels(pixels: Float[Tensor, "c h w"], channels: tuple[int, ...]) -> Float[Tensor, "_ h w"]:
    """A grey picture as the colours that it shows, and one of equal channels as the grey that it shows."""
    if 4 in channels and len(pixels) < 3:
        return pixels[[0, 0, 0, 1][: len(pixels) + 2]]
    if channels == (1,) and len(pixels) == 3 and bool((pixels == pixels[:1]).all()):
        return pixels[:1]
    return pixels


def _numbers(channels: tuple[int, ...]) -> str:
    return f"{' or '.join(map(str, channels))} channel{'' if channels == (1,) else 's'}"


def _range(pixels: Tensor) -> str:
    return f"values from {float(pixels.min()):.4g} to {float(pixels.max()):.4g}"
