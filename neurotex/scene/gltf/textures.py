"""Images, samplers and transforms of UVs. After glTF 2.0, sections 3.8.2 to 3.8.4, and KHR_texture_transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import FileError, SceneError
from ...images import Picture, decode, linear_to_srgb
from ...images.read import shown
from ...raster.sampler import Sampler
from ..textures import UVTransform
from .document import Document
from .values import Item

NEAREST, LINEAR, LINEAR_MIPMAP_LINEAR = 9728, 9729, 9987
MIPMAPPED = range(9984, 9988)
WRAPS = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
FLIP = np.array([[1.0, 0, 0], [0, -1, 1], [0, 0, 1]])  # v down to v up, and back
# a texture's other images, by the extensions that have them; the plain one comes first
SOURCES = ("EXT_texture_webp", "MSFT_texture_dds", "KHR_texture_basisu", "EXT_texture_avif")


@dataclass(frozen=True)
class Reference:
    """What a material says of one of its textures. `transform` (3, 3) is of UVs with v up."""

    item: Item
    texture: Item
    coordinates: int
    transform: np.ndarray


def reference(document: Document, owner: Item, key: str) -> Reference | None:
    """The texture that a material names by this key, if it does."""
    if key not in owner:
        return None
    item = owner.item(key)
    texture = document.all("textures")[item.index("index", len(document.all("textures")), "textures")]
    coordinates, transform = item.whole("texCoord", 0), np.eye(3)
    said = item.extension("KHR_texture_transform")
    if said is not None:
        coordinates = said.whole("texCoord", coordinates)
        (x, y), turn = said.numbers("offset", 2, [0.0, 0.0]), said.number("rotation", 0.0)
        (across, down), cos, sin = said.numbers("scale", 2, [1.0, 1.0]), math.cos(turn), math.sin(turn)
        theirs = np.array([[cos * across, sin * down, x], [-sin * across, cos * down, y], [0, 0, 1]])
        transform = FLIP @ theirs @ FLIP
    return Reference(item, texture, coordinates, transform)


def sampler(document: Document, texture: Item) -> Sampler:
    """How a texture is read. What a file leaves open is "repeat" and "bilinear"."""
    item = document.pick(texture, "sampler", "samplers")
    if item is None:
        return Sampler()
    wraps = []
    for key in ("wrapS", "wrapT"):
        code = item.whole(key, 10497)
        if code not in WRAPS:
            raise item.wrong(key, "10497, 33071 or 33648")
        wraps.append(WRAPS[code])
    near, far = item.whole("magFilter", None), item.whole("minFilter", None)
    if near not in (None, NEAREST, LINEAR):
        raise item.wrong("magFilter", "9728 or 9729")
    if far not in (None, NEAREST, LINEAR, *MIPMAPPED):
        raise item.wrong("minFilter", "9728, 9729 or one of 9984 to 9987")
    nearest = near == NEAREST or (near is None and far == NEAREST)
    filter = "nearest" if nearest else "trilinear" if far in MIPMAPPED else "bilinear"
    return Sampler(wraps[0], wraps[1], filter)


def words(sampler: Sampler) -> dict[str, int]:
    """A sampler in glTF's JSON, as far as it is not what `sampler` takes for granted: repeat, bilinear."""
    codes = {wrap: code for code, wrap in WRAPS.items()}
    said = {} if sampler.wrap == "repeat" else {"wrapS": codes[sampler.wrap_s], "wrapT": codes[sampler.wrap_t]}
    if sampler.filter == "nearest":
        said |= {"magFilter": NEAREST, "minFilter": NEAREST}
    elif sampler.mipmapped:
        said |= {"magFilter": LINEAR, "minFilter": LINEAR_MIPMAP_LINEAR}
    return said


def relative(transform: np.ndarray, base: np.ndarray) -> UVTransform | None:
    """What is left to do of a transform after `base`, None for nothing."""
    if np.array_equal(transform, base):
        return None
    (a, b, c), (d, e, f), _ = (transform @ np.linalg.inv(base)).tolist()
    return (a, b, c), (d, e, f)


class Pictures:
    """The images of a file, each decoded once; faults are said once, too."""

    def __init__(self, document: Document):
        self.document = document
        self._read: dict[str, Picture | None] = {}

    def pixels(self, texture: Item, channels: int, instead: str, colour: bool = False) -> Float[Tensor, "c h w"] | None:
        """A texture's image in [0, 1]; None where it cannot be had: then a warning names it, and what is seen instead.

        `colour` says that numbers are sRGB-encoded.
        """
        item = self._image(texture)
        if item is None:
            self.document.remarks.fault(f"{texture.where} has no image that can be read, {instead}")
            return None
        picture = self._picture(item, instead)
        if picture is None:
            return None
        values = picture.to(channels).floats()
        if picture.linear:  # floats, which glTF does not have, but files may
            values = values.clamp(0, 1)
            values = torch.cat([linear_to_srgb(values[:3]), values[3:]]) if colour else values
        return values

    def _image(self, texture: Item) -> Item | None:
        found = self.document.pick(texture, "source", "images")
        for name in SOURCES:
            said = None if found is not None else texture.extension(name)
            found = found if said is None else self.document.pick(said, "source", "images")
        return found

    def _picture(self, item: Item, instead: str) -> Picture | None:
        if item.where not in self._read:
            uri = item.text("uri", None)
            own = item.text("name", None)
            name = f"'{own}'" if uri is None and own else item.where if uri is None or uri.startswith("data:") else uri
            try:
                self._read[item.where] = picture = decode(self._bytes(item, uri), shown(name, 80), False, False)
                for remark in picture.remarks:
                    self.document.remarks.fault(f"{shown(name, 80)} {remark}")
            except (FileError, SceneError) as error:
                reason = str(error).rstrip(".").partition(": ")[0]
                self.document.remarks.fault(f"{reason}, {instead}")
                self._read[item.where] = None
        return self._read[item.where]

    def _bytes(self, item: Item, uri: str | None) -> bytes:
        if uri is not None:
            return self.document.data(uri)
        number = item.index("bufferView", len(self.document.all("bufferViews")), "bufferViews")
        return bytes(self.document.view(number)[0])
