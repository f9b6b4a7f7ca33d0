"""Materials of OBJ files. After "MTL material format" (Ramey, Rose, Tyerman, 1995), with the extension for physically
based ones (Pr, Pm, norm) that Blender writes.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .. import images
from ..errors import FileError
from .material import Material
from .named_files import find_file
from .text_lines import decoded, plain_bytes, shown
from .textures import ImageTexture

D = TypeVar("D")  # of a default
RGB = tuple[float, float, float]
Placement = tuple[tuple[float, float], tuple[float, float]]
PLACEMENT: Placement = ((1.0, 1.0), (0.0, 0.0))
NUMBERS = ("-o", "-s", "-t")  # options that one to three numbers follow; any of these others, so many words
WORDS = {"-blendu": 1, "-blendv": 1, "-cc": 1, "-clamp": 1, "-bm": 1, "-boost": 1, "-texres": 1, "-imfchan": 1}
WORDS |= {"-type": 1, "-mm": 2}
# statements whose absence from the picture is worth a word
UNUSED = ("map_ks", "map_ps", "map_disp", "disp", "map_decal", "decal", "map_refl", "refl")
# statements of other models of light, without a word: glTF's says the same by others
OTHERS = ("illum", "ka", "ks", "ns", "ni", "nr", "tf", "sharpness", "map_ka", "map_ns", "map_aat", "ps", "pc", "pcr")
OTHERS += ("aniso", "anisor", "map_pc", "map_pcr", "map_aniso", "map_anisor", "d", "tr", "kd", "ke", "pr", "pm")
COLOURED = ("map_kd", "map_ke")
NORMAL = ("norm", "map_norm", "map_kn")
BUMP = ("bump", "map_bump")
KNOWN = {*UNUSED, *OTHERS, *COLOURED, *NORMAL, *BUMP, "map_pr", "map_pm", "map_d"}


@dataclass
class MtlMaterial:
    """A material, and how it places its textures on the UVs of a face: (scale, offset) in u and v."""

    material: Material
    color: tuple[float, float, float] | None = None
    placement: Placement = PLACEMENT

    @classmethod
    def default(cls, name: str, white: bool = False) -> MtlMaterial:
        color = (1.0, 1.0, 1.0) if white else None
        return cls(Material(name=name) if color is None else Material(color, name), color)

    def plain(self) -> Material:
        """The material of faces without UVs: its plain colour."""
        return Material(name=self.material.name) if self.color is None else Material(self.color, self.material.name)


class Library:
    """The materials of the MTL files of an OBJ, by name; of one name, the first file's counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # the OBJ's: textures may lie beside it, or beside the MTL
        self.entries: dict[bytes, Entry] = {}
        self._made: dict[bytes, MtlMaterial] = {}

    def read(self, file: Path) -> None:
        """Add the materials of a file that this has not."""
        try:
            data = plain_bytes(file.read_bytes())
        except OSError as error:
            raise FileError(f"{file} cannot be read ({error.strerror}): check its permissions.") from None
        entries: dict[bytes, Entry] = {}
        unknown: dict[str, int] = {}
        entry = None
        for number, line in enumerate(data.split(b"\n"), 1):
            keyword, rest = re.findall(rb"\s*(\S*)\s?(.*)", line, re.DOTALL)[0]
            keyword = keyword.lower()
            if keyword == b"newmtl":
                entry = entries[rest.strip()] = Entry(rest.strip(), file, number, self.folder)
            elif keyword and not keyword.startswith(b"#"):
                if entry is None or decoded(keyword) not in KNOWN:
                    unknown.setdefault(decoded(keyword), number)
                else:  # as it stands: the name of a file may begin with a blank
                    entry.statements[decoded(keyword)] = (rest.rstrip(b"\r"), number)
        if unknown:
            word, number = next(iter(unknown.items()))
            more = f" (nor are {len(unknown) - 1} others)" if len(unknown) > 1 else ""
            what = "stands before any newmtl" if word in KNOWN else f"is no keyword of MTL files{more}"
            warnings.warn(f"{file}, line {number}: '{shown(word)}' {what}: such lines are left out.", stacklevel=2)
        for name, entry in entries.items():
            self.entries.setdefault(name, entry)

    def find(self, name: bytes) -> MtlMaterial | None:
        """The material that a `usemtl` means: of this name, or the only one of it in other letter case or encoding."""
        if name not in self.entries:
            same = [key for key in self.entries if _folded(key) == _folded(name)]
            if len(same) != 1:
                return None
            (name,) = same
        if name not in self._made:
            self._made[name] = self.entries[name].make()
        return self._made[name]


