"""Textures as a camera sees them on a mesh: how a GAN learns textures from pictures of textured objects alone.

The discriminator looks at renders, never at textures; its gradient runs back through light, lens and UVs into the
generator (as Texturify does for textures per face, Siddiqui et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from .. import raster
from ..core.typed import ModuleList
from ..discrete.clamp import clamp
from ..errors import ArgumentError, SceneError
from ..generators.protocol import as_made, as_texels
from ..raster.pixels import place_pixels_unchecked
from ..raster.texels import take_texels_unchecked
from ..renderers import BakedMatrix, bake
from ..scene import ImageTexture, Material, Mesh, Scene, Views, resolution
from ..scene.check import check_cameras
from ..scene.counts import is_count
from ..shading import linear_to_srgb, srgb_to_linear
from .render_scenes import Object, objects, scene_around, scene_of_views


class Renders(nn.Module):
    """textures (n, 3 or more, h, w) in [-1, 1], seeds (n,) → their renders (n, 4, size, size) in [-1, 1].

    A bank of views, one for each camera of each of `scenes`, is prepared once. Texture i is put on everything in the
    scene, in place of its own materials, and seen by the camera that seed i draws from the bank, each as likely as any
    other. Surfaces are diffuse, so of a texture's channels the first three count, the base colour. Pictures are over
    black, sRGB-encoded and clipped at white; alpha is the last channel. Differentiable in the textures.

    A view is one sparse matrix (see `neurotex.bake`) and costs a product with it and one with its transpose. The bank
    keeps `bytes`: 16 (32 in coloured light) for each pair of a pixel and a texel in it, 16 for each pixel that is
    covered and 12 for each texel that is seen. A pixel as wide as a texel reads about 9, and never more than
    4 · grid²: the bank grows with views · size² and no further. Checkpoints do not hold it. `grid` × `grid` samples are
    taken per pixel.

    Raises SceneError for scenes without cameras, lights or UVs, and for cameras that see nothing.

    `texture_size` is that of the textures: a side, or (height, width). ArgumentError for sizes below 1, and without
    scenes.
    """

    channels = 4

    def __init__(
        self,
        scenes: Scene | Sequence[Scene],
        size: int = 64,
        texture_size: int | tuple[int, int] = 64,
        *,
        grid: int = 4,
    ):
        super().__init__()
        if not is_count(size):
            raise ArgumentError(f"renders are square: their size is one whole number, at least 1, not {size!r}.")
        scenes = [scenes] if isinstance(scenes, Scene) else list(scenes)
        if not scenes:
            raise ArgumentError("renders need at least 1 scene to look at.")
        self.size, self.texture_size = int(size), resolution(texture_size)
        self.views = ModuleList(
            view
            for number, scene in enumerate(scenes)
            for view in _views(scene, f"scene {number}", self.size, self.texture_size, grid)
        )

    @classmethod
    # 9 parameters: one says which meshes, the others have defaults
    def from_meshes(
        cls,
        meshes: Object | Sequence[Object],
        views: int = 64,
        size: int = 64,
        texture_size: int | tuple[int, int] = 64,
        *,
        seed: int = 0,
        light: str = "flash",
        fill: tuple[float, float] = (0.7, 0.9),
        elevation: tuple[float, float] = (-90.0, 90.0),
        grid: int = 4,
    ) -> Renders:
        """`views` random cameras around each of `meshes`: scene files, Mesh nodes, or "sphere".

        For `light`, "flash" or "uniform", see `scene_around`; for `fill` and `elevation`, `random_cameras`.
        """
        meshes = [meshes] if isinstance(meshes, Object) else list(meshes)
        loaded = [objects(mesh) for mesh in meshes]
        scenes = [
            scene_around(nodes, views, seed + number, light, fill=fill, elevation=elevation)
            for number, nodes in enumerate(loaded)
        ]
        return cls(scenes, size, texture_size, grid=grid)

    @classmethod
    def from_views(
        cls,
        mesh: Object,
        views: Views | str | Path,
        size: int = 64,
        texture_size: int | tuple[int, int] = 64,
        *,
        grid: int = 4,
    ) -> Renders:
        """The cameras and lights of photographs (see `Views.load`): the same distribution of views as `ViewSource`."""
        views = views if isinstance(views, Views) else Views.load(views)
        return cls(scene_of_views(objects(mesh), views), size, texture_size, grid=grid)

    @property
    def bytes(self) -> int:
        """How much memory the bank keeps."""
        return sum(buffer.numel() * buffer.element_size() for buffer in self.buffers())

    def forward(self, textures: Float[Tensor, "n c h w"], seeds: Int64[Tensor, "n"]) -> Float[Tensor, "n 4 s s"]:
        """Raises ArgumentError for textures of another size than the bank's, and for fewer or more seeds."""
        if textures.ndim != 4 or textures.shape[1] < 3 or tuple(textures.shape[2:]) != self.texture_size:
            height, width = self.texture_size
            raise ArgumentError(
                f"these renders are of textures (n, 3 or more, {height}, {width}), but got {tuple(textures.shape)}: "
                "make the renders with the texture_size of the generator."
            )
        if len(seeds) != len(textures):
            raise ArgumentError(f"each texture needs a seed for its camera, but {len(textures)} got {len(seeds)}.")
        views = [self.view(seed) for seed in seeds.tolist()]
        area = textures[0, 0].numel()
        # sample k of the batch has its texels and pixels k areas further on; only those that are seen are touched
        planes = textures[:, :3].to(views[0].alpha).transpose(0, 1).flatten(1)
        encoded = take_texels_unchecked(planes, _together([view.texel for view in views], area))
        seen = srgb_to_linear(clamp(as_texels(encoded))).split([len(view.texel) for view in views])
        light = torch.cat([view.operator(texels) for view, texels in zip(views, seen, strict=True)])
        alpha = torch.cat([view.alpha for view in views])
        pixel = _together([view.pixel for view in views], self.size**2)
        image = place_pixels_unchecked(linear_to_srgb(clamp(light)), alpha, pixel, len(views) * self.size**2)
        return as_made(image.view(-1, self.size, self.size, 4).movedim(-1, 1))

    def view(self, seed: int) -> SeenTexture:
        """The view that a seed draws."""
        drawn = torch.randint(len(self.views), (), generator=torch.Generator().manual_seed(seed))
        return self.views[int(drawn)]

    def __repr__(self) -> str:
        height, width = self.texture_size
        return (
            f"Renders({len(self.views)} views of {self.size} x {self.size} pixels, textures of {width} x {height}, "
            f"{self.bytes / 2**20:.1f} MiB)"
        )


