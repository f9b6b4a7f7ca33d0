"""Colours that a file describes by an ICC profile, as sRGB's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

SRGB = ("srgb", "c2")  # in names of profiles; the latter is a small one that is sRGB
EXIF, INTEROPERABILITY = 0x8769, 0xA005  # of EXIF, the parts that say what cameras call their colours


@dataclass(frozen=True)
class Profile:
    """An ICC profile. `name` is its own, or "unnamed" where it is broken."""

    data: bytes
    name: str

    @property
    def is_srgb(self) -> bool:
        """Whether there is nothing to convert."""
        return any(word in self.name.lower() for word in SRGB)


def profile_of(image: Image.Image) -> Profile | None:
    """The profile that an image carries."""
    data = image.info.get("icc_profile")
    if not isinstance(data, bytes) or not data:
        return None
    try:
        from PIL import ImageCms

        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(data)))
    except Exception:  # broken, or a Pillow without colour management
        name = ""
    return Profile(data, " ".join("".join(c for c in name if c.isprintable()).split())[:80] or "unnamed")


def to_srgb(values: np.ndarray, image: Image.Image, profile: Profile) -> np.ndarray | None:
    """The numbers (h, w, c) of `image` in sRGB, alpha as it is; what sRGB cannot show is cut off.

    None where they are sRGB's already, or cannot be converted: Pillow does that for 8 bits.
    """
    if profile.is_srgb or values.dtype != np.uint8:
        return None
    colours = values.shape[2] - (values.shape[2] in (2, 4))
    try:
        from PIL import ImageCms

        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile.data)), ImageCms.createProfile("sRGB")

        def convert(source: Image.Image, *flags: ImageCms.Flags) -> np.ndarray:
            intent: Any = ImageCms.getDefaultIntent(own)  # a number, which Pillow takes for one of its Intent
            step = ImageCms.buildTransform(own, srgb, source.mode, "RGB", intent, *flags)
            return np.asarray(ImageCms.applyTransform(source, step))

        if colours == 1:  # all greys there are, exactly: a table of few would be wrong in the dark
            greys = convert(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), ImageCms.Flags.NOOPTIMIZE)
            found = greys[0, values[..., 0], :1]
        else:
            found = convert(image if image.mode == "CMYK" else Image.fromarray(values[..., :3]))
    except Exception:  # a profile that is broken, or of colours that the image does not have
        return None
    return np.concatenate([found, values[..., colours:]], 2)


def remarks(image: Image.Image, profile: Profile | None, converted: bool) -> Iterator[str]:
    """What a file says of its colours and is not heeded."""
    if profile is not None and not profile.is_srgb and not converted:
        yield f"has the colour profile '{profile.name}', which is not applied: convert it to sRGB"
    if profile is None:
        with suppress(Exception):  # a broken note
            exif = image.getexif()
            if exif.get_ifd(INTEROPERABILITY).get(1) == "R03" and exif.get_ifd(EXIF).get(0xA001) != 1:
                yield "says that its colours are Adobe RGB's, and is taken to be sRGB: convert it"
