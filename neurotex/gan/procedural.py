"""Endless training data: seeded, seamless materials of 7 channels, from families of procedural layouts.

The channels are base_color (3, sRGB-encoded), the x and y of a tangent-space normal (2), roughness (1) and
metallic (1), all in [-1, 1]. Normals are glTF's: +x along u, to the right, +y along v, up; z = √(1 − x² − y²).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..errors import ArgumentError
from ..generators.filters import slopes
from ..generators.protocol import as_made
from .dice import Dice
from .families import FAMILIES
from .pictures import picture, sheet
from .seeds import generator

__all__ = ["CHANNELS", "FAMILIES", "ProceduralMaterials", "materials", "picture", "sheet", "turned"]

CHANNELS = {"base_color": 3, "normal": 2, "roughness": 1, "metallic": 1}
BATCH = 64  # materials drawn at once: many enough to be fast, few enough for caches and memory
SMALLEST = 16  # texels along the edge: below, nothing of a layout is left


def materials(n: int, size: int, seed: int, family: str | None = None) -> Float[Tensor, "{n} 7 {size} {size}"]:
    """`n` seamless materials in [-1, 1], as `CHANNELS` has them.

    The same arguments give the same ones, and another `size` the same layouts with other texels. `family` is one of
    `FAMILIES`; without it each material draws its own. ArgumentError for fewer than one, and for a family that there is
    none of.
    """
    _check_size(size)
    if n < 1:
        raise ArgumentError(f"materials are drawn one or more at a time, not {n}.")
    families = _known(None if family is None else [family])
    return _drawn(n, size, torch.Generator().manual_seed(seed), families)


class ProceduralMaterials:
    """A source of procedural materials: seeds to textures, (n,) → (n, channels, size, size) in [-1, 1].

    A `bank` of materials is drawn from `seed` once, when the first is asked for, and kept in 8 bits. An item is one of
    them rolled and mirrored at random, and stays upright, as walls are in pictures; `bank=None` draws each item anew
    instead, about ten times as slowly. Either way, the seed of an item alone decides what it is. Another `seed` gives
    other materials: data to hold out. `maps` says which channels there are, in the order of `CHANNELS`. `families` are
    the names of those that are drawn, all by default. ArgumentError for others, and for a bank of none.
    """

    def __init__(
        self,
        size: int = 128,
        seed: int = 0,
        bank: int | None = 4096,
        maps: Sequence[str] = tuple(CHANNELS),
        families: Sequence[str] | None = None,
    ) -> None:
        _check_size(size)
        if bank is not None and bank < 1:
            raise ArgumentError(f"a bank holds 1 material or more, not {bank}: bank=None draws every item anew.")
        self.size, self.seed, self.bank = size, seed, bank
        self.maps = check_maps(maps)
        self.families = _known(families)
        self.channels = sum(CHANNELS[name] for name in self.maps)
        self._kept: Tensor | None = None

    def __call__(self, seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
        out = torch.empty(len(seeds), self.channels, self.size, self.size)
        for item, seed in zip(out, seeds.tolist(), strict=True):
            if self.bank is None:
                item.copy_(self._of_maps(_drawn(1, self.size, generator(self.seed, seed), self.families))[0])
            else:
                rng = torch.Generator().manual_seed(seed)
                material = self._stored()[int(torch.randint(self.bank, (), generator=rng))]
                down, right, mirror = _move(rng, self.size)
                item.copy_(turned(material.roll((down, right), (1, 2)), self.maps, mirror, 0)).div_(127)
        return out

    def _stored(self) -> Tensor:
        """The bank: (bank, channels, size, size) int8, 127 times what it stands for; so 0 and signs are exact."""
        if self._kept is None:
            rng = torch.Generator().manual_seed(self.seed)
            assert self.bank is not None  # without one, nothing is kept
            kept = torch.empty(self.bank, self.channels, self.size, self.size, dtype=torch.int8)
            for part in kept.split(BATCH):
                part.copy_((self._of_maps(_drawn(len(part), self.size, rng, self.families)) * 127).round())
            self._kept = kept
        return self._kept

    def _of_maps(self, drawn: Tensor) -> Tensor:
        parts = dict(zip(CHANNELS, drawn.split(list(CHANNELS.values()), 1), strict=True))
        return torch.cat([parts[name] for name in self.maps], 1)

    def __getstate__(self) -> dict:
        """Without the bank: worker processes and copies draw it again rather than being sent it."""
        return {**vars(self), "_kept": None}


def drawn(family: str, dice: Dice) -> Float[Tensor, "n 7 size size"]:
    """Materials of one family, where the family puts them: `materials` moves them about."""
    colour, height, roughness, metallic = FAMILIES[family](dice)
    metallic = torch.zeros_like(height) if metallic is None else metallic
    rest = torch.stack([roughness.expand_as(height), metallic], 1)
    return torch.cat([as_made(colour.clamp(0, 1)), slopes(height[:, None]), as_made(rest.clamp(0, 1))], 1)


def turned(material: Tensor, maps: Sequence[str], mirror: bool, quarters: int) -> Tensor:
    """A material (…, channels, h, w) mirrored left to right, if so wanted, then turned left by quarters.

    Its normals turn with it: the mirrored surface has (−x, y) where the other had (x, y), and the one turned by a
    quarter to the left has (−y, x). So it is with the normals of the mirrored or turned height field.
    """
    if mirror:
        material = material.flip(-1)
    material = torch.rot90(material, quarters, (-2, -1))
    if "normal" not in maps:
        return material
    first = sum(CHANNELS[name] for name in maps[: maps.index("normal")])
    x, y = material[..., first, :, :], material[..., first + 1, :, :]
    if mirror:
        x = -x
    for _ in range(quarters % 4):
        x, y = -y, x
    return torch.cat([material[..., :first, :, :], torch.stack([x, y], -3), material[..., first + 2 :, :, :]], -3)


def check_maps(maps: Sequence[str]) -> tuple[str, ...]:
    """`maps` as a tuple; ArgumentError where they are not some of `CHANNELS`, in that order."""
    if isinstance(maps, str) or not maps or [name for name in CHANNELS if name in maps] != list(maps):
        raise ArgumentError(f"maps are one or more of {tuple(CHANNELS)}, in this order, not {maps!r}.")
    return tuple(maps)


def _move(rng: torch.Generator, size: int) -> tuple[int, int, bool]:
    """Rows and columns to roll by, and whether to mirror."""
    down, right = torch.randint(size, (2,), generator=rng).tolist()
    return down, right, bool(torch.randint(2, (), generator=rng))


def _drawn(n: int, size: int, rng: torch.Generator, families: tuple[str, ...]) -> Float[Tensor, "n 7 size size"]:
    which = torch.randint(len(families), (n,), generator=rng)
    phase = (torch.rand(n, 2, generator=rng) * size).long()  # of a lattice, position would tell otherwise
    out = torch.empty(n, 7, size, size)
    for index, name in enumerate(families):
        chosen = (which == index).nonzero()[:, 0]
        if len(chosen):
            out[chosen] = drawn(name, Dice(len(chosen), size, rng))
    for material, (down, right) in zip(out, phase.tolist(), strict=True):
        material.copy_(material.roll((down, right), (1, 2)))
    return out


def _known(families: Sequence[str] | None) -> tuple[str, ...]:
    names = tuple(FAMILIES) if families is None else tuple(families)
    unknown = [name for name in names if name not in FAMILIES]
    if unknown or not names:
        what = f"unknown family {unknown[0]!r}" if unknown else "no family is given"
        raise ArgumentError(f"{what}: the families are {', '.join(FAMILIES)}.")
    return names


def _check_size(size: int) -> None:
    if size < SMALLEST:
        raise ArgumentError(f"materials are {SMALLEST} texels wide or more, not {size}.")