class SeenTexture(nn.Module):
    """One view: `operator` takes the linear colour of the texels numbered `texel` to the pixels numbered `pixel`.

    `alpha` is the share of each of these pixels that is covered. Numbers are row-major and ascending.
    """

    texel: Int[Tensor, "columns"]
    pixel: Int[Tensor, "rows"]
    alpha: Float[Tensor, "rows"]

    def __init__(
        self,
        operator: raster.SparseOperator,
        texel: Int64[Tensor, "columns"],
        pixel: Int64[Tensor, "rows"],
        alpha: Float[Tensor, "rows"],
    ):
        super().__init__()
        self.operator = operator
        for name, value in (("texel", texel.int()), ("pixel", pixel.int()), ("alpha", alpha)):
            self.register_buffer(name, value, persistent=False)


@torch.no_grad()
def _views(scene: Scene, name: str, size: int, texture_size: tuple[int, int], grid: int) -> Iterator[SeenTexture]:
    """What each camera of a scene sees of the one texture that everything in it wears."""
    for path, node, _ in scene.walk():
        if node.mesh is not None:
            node.mesh.unwrapped(f"{name}: node '{path}'")
    check_cameras(scene, name)
    geometry = scene.geometry()
    texture = ImageTexture(geometry.vertices.new_zeros((3, *texture_size)))
    mesh = Mesh(geometry.vertices, geometry.faces, geometry.uvs, geometry.normals, Material(texture))
    stage = Scene(mesh, lights=list(scene.lights)).to(geometry.vertices)
    for number, camera in enumerate(scene.cameras):
        stage.cameras = ModuleList([camera])
        baked = bake(stage, size, grid=grid)
        assert isinstance(baked, BakedMatrix)  # the texture is diffuse
        if len(baked.pixel) == 0:
            raise SceneError(f"{name}: camera {number} sees nothing of it: look at its place, and at the mesh's units.")
        yield SeenTexture(baked.operator, baked.texel, baked.pixel, baked.alpha)


def _together(numbers: list[Int[Tensor, "_"]], area: int) -> Int64[Tensor, "total"]:
    """The numbers of one plane after the other, each of so many places."""
    return torch.cat([number.long() + k * area for k, number in enumerate(numbers)])