@dataclass
class Map:
    """An image that an MTL names, and what its options say."""

    picture: images.Picture  # RGBA
    options: dict[str, list[str]]

    @property
    def texels(self) -> Tensor:
        """(4, h, w) in [0, 1], as the file has them."""
        return self.picture.floats().clamp(0, 1)

    @property
    def wrap(self) -> str:
        return "clamp" if self.options.get("-clamp") == ["on"] else "repeat"

    @property
    def placement(self) -> Placement:
        return (self._numbers("-s", 1.0), self._numbers("-o", 0.0))

    def _numbers(self, option: str, default: float) -> tuple[float, float]:
        given = [float(word) for word in self.options.get(option, [])][:2]
        first, second, *_ = *given, default, default
        return first, second

    def texture(self, texels: Tensor | None = None) -> ImageTexture:
        """A texture of these texels, or of others, through the same sampler."""
        return ImageTexture(self.color() if texels is None else texels, self.wrap)

    def color(self) -> Tensor:
        """(3, h, w), as a base colour is encoded."""
        texels = self.texels[:3]
        return self._gained(images.linear_to_srgb(texels) if self.picture.linear else texels)

    def scalar(self, channel: str) -> Tensor:
        """(1, h, w): the channel that `-imfchan` says, or else `channel`; m is alpha if there is one, l luminance."""
        channel = (self.options.get("-imfchan") or [channel])[0].lower()
        if channel == "m" and bool((self.texels[3] < 1).any()):
            return self._gained(self.texels[3:])
        if channel in ("r", "g", "b"):
            return self._gained(self.texels["rgb".index(channel)][None])
        return self._gained((self.texels[:3] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True))

    def _gained(self, texels: Tensor) -> Tensor:
        if "-mm" not in self.options:
            return texels
        base, gain = (float(word) for word in self.options["-mm"])
        return (base + gain * texels).clamp(0, 1)


