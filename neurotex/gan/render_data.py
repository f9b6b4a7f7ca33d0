"""Pictures of textured objects as training data: photographs, renders of models, or of another Source's textures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..errors import ArgumentError, FileError
from ..generators.protocol import as_made
from ..renderers import render
from ..scene import Mesh, Views
from ..scene.counts import is_count
from ..shading import linear_to_srgb
from .render_scenes import Object, objects, scene_around

Photographs = str | Path | Views


class RenderedSource:
    """seeds (n,) → renders (n, channels, size, size) of what another Source draws: photographs without a camera.

    Item s wears the texture that s draws from `textures`, seen by the camera that a seed drawn from s draws from
    `observe`. Who trains on this never sees a texture.
    """

    def __init__(self, observe: Callable[[Tensor, Tensor], Tensor], textures: Callable[[Tensor], Tensor]):
        self.observe, self.textures = observe, textures
        self.channels, self.size = observe.channels, observe.size

    @torch.no_grad()
    def __call__(self, seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n c s s"]:
        # a generator reads the low 32 bits of its seed
        drawn = [
            torch.randint(1 << 32, (), generator=torch.Generator().manual_seed(seed)).item() for seed in seeds.tolist()
        ]
        return self.observe(self.textures(seeds), torch.tensor(drawn, dtype=torch.int64))


@torch.no_grad()
def photographed(mesh: Object, size: int = 64, views: int = 64, seed: int = 0, light: str = "flash") -> Views:
    """Pictures of a scene file, or a Mesh, in its own materials: for lack of photographs.

    Cameras and light are those of `Renders.from_meshes` with the same seed.
    """
    scene = scene_around(objects(mesh), views, seed, light)
    what = mesh.name if isinstance(mesh, Mesh) else mesh
    names = [f"{what}, view {k}" for k in range(views)]
    return Views(list(scene.cameras), render(scene, size), list(scene.lights), names)


class ViewSource:
    """seeds (n,) → photographs (n, 4, size, size) in [-1, 1], over black, sRGB-encoded; alpha is the last channel.

    Each of `photographs` is one object, a folder or file that `Views.load` reads. Item s is a view of an object, both
    drawn by s: objects are as likely as each other, and so are the views of each. Of pictures that are not
    square the middle is taken, and averaged down (or repeated up) in linear light. Each keeps 16 · size² bytes.

    Raises FileError for photographs that no view of their object has cut out: renders are over nothing, and a
    background would tell them apart from photographs at once. ArgumentError where there are none, and for a size that
    is not one whole number.
    """

    channels = 4

    def __init__(self, photographs: Photographs | Sequence[Photographs], size: int = 64):
        if not is_count(size):
            raise ArgumentError(f"photographs are made square: their size is one whole number, not {size!r}.")
        photographs = [photographs] if isinstance(photographs, Photographs) else list(photographs)
        if not photographs:
            raise ArgumentError("there are no photographs: give at least one folder with a transforms.json in it.")
        self.size = int(size)
        self.objects = [_pictures(object, self.size) for object in photographs]

    def __call__(self, seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n 4 s s"]:
        return torch.stack([self._picture(seed) for seed in seeds.tolist()])

    def _picture(self, seed: int) -> Float[Tensor, "4 s s"]:
        rng = torch.Generator().manual_seed(seed)
        pictures = self.objects[int(torch.randint(len(self.objects), (), generator=rng))]
        return pictures[int(torch.randint(len(pictures), (), generator=rng))]


def square_resized(images: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n c s s"]:
    """The squares in the middle of images; each new pixel is the mean over the area that it covers."""
    height, width = images.shape[2:]
    side = min(height, width)
    return _averages(height, side, size).to(images) @ images @ _averages(width, side, size).to(images).T


def _averages(length: int, side: int, size: int) -> Float[Tensor, "size length"]:
    """Row k takes the mean over the k-th of `size` equal parts of the `side` pixels in the middle of a line."""
    ends = torch.arange(size + 1, dtype=torch.float64) * side / size + (length - side) / 2
    pixel = torch.arange(length, dtype=torch.float64)
    overlap = torch.minimum(ends[1:, None], pixel + 1) - torch.maximum(ends[:-1, None], pixel)
    return overlap.clamp_min(0) * size / side


def _pictures(photographs: Photographs, size: int) -> Float[Tensor, "views 4 s s"]:
    views = photographs if isinstance(photographs, Views) else Views.load(photographs)
    if len(views.images) == 0:
        raise ArgumentError("these views hold no photograph: give at least one.")
    if bool((views.images[:, 3] == 1).all()):
        where = f"view '{views.names[0]}'" if isinstance(photographs, Views) else f"{photographs}: {views.names[0]}"
        raise FileError(
            f"{where} and all others are opaque everywhere: cut the object out (a matting tool does) and save "
            "PNGs with alpha."
        )
    linear = square_resized(views.images, size)
    return as_made(torch.cat([linear_to_srgb(linear[:, :3]), linear[:, 3:]], 1).clamp(0, 1))
