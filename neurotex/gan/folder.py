"""Training data from a folder of images or materials."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from PIL import Image
from torch import Tensor

from .. import images
from ..errors import ArgumentError, FileError
from . import image_files
from .procedural import CHANNELS, check_maps, turned

CROPS = ("random", "centre", "tile")
NAMED = 5  # files that a warning names at most


class ImageFolder:
    """A source of the images in a folder and below: seeds to images, (n,) → (n, channels, size, size) in [-1, 1].

    An item is a square of a random image, scaled to `size`; images may have any size and shape, and are enlarged where
    they are smaller. `crops` says which square:

    - `"random"`: anywhere, its side anything from `size` pixels to the whole of the shorter side;
    - `"centre"`: the largest, in the middle;
    - `"tile"`: the largest, from anywhere, going on at the other side of the image: for images without seam.

    `mirror` flips half of the items left to right; `turn` turns them by quarters. Images have `channels` 1 (grey), 3 or
    4 (with alpha). With `maps`, an item is a material instead: NAME_base_color.png (also albedo, diffuse, color),
    NAME_normal.png and NAME_roughness.png beside one another give the channels of these maps, and normals are mirrored
    and turned along.

    The seed of an item alone decides what it is. Files that cannot be read are skipped, with a warning: at the start
    those that do not begin as images, later those whose pixels turn out to be broken, for which the next file stands
    in. Decoded images are kept, up to `cache` bytes. ArgumentError for a size below 1 and for other crops or channels;
    FileError for a folder without images that can be read.
    """

    # 8 parameters: two say which images, the others have defaults
    def __init__(
        self,
        path: str | Path,
        size: int,
        crops: str = "random",
        mirror: bool = True,
        turn: bool = False,
        channels: int = 3,
        maps: Sequence[str] | None = None,
        cache: int = 2 << 30,
    ) -> None:
        if size < 1:
            raise ArgumentError(f"images are 1 pixel wide or more, not {size}.")
        if crops not in CROPS:
            raise ArgumentError(f"crops are one of {', '.join(CROPS)}, not {crops!r}.")
        if channels not in image_files.CHANNELS:
            raise ArgumentError(f"images have 1, 3 or 4 channels, not {channels}.")
        self.path, self.size, self.crops, self.mirror, self.turn = Path(path), size, crops, mirror, turn
        self.maps = () if maps is None else check_maps(maps)
        self._parts = [CHANNELS[name] for name in self.maps] or [channels]
        self.channels = sum(self._parts)
        files = image_files.find(path)
        broken = [file for file in files if not image_files.is_readable(file)]
        if len(broken) == len(files):
            raise FileError(f"{path} has no image that can be read among its {len(files)}: save them again.")
        if broken:
            _warn_skipped(self.path, broken)
        if self.maps:
            whole = [item for item in image_files.join(path, files, self.maps) if not set(item) & set(broken)]
        else:
            whole = [(file,) for file in files if file not in set(broken)]
        if not whole:
            raise FileError(f"{path} has no material whose files can all be read: save them again.")
        self.items = whole
        self._room = cache
        self._kept: dict[int, np.ndarray] = {}
        self._broken: set[int] = set()
        self._said: frozenset[str] = frozenset()  # what pictures were remarked upon

    def __len__(self) -> int:
        """How many images or materials there are."""
        return len(self.items)

    def __call__(self, seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n c h w"]:
        out = torch.empty(len(seeds), self.channels, self.size, self.size)
        for item, seed in zip(out, seeds.tolist(), strict=True):
            item.copy_(self._item(torch.Generator().manual_seed(seed)))
        return out

    def _item(self, rng: torch.Generator) -> Float[Tensor, "c size size"]:
        pixels = self._pixels(int(torch.randint(len(self.items), (), generator=rng)))
        scale, down, right, mirror, quarters = torch.rand(5, generator=rng, dtype=torch.float64).tolist()
        if self.crops == "random":
            pixels = self._cut(pixels, scale, down, right)
        elif self.crops == "tile":
            _, h, w = pixels.shape
            rows, columns = (np.arange(self.size) + int(start * side) for start, side in ((down, h), (right, w)))
            pixels = pixels.take(rows, 1, mode="wrap").take(columns, 2, mode="wrap")
        image = torch.from_numpy(pixels).float() / 127.5 - 1
        image = turned(image, self.maps, self.mirror and mirror < 0.5, int(4 * quarters) if self.turn else 0)
        if "normal" in self.maps:  # 8 bits, or a filter that overshoots, may have made them longer than 1
            first = sum(CHANNELS[name] for name in self.maps[: self.maps.index("normal")])
            image[first : first + 2] /= image[first : first + 2].norm(dim=0).clamp(min=1)
        return image

    def _cut(self, pixels: np.ndarray, scale: float, down: float, right: float) -> np.ndarray:
        """A square of random side and place. Sides are spread evenly over octaves, as features of images are."""
        _, h, w = pixels.shape
        shorter = min(h, w)
        side = round(shorter * min(self.size / shorter, 1) ** scale)
        return self._square(pixels, side, int(down * (h - side + 1)), int(right * (w - side + 1)))

    def _square(self, pixels: np.ndarray, side: int, top: int, left: int) -> np.ndarray:
        return _resized(pixels[:, top : top + side, left : left + side], (self.size, self.size))

    def _pixels(self, index: int) -> np.ndarray:
        """The image of this index, or of the next one that can be decoded, as far as all crops of it are the same."""
        for step in range(len(self.items)):
            chosen = (index + step) % len(self.items)
            if chosen in self._kept:
                return self._kept[chosen]
            if chosen in self._broken:
                continue
            pixels = self._decoded(self.items[chosen])
            if pixels is None:
                self._broken.add(chosen)
                _warn_skipped(self.path, [path for i in sorted(self._broken) for path in self.items[i]])
                continue
            pixels = self._prepared(pixels)
            # every image is as likely to be next as any other: those that came first may as well stay
            if pixels.nbytes <= self._room:
                self._room -= pixels.nbytes
                self._kept[chosen] = pixels
            return pixels
        raise FileError(f"{self.path} has no image whose pixels can be read: save them again.")

    def _decoded(self, files: tuple[Path, ...]) -> np.ndarray | None:
        decoded = [image_files.decode(file, n) for file, n in zip(files, self._parts, strict=True)]
        if any(part is None for part in decoded):
            return None
        parts, pictures = zip(*decoded, strict=True)
        remarks = {str(file): picture.remarks for file, picture in zip(files, pictures, strict=True)}
        self._said = images.warn(remarks, self._said)
        shape = parts[0].shape[1:]  # maps of other sizes follow the first
        return np.concatenate([part if part.shape[1:] == shape else _resized(part, shape) for part in parts])

    def _prepared(self, pixels: np.ndarray) -> np.ndarray:
        """What all crops of an image have in common."""
        _, h, w = pixels.shape
        shorter = min(h, w)
        if self.crops == "centre":
            return self._square(pixels, shorter, (h - shorter) // 2, (w - shorter) // 2)
        if self.crops == "tile":
            scale = shorter / self.size
            margin = math.ceil(2 * max(scale, 1)) + 1  # the bicubic filter reaches 2 pixels of the coarser image
            padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin)), mode="wrap")
            to = (round(h / scale), round(w / scale))
            return _resized(padded, to, (margin, margin, margin + w, margin + h))
        return pixels

    def __getstate__(self) -> dict:
        """Without the images: worker processes and copies read them again rather than being sent them."""
        room = self._room + sum(pixels.nbytes for pixels in self._kept.values())
        return {**vars(self), "_kept": {}, "_room": room}


def _resized(
    pixels: np.ndarray, to: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> np.ndarray:
    """(channels, h, w) uint8, or their box (left, top, right, bottom), scaled `to` (h, w): bicubic, anti-aliased."""
    resized = [Image.fromarray(channel).resize((to[1], to[0]), Image.Resampling.BICUBIC, box) for channel in pixels]
    return np.stack([np.asarray(channel) for channel in resized])


def _warn_skipped(folder: Path, files: Sequence[Path]) -> None:
    names = ", ".join(str(file.relative_to(folder)) for file in files[:NAMED]) + (", …" if len(files) > NAMED else "")
    warnings.warn(f"{folder}: {len(files)} files cannot be read and are skipped: {names}.", stacklevel=3)