@dataclass
class Entry:
    """What a file says of a material: by keyword in small letters, the rest of the line and its number."""

    name: bytes
    file: Path
    line: int
    folder: Path
    statements: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def make(self) -> MtlMaterial:
        """The material. A map replaces its factor (`map_Kd` the colour `Kd`), as in Blender.

        The specification multiplies them, but many exporters write a grey or black `Kd` beside a map.
        """
        color = self._color()
        base = self._map("map_kd")
        placement = PLACEMENT if base is None else base.placement
        roughness, metallic = self._factor("r", placement), self._factor("m", placement)
        if roughness is None and metallic is not None:
            roughness = 1.0
        alpha = self._alpha(placement)
        material = Material(
            self._base_color(color, base, alpha),
            shown(self.name) or "material",
            roughness=roughness,
            metallic=0.0 if metallic is None else metallic,
            normal=self._normal(placement),
            emissive=self._emissive(placement),
            alpha_cutoff=None if alpha is None else 0.5,
        )
        unused = [keyword for keyword in UNUSED if keyword in self.statements]
        if unused:
            self._warn(self.line, f"{', '.join(unused)} not used")
        return MtlMaterial(material, color, placement)

    def _base_color(
        self, color: tuple[float, float, float] | None, base: Map | None, alpha: Tensor | None
    ) -> Sequence[float] | ImageTexture:
        plain = Material().base_color().flatten().tolist() if color is None else color
        if alpha is None:
            return plain if base is None else base.texture()
        if base is None:
            rgb = torch.tensor(plain).view(3, 1, 1).expand(3, *alpha.shape[1:])
            return ImageTexture(torch.cat([rgb, alpha]))
        rgb = base.color()
        if alpha.shape[1:] != rgb.shape[1:]:
            alpha = interpolate(alpha[None], rgb.shape[1:], mode="bilinear")[0]
        return base.texture(torch.cat([rgb, alpha]))

    def _color(self, keyword: str = "Kd", instead: str = "the default colour takes its place") -> RGB | None:
        """`Kd` or `Ke`, which are display colours; of one number, grey."""
        given = self._floats(keyword.lower(), None)
        if given is None:
            return None
        line = self.statements[keyword.lower()][1]
        given = given * 3 if len(given) == 1 else given[:3]
        if len(given) < 3:
            self._warn(line, f"{keyword} needs three numbers, {instead}")
            return None
        if not all(0 <= value <= 1 for value in given):
            self._warn(line, f"{keyword} lies outside [0, 1] and is cut off there")
        red, green, blue = (min(max(value, 0.0), 1.0) for value in given)
        return red, green, blue

    def _emissive(self, placement: Placement) -> RGB | ImageTexture | None:
        """What it sends out by itself; None where it is dark."""
        image = self._map("map_ke", placement)
        if image is not None:
            return image.texture()
        color = self._color("Ke", "it sends out nothing")
        return color if color is not None and any(color) else None

    def _factor(self, which: str, placement: Placement) -> float | ImageTexture | None:
        """Roughness (r) or metallic (m): a texture, a number, or None."""
        image = self._map(f"map_p{which}", placement)
        if image is not None:
            return image.texture(image.scalar("l"))
        given = self._floats(f"p{which}", None)
        return min(max(given[0], 0.0), 1.0) if given else None

    def _alpha(self, placement: Placement) -> Tensor | None:
        """(1, h, w) of `map_d`, which cuts out; even transparency is not rendered."""
        opacity = self._floats("d", None) or [1 - value for value in self._floats("tr", [])]
        if opacity and opacity[0] < 1:
            self._warn(
                self.statements["d" if "d" in self.statements else "tr"][1], "transparency (d, Tr) is not rendered"
            )
        image = self._map("map_d", placement)
        return None if image is None else image.scalar("m")

    def _normal(self, placement: Placement) -> ImageTexture | None:
        """`norm`, or a `bump` that is no grey image of heights: Blender and others write normal maps so."""
        for keyword in (*NORMAL, *BUMP):
            image = self._map(keyword, placement)
            if image is None:
                continue
            if keyword in BUMP and bool((image.texels[:3].amax(0) - image.texels[:3].amin(0) < 0.05).all()):
                self._warn(self.statements[keyword][1], "a bump map of heights is not used: make a normal map of it")
                continue
            if float(image.options.get("-bm", ["1"])[0]) != 1:
                self._warn(self.statements[keyword][1], "-bm is not used: normals are as their map has them")
            return image.texture(image.texels[:3])
        return None

    def _floats(self, keyword: str, default: D) -> list[float] | D:
        """The numbers of a statement; `default` if it is not there or, as is then said, has none."""
        if keyword not in self.statements:
            return default
        rest, line = self.statements[keyword]
        words = rest.split(b"#", 1)[0].split()
        try:
            if words[:1] == [b"-halo"]:  # of d
                words = words[1:]
            values = [float(word) for word in words]
            if values and all(value - value == 0 for value in values):  # finite
                return values
        except ValueError:
            pass
        self._warn(line, f"'{keyword} {shown(rest)}' is not understood and left out")
        return default

    def _map(self, keyword: str, placement: Placement | None = None) -> Map | None:
        """The image of a statement; None, and a warning, if it cannot be had. It should lie as `placement` says."""
        if keyword not in self.statements:
            return None
        rest, line = self.statements[keyword]
        options, name = split_options(rest)
        if not name.strip():
            return None  # as some exporters write
        file = self._file(name)
        if file is None:
            self._warn(line, f"'{shown(name)}' of {keyword} is missing: put it beside {self.file.name}")
            return None
        try:
            found = Map(images.read(file, upright=False, srgb=keyword in COLOURED).to(4), options)
        except FileError as error:
            warnings.warn(f"{self.file}, line {line}: {error}", stacklevel=2)
            return None
        if "-t" in options:
            self._warn(line, f"turbulence (-t) of {keyword} is not used")
        if placement is not None and found.placement != placement:
            self._warn(line, f"{keyword} lies where map_Kd does: its own -o and -s are not used")
        return found

    def _file(self, name: bytes) -> Path | None:
        names = [name, name.split(b" #", 1)[0]] if b" #" in name else [name]
        for each in names:
            for folder in (self.file.parent, self.folder):
                found = find_file(folder, each)
                if found is not None:
                    return found
        return None

    def _warn(self, line: int, what: str) -> None:
        warnings.warn(f"{self.file}, line {line}: material '{shown(self.name)}': {what}.", stacklevel=2)


def split_options(rest: bytes) -> tuple[dict[str, list[str]], bytes]:
    """The options in front of a file's name, and that name, which may begin with a blank."""
    options: dict[str, list[str]] = {}
    at = 0
    while match := re.compile(rb"\s*(-[a-zA-Z]+)(?=\s)").match(rest, at):
        option = match[1].decode().lower()
        if option in NUMBERS:
            values = re.compile(rb"(?:\s+[-+.\d][-+.\deE]*(?=\s)){1,3}").match(rest, match.end())
        elif option in WORDS:
            values = re.compile(rb"(?:\s+\S+(?=\s)){%d}" % WORDS[option]).match(rest, match.end())
        else:
            break
        if values is None:
            break
        options[option] = [word.lower() for word in decoded(values[0]).split()]
        at = values.end()
    for option in (*NUMBERS, "-mm", "-bm"):
        if not all(map(_is_number, options.get(option, []))):
            del options[option]
    return options, rest[at + 1 :] if at else rest


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _folded(name: bytes) -> str:
    return decoded(name).casefold()
