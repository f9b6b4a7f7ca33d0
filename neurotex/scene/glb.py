"""Binary glTF: its container, and materials in its words. After the glTF 2.0 specification (Khronos), 3.9 and 4.4."""

from __future__ import annotations

import json
import struct

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..images.png import png
from ..shading import srgb_to_linear
from .latent import Evaluation
from .material import Material
from .shipping import texture_file
from .textures import ConstantTexture, Texture

MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
DDS = "MSFT_texture_dds"  # the extension for block-compressed textures
JSON, BINARY = b"JSON", b"BIN\0"


class Glb:
    """A binary glTF file, taken apart: `tree`, its JSON, and the bytes that this refers to, which only grow."""

    def __init__(self, data: bytes):
        (length,) = struct.unpack_from("<I", data, 12)
        self.tree = json.loads(data[20 : 20 + length])
        self._binary = bytearray(data[28 + length :])

    def add(self, kind: str, item: dict) -> int:
        """Append to one of the tree's lists, and return the item's index there."""
        items = self.tree.setdefault(kind, [])
        items.append(item)
        return len(items) - 1

    def add_image(self, content: bytes, mime: str) -> int:
        """Embed an image file byte for byte, and return its index."""
        view = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(content)}
        self._binary += content + bytes(-len(content) % 4)
        return self.add("images", {"bufferView": self.add("bufferViews", view), "mimeType": mime})

    def use_extension(self, name: str) -> None:
        """Say that the file has something of an extension, which readers may ignore."""
        used = self.tree.setdefault("extensionsUsed", [])
        if name not in used:
            used.append(name)

    def __bytes__(self) -> bytes:
        """The file: a header of 12 bytes, and two chunks, each with a header of 8 and as many bytes as 4 divides."""
        if self._binary:
            self.tree["buffers"] = [{"byteLength": len(self._binary)}]
        text = json.dumps(self.tree, separators=(",", ":")).encode()
        chunks = [(JSON, text + b" " * (-len(text) % 4)), (BINARY, bytes(self._binary))]
        body = b"".join(struct.pack("<I4s", len(data), kind) + data for kind, data in chunks if data)
        return struct.pack("<4s2I", b"glTF", 2, 12 + len(body)) + body


class MaterialWriter:
    """Writes materials into a `Glb`, as one evaluation of their textures shows them; each texture once."""

    def __init__(self, glb: Glb, evaluation: Evaluation):
        self.glb = glb
        self.evaluation = evaluation
        self._written: dict[Texture, int] = {}

    def __call__(self, material: Material) -> dict:
        """A material in glTF's JSON. A diffuse one is the roughest dielectric, which is how `gltf.load` knows it."""
        maps, values = material.maps(), material.values(self.evaluation)
        surface: dict = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
        if isinstance(maps["base_color"], ConstantTexture):
            color = values["base_color"].flatten()
            surface["baseColorFactor"] = [*srgb_to_linear(color[:3]).tolist(), *color[3:].tolist(), 1.0][:4]
        else:
            surface["baseColorTexture"] = self._texture(maps["base_color"])
        if "roughness" in maps:
            surface |= self._roughness_metallic(maps, values)
        out = {"name": material.name, "pbrMetallicRoughness": surface, "doubleSided": True}
        if material.alpha_cutoff is not None:
            out |= {"alphaMode": "MASK", "alphaCutoff": float(material.alpha_cutoff)}
        if "normal" in maps:
            out["normalTexture"] = self._texture(maps["normal"])
        return out

    def _texture(self, texture: Texture) -> dict:
        """A reference to a texture: its own file, if that is what all viewers read, else a PNG of its texels.

        DDS goes beside the PNG, for viewers that know the extension; but not if a side is no multiple of 4: Direct3D
        and WebGL refuse such blocks, and a viewer that has begun with the DDS may not turn to the PNG.
        """
        if texture not in self._written:
            content, suffix = texture_file(texture, self.evaluation)
            picture = self.evaluation(texture)
            own = MIME.get(suffix)
            entry: dict = {"source": self.glb.add_image(content, own) if own else self._png(picture)}
            if suffix == ".dds" and not any(side % 4 for side in picture.shape[2:]):
                entry["extensions"] = {DDS: {"source": self.glb.add_image(content, "image/vnd-ms.dds")}}
                self.glb.use_extension(DDS)
            self._written[texture] = self.glb.add("textures", entry)
        return {"index": self._written[texture]}

    def _png(self, picture: Tensor) -> int:
        return self.glb.add_image(png(picture.clamp(0, 1)), MIME[".png"])

    def _roughness_metallic(self, maps: dict[str, Texture], values: dict[str, Tensor]) -> dict:
        """Factors for what is constant, and one image for the rest: roughness in green, metallic in blue.

        glTF has both in one image, so steps of one channel keep their texels, but not their formats. Where both are
        images they share the larger size.
        """
        factors, channels = {}, {}
        for name in ("roughness", "metallic"):
            constant = isinstance(maps[name], ConstantTexture)
            factors[f"{name}Factor"] = float(values[name].mean()) if constant else 1.0
            if not constant:
                channels[name] = values[name]
        if not channels:
            return factors
        size = [max(sides) for sides in zip(*(value.shape[2:] for value in channels.values()), strict=True)]
        white = next(iter(channels.values())).new_ones(1, 1, *size)
        resized = {
            name: value if list(value.shape[2:]) == size else interpolate(value, size, mode="bilinear")
            for name, value in channels.items()
        }
        picture = torch.cat([white, resized.get("roughness", white), resized.get("metallic", white)], 1)
        index = self.glb.add("textures", {"source": self._png(picture)})
        return {**factors, "metallicRoughnessTexture": {"index": index}}
