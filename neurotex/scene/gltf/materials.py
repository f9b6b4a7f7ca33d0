"""Materials. After glTF 2.0, section 3.9."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...images import linear_to_srgb, srgb_to_linear
from ...images.read import shown
from ..material import Material
from ..textures import ConstantTexture, ImageTexture, Texture
from .document import Document
from .textures import Pictures, Reference, reference, relative, sampler
from .values import Item

IDENTITY = np.eye(3)


@dataclass(frozen=True)
class Worn:
    """A material, and the UVs that it reads: `coordinates` is the n of TEXCOORD_n, None where it needs none.

    `transform` (3, 3) is to be applied to these UVs, v up; what single maps do beyond it is in their textures.
    """

    material: Material
    coordinates: int | None
    transform: np.ndarray


class Materials:
    """The materials of a file, each made once for all meshes that have the UVs for it."""

    def __init__(self, document: Document):
        self.document = document
        self._pictures = Pictures(document)
        self._worn: dict[tuple[int, frozenset[str]], Worn] = {}
        self._textures: dict[tuple, ImageTexture] = {}

    def wear(self, number: int, sets: frozenset[int], where: str) -> Worn:
        """Material `number` for the mesh at `where`, which has these sets of UVs; a remark says what it lacks."""
        item = self.document.all("materials")[number]
        references, coordinates = self._references(item, sets, where)
        key = number, frozenset(references)
        if key not in self._worn:
            self._worn[key] = self._read(item, references, coordinates)
        return self._worn[key]

    def _references(self, item: Item, sets: frozenset[int], where: str) -> tuple[dict[str, Reference], int | None]:
        """The textures that can be read, by the names of maps, and the one set of UVs that they read."""
        surface, glossy = item.item("pbrMetallicRoughness"), _glossy(item)
        places = {
            "base_color": (surface, "baseColorTexture") if glossy is None else (glossy, "diffuseTexture"),
            "normal": (item, "normalTexture"),
            "roughness": (surface, "metallicRoughnessTexture"),
            "emissive": (item, "emissiveTexture"),
        }
        found = {name: reference(self.document, *place) for name, place in places.items()}
        found = {name: texture for name, texture in found.items() if texture is not None}
        coordinates = next((texture.coordinates for texture in found.values() if texture.coordinates in sets), None)
        for name, texture in list(found.items()):
            if texture.coordinates not in sets:
                self.document.remarks.fault(
                    f"{where} has no TEXCOORD_{texture.coordinates}, so {_named(item)} shows no {places[name][1]} there"
                )
            elif texture.coordinates != coordinates:
                self.document.remarks.unused(
                    _named(item), f"{places[name][1]} by TEXCOORD_{texture.coordinates} beside TEXCOORD_{coordinates}"
                )
            else:
                continue
            del found[name]
        return found, coordinates

    def _read(self, item: Item, references: dict[str, Reference], coordinates: int | None) -> Worn:
        self._remark(item)
        # frames of normal maps come from UVs as they are turned for them
        order = sorted(references, key=["normal", "base_color", "roughness", "emissive"].index)
        base = references[order[0]].transform if order else IDENTITY
        if abs(np.linalg.det(base)) < 1e-12:
            base = IDENTITY
        cut = {} if item.text("alphaMode", "OPAQUE") != "MASK" else {"alpha_cutoff": item.number("alphaCutoff", 0.5)}
        if cut and cut["alpha_cutoff"] <= 0:  # nothing is cut
            cut = {}
        surface, glossy = item.item("pbrMetallicRoughness"), _glossy(item)
        owner, key = (surface, "baseColorFactor") if glossy is None else (glossy, "diffuseFactor")
        factor = torch.tensor(self._units(item, owner, key, [1.0] * 4)[: 4 if cut else 3])
        maps: dict[str, Texture | float] = {
            "base_color": self._colour(item, "base_color", references.get("base_color"), factor, base)
        }
        maps |= self._roughness(item, surface, references.get("roughness"), base)
        normal = references.get("normal")
        if normal is not None:
            maps |= self._normal(item, normal, base)
        emitted = self._emitted(item)
        if bool(emitted.any()):  # else it is dark, whatever its texture
            maps["emissive"] = self._colour(item, "emissive", references.get("emissive"), emitted, base)
        textured = any(isinstance(texture, ImageTexture) for texture in maps.values())
        name = item.text("name", None) or "material"
        return Worn(Material(name=name, **maps, **cut), coordinates if textured else None, base)

    def _colour(self, item: Item, name: str, texture: Reference | None, factor: Tensor, base: np.ndarray) -> Texture:
        """The map of a colour; the linear factor is folded into it."""
        constant = ConstantTexture(torch.cat([linear_to_srgb(factor[:3]), factor[3:]]).to(torch.get_default_dtype()))
        if texture is None:
            return constant
        colour = ", ".join(f"{value:.3g}" for value in factor.tolist())
        instead = f"{_named(item)} shows its plain factor ({colour})"

        def make() -> Tensor | None:
            texels = self._pictures.pixels(texture.texture, len(factor), instead, colour=True)
            if texels is None or bool((factor == 1).all()):
                return texels
            light = srgb_to_linear(texels[:3]) * factor[:3, None, None]
            return torch.cat([linear_to_srgb(light), texels[3:] * factor[3:, None, None]])

        return self._image((name, *factor.tolist()), texture, base, make) or constant

    def _emitted(self, item: Item) -> Tensor:
        """The linear factor of what a material sends out, (3,) in [0, 1]."""
        said = item.extension("KHR_materials_emissive_strength")
        strength = 1.0 if said is None else said.number("emissiveStrength", 1.0)
        factor = torch.tensor(self._units(item, item, "emissiveFactor", [0.0] * 3)) * strength
        if bool((factor > 1).any()):
            self.document.remarks.fault(f"{_named(item)} shines brighter than white, which is cut off")
        return factor.clamp(0, 1)

    def _roughness(
        self, item: Item, surface: Item, texture: Reference | None, base: np.ndarray
    ) -> Mapping[str, Texture | float]:
        """Roughness and metallic; neither of them for a diffuse surface, see `load`."""
        names = ("roughnessFactor", "metallicFactor")
        if "metallicRoughnessTexture" not in surface:
            given = [surface.number(name, None) if name in surface else None for name in names]
            if given in ([None, None], [1.0, 0.0]):
                return {}
        rough, metal = (self._unit(item, surface, name, 1.0) for name in names)
        plain = {"roughness": rough, "metallic": metal}
        if texture is None:
            return plain
        instead = f"{_named(item)} shows its factors, roughness {rough:.3g} and metallic {metal:.3g}"
        found: dict[str, Texture | float] = {}
        for channel, (name, factor) in enumerate(plain.items(), 1):

            def make(channel: int = channel, factor: float = factor) -> Tensor | None:
                texels = self._pictures.pixels(texture.texture, 3, instead)
                return None if texels is None else factor * texels[channel : channel + 1]

            found[name] = factor if factor == 0 else self._image((name, factor), texture, base, make) or factor
        return found

    def _normal(self, item: Item, texture: Reference, base: np.ndarray) -> dict[str, Texture]:
        """The normal map; its scale is folded into it, into z where x and y would leave [-1, 1]."""
        scale = texture.item.number("scale", 1.0)
        steep, flat = (scale, 1.0) if abs(scale) <= 1 else (scale / abs(scale), 1 / abs(scale))

        def make() -> Tensor | None:
            texels = self._pictures.pixels(texture.texture, 3, f"{_named(item)} is smooth")
            if texels is None or scale == 1:
                return texels
            return ((2 * texels - 1) * texels.new_tensor([steep, steep, flat])[:, None, None] + 1) / 2

        found = self._image(("normal", scale), texture, base, make)
        return {} if found is None else {"normal": found}

    def _image(
        self, kind: tuple, texture: Reference, base: np.ndarray, make: Callable[[], Tensor | None]
    ) -> ImageTexture | None:
        """The node of an image, one for all materials that read it in the same way."""
        transform = relative(texture.transform, base)
        key = (texture.texture.where, transform, *kind)
        if key not in self._textures:
            texels = make()
            if texels is None:
                return None
            read = sampler(self.document, texture.texture)
            texels = texels.to(torch.get_default_dtype())
            self._textures[key] = ImageTexture(texels, read.wrap, filter=read.filter, uv_transform=transform)
        return self._textures[key]

    def _unit(self, item: Item, owner: Item, key: str, default: float) -> float:
        """A factor in [0, 1]."""
        return self._cut_off(item, key, [owner.number(key, default)])[0]

    def _units(self, item: Item, owner: Item, key: str, default: list[float]) -> list[float]:
        """Several factors in [0, 1]."""
        return self._cut_off(item, key, owner.numbers(key, len(default), default))

    def _cut_off(self, item: Item, key: str, values: list[float]) -> list[float]:
        if any(not 0 <= value <= 1 for value in values):
            self.document.remarks.fault(f"{_named(item)} has a {key} outside of [0, 1], which is cut off")
        return [min(max(value, 0.0), 1.0) for value in values]

    def _remark(self, item: Item) -> None:
        """Say what is not rendered."""
        features: Iterable[tuple[bool, str]] = (
            ("occlusionTexture" in item, "occlusionTexture"),
            (item.text("alphaMode", "OPAQUE") == "BLEND", "alphaMode BLEND"),
        )
        for there, feature in features:
            if there:
                self.document.remarks.unused(_named(item), feature)


def _glossy(item: Item) -> Item | None:
    """What a material of the older specular-glossiness model says of its colour; its highlights are not read."""
    return None if "pbrMetallicRoughness" in item else item.extension("KHR_materials_pbrSpecularGlossiness")


def _named(item: Item) -> str:
    name = item.text("name", None)
    return f"material '{shown(name, 60)}'" if name else item.where
